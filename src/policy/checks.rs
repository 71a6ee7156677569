//! What can be said of a source before its policies are read.

use std::collections::BTreeSet;

use crate::problem::Problem;
use crate::source::{Obligation, PolicySource, Scope};

/// The longest text of a policy, in bytes; AWS's AgentCore has the same bound.
pub const MAX_POLICY_BYTES: usize = 10 * 1024;
/// The most policies of an object.
pub const MAX_POLICIES: usize = 64;
/// The most tests of an object.
pub const MAX_TESTS: usize = 64;
/// The most obligations of an object, all policies together.
pub const MAX_OBLIGATIONS: usize = 32;
/// The longest properties of an obligation, in bytes.
pub const MAX_PROPERTIES_BYTES: usize = 4 * 1024;

/// The longest label of a name (RFC 1123, section 2.1).
const MAX_LABEL: usize = 63;
/// The longest name of an object: that of a DNS name, as Kubernetes has it.
const MAX_NAME: usize = 253;

/// Finds all that is wrong with names and numbers.
pub(crate) fn check(source: &PolicySource) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !is_name(&source.name) {
        problems.push(Problem::of_object(
            "the object needs a name of labels of lower-case letters, digits and dashes, with dots between",
        ));
    }
    if let Scope::Namespace(namespace) = &source.scope
        && !is_label(namespace)
    {
        problems.push(Problem::of_object(
            "the namespace needs a name of lower-case letters, digits and dashes",
        ));
    }
    for (what, count, most) in [
        ("policies", source.policies.len(), MAX_POLICIES),
        ("tests", source.tests.len(), MAX_TESTS),
        ("obligations", obligations(source).count(), MAX_OBLIGATIONS),
    ] {
        if count > most {
            problems.push(Problem::of_object(format!(
                "{count} {what} are too many for one object: {most} at most, split it"
            )));
        }
    }
    if !problems.is_empty() {
        // So that the rest is bounded.
        return problems;
    }
    let mut seen = BTreeSet::new();
    for policy in &source.policies {
        let id = policy.id.as_str();
        if !is_label(id) {
            problems.push(Problem::of_policy(
                id,
                format!(
                    "an id is 1 to {MAX_LABEL} lower-case letters, digits and dashes, and begins and ends with none of the dashes"
                ),
            ));
        }
        if !seen.insert(id) {
            problems.push(Problem::of_policy(
                id,
                "the id is used twice: give each policy its own",
            ));
        }
        if policy.cedar.len() > MAX_POLICY_BYTES {
            problems.push(Problem::of_policy(
                id,
                format!(
                    "{} bytes are too long: {MAX_POLICY_BYTES} at most, split it",
                    policy.cedar.len()
                ),
            ));
        }
    }
    for (id, obligation) in obligations(source) {
        if let Some(wrong) = wrong_obligation(obligation) {
            problems.push(Problem::of_policy(id, wrong));
        }
    }
    problems
}

/// All obligations, each with its policy's id.
fn obligations(source: &PolicySource) -> impl Iterator<Item = (&str, &Obligation)> {
    source.policies.iter().flat_map(|policy| {
        policy
            .obligations
            .iter()
            .map(|obligation| (policy.id.as_str(), obligation))
    })
}

fn wrong_obligation(obligation: &Obligation) -> Option<String> {
    let kind = &obligation.kind;
    if kind.is_empty() || kind.len() > MAX_LABEL {
        return Some(format!(
            "an obligation's type is 1 to {MAX_LABEL} characters, such as step-up"
        ));
    }
    if obligation.properties.len() > MAX_PROPERTIES_BYTES {
        return Some(format!(
            "the properties of the obligation {kind} are too long: {MAX_PROPERTIES_BYTES} bytes at most"
        ));
    }
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&obligation.properties)
        .err()
        .map(|error| {
            format!("the properties of the obligation {kind} must be a JSON object: {error}")
        })
}

/// A DNS label (RFC 1123, section 2.1), lower case.
fn is_label(text: &str) -> bool {
    let good = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    !text.is_empty()
        && text.len() <= MAX_LABEL
        && text.bytes().all(good)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME && text.split('.').all(is_label)
}
