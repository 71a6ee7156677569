//! Whatever reason a status can show is explained, and whatever test is named exists.

use std::collections::{BTreeMap, BTreeSet};

use crate::pages::{code_words, files, read, without_tests};

const TROUBLESHOOTING: &str = "docs/troubleshooting.md";

/// Words of the sources that look like reasons and are none: kinds, types of conditions, actions of
/// events, and what CEL and selectors are written with.
const NO_REASONS: &[&str] = &[
    "AgentIdentity",
    "AgentOwner",
    "AgentPolicy",
    "AuditSettings",
    "BundlePublished",
    "ClockSynchronized",
    "ClusterAgentPolicy",
    "ClusterTrustBundle",
    "Completed",
    "ConfigMap",
    "Countersign",
    "Delegate",
    "Delegation",
    "DoesNotExist",
    "Exists",
    "False",
    "In",
    "Issue",
    "Job",
    "Keys",
    "KeysActive",
    "NotIn",
    "Operator",
    "Over",
    "Pod",
    "PoliciesInstalled",
    "Ready",
    "Reconciling",
    "Secret",
    "Stalled",
    "TakeEffect",
    "TaskKind",
    "TaskRunning",
    "True",
    "TrustDomain",
    "Vanished",
];

/// Where reasons of conditions are written.
fn sources() -> Vec<String> {
    let mut all = files("src/controller", ".rs");
    all.extend(
        [
            "src/authority/error.rs",
            "src/core/outcome.rs",
            "src/tasks/error.rs",
        ]
        .map(str::to_owned),
    );
    all.retain(|path| !path.contains("/tests/") && !path.ends_with("/tests.rs"));
    all
}

/// String literals that are one CamelCase word.
fn words(text: &str) -> BTreeSet<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let mut found = BTreeSet::new();
    for line in code {
        for literal in line.split('"').skip(1).step_by(2) {
            let upper = literal.starts_with(|it: char| it.is_ascii_uppercase());
            let lower = literal.contains(|it: char| it.is_ascii_lowercase());
            if upper && lower && literal.chars().all(|it| it.is_ascii_alphanumeric()) {
                found.insert(literal.to_owned());
            }
        }
    }
    found
}

#[test]
fn each_reason_that_a_status_can_show_is_explained() {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for path in sources() {
        for word in words(without_tests(&read(&path))) {
            found.entry(word).or_insert_with(|| path.clone());
        }
    }
    assert!(found.len() >= 100, "only {} words", found.len());
    let explained: BTreeSet<String> = code_words(&read(TROUBLESHOOTING)).into_iter().collect();
    let missing: Vec<String> = found
        .iter()
        .filter(|(word, _)| !explained.contains(*word) && !NO_REASONS.contains(&word.as_str()))
        .map(|(word, path)| format!("{word} ({path})"))
        .collect();
    assert!(
        missing.is_empty(),
        "{TROUBLESHOOTING} does not explain: {}",
        missing.join(", ")
    );
}

/// Refusals of pods are told to pods, and so are on a page of their own or here.
#[test]
fn each_refusal_of_the_issuing_endpoint_is_explained() {
    let mut explained: BTreeSet<String> = code_words(&read(TROUBLESHOOTING)).into_iter().collect();
    explained.extend(code_words(&read("docs/workload.md")));
    let mut count = 0;
    for path in files("src/issuer", ".rs") {
        if path.contains("/tests/") || path.ends_with("tests.rs") {
            continue;
        }
        for line in without_tests(&read(&path)).lines() {
            let word = line
                .trim()
                .strip_prefix("Self::")
                .and_then(|it| it.split_once(" => \""))
                .and_then(|(_, it)| it.strip_suffix("\","));
            let Some(word) = word.filter(|it| it.starts_with(|c: char| c.is_ascii_uppercase()))
            else {
                continue;
            };
            count += 1;
            assert!(explained.contains(word), "{word} of {path}");
        }
    }
    assert!(count >= 10, "only {count} were found");
}

#[test]
fn each_test_that_a_page_names_exists() {
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        for path in files(folder, ".rs") {
            sources.push_str(&read(&path));
        }
    }
    for path in files("tests/charts", ".go") {
        sources.push_str(&read(&path));
    }
    let mut count = 0;
    for page in files("docs", ".md") {
        for word in code_words(&read(&page)) {
            // Sentences, and nothing that is in another language.
            let snake = word
                .chars()
                .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_');
            if !snake || word.matches('_').count() < 4 || word.starts_with("countersign_") {
                continue;
            }
            count += 1;
            assert!(
                sources.contains(&format!("fn {word}(")),
                "{page} names {word}, and there is no such test"
            );
        }
    }
    assert!(count >= 30, "only {count} tests are named");
}
