#![allow(clippy::unwrap_used, reason = "a failing test should panic")]

use clap::Parser;
use countersign_authority::Bundle;
use countersign_statement::agent;
use serde_json::json;

use super::build::{What, delegation, places, seconds};
use super::check::{Above, Asked, Delegate, forecast};
use super::look::{of_identity, of_parent, only};
use super::sign::{Signing, statement};
use crate::fixture::{DOMAIN, Signed, grants, now, plus, spiffe_id, world};
use crate::world::Key;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    what: What,
}

fn what(line: &str) -> What {
    let line = format!("delegate {line} --action read --resource ledger/*");
    Line::try_parse_from(line.split_whitespace()).unwrap().what
}

fn above() -> Above {
    Above {
        name: "delegation finance/a".to_owned(),
        grants: grants(
            json!([{"actions": ["read"], "resources": ["ledger/*"], "constraints": {"maxCalls": 10}}]),
        ),
        ends: Some(plus(600)),
        depth: 1,
        max_depth: 3,
        subjects: vec![spiffe_id("finance", "planner")],
        not_ready: None,
    }
}

fn asked(grant: serde_json::Value) -> Asked {
    Asked {
        grants: grants(json!([grant])),
        expires_after: 300,
        max_depth: 0,
        longest: Some(86_400),
    }
}

fn narrow() -> Asked {
    asked(
        json!({"actions": ["read"], "resources": ["ledger/invoices/*"], "constraints": {"maxCalls": 3}}),
    )
}

#[test]
fn a_root_is_in_the_namespace_of_its_delegate() {
    let what = what(
        "--from owner/alice --to finance/planner --max-data-class internal --audience bank --max-calls 5 --not-after 2026-11-30T18:00:00.9Z",
    );
    let places = places(&what, "default").unwrap();
    assert_eq!(places.key, Key::new("finance", "alice-to-planner"));
    let object = delegation(&what, &places, None);
    let value = serde_json::to_value(&object).unwrap();
    assert_eq!(
        value.get("spec").unwrap(),
        &json!({
            "from": {"owner": {"name": "alice"}},
            "to": {"name": "planner"},
            "grants": [{
                "actions": ["read"], "resources": ["ledger/*"],
                "constraints": {"maxDataClass": "Internal", "audiences": ["bank"],
                                "notAfter": "2026-11-30T18:00:00Z", "maxCalls": 5},
            }],
            "expiresAfterSeconds": 900, "maxDepth": 0, "desiredState": "Active",
        })
    );
    assert_eq!(object.metadata.namespace.as_deref(), Some("finance"));
}

#[test]
fn a_hop_is_in_the_namespace_of_its_delegator() {
    let what =
        what("--from agent/planner --to clerk --to-namespace archive --name x --expires-after 1h");
    let places = places(&what, "finance").unwrap();
    assert_eq!(places.key, Key::new("finance", "x"));
    let object = delegation(
        &what,
        &places,
        Some(&Key::new("finance", "alice-to-planner")),
    );
    let value = serde_json::to_value(&object.spec).unwrap();
    assert_eq!(
        value.get("to").unwrap(),
        &json!({"name": "clerk", "namespace": "archive"})
    );
    assert_eq!(
        value.get("parentRef").unwrap(),
        &json!({"name": "alice-to-planner"})
    );
    assert_eq!(object.spec.expires_after_seconds, 3600);
    let elsewhere = delegation(&what, &places, Some(&Key::new("research", "p")));
    assert_eq!(
        elsewhere.spec.parent_ref.unwrap().namespace.as_deref(),
        Some("research")
    );
}

#[test]
fn places_that_contradict_each_other_are_refused() {
    for line in [
        "--from agent/a --to n/b --to-namespace m",
        "--from agent/a --to a/b/c",
        "--from agent/a --to /b",
        "--from owner/a --to b --parent c",
    ] {
        assert!(places(&what(line), "n").is_err(), "{line}");
    }
}

#[test]
fn spans_are_read_strictly() {
    for (text, wanted) in [
        ("15m", 900),
        ("1h30m", 5400),
        ("90s", 90),
        ("90", 90),
        ("365d", 31_536_000),
    ] {
        assert_eq!(seconds(text), Ok(wanted), "{text}");
    }
    for text in [
        "",
        "0",
        "0s",
        "m",
        "-1m",
        "1.5h",
        "1h30",
        "30m1h",
        "1m1m",
        "1w",
        "366d",
        "99999999999999999999d",
        "9223372036854775807d",
    ] {
        assert!(seconds(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_narrower_is_not_refused() {
    let told = forecast(&narrow(), &above(), &Delegate::default(), now());
    assert_eq!(
        (told.refused.len(), told.cut.len(), told.waits.len()),
        (0, 0, 0),
        "{told:?}"
    );
    assert_eq!(told.ends, Some(plus(300)));
}

#[test]
fn each_grant_that_widens_is_named() {
    let mut asked = narrow();
    asked.grants.extend(grants(json!([
        {"actions": ["write"], "resources": ["ledger/*"], "constraints": {"maxCalls": 1}},
        {"actions": ["read"], "resources": ["ledger/*"]},
    ])));
    let told = forecast(&asked, &above(), &Delegate::default(), now());
    let [write, calls] = told.refused.as_slice() else {
        panic!("{told:?}")
    };
    assert!(write.contains("grants[1] widens: \"write\""), "{write}");
    assert!(
        calls.contains("grants[2]") && calls.contains("maxCalls"),
        "{calls}"
    );
    assert!(calls.contains("delegation finance/a is above"), "{calls}");
}

#[test]
fn depth_and_end_are_cut_and_exhausted_ones_are_refused() {
    let mut asked = narrow();
    asked.max_depth = 5;
    asked.expires_after = 3600;
    let told = forecast(&asked, &above(), &Delegate::default(), now());
    assert!(told.refused.is_empty());
    let [depth, end] = told.cut.as_slice() else {
        panic!("{told:?}")
    };
    assert!(depth.contains("maxDepth 5 is cut to 1"), "{depth}");
    assert!(
        end.contains("in 10m") && end.contains("the end of delegation finance/a"),
        "{end}"
    );
    assert_eq!(told.ends, Some(plus(600)));
    let delegate = Delegate {
        deadline: Some(plus(60)),
        ..Delegate::default()
    };
    assert_eq!(
        forecast(&asked, &above(), &delegate, now()).ends,
        Some(plus(60))
    );
    let bottom = Above {
        depth: 3,
        ..above()
    };
    let told = forecast(&narrow(), &bottom, &Delegate::default(), now());
    assert!(told.refused.first().unwrap().contains("hop 4"), "{told:?}");
    let over = Above {
        ends: Some(plus(-5)),
        ..above()
    };
    assert_eq!(
        forecast(&narrow(), &over, &Delegate::default(), now())
            .refused
            .len(),
        1
    );
}

#[test]
fn a_cycle_is_refused_and_what_is_not_there_yet_is_waited_for() {
    let delegate = Delegate {
        spiffe_id: Some(spiffe_id("finance", "planner")),
        deadline: None,
        not_ready: Some("no SPIFFE ID yet".to_owned()),
    };
    let above = Above {
        not_ready: Some("it is Stalled".to_owned()),
        ..above()
    };
    let told = forecast(&narrow(), &above, &delegate, now());
    assert!(
        told.refused.first().unwrap().contains("a cycle"),
        "{told:?}"
    );
    assert_eq!(told.waits.len(), 2);
}

#[test]
fn the_only_ready_delegation_of_an_agent_is_its_parent() {
    let all = || world().delegations;
    let planner = Key::new("finance", "planner");
    let found = only(all(), &planner, true).unwrap();
    assert_eq!(found.metadata.name.as_deref(), Some("alice-to-planner"));
    let clerk = only(all(), &Key::new("archive", "clerk"), true).unwrap();
    assert_eq!(clerk.metadata.name.as_deref(), Some("reader-to-clerk"));
    let none = only(all(), &Key::new("finance", "stuck"), false)
        .unwrap_err()
        .to_string();
    assert!(none.contains("holds no delegation"), "{none}");
    let mut twice = all();
    let mut other = twice.first().unwrap().clone();
    other.metadata.name = Some("second".to_owned());
    twice.push(other);
    let several = only(twice, &planner, true).unwrap_err().to_string();
    assert!(
        several.contains("finance/second") && several.contains("--parent"),
        "{several}"
    );
}

#[test]
fn what_is_above_is_read_from_the_parents_statements() {
    let signed = Signed::new(DOMAIN);
    let chain = signed.chain();
    let mut parent = world().delegations.remove(0);
    let status = parent.status.as_mut().unwrap();
    status.ancestors = vec![chain.first().unwrap().compact().to_owned()];
    status.statement = Some(chain.get(1).unwrap().compact().to_owned());
    let above = of_parent(&parent);
    assert_eq!((above.depth, above.max_depth), (1, 3));
    assert!(above.subjects.contains(&spiffe_id("finance", "planner")));
    assert_eq!(above.not_ready, None);
    let world = world();
    let clerk = of_identity(
        &Key::new("finance", "stuck"),
        world.identities.get(2).unwrap(),
    );
    assert!(clerk.spiffe_id.is_some() && clerk.not_ready.is_none());
}

#[test]
fn an_agents_signature_says_what_the_spec_says() {
    let signed = Signed::new(DOMAIN);
    let chain = signed.chain();
    let planner = spiffe_id("finance", "planner");
    let (certificate, key) = signed.certificate(&planner);
    let what = what("--from agent/planner --to invoice-reader --max-depth 1 --expires-after 5m");
    let places = places(&what, "finance").unwrap();
    let object = delegation(
        &what,
        &places,
        Some(&Key::new("finance", "alice-to-planner")),
    );
    let signing = Signing {
        key: &key,
        chain: &certificate,
        delegator: &planner,
        delegate: &spiffe_id("finance", "invoice-reader"),
        parent_digest: &chain.get(1).unwrap().digest().to_string(),
        depth: 2,
        now: now(),
    };
    let compact = statement(&object, &signing).unwrap();
    let bundle = Bundle::from_spiffe_json(&signed.bundle()).unwrap();
    let request = agent::verify(&compact, &bundle, now()).unwrap().request;
    assert_eq!(
        request.grants,
        grants(json!([{"actions": ["read"], "resources": ["ledger/*"]}]))
    );
    assert_eq!((request.max_depth, request.expires_at), (3, plus(300)));
    assert_eq!(request.parent, *chain.get(1).unwrap().digest());
    let no_chain = Signing {
        chain: "",
        ..signing
    };
    assert!(
        statement(&object, &no_chain)
            .unwrap_err()
            .to_string()
            .contains("no certificate")
    );
}
