//! What the status should say. Pure: no clock, no I/O.

use countersign_api::PolicyMode;
use jiff::Timestamp;

use super::Kind;
use super::judge::{Refused, Verdict};
use crate::condition::condition;

/// The status of `object`, whose spec came to `verdict`. `unwritten` is a version of it whose spec
/// counts, or counted until now, where its status may not say so yet.
pub(crate) fn plan<K: Kind>(
    object: &K,
    verdict: &Verdict,
    unwritten: Option<(&K, &str)>,
    now: Timestamp,
) -> K::Status {
    let generation = object.meta().generation.unwrap_or_default();
    let make = |kind, status, reason: &str, message: &str| {
        let old = object.conditions();
        condition(kind, status, reason, message, generation, old, now)
    };
    match verdict {
        Verdict::Counts { digest } => {
            let (reason, message) = counts(object);
            let ready = make("Ready", true, reason, &message);
            K::new_status(generation, Some(object.spec_in_effect(digest)), vec![ready])
        }
        Verdict::Refused(why) => {
            let told = object.in_effect();
            let later = unwritten
                .map(|(good, digest)| good.spec_in_effect(digest))
                .filter(|good| told.is_none_or(|it| K::generation(it) < K::generation(good)));
            let in_effect = later.or_else(|| told.cloned());
            let message = refused(why, in_effect.as_ref().map(K::generation));
            let conditions = vec![
                make("Ready", false, why.reason, &message),
                make("Stalled", true, why.reason, &message),
            ];
            K::new_status(generation, in_effect, conditions)
        }
    }
}

fn counts(object: &impl Kind) -> (&'static str, String) {
    let policies = match object.policies() {
        1 => "1 policy".to_owned(),
        more => format!("{more} policies"),
    };
    match object.mode() {
        PolicyMode::Enforce => ("InEffect", format!("{policies} in effect")),
        PolicyMode::Audit => (
            "Audit",
            format!("{policies} asked for each decision, to be logged: mode Audit changes none"),
        ),
        PolicyMode::Disabled => (
            "Disabled",
            format!("{policies} compiled, and asked by nobody: mode is Disabled"),
        ),
    }
}

fn refused(why: &Refused, in_effect: Option<i64>) -> String {
    let more = match why.more {
        0 => String::new(),
        1 => " (and 1 more problem)".to_owned(),
        more => format!(" (and {more} more problems)"),
    };
    let stays = match in_effect {
        Some(generation) if why.lost => format!(
            "generation {generation}, which was in effect, can't be compiled any more either: whom it is about may be denied"
        ),
        Some(generation) => format!("generation {generation} stays in effect"),
        None => "nothing of it is in effect".to_owned(),
    };
    let first = why.first.trim_end_matches(['.', '\n']);
    format!("{first}{more}; {stays}")
}
