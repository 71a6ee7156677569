//! What of a question can be read.

use super::denial::{Denial, deny};
use crate::{Question, Reason};

/// The longest SPIFFE ID (SPIFFE ID standard, section 2.3).
const MAX_AGENT_BYTES: usize = 2048;
/// The longest verb, as in grants.
const MAX_ACTION_BYTES: usize = 64;
/// The longest path; patterns in grants have 256 at most.
const MAX_PATH_BYTES: usize = 1024;
/// The most segments of a path: as many as policies can be asked about.
const MAX_SEGMENTS: usize = countersign_policy::MAX_COLLECTIONS + 1;
/// The longest type, tool, audience, and name of a property.
const MAX_NAME_BYTES: usize = 256;
/// The longest value of a property.
const MAX_VALUE_BYTES: usize = 4096;
/// The most properties.
const MAX_PROPERTIES: usize = 64;

/// Refuses what is too long, and what no grant could name: an action or path with `*`, with empty
/// segments, with `.` or `..`, with white space or control characters.
pub(crate) fn check(question: &Question, authoritative: bool) -> Result<(), Denial> {
    let bad = |why: String| deny(Reason::BadRequest, why);
    if question.agent.len() > MAX_AGENT_BYTES {
        return bad(format!(
            "the agent's id is longer than {MAX_AGENT_BYTES} bytes"
        ));
    }
    if !is_action(&question.action) {
        return bad(format!(
            "the action must be a verb of at most {MAX_ACTION_BYTES} letters, digits and . _ : / - that begins with a letter"
        ));
    }
    if !is_path(&question.resource.path) {
        return bad(format!(
            "the resource must be a path such as ledger/invoices/7, of at most {MAX_PATH_BYTES} bytes, without * and white space, and without parts that are empty, . or .."
        ));
    }
    let names = [
        ("the resource's type", Some(&question.resource.kind)),
        ("the tool", question.call.tool.as_ref()),
        ("the audience", question.call.audience.as_ref()),
    ];
    for (what, name) in names {
        if name.is_some_and(|it| it.len() > MAX_NAME_BYTES || it.chars().any(char::is_control)) {
            return bad(format!(
                "{what} must have at most {MAX_NAME_BYTES} bytes and no control characters"
            ));
        }
    }
    let properties = &question.resource.properties;
    let long = |(name, value): (&String, &String)| {
        name.len() > MAX_NAME_BYTES || value.len() > MAX_VALUE_BYTES
    };
    // Those of others don't count, so they aren't looked at.
    if authoritative && (properties.len() > MAX_PROPERTIES || properties.iter().any(long)) {
        return bad(format!(
            "a resource has at most {MAX_PROPERTIES} properties, with names of at most {MAX_NAME_BYTES} bytes and values of at most {MAX_VALUE_BYTES}"
        ));
    }
    Ok(())
}

/// A verb as in grants, but for `*`.
pub(crate) fn is_action(action: &str) -> bool {
    let good = |it: u8| it.is_ascii_alphanumeric() || b"._:/-".contains(&it);
    action.len() <= MAX_ACTION_BYTES
        && action.starts_with(|it: char| it.is_ascii_alphabetic())
        && action.bytes().all(good)
}

/// A path as in grants, but for `*`: no segment is empty, or begins with nothing but dots that
/// somebody might resolve.
pub(crate) fn is_path(path: &str) -> bool {
    let odd = |it: char| it == '*' || it.is_whitespace() || it.is_control();
    let good = |segment: &str| {
        let rest = segment.trim_start_matches('.');
        !rest.is_empty() && segment.len() - rest.len() <= 2
    };
    path.len() <= MAX_PATH_BYTES
        && !path.contains(odd)
        && path.split('/').nth(MAX_SEGMENTS).is_none()
        && path.split('/').all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_resource_and_leads_nowhere_else() {
        for path in [
            "a",
            "ledger/invoices/7",
            "a/.b/..c",
            "a/b.c",
            "ä/日本",
            "a/%2e%2e/b",
        ] {
            assert!(is_path(path), "{path:?}");
        }
        let long = "a".repeat(1025);
        let deep = vec!["a"; MAX_SEGMENTS + 1].join("/");
        assert!(!is_path(&deep));
        for path in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a/...", "*", "a/*", "a*",
            "a b", "a\tb", "a\u{0}", "a\u{7f}", "a\u{a0}b", &long,
        ] {
            assert!(!is_path(path), "{path:?}");
        }
        assert!(is_path(&"a".repeat(1024)));
    }

    #[test]
    fn an_action_is_one_verb() {
        for action in [
            "read",
            "can_read_user",
            "tools/call",
            "s3:GetObject",
            "a.b-c",
        ] {
            assert!(is_action(action), "{action:?}");
        }
        let long = "a".repeat(65);
        for action in [
            "",
            "*",
            "1read",
            "read all",
            "read*",
            "lesen\u{e4}",
            "_read",
            &long,
        ] {
            assert!(!is_action(action), "{action:?}");
        }
    }
}
