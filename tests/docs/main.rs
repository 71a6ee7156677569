//! The documentation holds: each policy that it shows compiles and passes its tests, each JSON is
//! JSON, no reason, metric or alert is missing, each link leads somewhere, and what is generated
//! (`docs/reference/`) is what the code says: `UPDATE=1 cargo test --test docs` writes it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod generated;
mod help;
mod kinds;
mod metrics;
mod pages;
mod reasons;
mod reference;
mod shown;
mod site;

use countersign_api::{AgentPolicy, ClusterAgentPolicy};
use countersign_policies::PolicyObject;
use countersign_policy::{Mode, PolicySource, PolicyText, Scope, compile};

use crate::pages::blocks;

const POLICIES: &str = include_str!("../../docs/policies.md");
const DECISIONS: &str = include_str!("../../docs/decisions.md");
/// Where each reason is written.
const REASONS: &str = include_str!("../../src/decision/answer.rs");

fn compiles(source: &PolicySource, shown: &str) {
    if let Err(problems) = compile(source) {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}\n\n{shown}", problems.join("\n"));
    }
}

#[test]
fn each_policy_that_is_shown_by_itself_compiles() {
    let shown = blocks(POLICIES, "cedar");
    assert!(shown.len() >= 4, "{shown:?}");
    for text in shown {
        let source = PolicySource {
            scope: Scope::Namespace("finance".to_owned()),
            name: "docs".to_owned(),
            mode: Mode::Enforce,
            policies: vec![PolicyText {
                id: "shown".to_owned(),
                cedar: text.to_owned(),
                obligations: Vec::new(),
            }],
            tests: Vec::new(),
        };
        compiles(&source, text);
    }
}

#[test]
fn each_object_that_is_shown_compiles_and_passes_its_tests() {
    let (mut namespaced, mut cluster) = (0, 0);
    for yaml in blocks(POLICIES, "yaml") {
        if yaml.contains("kind: ClusterAgentPolicy\n") {
            let object: ClusterAgentPolicy = serde_saphyr::from_str(yaml).unwrap();
            compiles(&object.source(), yaml);
            cluster += 1;
        } else if yaml.contains("kind: AgentPolicy\n") {
            let object: AgentPolicy = serde_saphyr::from_str(yaml).unwrap();
            compiles(&object.source(), yaml);
            namespaced += 1;
        }
    }
    assert!(namespaced >= 2 && cluster >= 1, "{namespaced} {cluster}");
}

#[test]
fn each_reason_is_explained() {
    let words: Vec<&str> = REASONS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \""))
        .map(|(word, _)| word)
        .collect();
    assert!(words.len() >= 25, "{words:?}");
    for word in words {
        assert!(DECISIONS.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn json_that_is_shown_is_json() {
    let shown = blocks(DECISIONS, "json");
    assert!(shown.len() >= 2, "{shown:?}");
    for text in shown {
        if let Err(why) = serde_json::from_str::<serde_json::Value>(text) {
            panic!("{why}\n\n{text}");
        }
    }
}
