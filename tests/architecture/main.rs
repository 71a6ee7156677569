//! Dependencies point one way. What each crate may name is written here; an edge that isn't is
//! refused, so that a new one is a decision and shows in a review.
//!
//! ```text
//!  core ◀─ api, authority, policy ◀─ statement, tasks, decision, audit ◀─┐
//!                                                            runtime ◀───┴─ controller, pdp, issuer, cli ◀─ root
//!  decision ◀─ authzen, extauthz, signals ◀─ pdp     api, decision ◀─ policies ◀─ controller, pdp
//!  http ◀─ signals, lists      runtime, statement ◀─ lists ◀─ pdp, issuer
//!  testbed, bench: development only
//! ```

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each crate and what it may name of ours outside its tests.
const LAYERS: [(&str, &[&str]); 24] = [
    ("core", &[]),
    ("api", &["core"]),
    ("authority", &["core"]),
    ("tasks", &["core"]),
    ("policy", &["core"]),
    ("decision", &["core", "authority", "statement", "policy"]),
    ("policies", &["core", "api", "policy", "decision"]),
    (
        "authzen",
        &["core", "decision", "statement", "authority", "policy"],
    ),
    (
        "extauthz",
        &["core", "decision", "statement", "authority", "runtime"],
    ),
    ("http", &[]),
    ("lists", &["authority", "statement", "http", "runtime"]),
    (
        "signals",
        &["core", "decision", "statement", "authority", "http"],
    ),
    (
        "pdp",
        &[
            "core",
            "api",
            "authority",
            "policy",
            "decision",
            "policies",
            "authzen",
            "extauthz",
            "signals",
            "http",
            "lists",
            "statement",
            "audit",
            "runtime",
        ],
    ),
    ("statement", &["core", "authority"]),
    ("jwtsvid", &["core", "authority", "statement"]),
    ("audit", &["core"]),
    ("runtime", &[]),
    (
        "controller",
        &[
            "core",
            "api",
            "authority",
            "tasks",
            "policy",
            "policies",
            "audit",
            "runtime",
            "statement",
        ],
    ),
    ("issuing", &[]),
    (
        "agent",
        &["core", "authority", "runtime", "issuing", "jwtsvid"],
    ),
    (
        "issuer",
        &[
            "core",
            "api",
            "authority",
            "statement",
            "audit",
            "runtime",
            "http",
            "lists",
            "issuing",
            "jwtsvid",
        ],
    ),
    ("cli", &["core", "api", "authority", "statement", "audit"]),
    ("testbed", &[]),
    (
        "bench",
        &[
            "testbed",
            "core",
            "api",
            "authority",
            "statement",
            "audit",
            "policy",
            "decision",
            "extauthz",
            "issuing",
        ],
    ),
];

/// What the root package may name: everything that isn't for development only.
const ROOT: [&str; 7] = [
    "api",
    "tasks",
    "runtime",
    "controller",
    "pdp",
    "issuer",
    "agent",
];

/// For development only: nothing that ships may name them.
const DEVELOPMENT: [&str; 2] = ["testbed", "bench"];

/// Libraries that have their one place (`Only`, tests included) or have no place in what some crates
/// ship (`Never`: their tests may meet a real API server), with the reason.
const LIBRARIES: [(&str, Placement, &str); 7] = [
    (
        "cel",
        Placement::Only(&["tasks"]),
        "task rules are judged in one place",
    ),
    (
        "cedar-policy",
        Placement::Only(&["policy"]),
        "policies are judged in one place",
    ),
    (
        "tonic",
        Placement::Only(&["extauthz", "issuing", "issuer", "agent", "bench"]),
        "gRPC is spoken at the edges",
    ),
    (
        "kube",
        Placement::Never(&[
            "core",
            "authority",
            "tasks",
            "policy",
            "decision",
            "authzen",
            "extauthz",
            "signals",
            "http",
            "lists",
            "audit",
            "statement",
        ]),
        "the domain knows no Kubernetes",
    ),
    (
        "k8s-openapi",
        Placement::Never(&[
            "core",
            "authority",
            "tasks",
            "policy",
            "decision",
            "authzen",
            "extauthz",
            "signals",
            "http",
            "lists",
            "audit",
            "statement",
        ]),
        "the domain knows no Kubernetes",
    ),
    (
        "tokio",
        Placement::Never(&[
            "core",
            "api",
            "authority",
            "tasks",
            "policy",
            "decision",
            "policies",
            "statement",
        ]),
        "what decides doesn't wait",
    ),
    (
        "rcgen",
        Placement::Only(&[
            "authority",
            "testbed",
            "bench",
            "extauthz",
            "decision",
            "controller",
            "issuer",
            "runtime", // that of the page of metrics, which signs itself and is of no trust domain
        ]),
        "certificates are made in one place",
    ),
];

#[derive(Debug, Clone, Copy)]
enum Placement {
    Only(&'static [&'static str]),
    Never(&'static [&'static str]),
}

/// A crate of the workspace: what it names in `[dependencies]` and `[build-dependencies]`, and
/// what it names anywhere.
#[derive(Debug, Default)]
struct Crate {
    shipped: BTreeSet<String>,
    all: BTreeSet<String>,
}

#[test]
fn dependencies_point_one_way() {
    let layers: BTreeMap<_, _> = LAYERS.into_iter().collect();
    let mut wrong = Vec::new();
    for (name, found) in crates() {
        let allowed: &[&str] = match layers.get(name.as_str()) {
            _ if name == "root" => &ROOT,
            Some(allowed) => allowed,
            None => {
                wrong.push(format!(
                    "{name} has no place in LAYERS (tests/architecture/main.rs)"
                ));
                continue;
            }
        };
        for named in found.shipped.iter().filter_map(|it| own(it)) {
            if !allowed.contains(&named) {
                wrong.push(format!("{name} → {named}: against the direction"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tests_look_down_too() {
    let layers: BTreeMap<_, _> = LAYERS.into_iter().collect();
    for (name, found) in crates() {
        let Some(allowed) = layers.get(name.as_str()) else {
            continue; // the root's tests may look at everything
        };
        for named in found.all.iter().filter_map(|it| own(it)) {
            assert!(
                named == "testbed" || allowed.contains(&named),
                "{name} → {named} in tests: against the direction"
            );
        }
    }
}

#[test]
fn nothing_that_ships_names_the_test_bed() {
    for (name, found) in crates() {
        if DEVELOPMENT.contains(&name.as_str()) {
            continue;
        }
        for named in found.shipped.iter().filter_map(|it| own(it)) {
            assert!(!DEVELOPMENT.contains(&named), "{name} ships {named}");
        }
    }
}

#[test]
fn libraries_stay_in_their_place() {
    let mut wrong = Vec::new();
    for (name, found) in crates() {
        for (library, placement, reason) in LIBRARIES {
            let (refused, named) = match placement {
                Placement::Only(places) => (
                    !places.contains(&name.as_str()) && name != "root",
                    &found.all,
                ),
                Placement::Never(places) => (places.contains(&name.as_str()), &found.shipped),
            };
            if refused && named.contains(library) {
                wrong.push(format!("{name} → {library}: {reason}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `countersign-core` → `core`; nothing for a library of others.
fn own(package: &str) -> Option<&str> {
    package.strip_prefix("countersign-")
}

/// The crates by their short names; the root package is `root`.
fn crates() -> BTreeMap<String, Crate> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 5, "the whole workspace is looked at");
    packages
        .iter()
        .map(|package| (short_name(package), dependencies(package)))
        .collect()
}

fn short_name(package: &Value) -> String {
    let name = package["name"].as_str().expect("a name");
    own(name).unwrap_or("root").to_owned()
}

fn dependencies(package: &Value) -> Crate {
    let mut found = Crate::default();
    for dependency in package["dependencies"].as_array().expect("dependencies") {
        let name = dependency["name"].as_str().expect("a name").to_owned();
        if dependency["kind"] != "dev" {
            found.shipped.insert(name.clone());
        }
        found.all.insert(name);
    }
    found
}
