//! Each refusal: its reason, and a message that says what to do.

use super::super::observed::{
    Admits, CredentialSeen, DomainSeen, Observed, OwnerSeen, OwnerState, Refusal, TaskSeen,
    TaskState,
};
use super::super::plan::{Credential, LOOK_AGAIN, plan};
use super::fixture::{assert_says, assert_settles, at, found, fresh, grant, issued, owner, with};

/// One way to be refused: what is changed, and what is said.
struct Case {
    reason: &'static str,
    /// What of the message tells a person what to do.
    tells: &'static str,
    change: fn(&mut Observed),
}

fn because(reason: &'static str) -> Refusal {
    Refusal {
        reason,
        message: format!("{reason}: do this"),
    }
}

fn not_ready(seen: &mut Observed) {
    if let DomainSeen::Found { ready, .. } = &mut seen.domain {
        *ready = Err(because("AuthorityNotReady"));
    }
}

fn max_ttl(seen: &mut Observed, seconds: u64) {
    if let DomainSeen::Found {
        max_ttl_seconds, ..
    } = &mut seen.domain
    {
        *max_ttl_seconds = seconds;
    }
}

fn admits(seen: &mut Observed, answer: Admits) {
    if let OwnerSeen::Found { admits, .. } = &mut seen.owner {
        *admits = answer;
    }
}

const CASES: &[Case] = &[
    Case {
        reason: "UnknownTrustDomain",
        tells: "create it, or name another in spec.trustDomainRef",
        change: |it| it.domain = DomainSeen::Missing,
    },
    Case {
        reason: "NamespaceNotAdmitted",
        tells: "its spec.namespaceSelector must match the namespace's labels",
        change: |it| {
            if let DomainSeen::Found {
                admits_namespace, ..
            } = &mut it.domain
            {
                *admits_namespace = false;
            }
        },
    },
    Case {
        reason: "TTLOutOfBounds",
        tells: "must be from 300 to 3600 s (TrustDomain example.org): change spec.credential.certificateTTLSeconds",
        change: |it| it.identity.ttl_seconds = Some(299),
    },
    Case {
        reason: "TTLOutOfBounds",
        tells: "would be 3601 s",
        change: |it| it.identity.ttl_seconds = Some(3601),
    },
    Case {
        reason: "TTLOutOfBounds",
        tells: "would be 600 s, but must be from 300 to 200 s",
        change: |it| max_ttl(it, 200),
    },
    Case {
        reason: "DeadlineOutOfBounds",
        tells: "allows at most 3600",
        change: |it| it.identity.deadline_seconds = Some(3601),
    },
    Case {
        reason: "UnknownOwner",
        tells: "there is no AgentOwner alice: create it, or name another in a new identity",
        change: |it| {
            it.owner = OwnerSeen::Missing;
            it.recorded.first_issue = None; // else it ends at once: see the states
        },
    },
    Case {
        reason: "RequesterMissing",
        tells: "install the admission policies and create the identity again",
        change: |it| it.identity.requester = None,
    },
    Case {
        reason: "OwnerNotAllowed",
        tells: "must be among spec.subjects there, or hold verb bind on agentowners/alice",
        change: |it| admits(it, Admits::No),
    },
    Case {
        reason: "OwnerNotChecked",
        tells: "could not ask whether alice@example.com may act for AgentOwner alice: 500",
        change: |it| admits(it, Admits::Unknown("500".to_owned())),
    },
    Case {
        reason: "GrantsWiden",
        tells: "\"write\" on \"ledger/invoices\" is not granted above by AgentOwner alice: create the identity with narrower grants",
        change: |it| it.identity.grants = vec![grant("write", "ledger/invoices")],
    },
    Case {
        reason: "PoliciesMissing",
        tells: "do this",
        change: |it| it.closed = Some(because("PoliciesMissing")),
    },
    Case {
        reason: "ClockSkew",
        tells: "synchronise the clocks",
        change: |it| it.clock_off = true,
    },
    Case {
        reason: "KindUnknown",
        tells: "do this",
        change: |it| it.task = TaskSeen::Refused(because("KindUnknown")),
    },
    Case {
        reason: "TaskUnobservable",
        tells: "do this",
        change: |it| it.task = TaskSeen::Unobservable(because("TaskUnobservable")),
    },
];

/// Those that say that there is no credential where it should be.
const OF_THE_SECRET: &[Case] = &[
    Case {
        reason: "SecretsNotEnabled",
        tells: "start it with --secret-namespaces=finance and give it the Role, or use delivery Request",
        change: |it| it.credential = CredentialSeen::NotEnabled,
    },
    Case {
        reason: "SecretsForbidden",
        tells: "give its ServiceAccount a Role with get, list, watch, create, update and delete there (403)",
        change: |it| it.credential = CredentialSeen::Forbidden("403".to_owned()),
    },
    Case {
        reason: "SecretConflict",
        tells: "Secret reader-identity exists and is not this identity's: delete it, or choose another",
        change: |it| it.credential = CredentialSeen::Foreign,
    },
    Case {
        reason: "SecretNameTaken",
        tells: "belongs to identity writer: choose another spec.credential.secret.name",
        change: |it| {
            it.credential = CredentialSeen::Taken {
                by: "writer".to_owned(),
            };
        },
    },
    Case {
        reason: "BadSPIFFEID",
        tells: "a trust domain must be",
        change: |it| it.identity.trust_domain = "Not A Domain".to_owned(),
    },
];

#[test]
fn every_refusal_has_its_reason_and_says_what_to_do() {
    for case in CASES.iter().chain(OF_THE_SECRET) {
        let seen = with(fresh(), case.change);
        let plan = plan(&seen);
        assert_eq!(plan.credential, Credential::Keep, "{}", case.reason);
        assert_says(
            &plan,
            &[
                ("Ready", false, case.reason),
                ("Stalled", true, case.reason),
            ],
        );
        for condition in &plan.status.as_ref().unwrap().conditions {
            assert!(
                condition.message.contains(case.tells),
                "{}",
                condition.message
            );
        }
        assert_eq!(plan.again, Some(at(0) + LOOK_AGAIN), "{}", case.reason);
        assert_settles(&seen);
    }
}

#[test]
fn an_authority_that_is_not_ready_comes_by_itself() {
    let seen = with(fresh(), not_ready);
    assert_says(
        &plan(&seen),
        &[
            ("Ready", false, "AuthorityNotReady"),
            ("Reconciling", true, "AuthorityNotReady"),
        ],
    );
    assert_settles(&seen);
}

#[test]
fn a_good_certificate_stays_under_a_refusal_but_is_not_renewed_and_goes_when_it_is_over() {
    for case in CASES {
        let seen = with(issued(), case.change);
        let held = plan(&seen);
        assert_eq!(held.credential, Credential::Keep, "{}", case.reason);
        assert_says(
            &held,
            &[("Ready", true, "Issued"), ("Stalled", true, case.reason)],
        );
        let after = assert_settles(&seen);
        assert_eq!(after.recorded.certificate, seen.recorded.certificate);

        let due = with(after.clone(), |it| it.now = at(595));
        let held = plan(&due);
        assert_eq!(
            held.credential,
            Credential::Keep,
            "{}: not renewed",
            case.reason
        );
        assert_eq!(held.again, Some(at(600)), "{}", case.reason);

        let expired = with(after, |it| it.now = at(600));
        let plan = plan(&expired);
        if case.reason == "ClockSkew" {
            assert_eq!(
                plan.credential,
                Credential::Keep,
                "nobody knows that it is over"
            );
            continue;
        }
        assert_eq!(plan.credential, Credential::Remove, "{}", case.reason);
        assert_says(
            &plan,
            &[
                ("Ready", false, case.reason),
                ("Stalled", true, case.reason),
            ],
        );
        let gone = assert_settles(&expired);
        assert_eq!(gone.recorded.secret, None);
    }
}

#[test]
fn a_secret_that_may_not_be_seen_any_more_is_still_there_and_goes_with_the_task() {
    for case in OF_THE_SECRET.iter().take(2) {
        let mut seen = with(issued(), case.change);
        let held = seen.recorded.secret.clone();
        let kept = plan(&seen);
        assert_eq!(kept.credential, Credential::Keep, "{}", case.reason);
        assert_says(
            &kept,
            &[("Ready", true, "Issued"), ("Stalled", true, case.reason)],
        );
        assert_eq!(kept.status.unwrap().secret, held);
        assert_settles(&seen);
        seen.task = found("task-1", TaskState::Succeeded);
        assert_eq!(plan(&seen).credential, Credential::Remove);
    }
}

#[test]
fn a_refusal_of_the_secret_forgets_what_is_not_there_any_more() {
    for case in OF_THE_SECRET.iter().skip(2).take(2) {
        let seen = with(issued(), case.change);
        let plan = plan(&seen);
        assert_eq!(plan.credential, Credential::Keep, "{}", case.reason);
        assert_says(
            &plan,
            &[
                ("Ready", false, case.reason),
                ("Stalled", true, case.reason),
            ],
        );
        assert_eq!(plan.status.unwrap().secret, None);
        assert_settles(&seen);
    }
}

#[test]
fn when_the_refusal_is_mended_it_is_issued() {
    for case in CASES {
        let mut seen = assert_settles(&with(fresh(), case.change));
        let good = fresh();
        seen.identity = good.identity;
        seen.owner = good.owner;
        seen.domain = good.domain;
        seen.task = good.task;
        seen.closed = None;
        seen.clock_off = false;
        let plan = plan(&seen);
        assert!(
            matches!(plan.credential, Credential::Issue(_)),
            "{}",
            case.reason
        );
        assert_says(&plan, &[("Ready", true, "Issued")]);
    }
}

#[test]
fn narrowed_grants_and_a_lost_permission_stop_renewals_only() {
    let narrowed = with(issued(), |it| {
        it.owner = owner(OwnerState::Active);
        if let OwnerSeen::Found { grants, .. } = &mut it.owner {
            grants.clear();
        }
        it.now = at(100);
    });
    let plan = plan(&narrowed);
    assert_eq!(plan.credential, Credential::Keep);
    assert_says(
        &plan,
        &[("Ready", true, "Issued"), ("Stalled", true, "GrantsWiden")],
    );
}

#[test]
fn what_is_over_is_over_under_any_refusal() {
    for case in CASES.iter().chain(OF_THE_SECRET) {
        if case.reason == "KindUnknown" || case.reason == "TaskUnobservable" {
            continue; // these say that nobody knows
        }
        let seen = with(issued(), |it| {
            (case.change)(it);
            it.task = found("task-1", TaskState::Failed);
        });
        assert_says(&plan(&seen), &[("Completed", true, "TaskFailed")]);
    }
}
