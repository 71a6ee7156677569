//! What the API server stores, and who names whom.

use countersign_api as api;
use countersign_runtime::ObjectKey;
use countersign_statement::Digest;
use serde_json::{Value, json};

use super::super::observed::{From, ObjectName};
use super::super::parse;
use super::super::plan::plan;
use super::super::store::{Delegations, Object};
use super::fixture::{RING, granted_hop, id, recorded, written};

fn stored(name: &str, spec: Value, status: Value) -> api::Delegation {
    let object = json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "Delegation",
        "metadata": {
            "name": name, "namespace": "finance", "uid": format!("{name}-uid"),
            "resourceVersion": "7", "generation": 3,
            "creationTimestamp": "2027-01-15T08:00:00Z",
        },
        "spec": spec,
        "status": status,
    });
    serde_json::from_value(object).unwrap()
}

fn hop(name: &str, parent: &str, to: &str) -> api::Delegation {
    let spec = json!({
        "from": {"agent": {"name": "planner"}},
        "to": {"name": to},
        "parentRef": {"name": parent},
        "grants": [{"actions": ["read"], "resources": ["ledger/*"]}],
    });
    stored(name, spec, json!({}))
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(Some("finance"), name)
}

fn link(delegations: &Delegations, object: api::Delegation) {
    let name = object.metadata.name.clone().unwrap();
    delegations.link(&key(&name), Some(&Object::of(object).facts));
}

#[test]
fn a_root_is_read_as_it_was_asked_for() {
    let spec = json!({
        "from": {"owner": {"name": "alice"}},
        "to": {"name": "planner"},
        "grants": [{"actions": ["read"], "resources": ["ledger/*"],
                    "constraints": {"maxCalls": 5}}],
        "desiredState": "Revoked",
        "requester": {"username": "alice@example.com"},
    });
    let read = parse::delegation(&stored("root", spec, json!({})));
    assert_eq!((&read.uid[..], read.generation), ("root-uid", 3));
    assert_eq!(read.created.to_string(), "2027-01-15T08:00:00Z");
    assert_eq!(read.from, From::Owner("alice".to_owned()));
    assert_eq!(read.to, super::fixture::name("planner"));
    assert_eq!((&read.parent, read.max_depth), (&None, 0));
    assert_eq!(read.expires_after_seconds, 900);
    assert_eq!(read.grants[0].constraints.max_calls, Some(5));
    assert!(read.revoked && !read.deleting && !read.unknown_constraint);
    assert_eq!(read.requester.unwrap().username, "alice@example.com");
}

#[test]
fn a_hop_is_read_with_the_namespaces_that_it_names() {
    let spec = json!({
        "from": {"agent": {"name": "planner"}},
        "to": {"name": "clerk", "namespace": "archive"},
        "parentRef": {"name": "above", "namespace": "sales"},
        "grants": [],
        "maxDepth": 300,
        "expiresAfterSeconds": -1,
        "statement": "a.b.c",
    });
    let read = parse::delegation(&stored("hop", spec, json!({})));
    let named = |namespace: &str, name: &str| ObjectName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    assert_eq!(read.from, From::Agent("planner".to_owned()));
    assert_eq!(read.to, named("archive", "clerk"));
    assert_eq!(read.parent, Some(named("sales", "above")));
    assert_eq!(read.statement.as_deref(), Some("a.b.c"));
    // The schema refuses both; should it ever not, nothing is allowed.
    assert_eq!((read.max_depth, read.expires_after_seconds), (0, 0));
}

#[test]
fn a_constraint_of_a_newer_version_is_noticed_and_grants_nothing() {
    let spec = json!({
        "from": {"owner": {"name": "alice"}},
        "to": {"name": "planner"},
        "grants": [
            {"actions": ["read"], "resources": ["ledger/*"]},
            {"actions": ["pay"], "resources": ["bills/*"], "constraints": {"onlyOnSundays": true}},
        ],
    });
    let read = parse::delegation(&stored("root", spec, json!({})));
    assert!(read.unknown_constraint);
    assert_eq!(read.grants.len(), 1);
}

#[test]
fn a_status_survives_the_api_server() {
    let seen = granted_hop();
    let status = written(&seen, &plan(&seen), &RING, None).unwrap();
    let json = serde_json::to_string(&status).unwrap();
    let back: api::DelegationStatus = serde_json::from_str(&json).unwrap();
    assert_eq!(back, status);
    assert_eq!(recorded(&back, &RING, seen.now), seen.recorded);
}

#[test]
fn ancestors_without_a_statement_are_no_chain() {
    let status = json!({"ancestors": ["a.b.c"], "conditions": []});
    let object = stored(
        "hop",
        json!({"from": {}, "to": {"name": "x"}, "grants": []}),
        status,
    );
    assert_eq!(parse::statements(&object), Vec::<&str>::new());
}

#[test]
fn children_and_all_below_are_found_and_a_ring_is_walked_once() {
    let delegations = Delegations::default();
    link(&delegations, hop("a", "c", "x"));
    link(&delegations, hop("b", "a", "y"));
    link(&delegations, hop("c", "b", "z"));
    link(&delegations, hop("d", "b", "z"));
    assert_eq!(delegations.children(&key("a")), [key("b")]);
    let mut below = delegations.below(&key("a"));
    below.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(below, [key("b"), key("c"), key("d")]);
    delegations.link(&key("b"), None);
    assert_eq!(delegations.below(&key("a")), []);
    assert_eq!(delegations.below(&key("c")), [key("a")]);
}

#[test]
fn what_an_agent_an_owner_and_a_namespace_have_is_found() {
    let delegations = Delegations::default();
    link(&delegations, hop("a", "c", "x"));
    let root =
        json!({"from": {"owner": {"name": "alice"}}, "to": {"name": "planner"}, "grants": []});
    link(&delegations, stored("root", root, json!({})));
    assert_eq!(delegations.of_agent(&key("x")), [key("a")]);
    let mut both = delegations.of_agent(&key("planner"));
    both.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(both, [key("a"), key("root")], "handed on, and given");
    assert_eq!(delegations.of_owner("alice"), [key("root")]);
    assert_eq!(delegations.into_namespace("finance").len(), 2);
    delegations.link(&key("root"), None);
    assert_eq!(delegations.of_owner("alice"), []);
}

#[test]
fn a_digest_finds_its_delegation_until_another_takes_its_place() {
    let delegations = Delegations::default();
    let digest = |byte: u8| Digest::from_bytes([byte; 32]);
    let with = |byte: u8| {
        let mut object = hop("a", "c", "x");
        object.status.as_mut().unwrap().digest = Some(digest(byte).to_string());
        object
    };
    link(&delegations, with(1));
    assert_eq!(delegations.with_digest(&digest(1)), Some(key("a")));
    link(&delegations, with(2));
    assert_eq!(delegations.with_digest(&digest(1)), None);
    assert_eq!(delegations.with_digest(&digest(2)), Some(key("a")));
}

fn signed(name: &str, created: &str, granted: bool) -> api::Delegation {
    use base64::Engine as _;
    let claims = json!({"iss": id("planner").as_str(), "jti": "jti-1", "more": 1});
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims.to_string());
    let mut object = hop(name, "c", "x");
    object.spec.statement = Some(format!("header.{payload}.signature"));
    object.metadata.creation_timestamp = serde_json::from_value(json!(created)).unwrap();
    if granted {
        let digest = Digest::from_bytes([3; 32]).to_string();
        object.status.as_mut().unwrap().digest = Some(digest);
    }
    object
}

#[test]
fn of_those_that_use_a_jti_the_granted_one_goes_first_then_the_oldest() {
    let delegations = Delegations::default();
    let first = || {
        let found = delegations.with_jti(&id("planner"), "jti-1");
        found.map(|(_, key)| key.name.to_string())
    };
    assert_eq!(first(), None);
    link(&delegations, signed("b", "2027-01-15T08:00:01Z", false));
    link(&delegations, signed("a", "2027-01-15T08:00:02Z", false));
    assert_eq!(first().as_deref(), Some("b"), "the oldest");
    link(&delegations, signed("a", "2027-01-15T08:00:02Z", true));
    assert_eq!(
        first().as_deref(),
        Some("a"),
        "the one that was granted with it"
    );
    delegations.link(&key("a"), None);
    assert_eq!(first().as_deref(), Some("b"));
    let other = delegations.with_jti(&id("reader"), "jti-1");
    assert_eq!(other, None, "each delegator has its own");
}

#[test]
fn what_is_packed_is_unpacked_as_it_was() {
    let mut object = hop("a", "c", "x");
    let packed = Object::of(object.clone());
    object.metadata.managed_fields = None;
    assert_eq!(packed.unpack().unwrap(), object);
    assert!(!packed.facts.ready && packed.facts.completed.is_none());
}
