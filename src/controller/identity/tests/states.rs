//! Each state of an identity, and what is done in it.

use countersign_core::Outcome;
use jiff::SignedDuration;

use super::super::observed::{
    Authority, CredentialSeen, Delivery, Desired, DomainSeen, Observed, OwnerSeen, OwnerState,
    Refusal, TaskSeen, TaskState,
};
use super::super::plan::{Credential, Issue, LOOK_AGAIN, Plan, plan};
use super::fixture::{
    TTL, apply, assert_says, assert_settles, at, domain, found, fresh, issued, owner, requested,
    risk, running, said, unrecorded, version, with,
};
use crate::retired::Before;

fn order(plan: &Plan) -> &Issue {
    match &plan.credential {
        Credential::Issue(issue) => issue,
        other => panic!("not issued: {other:?}"),
    }
}

fn suspend(seen: &mut Observed) {
    seen.identity.desired = Desired::Suspended;
    seen.identity.generation += 1;
}

#[test]
fn while_there_is_no_task_it_waits_and_says_for_what() {
    let seen = with(fresh(), |it| it.task = TaskSeen::Missing);
    let plan = plan(&seen);
    assert_eq!(plan.credential, Credential::Keep);
    assert_says(
        &plan,
        &[
            ("Ready", false, "TaskNotFound"),
            ("Reconciling", true, "TaskNotFound"),
        ],
    );
    let message = &plan.status.as_ref().unwrap().conditions[0].message;
    assert_eq!(
        message,
        "waiting for jobs.batch/reconcile to exist in namespace finance"
    );
    assert_eq!(plan.again, Some(at(0) + LOOK_AGAIN));
    assert_settles(&seen);
}

#[test]
fn a_task_of_the_core_group_is_named_without_a_dot() {
    let seen = with(fresh(), |it| {
        it.task = TaskSeen::Missing;
        it.identity.task.group = String::new();
        it.identity.task.resource = "pods".to_owned();
    });
    let message = plan(&seen).status.unwrap().conditions[0].message.clone();
    assert!(message.contains("pods/reconcile"), "{message}");
}

#[test]
fn when_its_task_runs_it_is_issued_for_exactly_that_task() {
    let seen = fresh();
    let plan = plan(&seen);
    let issue = order(&plan);
    assert_eq!(
        issue.spiffe_id,
        "spiffe://example.org/ns/finance/agent/reader/task/task-1/identity-1"
    );
    assert_eq!((issue.ttl_seconds, issue.renewal), (TTL, false));
    assert_eq!((issue.not_after_cap, &issue.replaces), (at(3600), &None));
    assert_says(&plan, &[("Ready", true, "Issued")]);
    let status = plan.status.as_ref().unwrap();
    assert_eq!(status.task_uid.as_deref(), Some("task-1"));
    assert_eq!(status.outcome, Some(Outcome::Running));
    assert_eq!(
        (status.first_issue, status.deadline),
        (Some(at(0)), Some(at(3600)))
    );
    assert_settles(&seen);
}

#[test]
fn after_an_issue_the_next_look_is_at_the_renewal() {
    let issuing = plan(&fresh());
    assert_eq!(
        issuing.again,
        Some(at(0)),
        "at once: only the certificate says when"
    );
    let seen = issued();
    let renewal = seen.recorded.certificate.as_ref().unwrap().renewal;
    assert_eq!(plan(&seen).again, renewal);
}

#[test]
fn it_is_renewed_at_its_time_and_not_a_second_before() {
    let seen = issued();
    let due = seen.recorded.certificate.as_ref().unwrap().renewal.unwrap();
    assert!(due > at(250) && due <= at(300), "{due}");
    let early = with(seen.clone(), |it| {
        it.now = due - SignedDuration::from_secs(1)
    });
    assert_eq!(plan(&early).credential, Credential::Keep);
    let seen = with(seen, |it| it.now = due);
    let plan = plan(&seen);
    let issue = order(&plan);
    assert!(issue.renewal);
    assert_eq!(issue.replaces, seen.recorded.secret);
    assert_eq!(issue.not_after_cap, at(3600), "the deadline stays");
    assert_settles(&seen);
}

#[test]
fn an_expired_certificate_is_issued_anew_while_the_task_runs() {
    let seen = with(issued(), |it| it.now = at(900));
    assert!(order(&plan(&seen)).renewal);
}

#[test]
fn the_last_certificate_before_the_deadline_is_not_renewed_nor_looked_at_in_a_loop() {
    let mut seen = issued();
    seen.now = at(3300);
    let renewal = plan(&seen);
    apply(&mut seen, &renewal, "serial-2");
    assert_eq!(
        seen.recorded.certificate.as_ref().unwrap().not_after,
        at(3600)
    );
    for second in [3300, 3450, 3599] {
        seen.now = at(second);
        let plan = plan(&seen);
        assert_eq!(plan.credential, Credential::Keep, "{second}");
        assert_eq!(plan.again, Some(at(3600)), "{second}");
    }
}

#[test]
fn a_changed_lifetime_takes_effect_at_once() {
    for (ttl, now) in [(300, 10), (1200, 10), (300, 299)] {
        let seen = with(issued(), |it| {
            it.now = at(now);
            it.identity.ttl_seconds = Some(ttl);
            it.identity.generation = 2;
        });
        assert_eq!(order(&plan(&seen)).ttl_seconds, ttl);
        assert_settles(&seen);
    }
}

#[test]
fn a_lifetime_shortened_while_nothing_could_be_issued_takes_effect_afterwards() {
    let mut seen = with(issued(), |it| {
        it.identity.ttl_seconds = Some(300);
        it.identity.generation = 2;
        it.clock_off = true;
    });
    let held = plan(&seen);
    apply(&mut seen, &held, "");
    assert_eq!(seen.recorded.observed_generation, 2);
    seen.clock_off = false;
    assert_eq!(order(&plan(&seen)).ttl_seconds, 300);
    assert_settles(&seen);
}

#[test]
fn a_lifetime_changed_while_nothing_could_be_recorded_takes_effect_afterwards() {
    for ttl in [300, 1200] {
        let mut seen = with(issued(), |it| {
            it.identity.ttl_seconds = Some(ttl);
            it.identity.generation = 2;
            it.closed = Some(Refusal {
                reason: "AuditUnavailable",
                message: "the audit log is slow".to_owned(),
            });
        });
        let held = plan(&seen);
        assert_eq!(held.credential, Credential::Keep);
        apply(&mut seen, &held, "");
        seen.closed = None;
        assert_eq!(order(&plan(&seen)).ttl_seconds, ttl);
        assert_settles(&seen);
    }
}

#[test]
fn another_change_of_the_spec_issues_nothing() {
    let seen = with(issued(), |it| {
        it.identity.ttl_after_finished_seconds = Some(60);
        it.identity.generation = 2;
    });
    let plan = plan(&seen);
    assert_eq!(plan.credential, Credential::Keep);
    assert_eq!(plan.status.unwrap().observed_generation, 2);
}

#[test]
fn what_an_untrusted_authority_signed_is_issued_anew() {
    let seen = with(issued(), |it| {
        if let DomainSeen::Found { ready, .. } = &mut it.domain {
            *ready = Ok(Authority { reissue: true });
        }
    });
    assert!(order(&plan(&seen)).renewal);
}

#[test]
fn a_changed_secret_is_read_and_when_tampered_with_replaced() {
    let mut seen = with(issued(), |it| {
        it.credential = CredentialSeen::Unread(version(7))
    });
    let look = plan(&seen);
    assert_eq!((&look.credential, &look.status), (&Credential::Read, &None));
    seen.learn(CredentialSeen::Tampered(version(7)));
    let plan = plan(&seen);
    assert_eq!(order(&plan).replaces, Some(version(7)));
    assert_settles(&seen);
}

#[test]
fn a_deleted_secret_is_made_again() {
    let seen = with(issued(), |it| it.credential = CredentialSeen::Missing);
    let plan = plan(&seen);
    assert_eq!(order(&plan).replaces, None);
    assert_eq!(plan.status.unwrap().first_issue, Some(at(0)));
}

#[test]
fn a_secret_with_a_new_label_keeps_its_certificate() {
    let before = issued();
    let mut seen = with(before.clone(), |it| it.now = at(60));
    seen.learn(CredentialSeen::Adoptable {
        certificate: before.recorded.certificate.clone().unwrap(),
        version: version(8),
        bundle_sequence: 1,
    });
    let plan = plan(&seen);
    assert_eq!(plan.credential, Credential::Keep);
    let status = plan.status.unwrap();
    assert_eq!(status.secret, Some(version(8)));
    assert_eq!(status.certificate, before.recorded.certificate);
    assert_settles(&seen);
}

#[test]
fn a_write_whose_record_was_lost_is_adopted_with_the_time_of_its_issue() {
    let seen = with(unrecorded(), |it| it.now = at(60));
    let plan = plan(&seen);
    assert_eq!(plan.credential, Credential::Keep);
    let status = plan.status.as_ref().unwrap();
    assert_eq!(
        (status.first_issue, status.deadline),
        (Some(at(0)), Some(at(3600)))
    );
    assert_eq!(status.task_uid.as_deref(), Some("task-1"));
    assert_settles(&seen);
}

#[test]
fn adopting_under_a_refusal_still_binds_task_and_deadline() {
    let mut seen = with(unrecorded(), |it| {
        it.now = at(60);
        it.closed = Some(Refusal {
            reason: "PoliciesUnknown",
            message: "not looked at yet".to_owned(),
        });
    });
    let held = plan(&seen);
    assert_eq!(held.credential, Credential::Keep);
    apply(&mut seen, &held, "");
    assert_eq!(seen.recorded.task_uid.as_deref(), Some("task-1"));
    assert_eq!(seen.recorded.deadline, Some(at(3600)));
    let gone = with(seen.clone(), |it| it.task = TaskSeen::Missing);
    assert_says(&plan(&gone), &[("Completed", true, "TaskDeleted")]);
    let replaced = with(seen.clone(), |it| it.task = running("task-2"));
    assert_says(&plan(&replaced), &[("Completed", true, "TaskReplaced")]);
    let late = with(seen, |it| {
        it.closed = None;
        it.now = at(3600);
    });
    assert_says(&plan(&late), &[("Completed", true, "DeadlineExceeded")]);
}

#[test]
fn an_adopted_write_whose_time_is_up_ends() {
    let seen = with(unrecorded(), |it| it.now = at(3600));
    assert_says(&plan(&seen), &[("Completed", true, "DeadlineExceeded")]);
    assert_eq!(plan(&seen).credential, Credential::Remove);
}

#[test]
fn a_serial_that_was_never_recorded_is_recorded_at_the_end() {
    let seen = with(unrecorded(), |it| {
        it.task = found("task-1", TaskState::Succeeded)
    });
    let status = plan(&seen).status.unwrap();
    assert_eq!(status.certificate.unwrap().serial_number, "serial-1");
    assert_eq!(status.secret, None);
}

#[test]
fn suspended_it_has_no_credential_and_is_not_ready_nor_completed() {
    let by_user = with(issued(), suspend);
    let by_owner = with(issued(), |it| it.owner = owner(OwnerState::Suspended));
    let by_risk = with(issued(), |it| it.risk = Some(risk()));
    for (seen, reason) in [
        (by_user, "Suspended"),
        (by_owner, "OwnerSuspended"),
        (by_risk, "RiskTooHigh"),
    ] {
        let plan = plan(&seen);
        assert_eq!(plan.credential, Credential::Remove);
        assert_says(&plan, &[("Suspended", true, reason)]);
        assert_eq!(plan.again, Some(at(3600)));
        let after = assert_settles(&seen);
        let last = after.recorded.certificate.unwrap();
        assert_eq!((last.renewal, last.chain), (None, None));
        assert_eq!(after.recorded.secret, None);
    }
}

#[test]
fn suspension_waits_for_no_watch_of_tasks() {
    let seen = with(issued(), |it| {
        suspend(it);
        it.task = TaskSeen::NotYet;
    });
    assert_eq!(plan(&seen).credential, Credential::Remove);
    assert_settles(&seen);
}

#[test]
fn resumed_it_is_issued_anew_under_the_old_deadline() {
    let mut seen = with(issued(), suspend);
    let suspended = plan(&seen);
    apply(&mut seen, &suspended, "");
    seen.identity.desired = Desired::Active;
    seen.identity.generation += 1;
    seen.now = at(100);
    let plan = plan(&seen);
    let issue = order(&plan);
    assert_eq!((issue.not_after_cap, &issue.replaces), (at(3600), &None));
    assert_settles(&seen);
}

#[test]
fn the_deadline_goes_on_while_suspended_and_completed_wins() {
    let seen = with(issued(), |it| {
        suspend(it);
        it.now = at(3600);
    });
    assert_says(&plan(&seen), &[("Completed", true, "DeadlineExceeded")]);
}

#[test]
fn revoked_it_is_over_for_good() {
    let mut seen = with(issued(), |it| it.identity.desired = Desired::Revoked);
    let end = plan(&seen);
    assert_eq!(end.credential, Credential::Remove);
    assert_says(&end, &[("Completed", true, "Revoked")]);
    apply(&mut seen, &end, "");
    seen.identity.desired = Desired::Active;
    let plan = plan(&seen);
    assert_eq!(plan.credential, Credential::Keep);
    assert_says(&plan, &[("Completed", true, "Revoked")]);
}

#[test]
fn a_departed_owner_ends_it_for_good() {
    let mut seen = with(issued(), |it| it.owner = owner(OwnerState::Departed));
    let end = plan(&seen);
    assert_eq!(end.credential, Credential::Remove);
    assert_says(&end, &[("Completed", true, "OwnerDeparted")]);
    apply(&mut seen, &end, "");
    seen.owner = owner(OwnerState::Active);
    assert_says(&plan(&seen), &[("Completed", true, "OwnerDeparted")]);
}

#[test]
fn an_owner_that_is_gone_takes_the_certificate_along_but_may_come_back() {
    let seen = with(issued(), |it| it.owner = OwnerSeen::Missing);
    let plan = plan(&seen);
    assert_eq!(plan.credential, Credential::Remove);
    assert_says(
        &plan,
        &[
            ("Ready", false, "UnknownOwner"),
            ("Stalled", true, "UnknownOwner"),
        ],
    );
    let mut after = assert_settles(&seen);
    after.owner = owner(OwnerState::Active);
    order(&super::super::plan::plan(&after));
}

#[test]
fn each_end_of_its_task_is_latched_with_its_reason() {
    let table = [
        (
            found("task-1", TaskState::Succeeded),
            Outcome::Succeeded,
            "TaskSucceeded",
        ),
        (
            found("task-1", TaskState::Failed),
            Outcome::Failed,
            "TaskFailed",
        ),
        (
            found("task-1", TaskState::Deleting),
            Outcome::Deleted,
            "TaskDeleted",
        ),
        (TaskSeen::Missing, Outcome::Deleted, "TaskDeleted"),
        (running("task-2"), Outcome::Replaced, "TaskReplaced"),
        (
            found("task-2", TaskState::Succeeded),
            Outcome::Replaced,
            "TaskReplaced",
        ),
    ];
    for (task, outcome, reason) in table {
        let mut seen = with(issued(), |it| {
            it.now = at(30);
            it.task = task;
        });
        let end = plan(&seen);
        assert_eq!(end.credential, Credential::Remove, "{reason}");
        assert_says(&end, &[("Completed", true, reason)]);
        let status = end.status.as_ref().unwrap();
        assert_eq!(
            (status.outcome, status.finished),
            (Some(outcome), Some(at(30)))
        );
        assert_eq!(status.task_uid.as_deref(), Some("task-1"));
        assert_settles(&seen);
        apply(&mut seen, &end, "");
        for later in [running("task-1"), running("task-3"), TaskSeen::NotYet] {
            seen.task = later;
            seen.now = at(90);
            let after = plan(&seen);
            assert_eq!(after.credential, Credential::Keep);
            assert_eq!(after.status, end.status, "the first outcome stays");
        }
    }
}

#[test]
fn a_task_that_is_over_is_never_issued() {
    for state in [TaskState::Succeeded, TaskState::Failed, TaskState::Deleting] {
        let seen = with(fresh(), |it| it.task = found("task-1", state));
        let plan = plan(&seen);
        assert_eq!(plan.credential, Credential::Keep);
        assert_eq!(said(&plan)[0].0, "Completed");
        assert_eq!(
            plan.status.as_ref().unwrap().task_uid.as_deref(),
            Some("task-1")
        );
        assert_eq!(plan.status.unwrap().first_issue, None);
        assert_settles(&seen);
    }
}

#[test]
fn a_task_named_by_uid_must_be_that_very_object() {
    let named = |task| {
        with(fresh(), |it| {
            it.identity.task.uid = Some("task-1".to_owned());
            it.task = task;
        })
    };
    order(&plan(&named(running("task-1"))));
    assert_says(
        &plan(&named(running("task-2"))),
        &[("Completed", true, "TaskReplaced")],
    );
    assert_says(
        &plan(&named(TaskSeen::Missing)),
        &[("Completed", true, "TaskDeleted")],
    );
}

#[test]
fn whoever_was_never_bound_takes_the_task_that_has_the_name_now() {
    let mut seen = with(fresh(), |it| it.task = TaskSeen::Missing);
    let wait = plan(&seen);
    apply(&mut seen, &wait, "");
    seen.task = running("task-2");
    assert_eq!(order(&plan(&seen)).task_uid, "task-2");
}

#[test]
fn the_deadline_is_the_shorter_of_what_is_asked_and_allowed() {
    let asked = with(fresh(), |it| it.identity.deadline_seconds = Some(60));
    assert_eq!(order(&plan(&asked)).not_after_cap, at(60));
    let lowered = with(issued(), |it| {
        if let DomainSeen::Found {
            max_lifetime_seconds,
            ..
        } = &mut it.domain
        {
            *max_lifetime_seconds = 1000;
        }
        it.now = at(20);
    });
    assert_eq!(plan(&lowered).status.unwrap().deadline, Some(at(1000)));
    let mut lowered = assert_settles(&lowered);
    lowered.domain = domain();
    assert_eq!(
        plan(&lowered).status.unwrap().deadline,
        Some(at(1000)),
        "never later again"
    );
    lowered.now = at(1000);
    assert_says(&plan(&lowered), &[("Completed", true, "DeadlineExceeded")]);
}

#[test]
fn a_bound_lowered_later_rewrites_no_finished_record() {
    let mut seen = with(issued(), |it| it.task = TaskSeen::Missing);
    let end = plan(&seen);
    apply(&mut seen, &end, "");
    if let DomainSeen::Found {
        max_lifetime_seconds,
        ..
    } = &mut seen.domain
    {
        *max_lifetime_seconds = 60;
    }
    assert_eq!(plan(&seen).status, end.status);
}

#[test]
fn a_finished_record_is_deleted_when_its_time_is_up() {
    let mut seen = with(issued(), |it| {
        it.identity.ttl_after_finished_seconds = Some(60);
        it.task = TaskSeen::Missing;
        it.now = at(10);
    });
    let end = plan(&seen);
    assert_eq!((end.again, end.delete_identity), (Some(at(70)), false));
    apply(&mut seen, &end, "");
    seen.now = at(69);
    assert!(!plan(&seen).delete_identity);
    seen.now = at(70);
    let late = plan(&seen);
    assert_eq!((late.again, late.delete_identity), (None, true));
    seen.clock_off = true;
    assert!(!plan(&seen).delete_identity, "nobody knows what time it is");
    seen.clock_off = false;
    seen.identity.ttl_after_finished_seconds = Some(0);
    assert!(plan(&seen).delete_identity);
    seen.identity.ttl_after_finished_seconds = None;
    let kept = plan(&seen);
    assert_eq!((kept.again, kept.delete_identity), (None, false));
}

#[test]
fn with_a_clock_that_is_off_nothing_ends_by_time_and_nothing_is_issued() {
    let fresh = with(fresh(), |it| it.clock_off = true);
    assert_eq!(plan(&fresh).credential, Credential::Keep);
    let seen = with(issued(), |it| {
        it.clock_off = true;
        it.now = at(100_000);
    });
    let plan = plan(&seen);
    assert_eq!(plan.credential, Credential::Keep);
    assert_says(
        &plan,
        &[("Ready", true, "Issued"), ("Stalled", true, "ClockSkew")],
    );
    assert_eq!(
        plan.again,
        Some(seen.now + LOOK_AGAIN),
        "no loop over what seems past"
    );
    assert_settles(&seen);
    let suspended = with(seen.clone(), suspend);
    assert_eq!(super::super::plan::plan(&suspended).again, None);
    let over = with(seen, |it| it.task = found("task-1", TaskState::Failed));
    assert_eq!(
        super::super::plan::plan(&over).credential,
        Credential::Remove
    );
}

#[test]
fn a_watch_that_has_just_begun_decides_nothing() {
    let tasks = with(issued(), |it| it.task = TaskSeen::NotYet);
    let secrets = with(issued(), |it| it.credential = CredentialSeen::NotYet);
    for seen in [tasks, secrets] {
        let plan = plan(&with(seen, |it| it.now = at(590)));
        assert_eq!((&plan.credential, &plan.status), (&Credential::Keep, &None));
        assert_eq!(plan.again, Some(at(591)));
    }
}

#[test]
fn what_is_over_is_taken_away_even_before_the_watch_of_secrets_has_caught_up() {
    let seen = with(issued(), |it| {
        it.credential = CredentialSeen::NotYet;
        it.task = found("task-1", TaskState::Succeeded);
    });
    assert_eq!(plan(&seen).credential, Credential::Remove);
    assert_settles(&seen);
}

#[test]
fn an_identity_that_is_being_deleted_loses_its_credential_and_says_nothing() {
    let seen = with(issued(), |it| it.identity.deleting = true);
    let plan = plan(&seen);
    assert_eq!(plan.credential, Credential::Remove);
    assert_eq!(
        (plan.status, plan.again, plan.delete_identity),
        (None, None, false)
    );
    assert_settles(&seen);
}

#[test]
fn a_request_is_answered_in_status_and_ends_by_losing_its_chain() {
    let mut seen = requested();
    let recorded = seen.recorded.clone();
    assert_eq!(recorded.secret, None);
    assert_eq!(recorded.certificate.unwrap().chain.as_deref(), Some("PEM"));
    assert_settles(&seen);
    seen.task = found("task-1", TaskState::Succeeded);
    let after = assert_settles(&seen);
    assert_eq!(after.recorded.certificate.unwrap().chain, None);
    assert_eq!(after.credential, CredentialSeen::Missing);
}

#[test]
fn a_request_may_live_for_a_minute_and_is_renewed() {
    let mut seen = with(fresh(), |it| {
        it.identity.delivery = Delivery::Request {
            pkcs10: "CSR".to_owned(),
        };
        it.identity.ttl_seconds = Some(60);
    });
    let first = plan(&seen);
    assert_eq!(order(&first).ttl_seconds, 60);
    apply(&mut seen, &first, "serial-1");
    seen.now = at(30);
    assert_eq!(order(&plan(&seen)).replaces, None);
}

#[test]
fn the_default_lifetime_of_a_secret_is_never_below_its_floor() {
    let seen = with(fresh(), |it| {
        if let DomainSeen::Found {
            default_ttl_seconds,
            ..
        } = &mut it.domain
        {
            *default_ttl_seconds = 60;
        }
    });
    assert_eq!(order(&plan(&seen)).ttl_seconds, 300);
}

#[test]
fn what_pods_may_have_is_told_once_and_ends_as_everything_does() {
    let mut seen = with(fresh(), |it| {
        it.identity.delivery = Delivery::Workload;
        it.credential = CredentialSeen::Missing;
    });
    let first = plan(&seen);
    assert_eq!(first.credential, Credential::Keep);
    assert_says(&first, &[("Ready", true, "Issuable")]);
    let status = apply(&mut seen, &first, "").unwrap();
    let id = status.offered.clone().unwrap();
    assert!(id.starts_with("spiffe://"), "{id}");
    assert_eq!(
        (status.first_issue, &status.certificate),
        (Some(at(0)), &None)
    );
    assert_eq!(first.again, status.deadline);
    assert_settles(&seen);

    let suspended = plan(&with(seen.clone(), suspend));
    assert_says(&suspended, &[("Suspended", true, "Suspended")]);
    assert_eq!(suspended.credential, Credential::Keep);
    assert_eq!(suspended.status.unwrap().offered.as_ref(), Some(&id));

    let refused = plan(&with(seen.clone(), |it| it.domain = DomainSeen::Missing));
    assert_eq!(said(&refused)[0].2, "UnknownTrustDomain");
    let nobody_issues = plan(&with(seen.clone(), |it| {
        it.credential = CredentialSeen::NotEnabled;
    }));
    assert_says(
        &nobody_issues,
        &[
            ("Ready", false, "IssuingNotEnabled"),
            ("Stalled", true, "IssuingNotEnabled"),
        ],
    );

    let over = plan(&with(seen.clone(), |it| {
        it.task = found("task-1", TaskState::Succeeded);
    }));
    assert_eq!(over.status.unwrap().offered, Some(id));
    seen.now = seen.recorded.deadline.unwrap();
    assert_eq!(said(&plan(&seen))[0].2, "DeadlineExceeded");
}

#[test]
fn what_pods_got_before_a_suspension_counts_no_more_however_the_identity_comes_back() {
    let mut seen = with(fresh(), |it| it.identity.delivery = Delivery::Workload);
    let first = plan(&seen);
    assert_eq!(apply(&mut seen, &first, "").unwrap().resumed, None);

    let stopped = plan(&with(seen.clone(), suspend));
    apply(&mut seen, &stopped, "");
    seen.now = at(20) + SignedDuration::from_millis(1);
    let back = plan(&seen);
    assert_says(&back, &[("Ready", true, "Issuable")]);
    assert_eq!(back.status.unwrap().resumed, Some(at(21)));

    // By way of a refusal, and then for good.
    let refused = plan(&with(seen.clone(), |it| it.domain = DomainSeen::Missing));
    let status = apply(&mut seen, &refused, "").unwrap();
    assert_eq!(status.resumed, Some(at(21)));
    seen.now = at(40);
    let back = plan(&seen);
    assert_eq!(back.status.unwrap().resumed, Some(at(21)));
}

#[test]
fn what_had_ended_before_ends_again_and_nothing_is_issued_before_that_is_known() {
    for seen in [fresh(), issued()] {
        let over = plan(&with(seen.clone(), |it| it.before = Before::Ended));
        assert_says(&over, &[("Completed", true, "EndedBefore")]);
    }
    let waits = plan(&with(fresh(), |it| it.before = Before::NotKnown));
    assert_eq!((waits.credential, waits.status), (Credential::Keep, None));
    assert_eq!(waits.again, Some(at(1)));
    // What ends it otherwise doesn't wait.
    let over = plan(&with(issued(), |it| {
        it.before = Before::NotKnown;
        it.task = TaskSeen::Missing;
    }));
    assert_says(&over, &[("Completed", true, "TaskDeleted")]);
}
