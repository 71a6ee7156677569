//! What is explored, and what must be found when the operator is broken.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, Path};

use super::tables::Tables;
use super::world::State;
use super::{Act, Broken, Budget, Cluster, Event, SOMETIMES};

const ENDS: &[Event] = &[
    Event::AgentEnds(0),
    Event::AgentEnds(1),
    Event::AgentEnds(2),
    Event::OwnerDeparts,
    Event::Revoked,
    Event::RootDeleted,
];
const REPLACED: &[Event] = &[Event::RootReplaced];
const REVOKED: &[Event] = &[Event::Revoked];
const DISTRUSTED: &[Event] = &[Event::KeyDistrusted];

const fn budget(events: u8, crashes: u8, passes: [u8; 2]) -> Budget {
    Budget {
        events,
        crashes,
        passes,
    }
}

fn cluster(granted: bool, events: &'static [Event], budget: Budget, broken: Broken) -> Cluster {
    Cluster {
        granted,
        events,
        budget,
        broken,
        tables: Mutex::new(Tables::new()),
        settled: Mutex::new(HashMap::new()),
    }
}

/// Explores everything, and says how much that was.
fn prove(name: &str, granted: bool, events: &'static [Event], budget: Budget) {
    let begun = Instant::now();
    let checker = cluster(granted, events, budget, Broken::Nothing)
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
fn refute(granted: bool, events: &'static [Event], broken: Broken, promise: &str) {
    let checker = cluster(granted, events, budget(1, 0, [3, 3]), broken)
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let mut failures = checker.discoveries();
    failures.retain(|property, _| !SOMETIMES.contains(property));
    let (property, path) = failures.into_iter().next().expect("no counterexample");
    let wrong = path.last_state().wrong;
    assert_eq!(wrong, Some(promise), "{property}: {}", told(path));
}

/// A path in words.
fn told(path: Path<State, Act>) -> String {
    let end = format!("{:#?}", path.last_state());
    let acts = path.into_actions();
    let acts: Vec<String> = acts.iter().map(|act| format!("{act:?}")).collect();
    format!("{}\n{end}", acts.join("\n"))
}

#[test]
fn three_hops_are_countersigned_by_two_replicas_that_may_crash() {
    prove("beginnings", false, &[], budget(0, 1, [3, 3]));
}

#[test]
fn an_end_above_reaches_all_below_whoever_looks_first() {
    prove("ends", true, ENDS, budget(1, 1, [3, 2]));
}

#[test]
fn an_end_may_come_while_hops_are_countersigned() {
    prove("ends early", false, ENDS, budget(1, 0, [3, 1]));
}

#[test]
fn a_root_made_anew_under_its_name_wakes_nothing_that_knew_the_first() {
    prove("replaced", true, REPLACED, budget(1, 1, [3, 2]));
}

#[test]
fn a_root_may_be_made_anew_while_hops_are_countersigned() {
    prove("replaced early", false, REPLACED, budget(1, 0, [3, 2]));
}

#[test]
fn once_a_key_is_distrusted_all_is_countersigned_anew() {
    prove("distrusted", true, DISTRUSTED, budget(1, 1, [3, 2]));
}

#[test]
fn a_forgotten_latch_is_found() {
    let promise = "another parent took the place of the first";
    refute(true, REPLACED, Broken::Unlatched, promise);
}

#[test]
fn a_status_written_over_any_version_is_found() {
    let promise = "what was over is so no more";
    refute(false, REVOKED, Broken::StatusOverAnyVersion, promise);
}

#[test]
fn a_grant_that_is_recorded_afterwards_is_found() {
    let promise = "nobody recorded what was granted";
    refute(false, REVOKED, Broken::RecordedAfterwards, promise);
}

#[test]
fn a_memory_that_is_believed_about_another_uid_is_found() {
    let promise = "the end of something was invented";
    refute(false, REPLACED, Broken::MemoryBelieved, promise);
}

/// 1.2 million distinct states: `cargo test -- --ignored larger`.
#[test]
#[ignore = "a quarter of a minute"]
fn larger_combinations_of_hops_hold_too() {
    prove("ends early", false, ENDS, budget(1, 1, [3, 2]));
    prove("two ends", true, ENDS, budget(2, 1, [3, 3]));
    prove("replaced early", false, REPLACED, budget(1, 1, [3, 3]));
    prove("replaced twice", true, REPLACED, budget(2, 0, [3, 3]));
    prove("distrusted early", false, DISTRUSTED, budget(1, 1, [3, 3]));
}
