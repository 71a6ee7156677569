#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test should panic"
)]

use std::sync::Arc;

use countersign_audit::{
    Decision, DelegationRef, Entry, Kind, Log, ObjectRef, Outcome, Requester, RiskPart, Settings,
};
use serde_json::json;
use tempfile::TempDir;

use super::advice::{Agent, advice};
use super::model::Why;
use super::show::{bar, text};
use super::{id, read};
use crate::fixture::{DOMAIN, grants, now, plus, spiffe_id};
use crate::output::{Format, shown};

const DENIED: &str = "9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d";
const ALLOWED: &str = "00000000000000000000000000000001";

/// The source of every reason.
const REASONS: &str = include_str!("../../decision/answer.rs");

fn hop(depth: u8, (from, to): (Option<&str>, &str)) -> Entry {
    let name = format!("to-{to}");
    let object = ObjectRef {
        kind: "Delegation".to_owned(),
        namespace: Some("finance".to_owned()),
        name: name.clone(),
        uid: format!("uid-{name}"),
    };
    let mut entry = Entry::new(
        plus(i64::from(depth)),
        Kind::DelegationGranted,
        Outcome::Allowed,
        DOMAIN,
        object,
    );
    entry.owner = Some("alice".to_owned());
    entry.spiffe_id = Some(spiffe_id("finance", to));
    entry.requester = Some(Requester {
        username: format!("who-asked-for-{depth}"),
        uid: None,
    });
    entry.permissions = grants(json!([{"actions": ["read"], "resources": ["ledger/*"]}]));
    entry.delegation = Some(held(depth, from, to));
    entry
}

fn held(depth: u8, from: Option<&str>, to: &str) -> DelegationRef {
    DelegationRef {
        digest: format!("digest-{depth}"),
        parent: Some(format!("digest-{}", depth - 1)),
        root: Some("digest-0".to_owned()),
        depth,
        uid: format!("uid-to-{to}"),
        parent_uid: None,
        expires: plus(900),
        delegator: from.map(|it| spiffe_id("finance", it)),
        delegate: Some(spiffe_id("finance", to)),
    }
}

/// As a decision point writes it.
fn decided(id: &str, outcome: Outcome, reason: &str) -> Entry {
    let object = ObjectRef {
        kind: "Decision".to_owned(),
        namespace: Some("finance".to_owned()),
        name: "read".to_owned(),
        uid: id.to_owned(),
    };
    let mut entry = Entry::new(plus(60), Kind::ActionDecided, outcome, DOMAIN, object);
    entry.spiffe_id = Some(spiffe_id("finance", "reader"));
    entry.serial_number = Some("7f3a09c44be1d02283a1c0ffee5eed00".to_owned());
    entry.owner = Some("alice".to_owned());
    entry.requester = Some(Requester {
        username: "who-asked-for-1".to_owned(),
        uid: None,
    });
    entry.action = Some("read".to_owned());
    entry.resource = Some("ledger/invoices/7".to_owned());
    entry.reason = reason.to_owned();
    entry.message = "the risk is 72, and 60 is too much".to_owned();
    entry.decision = Some(Decision {
        caller: "spiffe://example.org/envoy".to_owned(),
        policies: vec!["cluster/guard/risk".to_owned()],
        would_deny: vec!["cluster/trial/night".to_owned()],
        policy_set: "sha256:ab".to_owned(),
        obligations: vec!["notification".to_owned()],
        sensitivity: "Confidential".to_owned(),
        risk: 72,
        anomaly: 10,
        risk_parts: vec![
            RiskPart {
                kind: "falco/Terminal shell in container".to_owned(),
                score: 72,
                why: "a shell in the pod".to_owned(),
            },
            RiskPart {
                kind: "behaviour/rate".to_owned(),
                score: 10,
                why: "twice its own rate".to_owned(),
            },
        ],
        request_id: Some("req-1".to_owned()),
    });
    entry
}

fn under_delegation(mut entry: Entry) -> Entry {
    entry.delegation = Some(DelegationRef {
        parent: None,
        delegator: None,
        ..held(2, None, "reader")
    });
    entry
}

/// A log with these entries, and where it is.
async fn log(entries: Vec<Entry>) -> (TempDir, String) {
    let place = TempDir::new().unwrap();
    let url = format!("sqlite:{}", place.path().join("audit.db").display());
    let log = Log::open(Settings::new(&url, "w-0", Arc::new(now)))
        .await
        .unwrap();
    let writing = async {
        for entry in entries {
            log.append(entry).await.unwrap();
        }
        log.close().await;
    };
    tokio::join!(log.run(), writing);
    (place, url)
}

async fn explained(entries: Vec<Entry>, id: &str) -> Why {
    let (_place, url) = log(entries).await;
    read(&url, id).await.unwrap().unwrap()
}

fn chain() -> Vec<Entry> {
    vec![
        hop(1, (None, "planner")),
        hop(2, (Some("planner"), "reader")),
    ]
}

#[tokio::test]
async fn a_denial_is_explained_from_the_log_alone() {
    let denied = decided(DENIED, Outcome::Refused, "RiskTooHigh");
    let mut entries = chain();
    entries.push(under_delegation(denied));
    let why = explained(entries, DENIED).await;
    assert!(!why.allowed && why.gaps.is_empty(), "{why:?}");
    let shown = text(&why);
    for part in [
        "denied: read on ledger/invoices/7 (RiskTooHigh)",
        "the risk is 72, and 60 is too much",
        "when          2026-11-24T12:01:00Z",
        "agent         finance/reader",
        "certificate   7f3a09c44be1d02283a1c0ffee5eed00",
        "requested by  who-asked-for-1",
        "data          Confidential",
        "asked by      spiffe://example.org/envoy",
        "on the authority of a delegation 2 hops from its owner",
        "hop 2  finance/to-reader: finance/planner to finance/reader, asked for by who-asked-for-2",
        "hop 1  finance/to-planner: owner alice to finance/planner, asked for by who-asked-for-1",
        "cluster/guard/risk",
        "would be denied by, were their mode Enforce\n  cluster/trial/night",
        "to be done along with it: notification",
        "falco/Terminal shell in container   72 ███████████████░░░░░  a shell in the pod",
        "behaviour/rate                      10 ██░░",
        "kubectl patch agid reader -n finance",
    ] {
        assert!(shown.contains(part), "{part:?} is not in:\n{shown}");
    }
    let json = shown_as_json(&why);
    assert_eq!(json["allowed"], false);
    assert_eq!(json["riskParts"][0]["score"], 72);
    assert_eq!(json["chain"][1]["requester"], "who-asked-for-1");
    assert_eq!(json["record"], "example.org/w-0:3");
}

fn shown_as_json(why: &Why) -> serde_json::Value {
    let json = shown(Format::Json, why, text).unwrap();
    serde_json::from_str(&json).unwrap()
}

#[tokio::test]
async fn a_denial_is_the_last_word_on_an_allow_that_was_never_given_out() {
    let allow = || decided(DENIED, Outcome::Allowed, "Permitted");
    let denial = || decided(DENIED, Outcome::Refused, "NotRecorded");
    for (entries, first, last) in [
        (
            [allow(), denial()],
            "example.org/w-0:1",
            "example.org/w-0:2",
        ),
        (
            [denial(), allow()],
            "example.org/w-0:2",
            "example.org/w-0:1",
        ),
    ] {
        let (_place, url) = log(entries.to_vec()).await;
        let why = read(&url, DENIED).await.unwrap().unwrap();
        assert_eq!((why.allowed, &*why.reason), (false, "NotRecorded"));
        let shown = text(&why);
        assert!(
            shown.contains(&format!("record {first} allows it")),
            "{shown}"
        );
        assert!(shown.contains("never given out"), "{shown}");
        assert_eq!(shown_as_json(&why)["notGivenOut"], first);
        // However it was found.
        let reader = countersign_audit::Reader::open(&url).await.unwrap();
        for subject in [DENIED, first, last] {
            let subject = crate::trail::Subject::parse(subject).unwrap();
            let trail = crate::trail::read(&reader, subject).await.unwrap();
            let decision = trail.decision.unwrap();
            assert_eq!((decision.allowed, &*decision.record), (false, last));
            assert_eq!(decision.not_given_out.as_deref(), Some(first));
        }
    }
}

#[tokio::test]
async fn an_allow_without_a_delegation_has_the_agents_own_authority() {
    let mut entries = chain();
    entries.push(decided(ALLOWED, Outcome::Allowed, "Permitted"));
    let why = explained(entries, ALLOWED).await;
    assert!(why.chain.is_empty() && why.delegation.is_none(), "{why:?}");
    let shown = text(&why);
    assert!(shown.starts_with("allowed: read"), "{shown}");
    assert!(shown.contains("on its own authority"), "{shown}");
    assert!(why.advice.contains("mode Audit"), "{}", why.advice);
}

#[tokio::test]
async fn a_chain_that_the_log_has_no_more_is_told() {
    let denied = decided(DENIED, Outcome::Refused, "NotGranted");
    let why = explained(vec![under_delegation(denied)], DENIED).await;
    assert!(text(&why).contains("missing: the log has no record of the delegation"));
}

#[tokio::test]
async fn what_the_log_has_not_is_not_found_whatever_else_has_this_uid() {
    let mut other = hop(1, (None, "planner"));
    other.object.uid = ALLOWED.to_owned();
    let (_place, url) = log(vec![other]).await;
    assert_eq!(read(&url, ALLOWED).await.unwrap(), None);
    assert_eq!(read(&url, DENIED).await.unwrap(), None);
    assert!(read("sqlite:/nowhere/audit.db", DENIED).await.is_err());
}

#[tokio::test]
async fn a_decision_leads_to_the_requester_of_its_chains_root() {
    let mut entries = chain();
    // A second chain to the same agent, which this decision did not rest on.
    let mut other = hop(1, (None, "reader"));
    other.object.uid = "uid-other".to_owned();
    other.delegation = Some(DelegationRef {
        digest: "digest-other".to_owned(),
        uid: "uid-other".to_owned(),
        ..held(1, None, "reader")
    });
    entries.push(other);
    entries.push(under_delegation(decided(
        DENIED,
        Outcome::Refused,
        "NoPolicyPermits",
    )));
    let (_place, url) = log(entries).await;
    let reader = countersign_audit::Reader::open(&url).await.unwrap();
    let subject = crate::trail::Subject::parse(DENIED).unwrap();
    let trail = crate::trail::read(&reader, subject).await.unwrap();
    let [chain] = trail.chains.as_slice() else {
        panic!("{trail:?}")
    };
    let root = chain.last().unwrap();
    assert_eq!(root.requester.as_deref(), Some("who-asked-for-1"));
    assert_eq!(trail.decision.as_ref().unwrap().reason, "NoPolicyPermits");
}

#[tokio::test]
async fn hostile_words_can_not_break_a_line() {
    let mut denied = decided(DENIED, Outcome::Refused, "X\nallowed: all");
    denied.message = "\u{1b}[2Jallowed".to_owned();
    denied.spiffe_id = Some("spiffe://x/ns/a;reboot/agent/$(reboot)/x".to_owned());
    let decision = denied.decision.as_mut().unwrap();
    decision.policies = vec!["a\nallowed: all".to_owned()];
    decision.risk_parts = vec![RiskPart {
        kind: "k\u{202e}".to_owned(),
        score: 255,
        why: "\nallowed: all".to_owned(),
    }];
    let shown = text(&explained(vec![denied], DENIED).await);
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
    assert!(
        !shown
            .lines()
            .any(|it| it.trim_start().starts_with("allowed"))
    );
}

#[test]
fn each_reason_has_its_advice() {
    let agent = Agent::of(Some(&spiffe_id("finance", "reader")));
    let words: Vec<&str> = REASONS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \""))
        .map(|(word, _)| word)
        .collect();
    assert!(words.len() >= 25, "{words:?}");
    for word in words {
        let advice = advice(word, &agent, false);
        assert_ne!(advice, "the explanation says more", "{word}");
        assert_eq!(advice.is_empty(), word == "Permitted", "{word}");
    }
    assert!(!advice("Newer", &agent, false).is_empty());
}

#[test]
fn a_suggested_command_has_only_names_that_can_be_names() {
    let of = |id: &str| {
        let it = Agent::of(Some(id));
        (it.namespace, it.name)
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(of(&spiffe_id("ns", "a.b-1")), pair("ns", "a.b-1"));
    for bad in [
        "",
        "spiffe://x",
        "spiffe://x/ns/a b/agent/-rf",
        "spiffe://x/ns/$(id)/agent/`id`",
        "spiffe://x/owner/a/agent",
    ] {
        assert_eq!(of(bad), pair("NAMESPACE", "NAME"), "{bad}");
    }
    assert_eq!(Agent::of(None).name, "NAME");
}

#[test]
fn an_id_is_taken_as_it_was_copied_and_nothing_else() {
    assert_eq!(
        id(&format!(" {} ", DENIED.to_uppercase())),
        Ok(DENIED.to_owned())
    );
    for bad in ["", "9b1d", "9b1deb4d3b7d4bad9bdd2b0d7b3dcb6z"] {
        assert!(id(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_bar_is_as_long_as_its_score() {
    assert_eq!(bar(0), "░".repeat(20));
    assert!(bar(1).starts_with("█░"));
    assert_eq!(bar(100), "█".repeat(20));
    assert_eq!(bar(255), "█".repeat(20));
}
