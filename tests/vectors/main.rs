//! The published test vectors of `docs/statements.md`: they are what this code makes, and each
//! verifier says of each what is expected.
//!
//! ```text
//!  seeds, claims ──▶ JWS made by hand ──▶ examples/vectors/*.json ──┬─▶ countersign_statement
//!                                                                   └─▶ examples/verify_chain.py
//! ```
//!
//! What is signed here is made by hand, as most of it is nothing that a signer of ours would sign.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod agent;
mod claims;
mod encoding;
mod grants;
mod header;
mod judge;
mod keys;
mod moments;
mod places;
mod programs;
mod rules;
mod story;
mod valid;
mod vector;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use vector::{Expect, File, sorted};

/// Each word that a verifier may give, but `crypto`, with which nothing was decided.
const CATEGORIES: [&str; 32] = [
    "agent-statement",
    "algorithm",
    "bad-claims",
    "bad-header",
    "bad-signature",
    "before-parent",
    "cycle",
    "delegator",
    "depth",
    "empty",
    "expired",
    "forbidden-header",
    "no-lifetime",
    "no-root",
    "not-compact",
    "not-yet-valid",
    "other-owner",
    "other-purpose",
    "other-trust-domain",
    "parent-hash",
    "retired-key",
    "reused-id",
    "revoked",
    "stale",
    "too-deep",
    "too-large",
    "too-long",
    "type",
    "unknown-key",
    "widens-depth",
    "widens-expiry",
    "widens-grants",
];

/// Each file's name and content.
fn files() -> Vec<(&'static str, File)> {
    let file = |vectors| File {
        trust_domain: story::TRUST_DOMAIN.to_owned(),
        now: story::NOW,
        bundle: keys::bundle(),
        vectors,
    };
    vec![
        ("valid.json", file(valid::vectors())),
        ("encoding.json", file(encoding::vectors())),
        ("header.json", file(header::vectors())),
        ("claims.json", file(claims::vectors())),
        ("places.json", file(places::vectors())),
        ("rules.json", file(rules::vectors())),
        ("grants.json", file(grants::vectors())),
        ("moments.json", file(moments::vectors())),
        ("agent.json", file(agent::vectors())),
    ]
}

/// Where they are published.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/vectors")
}

#[test]
fn the_published_vectors_are_what_this_code_makes() {
    let pretty = |value| serde_json::to_string_pretty(&sorted(value)).unwrap() + "\n";
    let mut texts: Vec<(&str, String)> = files()
        .iter()
        .map(|(name, file)| (*name, file.to_json()))
        .collect();
    // What the programs of the README and of `examples/` are shown with.
    texts.push(("bundle.json", pretty(keys::bundle())));
    texts.push(("chain.json", pretty(story::chain(4, |_, _| {}).into())));
    let update = std::env::var_os("UPDATE").is_some();
    if update {
        fs::create_dir_all(folder()).unwrap();
    }
    for (name, text) in &texts {
        let path = folder().join(name);
        if update {
            fs::write(&path, text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == *text,
            "{name} differs: UPDATE=1 cargo test --test vectors"
        );
    }
    let expected: BTreeSet<_> = texts.iter().map(|(name, _)| (*name).into()).collect();
    let found = fs::read_dir(folder()).unwrap();
    let found: BTreeSet<_> = found.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(found, expected, "nothing else is published");
}

#[test]
fn this_verifier_says_of_each_vector_what_is_expected() {
    let mut wrong = Vec::new();
    for (name, file) in files() {
        for vector in &file.vectors {
            let found = judge::judge(&file, vector);
            if found != vector.expect {
                wrong.push(format!(
                    "{name}: {}: expected {:?}, found {found:?}",
                    vector.name, vector.expect
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_category_has_a_vector_and_a_place_on_the_page() {
    let mut found = BTreeSet::new();
    let mut names = BTreeSet::new();
    for (_, file) in files() {
        for vector in file.vectors {
            assert!(names.insert(vector.name.clone()), "{} twice", vector.name);
            if let Expect::Broken { category, .. } = vector.expect {
                found.insert(category);
            }
        }
    }
    let all: BTreeSet<String> = CATEGORIES.iter().map(|&it| it.to_owned()).collect();
    assert_eq!(found, all);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/statements.md");
    let page = fs::read_to_string(page).unwrap();
    for category in CATEGORIES {
        assert!(page.contains(&format!("`{category}`")), "{category}");
    }
}
