//! The page about metrics has those of the programs, and no others; and each alert.

use std::collections::BTreeSet;

use crate::pages::{code_words, files, read, without_tests};

const MONITORING: &str = "docs/monitoring.md";

/// The names that programs register, without the endings by which Prometheus tells parts of them.
fn registered() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files("src", ".rs") {
        if path.contains("/tests/") || path.ends_with("tests.rs") || path.starts_with("src/bench") {
            continue;
        }
        let text = read(&path);
        let text = without_tests(&text);
        for (call, unit) in [(".register(", ""), (".register_with_unit(", "_seconds")] {
            for after in text.split(call).skip(1) {
                let Some(after) = after.trim_start().strip_prefix('"') else {
                    continue;
                };
                let name = after.split('"').next().unwrap();
                names.insert(format!("countersign_{name}{unit}"));
            }
        }
    }
    assert!(names.len() >= 35, "only {names:?}");
    names
}

#[test]
fn each_metric_is_explained_and_none_that_there_is_not() {
    let names = registered();
    let told: BTreeSet<String> = code_words(&read(MONITORING))
        .into_iter()
        .filter(|word| word.starts_with("countersign_"))
        .filter(|word| word.chars().all(|it| it.is_ascii_lowercase() || it == '_'))
        .collect();
    let missing: Vec<&String> = names.difference(&told).collect();
    assert!(missing.is_empty(), "{MONITORING} lacks {missing:?}");
    let others: Vec<&String> = told.difference(&names).collect();
    assert!(others.is_empty(), "no program has {others:?}");
}

#[test]
fn each_alert_is_explained() {
    let rules = files("charts/countersign/files", ".yaml");
    let rules: String = rules.iter().map(|it| read(it)).collect();
    let alerts: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() >= 20, "{alerts:?}");
    let told = code_words(&read(MONITORING));
    for alert in alerts {
        assert!(told.iter().any(|it| it == alert), "{MONITORING}: {alert}");
    }
}
