//! Which spec of an object counts: a bad one never replaces a good one.

use countersign_policy::{Compiled, PolicySource, Problem, compile};
use kube::ResourceExt as _;

use crate::object::PolicyObject;
use crate::rules::ObjectRules;

/// A spec that compiled, and whose tests passed. Cheap to clone but for its rules.
#[derive(Debug, Clone)]
pub struct Good {
    /// The object's UID: of another object under the same name nothing counts.
    pub uid: String,
    /// The `metadata.generation` that it was.
    pub generation: i64,
    /// Its policies.
    pub compiled: Compiled,
    /// What it sets beside them; `None` for a kind that sets nothing.
    pub rules: Option<ObjectRules>,
}

/// What counts of an object.
#[derive(Debug, Clone)]
pub struct InForce {
    /// What counts: the spec itself when `problems` is empty, else the last good one that is known.
    /// `None`: nothing.
    pub good: Option<Good>,
    /// Why the spec itself can't count.
    pub problems: Vec<Problem>,
    /// It compiles, and what can't be is a test of its own.
    pub tests_failed: bool,
    /// Something of it counted before, and can't be compiled any more: a part of what was forbidden
    /// may be missing. Whoever decides must deny whom it is about.
    pub lost: bool,
}

/// Says what counts of `object`: its spec if that compiles, else what counted before. That is
/// `before`, which the caller remembers, or what the object's status holds, whichever is the later.
///
/// Compiling takes time: up to some milliseconds for each policy.
pub fn in_force<K: PolicyObject>(object: &K, before: Option<&Good>) -> InForce {
    let uid = object.uid().unwrap_or_default();
    let generation = object.meta().generation.unwrap_or_default();
    let before = before.filter(|good| good.uid == uid);
    if let Some(same) = before.filter(|good| good.generation == generation) {
        return InForce::all(same.clone());
    }
    let source = object.source();
    let problems = match compile(&source) {
        Ok(compiled) => {
            return InForce::all(Good {
                uid,
                generation,
                compiled,
                rules: object.rules(),
            });
        }
        Err(problems) => problems,
    };
    let tests_failed = only_tests_fail(source, &problems);
    let told = object.before();
    let told_later = |good: &&Good| {
        told.as_ref()
            .is_none_or(|(generation, ..)| *generation <= good.generation)
    };
    if let Some(good) = before.filter(told_later) {
        return InForce {
            good: Some(good.clone()),
            problems,
            tests_failed,
            lost: false,
        };
    }
    let had = told.is_some();
    let good = told.and_then(|(generation, source, rules)| {
        Some(Good {
            uid,
            generation,
            compiled: compile(&source).ok()?,
            rules,
        })
    });
    // An older one from memory is better than none.
    let good = good.or_else(|| before.cloned());
    InForce {
        lost: had && good.is_none(),
        good,
        problems,
        tests_failed,
    }
}

/// Does it compile without its tests? Asked only where nothing is said of a policy's text.
fn only_tests_fail(source: PolicySource, problems: &[Problem]) -> bool {
    let tested = !source.tests.is_empty();
    let texts = problems.iter().all(|problem| problem.policy.is_none());
    let untested = PolicySource {
        tests: Vec::new(),
        ..source
    };
    tested && texts && compile(&untested).is_ok()
}

impl InForce {
    fn all(good: Good) -> Self {
        Self {
            good: Some(good),
            problems: Vec::new(),
            tests_failed: false,
            lost: false,
        }
    }
}
