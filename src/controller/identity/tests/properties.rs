//! What holds whatever is seen.

use countersign_core::Outcome;
use jiff::{SignedDuration, Timestamp};
use proptest::option;
use proptest::prelude::*;

use super::super::observed::{
    Admits, Authority, Certificate, CredentialSeen, Delivery, Desired, DomainSeen, Observed,
    OwnerSeen, OwnerState, Recorded, Refusal, SecretVersion, TaskSeen, TaskState,
};
use super::super::plan::{Credential, Plan, plan};
use super::fixture::{apply, at, fresh, grant, is_idle, risk, version, with};
use crate::retired::Before;

/// Of each property; 20,000 of each passed when they were written.
const CASES: u32 = 2000;

fn refusal() -> Refusal {
    Refusal {
        reason: "Somehow",
        message: "somehow".to_owned(),
    }
}

/// Moments around those that the other facts are made of: close enough to meet.
fn moment() -> impl Strategy<Value = Timestamp> {
    (-4000_i64..4000).prop_map(at)
}

fn uid() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just("task-1"), 1 => Just("task-2")].prop_map(str::to_owned)
}

fn certificate() -> impl Strategy<Value = Certificate> {
    let id =
        |task: &str| format!("spiffe://example.org/ns/finance/agent/reader/task/{task}/identity-1");
    (
        uid().prop_map(move |task| id(&task)),
        moment(),
        1_i64..2000,
        option::of(moment()),
        any::<bool>(),
    )
        .prop_map(
            |(spiffe_id, not_before, life, renewal, chain)| Certificate {
                spiffe_id,
                serial_number: "serial-0".to_owned(),
                not_before,
                not_after: not_before + SignedDuration::from_secs(life),
                renewal,
                public_key_sha256: "key".to_owned(),
                authority_id: "authority".to_owned(),
                chain: chain.then(|| "PEM".to_owned()),
            },
        )
}

fn secret() -> impl Strategy<Value = SecretVersion> {
    (1_u64..4).prop_map(version)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Running),
        1 => Just(Outcome::Succeeded),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::Deleted),
        1 => Just(Outcome::Replaced),
        1 => Just(Outcome::DeadlineExceeded),
    ]
}

fn completed() -> impl Strategy<Value = Option<(String, String)>> {
    prop_oneof![
        5 => Just(None),
        1 => Just(Some(("TaskFailed".to_owned(), "task failed".to_owned()))),
    ]
}

fn recorded() -> impl Strategy<Value = Recorded> {
    (
        0_i64..3,
        option::of(uid()),
        option::of(outcome()),
        option::of(moment()),
        option::of(moment()),
        option::of(moment()),
        option::of(certificate()),
        option::of(secret()),
        option::of(0_i64..3),
        completed(),
    )
        .prop_map(|fields| Recorded {
            observed_generation: fields.0,
            task_uid: fields.1,
            outcome: fields.2,
            finished: fields.3,
            first_issue: fields.4,
            deadline: fields.5,
            offered: None,
            resumed: None,
            suspended: false,
            certificate: fields.6,
            bundle_sequence: fields.7.as_ref().and(fields.8),
            secret: fields.7,
            completed: fields.9,
        })
}

fn task() -> impl Strategy<Value = TaskSeen> {
    let state = prop_oneof![
        6 => Just(TaskState::Running),
        1 => Just(TaskState::Succeeded),
        1 => Just(TaskState::Failed),
        1 => Just(TaskState::Deleting),
    ];
    prop_oneof![
        1 => Just(TaskSeen::Refused(refusal())),
        1 => Just(TaskSeen::Unobservable(refusal())),
        1 => Just(TaskSeen::NotYet),
        1 => Just(TaskSeen::Missing),
        12 => (uid(), state).prop_map(|(uid, state)| TaskSeen::Found { uid, state }),
    ]
}

fn owner() -> impl Strategy<Value = OwnerSeen> {
    let state = prop_oneof![
        8 => Just(OwnerState::Active),
        1 => Just(OwnerState::Suspended),
        1 => Just(OwnerState::Departed),
    ];
    let admits = prop_oneof![
        8 => Just(Admits::Yes),
        1 => Just(Admits::No),
        1 => Just(Admits::Unknown("500".to_owned())),
    ];
    let found = (state, admits, prop::bool::weighted(0.9)).prop_map(|(state, admits, enough)| {
        let grants = if enough {
            vec![grant("*", "*")]
        } else {
            Vec::new()
        };
        OwnerSeen::Found {
            state,
            grants,
            admits,
        }
    });
    prop_oneof![1 => Just(OwnerSeen::Missing), 9 => found]
}

fn domain() -> impl Strategy<Value = DomainSeen> {
    let ready = prop_oneof![
        4 => Just(Ok(Authority { reissue: false })),
        1 => Just(Ok(Authority { reissue: true })),
        1 => Just(Err(refusal())),
    ];
    let found = (
        prop::bool::weighted(0.9),
        60_u64..700,
        250_u64..4000,
        1_u64..4000,
        ready,
    );
    let found =
        found.prop_map(
            |(admits_namespace, default, max, lifetime, ready)| DomainSeen::Found {
                admits_namespace,
                default_ttl_seconds: default,
                max_ttl_seconds: max,
                max_lifetime_seconds: lifetime,
                ready,
            },
        );
    prop_oneof![1 => Just(DomainSeen::Missing), 9 => found]
}

fn credential() -> impl Strategy<Value = CredentialSeen> {
    let by = || "writer".to_owned();
    prop_oneof![
        1 => Just(CredentialSeen::NotYet),
        1 => Just(CredentialSeen::NotEnabled),
        1 => Just(CredentialSeen::Forbidden("403".to_owned())),
        4 => Just(CredentialSeen::Missing),
        8 => Just(CredentialSeen::AsRecorded),
        3 => secret().prop_map(CredentialSeen::Unread),
        3 => read(),
        1 => secret().prop_map(CredentialSeen::Tampered),
        1 => Just(CredentialSeen::Foreign),
        1 => Just(CredentialSeen::Taken { by: by() }),
    ]
}

/// A Secret that was read and is good. Its chain isn't in status.
fn read() -> impl Strategy<Value = CredentialSeen> {
    (certificate(), secret()).prop_map(|(certificate, version)| CredentialSeen::Adoptable {
        certificate: Certificate {
            chain: None,
            ..certificate
        },
        version,
        bundle_sequence: 1,
    })
}

fn identity() -> impl Strategy<Value = Observed> {
    let delivery = prop_oneof![
        6 => Just(Delivery::Secret { name: "reader-identity".to_owned() }),
        2 => Just(Delivery::Request { pkcs10: "CSR".to_owned() }),
        1 => Just(Delivery::Workload),
    ];
    let desired = prop_oneof![
        8 => Just(Desired::Active),
        1 => Just(Desired::Suspended),
        1 => Just(Desired::Revoked),
    ];
    let stamped = prop::bool::weighted(0.9);
    (
        1_i64..3,
        prop::bool::weighted(0.05),
        option::weighted(0.2, uid()),
        delivery,
        option::of(60_u64..1200),
        option::of(1_u64..4000),
        option::of(0_u64..4000),
        desired,
        stamped,
    )
        .prop_map(|fields| {
            with(fresh(), |seen| {
                let identity = &mut seen.identity;
                identity.generation = fields.0;
                identity.deleting = fields.1;
                identity.task.uid = fields.2;
                identity.delivery = fields.3;
                identity.ttl_seconds = fields.4;
                identity.deadline_seconds = fields.5;
                identity.ttl_after_finished_seconds = fields.6;
                identity.desired = fields.7;
                identity.requester = identity.requester.take().filter(|_| fields.8);
            })
        })
}

fn before() -> impl Strategy<Value = Before> {
    prop_oneof![
        8 => Just(Before::NotEnded),
        1 => Just(Before::Ended),
        1 => Just(Before::NotKnown),
    ]
}

/// Anything that can be seen.
fn anything() -> impl Strategy<Value = Observed> {
    (
        // On the heap: together they are more than a debug build's stack holds.
        identity().boxed(),
        recorded().boxed(),
        task().boxed(),
        owner().boxed(),
        domain().boxed(),
        credential().boxed(),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        (moment(), prop::bool::weighted(0.1), before()),
    )
        .prop_map(
            |(seen, recorded, task, owner, domain, credential, closed, clock_off, more)| {
                let (now, risky, before) = more;
                let seen = Observed {
                    now,
                    identity: seen.identity,
                    recorded,
                    task,
                    owner,
                    domain,
                    risk: risky.then(risk),
                    credential,
                    closed: closed.then(refusal),
                    before,
                    clock_off,
                };
                consistent(seen)
            },
        )
}

/// What `observe` says of the credential follows from the record: see there.
fn consistent(mut seen: Observed) -> Observed {
    let recorded = &mut seen.recorded;
    // Bound once, to the one that the spec names; and an end has its time.
    if let (Some(bound), Some(named)) = (&mut recorded.task_uid, &seen.identity.task.uid) {
        bound.clone_from(named);
    }
    if recorded.completed.is_some() {
        recorded.finished = recorded.finished.or_else(|| Some(at(0)));
    }
    if let (CredentialSeen::Adoptable { .. }, DomainSeen::Found { ready: Ok(it), .. }) =
        (&seen.credential, &mut seen.domain)
    {
        it.reissue = false;
    }
    if matches!(seen.identity.delivery, Delivery::Secret { .. }) {
        if let Some(certificate) = &mut recorded.certificate {
            certificate.chain = None;
        }
        let held = recorded.certificate.is_some() && recorded.secret.is_some();
        if seen.credential == CredentialSeen::AsRecorded && !held {
            seen.credential = CredentialSeen::Missing;
        }
    } else {
        recorded.secret = None;
        recorded.bundle_sequence = None;
        if seen.identity.delivery == Delivery::Workload {
            recorded.certificate = None;
            recorded.offered = recorded
                .first_issue
                .map(|_| "spiffe://example.org/ns/a/agent/b/task/c/d".to_owned());
        }
        let certificate = recorded.certificate.as_ref();
        seen.credential = if certificate.is_some_and(|it| it.chain.is_some()) {
            CredentialSeen::AsRecorded
        } else {
            CredentialSeen::Missing
        };
    }
    seen
}

/// Plans, and answers a read as the Secret's content would: see `execute`.
fn decide(seen: &mut Observed, content: &CredentialSeen) -> Plan {
    let first = plan(seen);
    if first.credential != Credential::Read {
        return first;
    }
    assert_eq!((&first.status, first.delete_identity), (&None, false));
    seen.learn(content.clone());
    plan(seen)
}

fn good() -> impl Strategy<Value = CredentialSeen> {
    prop_oneof![
        4 => read(),
        1 => secret().prop_map(CredentialSeen::Tampered),
        1 => Just(CredentialSeen::Missing),
        1 => Just(CredentialSeen::Foreign),
    ]
}

/// A state that passes lead to, not only one that could be written down.
fn reached() -> impl Strategy<Value = Observed> {
    (anything(), good()).prop_map(|(mut seen, content)| {
        let plan = decide(&mut seen, &content);
        apply(&mut seen, &plan, "serial-1");
        seen
    })
}

/// Whatever was over when it was last looked at.
fn completed_before() -> impl Strategy<Value = Observed> {
    anything().prop_map(|mut seen| {
        let end = || ("TaskFailed".to_owned(), "task failed".to_owned());
        seen.recorded.completed.get_or_insert_with(end);
        consistent(seen)
    })
}

/// Another sight of the same identity: only what may change has changed.
fn seen_later(before: &Observed, other: Observed) -> Observed {
    let mut seen = Observed {
        recorded: before.recorded.clone(),
        ..other
    };
    seen.identity.delivery = before.identity.delivery.clone();
    seen.identity.task.uid = before.identity.task.uid.clone();
    consistent(seen)
}

fn owner_active(seen: &Observed) -> bool {
    matches!(
        seen.owner,
        OwnerSeen::Found {
            state: OwnerState::Active,
            ..
        }
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn a_second_pass_writes_nothing(seen in anything(), content in good()) {
        let mut seen = seen;
        let first = decide(&mut seen, &content);
        let written = apply(&mut seen, &first, "serial-1");
        let second = plan(&seen);
        prop_assert!(is_idle(&seen, &second), "{:?} after {:?}", second, first);
        prop_assert_eq!(&second.status, &written, "after {:?}", first);
        prop_assert_eq!(second.delete_identity, first.delete_identity);
    }

    /// `again` is early enough: sleeping until then misses nothing.
    #[test]
    fn nothing_is_to_be_done_before_the_next_look(seen in reached(), share in 0.0..1.0_f64) {
        let now = plan(&seen);
        prop_assume!(now.credential == Credential::Keep);
        let horizon = now.again.map_or(100_000, |again| again.duration_since(seen.now).as_secs());
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any moment will do")]
        let wait = (share * horizon as f64) as i64;
        let later = with(seen.clone(), |it| it.now += SignedDuration::from_secs(wait));
        let then = plan(&later);
        prop_assert_eq!(&then.credential, &Credential::Keep, "{} of {}", wait, horizon);
        prop_assert_eq!(&then.status, &now.status);
        prop_assert_eq!(then.delete_identity, now.delete_identity);
    }

    #[test]
    fn the_next_look_is_never_in_the_past_and_only_an_issue_looks_at_once(seen in anything()) {
        let plan = plan(&seen);
        if let Some(again) = plan.again {
            let at_once = matches!(plan.credential, Credential::Issue(_));
            prop_assert!(again > seen.now || at_once && again == seen.now, "{:?}", plan);
        }
    }

    #[test]
    fn nothing_is_issued_unless_everything_that_must_hold_is_known_to_hold(
        seen in anything(),
        content in good(),
    ) {
        let mut seen = seen;
        let plan = decide(&mut seen, &content);
        if let Credential::Issue(issue) = &plan.credential {
            let identity = &seen.identity;
            prop_assert_eq!(&seen.task, &TaskSeen::Found {
                uid: issue.task_uid.clone(),
                state: TaskState::Running,
            });
            let bound = [&seen.recorded.task_uid, &identity.task.uid];
            prop_assert!(bound.into_iter().flatten().all(|uid| *uid == issue.task_uid));
            prop_assert!(owner_active(&seen));
            let admitted = matches!(seen.owner, OwnerSeen::Found { admits: Admits::Yes, .. });
            prop_assert!(admitted);
            prop_assert_eq!(identity.desired, Desired::Active);
            prop_assert_eq!(&seen.risk, &None);
            prop_assert!(!identity.deleting && !seen.clock_off);
            prop_assert!(identity.requester.is_some());
            prop_assert_eq!(&seen.recorded.completed, &None);
            prop_assert_eq!(&seen.closed, &None);
            let DomainSeen::Found { admits_namespace, max_ttl_seconds, ready, .. } = &seen.domain else {
                return Err(TestCaseError::fail("no domain"));
            };
            prop_assert!(*admits_namespace && ready.is_ok());
            prop_assert!(issue.ttl_seconds <= *max_ttl_seconds);
            let free = !matches!(
                seen.credential,
                CredentialSeen::Foreign
                    | CredentialSeen::Taken { .. }
                    | CredentialSeen::NotEnabled
                    | CredentialSeen::Forbidden(_)
                    | CredentialSeen::NotYet
                    | CredentialSeen::Unread(_)
            );
            prop_assert!(free, "{:?}", seen.credential);
        }
    }

    #[test]
    fn no_certificate_outlives_what_is_allowed_from_the_first_issue_on(
        seen in anything(),
        content in good(),
    ) {
        let mut seen = seen;
        let plan = decide(&mut seen, &content);
        if let Credential::Issue(issue) = &plan.credential {
            let status = plan.status.as_ref().unwrap();
            let begun = seen.recorded.first_issue.or(status.first_issue).unwrap();
            let after = |seconds: u64| begun + SignedDuration::from_secs(i64::try_from(seconds).unwrap());
            if let DomainSeen::Found { max_lifetime_seconds, .. } = &seen.domain {
                prop_assert!(issue.not_after_cap <= after(*max_lifetime_seconds));
            }
            if let Some(asked) = seen.identity.deadline_seconds {
                prop_assert!(issue.not_after_cap <= after(asked));
            }
            prop_assert!(issue.not_after_cap > seen.now);
            prop_assert_eq!(status.deadline, Some(issue.not_after_cap));
        }
    }

    #[test]
    fn a_deadline_never_moves_later_and_a_beginning_never_moves(
        before in reached(),
        other in anything(),
        content in good(),
    ) {
        let mut seen = seen_later(&before, other);
        let plan = decide(&mut seen, &content);
        if let Some(status) = plan.status {
            let recorded = &before.recorded;
            if let Some(first) = recorded.first_issue {
                prop_assert_eq!(status.first_issue, Some(first));
                if let Some(deadline) = recorded.deadline {
                    prop_assert!(status.deadline.is_some_and(|it| it <= deadline));
                }
            }
            if recorded.task_uid.is_some() && recorded.completed.is_none() {
                prop_assert_eq!(&status.task_uid, &recorded.task_uid, "bound once");
            }
        }
    }

    #[test]
    fn what_is_completed_stays_so_under_any_later_sight(
        before in completed_before(),
        other in anything(),
        content in good(),
    ) {
        let mut seen = seen_later(&before, other);
        let plan = decide(&mut seen, &content);
        let unissued = matches!(plan.credential, Credential::Keep | Credential::Remove);
        prop_assert!(unissued, "{:?}", plan);
        if let Some(status) = &plan.status {
            let after = super::fixture::recorded(status);
            prop_assert_eq!(after.completed, before.recorded.completed.clone());
            prop_assert_eq!(after.outcome, before.recorded.outcome);
            prop_assert_eq!(after.finished, before.recorded.finished);
            prop_assert_eq!(after.task_uid, before.recorded.task_uid.clone());
        }
    }

    /// Whatever holds a credential without a right to it loses it in the same pass.
    #[test]
    fn what_is_over_or_suspended_keeps_nothing(seen in anything(), content in good()) {
        let mut seen = seen;
        let plan = decide(&mut seen, &content);
        apply(&mut seen, &plan, "serial-1");
        // What is being deleted takes its status along.
        prop_assume!(!(seen.identity.deleting && matches!(seen.identity.delivery, Delivery::Request { .. })));
        let ended = seen.recorded.completed.is_some()
            || seen.identity.deleting
            || seen.identity.desired != Desired::Active
            || seen.risk.is_some()
            || matches!(
                seen.owner,
                OwnerSeen::Found { state: OwnerState::Suspended | OwnerState::Departed, .. }
            );
        if ended {
            let gone = matches!(
                seen.credential,
                CredentialSeen::Missing
                    | CredentialSeen::NotYet
                    | CredentialSeen::NotEnabled
                    | CredentialSeen::Forbidden(_)
                    | CredentialSeen::Foreign
                    | CredentialSeen::Taken { .. }
            );
            prop_assert!(gone, "{:?}", seen.credential);
            let chain = seen.recorded.certificate.as_ref().and_then(|it| it.chain.as_ref());
            prop_assert!(chain.is_none());
        }
    }

    #[test]
    fn conditions_are_of_one_story(seen in anything()) {
        if let Some(status) = plan(&seen).status {
            let kinds: Vec<_> = status.conditions.iter().map(|it| it.kind).collect();
            let known = matches!(
                kinds.as_slice(),
                ["Completed"] | ["Suspended"] | ["Ready"] | ["Ready", "Stalled" | "Reconciling"]
            );
            prop_assert!(known, "{:?}", kinds);
            for condition in &status.conditions {
                prop_assert!(!condition.reason.is_empty() && !condition.message.is_empty());
            }
        }
    }
}
