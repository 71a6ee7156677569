//! What is explored, and what must be found when the operator is broken.

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, Path};

use super::world::State;
use super::{Act, Broken, Budget, Cluster, SOMETIMES};

pub(super) const NO_EVENTS: Budget = Budget {
    user: 0,
    risk: 0,
    task: 0,
    clock: 0,
    crashes: 0,
    deletions: 0,
    passes: [3, 2],
};

/// Explores everything, and says how much that was.
pub(super) fn prove(name: &str, identities: usize, budget: Budget) {
    let begun = Instant::now();
    let checker = Cluster::new(identities, budget, Broken::Nothing)
        .checker()
        .spawn_bfs()
        .join();
    #[allow(
        clippy::print_stderr,
        reason = "the figures of a proof are part of its result"
    )]
    {
        eprintln!(
            "{name}: {} states, {} distinct, {} steps deep, {:.1} s",
            checker.state_count(),
            checker.unique_state_count(),
            checker.max_depth(),
            begun.elapsed().as_secs_f64()
        );
    }
    for (property, path) in checker.discoveries() {
        assert!(SOMETIMES.contains(&property), "{property}: {}", told(path));
    }
    assert!(checker.is_done());
    for property in SOMETIMES {
        assert!(checker.discovery(property).is_some(), "never: {property}");
    }
}

/// Breaks the operator, and expects the model to notice.
pub(super) fn refute(identities: usize, budget: Budget, broken: Broken, promise: Option<&str>) {
    let checker = Cluster::new(identities, budget, broken)
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let mut failures = checker.discoveries();
    failures.retain(|property, _| !SOMETIMES.contains(property));
    let (property, path) = failures.into_iter().next().expect("no counterexample");
    let wrong = path.last_state().wrong;
    assert_eq!(wrong, promise, "{property}: {}", told(path));
}

/// A path in words.
pub(super) fn told(path: Path<State, Act>) -> String {
    let end = format!("{:#?}", path.last_state());
    let acts = path.into_actions();
    let acts: Vec<String> = acts.iter().map(|act| format!("{act:?}")).collect();
    format!("{}\n{end}", acts.join("\n"))
}

/// Each of these is one kind of trouble, small enough to be walked through whole.
pub(super) const ENDS: Budget = Budget {
    task: 1,
    ..NO_EVENTS
};

pub(super) const CRASHES: Budget = Budget {
    task: 1,
    crashes: 1,
    passes: [2, 2],
    ..NO_EVENTS
};

pub(super) const WISHES: Budget = Budget {
    user: 2,
    passes: [2, 2],
    ..NO_EVENTS
};

pub(super) const RISKS: Budget = Budget {
    risk: 2,
    passes: [2, 2],
    ..NO_EVENTS
};

pub(super) const TIME: Budget = Budget {
    clock: 2,
    passes: [3, 2],
    ..NO_EVENTS
};

pub(super) const DELETIONS: Budget = Budget {
    deletions: 1,
    task: 1,
    passes: [2, 2],
    ..NO_EVENTS
};

pub(super) const RIVALS: Budget = Budget {
    user: 1,
    passes: [2, 2],
    ..NO_EVENTS
};

#[test]
fn a_task_may_end_or_be_replaced_at_any_moment() {
    prove("ends", 1, ENDS);
}

#[test]
fn a_replica_may_crash_between_any_two_requests() {
    prove("crashes", 1, CRASHES);
}

#[test]
fn a_user_may_suspend_resume_revoke_and_delete_at_any_moment() {
    prove("wishes", 1, WISHES);
}

#[test]
fn the_decision_point_may_suspend_and_bring_back_at_any_moment() {
    prove("risks", 1, RISKS);
}

#[test]
fn renewals_and_the_deadline_may_come_at_any_moment() {
    prove("time", 1, TIME);
}

#[test]
fn a_secret_may_be_deleted_at_any_moment() {
    prove("deletions", 1, DELETIONS);
}

#[test]
fn two_identities_never_share_one_secret() {
    prove("rivals", 2, RIVALS);
}

/// Minutes even when optimised: `cargo test --release -- --ignored larger`.
#[test]
#[ignore = "minutes"]
fn larger_combinations_hold_too() {
    let all = |user, task, clock, crashes, deletions, passes| Budget {
        user,
        risk: 0,
        task,
        clock,
        crashes,
        deletions,
        passes,
    };
    let risky = |budget| Budget { risk: 1, ..budget };
    prove("wishes and ends", 1, all(1, 1, 0, 0, 0, [3, 2]));
    prove("ends, time", 1, all(0, 1, 1, 0, 0, [3, 2]));
    prove("crashes, deletions", 1, all(0, 1, 0, 1, 1, [2, 2]));
    prove("time, crashes", 1, all(0, 0, 2, 1, 0, [3, 2]));
    prove("replaced twice", 1, all(0, 2, 0, 0, 0, [3, 2]));
    prove("rivals, ends, wishes", 2, all(1, 1, 0, 0, 0, [2, 2]));
    prove("rivals, crashes", 2, all(1, 0, 0, 1, 0, [2, 2]));
    prove("risks, ends", 1, risky(all(0, 1, 0, 0, 0, [3, 2])));
    prove("risks, wishes", 1, risky(all(1, 0, 0, 0, 0, [3, 2])));
    prove("risks, crashes", 1, risky(all(0, 1, 0, 1, 0, [2, 2])));
    prove("rivals, risks", 2, risky(all(1, 0, 0, 0, 0, [2, 2])));
}

#[test]
fn a_forgotten_latch_is_found() {
    refute(1, ENDS, Broken::Unlatched, None);
}

#[test]
fn a_status_written_over_any_version_is_found() {
    let promise = "a latched outcome changed";
    refute(1, WISHES, Broken::StatusOverAnyVersion, Some(promise));
}

#[test]
fn a_secret_written_over_any_version_is_found() {
    let promise = "a Secret that nobody had seen was overwritten";
    refute(1, TIME, Broken::SecretOverAnyVersion, Some(promise));
}

#[test]
fn a_credential_that_is_not_taken_back_is_found() {
    let promise = "a credential of what ended meanwhile was left behind";
    refute(1, WISHES, Broken::NoUndo, Some(promise));
}

#[test]
fn a_credential_that_is_left_to_who_is_at_risk_by_now_is_found() {
    let promise = "a credential of what ended meanwhile was left behind";
    refute(1, RISKS, Broken::NoUndo, Some(promise));
}

#[test]
fn a_deletion_by_name_is_found() {
    let promise = "another Secret of the same name was deleted";
    refute(1, DELETIONS, Broken::DeletedByName, Some(promise));
}

#[test]
fn an_old_view_that_is_believed_is_found() {
    let promise = "the end of a running task was invented";
    refute(1, ENDS, Broken::OldViewsBelieved, Some(promise));
}

#[test]
fn a_secret_that_is_never_swept_is_found() {
    refute(1, WISHES, Broken::NoSweep, None);
}
