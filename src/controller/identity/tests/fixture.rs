//! One identity in good order, and what `execute` does to what is seen.

use countersign_authority::KeyAlgorithm;
use countersign_core::{Constraints, Grant, Requester};
use jiff::{SignedDuration, Timestamp};

use super::super::observed::{
    Admits, Authority, Certificate, CredentialSeen, Delivery, Desired, DomainSeen, Identity,
    Observed, OwnerSeen, OwnerState, Recorded, Risk, SecretVersion, TaskRef, TaskSeen, TaskState,
};
use super::super::plan::{BACKDATE, Credential, Issue, Plan, Status, plan, renewal};
use crate::retired::Before;

/// The moment at which the tests begin, in seconds.
pub(super) const T0: i64 = 1_800_000_000;
/// The certificates' lifetime.
pub(super) const TTL: u64 = 600;
/// The longest time from the first issue on.
pub(super) const LIFETIME: u64 = 3600;

/// So many seconds after the beginning.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(T0 + seconds).unwrap()
}

pub(super) fn grant(action: &str, resource: &str) -> Grant {
    Grant {
        actions: vec![action.to_owned()],
        resources: vec![resource.to_owned()],
        constraints: Constraints::default(),
    }
}

pub(super) fn running(uid: &str) -> TaskSeen {
    found(uid, TaskState::Running)
}

pub(super) fn found(uid: &str, state: TaskState) -> TaskSeen {
    TaskSeen::Found {
        uid: uid.to_owned(),
        state,
    }
}

pub(super) fn owner(state: OwnerState) -> OwnerSeen {
    OwnerSeen::Found {
        state,
        grants: vec![grant("read", "ledger/*")],
        admits: Admits::Yes,
    }
}

/// A risk beyond the threshold.
pub(super) fn risk() -> Risk {
    Risk {
        score: 91,
        anomaly: 40,
        reason: "caep/risk-level-change, behaviour/rate".to_owned(),
    }
}

pub(super) fn domain() -> DomainSeen {
    DomainSeen::Found {
        admits_namespace: true,
        default_ttl_seconds: TTL,
        max_ttl_seconds: 3600,
        max_lifetime_seconds: LIFETIME,
        ready: Ok(Authority { reissue: false }),
    }
}

pub(super) fn version(resource_version: u64) -> SecretVersion {
    SecretVersion {
        name: "reader-identity".to_owned(),
        uid: "secret-1".to_owned(),
        resource_version: resource_version.to_string(),
    }
}

/// A new identity whose task runs, with everything in order and nothing issued yet.
pub(super) fn fresh() -> Observed {
    Observed {
        now: at(0),
        identity: Identity {
            uid: "identity-1".to_owned(),
            namespace: "finance".to_owned(),
            name: "reader".to_owned(),
            generation: 1,
            created: at(-5),
            deleting: false,
            trust_domain: "example.org".to_owned(),
            owner: "alice".to_owned(),
            task: TaskRef {
                group: "batch".to_owned(),
                resource: "jobs".to_owned(),
                name: "reconcile".to_owned(),
                uid: None,
            },
            grants: vec![grant("read", "ledger/invoices")],
            delivery: Delivery::Secret {
                name: "reader-identity".to_owned(),
            },
            ttl_seconds: None,
            key_algorithm: KeyAlgorithm::EcdsaP256,
            deadline_seconds: None,
            ttl_after_finished_seconds: None,
            desired: Desired::Active,
            requester: Some(Requester {
                username: "alice@example.com".to_owned(),
                uid: None,
                groups: Vec::new(),
            }),
        },
        recorded: Recorded::default(),
        task: running("task-1"),
        owner: owner(OwnerState::Active),
        domain: domain(),
        risk: None,
        credential: CredentialSeen::Missing,
        closed: None,
        before: Before::NotEnded,
        clock_off: false,
    }
}

/// The same with its first certificate, issued at the beginning.
pub(super) fn issued() -> Observed {
    let mut seen = fresh();
    let plan = plan(&seen);
    assert!(matches!(plan.credential, Credential::Issue(_)), "{plan:?}");
    apply(&mut seen, &plan, "serial-1");
    seen
}

/// The same with the agent's own key.
pub(super) fn requested() -> Observed {
    let mut seen = fresh();
    seen.identity.delivery = Delivery::Request {
        pkcs10: "CSR".to_owned(),
    };
    let plan = plan(&seen);
    apply(&mut seen, &plan, "serial-1");
    seen
}

/// A Secret that was written and whose record was lost, as reading it shows.
pub(super) fn unrecorded() -> Observed {
    let issued = issued();
    Observed {
        credential: CredentialSeen::Adoptable {
            certificate: issued.recorded.certificate.unwrap(),
            version: issued.recorded.secret.unwrap(),
            bundle_sequence: 1,
        },
        ..fresh()
    }
}

/// Changes something.
pub(super) fn with(mut seen: Observed, change: impl FnOnce(&mut Observed)) -> Observed {
    change(&mut seen);
    seen
}

/// What the signer makes of an order.
pub(super) fn sign(seen: &Observed, issue: &Issue, serial: &str) -> Certificate {
    let ttl = SignedDuration::from_secs(i64::try_from(issue.ttl_seconds).unwrap());
    let not_after = (seen.now + ttl).min(issue.not_after_cap);
    Certificate {
        spiffe_id: issue.spiffe_id.clone(),
        serial_number: serial.to_owned(),
        not_before: seen.now - BACKDATE,
        not_after,
        renewal: Some(renewal(seen.now, not_after, &seen.identity.uid, serial)),
        public_key_sha256: "key".to_owned(),
        authority_id: "authority".to_owned(),
        chain: matches!(seen.identity.delivery, Delivery::Request { .. }).then(|| "PEM".to_owned()),
    }
}

/// What `execute` does, and what is seen after it. What it wrote is returned.
pub(super) fn apply(seen: &mut Observed, plan: &Plan, serial: &str) -> Option<Status> {
    let mut status = plan.status.clone();
    let mut held = match &seen.credential {
        CredentialSeen::AsRecorded => seen.recorded.secret.clone(),
        CredentialSeen::Unread(version)
        | CredentialSeen::Tampered(version)
        | CredentialSeen::Adoptable { version, .. } => Some(version.clone()),
        _ => None,
    };
    match &plan.credential {
        Credential::Keep => {}
        Credential::Read => panic!("what a read shows isn't known here"),
        Credential::Remove => {
            held = None;
            seen.credential = CredentialSeen::Missing;
        }
        Credential::Issue(issue) => {
            let status = status.as_mut().unwrap();
            assert_eq!(issue.replaces, held, "it replaces what is there");
            let certificate = sign(seen, issue, serial);
            if certificate.chain.is_none() {
                let before = held.map_or(1, |it| it.resource_version.parse().unwrap());
                held = Some(version(before + 1));
                status.bundle_sequence = Some(1);
            }
            status.certificate = Some(certificate);
            status.secret.clone_from(&held);
            seen.credential = CredentialSeen::AsRecorded;
            if let DomainSeen::Found { ready: Ok(it), .. } = &mut seen.domain {
                it.reissue = false;
            }
        }
    }
    if let Some(status) = &status {
        seen.recorded = recorded(status);
    }
    let recorded = &seen.recorded;
    match seen.identity.delivery {
        Delivery::Secret { .. } => {
            if let Some(held) = held
                && recorded.certificate.is_some()
                && recorded.secret.as_ref() == Some(&held)
            {
                seen.credential = CredentialSeen::AsRecorded;
            }
        }
        Delivery::Request { .. } | Delivery::Workload => {
            let certificate = recorded.certificate.as_ref();
            seen.credential = if certificate.is_some_and(|it| it.chain.is_some()) {
                CredentialSeen::AsRecorded
            } else {
                CredentialSeen::Missing
            };
        }
    }
    status
}

/// What is read back from a status: see `parse`.
pub(super) fn recorded(status: &Status) -> Recorded {
    let completed = status.conditions.iter().find(|it| it.kind == "Completed");
    Recorded {
        observed_generation: status.observed_generation,
        task_uid: status.task_uid.clone(),
        outcome: status.outcome,
        finished: status.finished,
        first_issue: status.first_issue,
        deadline: status.deadline,
        offered: match status.certificate {
            None => status.offered.clone(),
            Some(_) => None,
        },
        resumed: status.resumed,
        suspended: status.conditions.iter().any(|it| it.kind == "Suspended"),
        certificate: status.certificate.clone(),
        secret: status.secret.clone(),
        bundle_sequence: status.secret.as_ref().and(status.bundle_sequence),
        completed: completed.map(|it| (it.reason.clone(), it.message.clone())),
    }
}

/// The conditions of a plan: kind, status, reason.
pub(super) fn said(plan: &Plan) -> Vec<(&'static str, bool, String)> {
    let conditions = plan.status.iter().flat_map(|status| &status.conditions);
    conditions
        .map(|it| (it.kind, it.status, it.reason.clone()))
        .collect()
}

/// Do the conditions of a plan say this, in this order?
pub(super) fn assert_says(plan: &Plan, expected: &[(&'static str, bool, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(kind, status, reason)| (*kind, *status, (*reason).to_owned()))
        .collect();
    assert_eq!(said(plan), expected, "{plan:?}");
}

/// Does a plan leave the credential alone? What is being deleted can't record that its Secret is
/// gone, and asks again for the deletion of one that nobody sees.
pub(super) fn is_idle(seen: &Observed, plan: &Plan) -> bool {
    let gone = seen.identity.deleting && seen.credential == CredentialSeen::Missing;
    plan.credential == Credential::Keep || plan.credential == Credential::Remove && gone
}

/// Executes the plan and asserts that the next one has nothing to do, now and until it wants to be
/// woken.
pub(super) fn assert_settles(seen: &Observed) -> Observed {
    let mut after = seen.clone();
    let first = plan(seen);
    let written = apply(&mut after, &first, "serial-9");
    let second = plan(&after);
    assert!(is_idle(&after, &second), "{first:?}\n{second:?}");
    assert_eq!(second.status, written, "{first:?}");
    if let Some(again) = second.again {
        assert!(again > after.now, "{second:?}");
        let late = with(after.clone(), |it| {
            it.now = again - SignedDuration::from_secs(1)
        });
        let still = plan(&late);
        assert_eq!(
            (&still.credential, &still.status),
            (&second.credential, &second.status)
        );
    }
    after
}
