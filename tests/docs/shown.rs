//! What pages show can be done: each object of ours is one, and each command has the flags that are
//! given to it.

use std::collections::BTreeMap;

use countersign_api::{
    AgentIdentity, AgentOwner, AgentPolicy, ClusterAgentPolicy, Delegation, TaskKind, TrustDomain,
};
use serde::de::DeserializeOwned;

use crate::pages::{blocks, files, read};

fn is<T: DeserializeOwned>(text: &str) -> Result<(), String> {
    serde_saphyr::from_str::<T>(text)
        .map(drop)
        .map_err(|why| why.to_string())
}

#[test]
fn each_object_that_a_page_shows_can_be_read() {
    let mut count = 0;
    let mut pages = files("docs", ".md");
    pages.push("README.md".to_owned());
    for page in pages {
        let text = read(&page);
        for block in blocks(&text, "yaml") {
            for object in block.split("\n---\n") {
                if !object.contains("apiVersion: countersign.dev/v1alpha1\n") {
                    continue;
                }
                let kind = object
                    .lines()
                    .find_map(|line| line.strip_prefix("kind: "))
                    .and_then(|line| line.split_whitespace().next());
                let read = match kind.unwrap_or_default() {
                    "TrustDomain" => is::<TrustDomain>(object),
                    "AgentOwner" => is::<AgentOwner>(object),
                    "AgentIdentity" => is::<AgentIdentity>(object),
                    "Delegation" => is::<Delegation>(object),
                    "AgentPolicy" => is::<AgentPolicy>(object),
                    "ClusterAgentPolicy" => is::<ClusterAgentPolicy>(object),
                    "TaskKind" => is::<TaskKind>(object),
                    other => Err(format!("there is no kind {other:?}")),
                };
                count += 1;
                assert_eq!(read, Ok(()), "{page}\n\n{object}");
            }
        }
    }
    assert!(count >= 8, "only {count} objects are shown");
}

/// The help of each command, by its words: `kubectl countersign audit verify`.
fn helps() -> BTreeMap<String, String> {
    let mut helps = BTreeMap::new();
    for page in ["countersign", "kubectl-countersign"] {
        let text = read(&format!("docs/reference/{page}.md"));
        let name = page.replace('-', " ");
        for section in text.split("\n## ").skip(1) {
            let (heading, help) = section.split_once('\n').unwrap();
            assert!(heading.starts_with(&name), "{heading}");
            helps.insert(heading.to_owned(), help.to_owned());
        }
    }
    helps
}

/// A flag without which a command is refused, and the variable that does instead.
struct Required {
    flag: String,
    variable: Option<String>,
}

/// Of a usage line, what is in neither brackets nor a choice: `why [OPTIONS] --audit <URL> <DECISION>`.
fn required(help: &str) -> Vec<Required> {
    let usage = help.split_once("Usage: ").unwrap().1;
    let usage = usage.split("\n\n").next().unwrap().replace('\n', " ");
    usage
        .split_whitespace()
        .filter(|it| it.starts_with("--"))
        .map(|flag| Required {
            flag: flag.to_owned(),
            variable: variable_of(help, flag),
        })
        .collect()
}

/// `[env: NAME]` below the flag's own line, before the next flag's.
fn variable_of(help: &str, flag: &str) -> Option<String> {
    let own = |line: &&str| {
        let line = line.trim_start();
        line.starts_with('-') && line.split_whitespace().any(|it| it == flag)
    };
    help.lines()
        .skip_while(|line| !own(line))
        .skip(1)
        .take_while(|it| !it.trim_start().starts_with('-'))
        .find_map(|it| it.trim().strip_prefix("[env: ")?.strip_suffix(']'))
        .map(|it| it.trim_end_matches('=').to_owned())
}

#[test]
fn each_command_that_a_page_shows_has_its_flags() {
    let helps = helps();
    let mut count = 0;
    let mut pages = files("docs", ".md");
    pages.retain(|page| !page.starts_with("docs/reference/"));
    pages.push("README.md".to_owned());
    for page in pages {
        let text = read(&page);
        for block in blocks(&text, "sh") {
            let whole = block.replace("\\\n", " ");
            for line in whole.lines() {
                let line = line.split(" #").next().unwrap().trim();
                // The longest name that it begins with.
                let Some((name, help)) = helps
                    .iter()
                    .filter(|(name, _)| {
                        line.strip_prefix(name.as_str())
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                    })
                    .max_by_key(|(name, _)| name.len())
                else {
                    continue;
                };
                count += 1;
                // What it is piped into is something else.
                let own = line.split(" | ").next().unwrap();
                for missing in required(help) {
                    let told = own.contains(&missing.flag)
                        || missing
                            .variable
                            .as_ref()
                            .is_some_and(|it| whole.contains(&format!("{it}=")));
                    assert!(told, "{page}: {name} needs {}: {line}", missing.flag);
                }
                for word in own.split_whitespace().filter(|it| it.starts_with("--")) {
                    let flag = word.split('=').next().unwrap();
                    let known = help
                        .split(|it: char| it.is_whitespace() || "=[,".contains(it))
                        .any(|it| it == flag);
                    assert!(known, "{page}: {name} has no {flag}: {line}");
                }
            }
        }
    }
    assert!(count >= 20, "only {count} commands are shown");
}
