//! What the API server stores, and who names whom.

use countersign_api as api;
use countersign_runtime::ObjectKey;
use countersign_statement::Digest;
use serde_json::{Value, json};

use super::super::observed::{From, ObjectName};
use super::super::parse;
use super::super::plan::plan;
use super::super::store::{Delegations, Object};
use super::fixture::{RING, at, granted_hop, id, recorded, written};

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

/// The same, countersigned, with a digest of these bytes.
fn countersigned(mut object: api::Delegation, byte: u8) -> api::Delegation {
    let status = object.status.as_mut().unwrap();
    status.digest = Some(digest(byte).to_string());
    status.expiration_time = serde_json::from_value(json!("2027-01-15T09:00:00Z")).unwrap();
    status.delegate = Some(api::DelegateStatus {
        namespace: "finance".to_owned(),
        name: "reader".to_owned(),
        uid: "reader-uid".to_owned(),
        spiffe_id: Some(id("reader").to_string()),
    });
    object
}

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn sorted(mut keys: Vec<ObjectKey>) -> Vec<ObjectKey> {
    keys.sort_by(|one, other| one.name.cmp(&other.name));
    keys
}

#[test]
fn children_and_all_below_are_found_and_a_ring_is_walked_once() {
    let delegations = Delegations::default();
    link(&delegations, countersigned(hop("a", "c", "x"), 1));
    link(&delegations, countersigned(hop("b", "a", "y"), 2));
    link(&delegations, countersigned(hop("c", "b", "z"), 3));
    link(&delegations, hop("d", "b", "z"));
    assert_eq!(delegations.children(&key("a")), [key("b")]);
    let all = ["a", "b", "c", "d"].map(key);
    assert_eq!(sorted(delegations.with_below(vec![key("a")])), all);
    delegations.link(&key("b"), None);
    assert_eq!(delegations.with_below(vec![key("a")]), [key("a")]);
    assert_eq!(
        sorted(delegations.with_below(vec![key("c")])),
        [key("a"), key("c")]
    );
}

#[test]
fn below_what_was_never_countersigned_only_its_children_wait() {
    let delegations = Delegations::default();
    link(&delegations, hop("b", "a", "y"));
    link(&delegations, hop("c", "b", "z"));
    assert_eq!(
        sorted(delegations.with_below(vec![key("a")])),
        [key("a"), key("b")]
    );
}

#[test]
fn what_an_agent_an_owner_and_a_namespace_have_is_found() {
    let delegations = Delegations::default();
    link(&delegations, hop("a", "c", "x"));
    let root =
        json!({"from": {"owner": {"name": "alice"}}, "to": {"name": "planner"}, "grants": []});
    link(&delegations, stored("root", root, json!({})));
    assert_eq!(delegations.of_agent(&key("x")), [key("a")]);
    let both = sorted(delegations.of_agent(&key("planner")));
    assert_eq!(both, [key("a"), key("root")], "handed on, and given");
    assert_eq!(delegations.of_owner("alice"), [key("root")]);
    assert_eq!(delegations.of_namespace("finance").len(), 2);
    delegations.link(&key("root"), None);
    assert_eq!(delegations.of_owner("alice"), []);
    assert_eq!(delegations.with_uid("root-uid"), None);
    assert_eq!(delegations.with_uid("a-uid"), Some(key("a")));
}

#[test]
fn a_digest_finds_its_delegation_and_whoever_loses_it_is_told() {
    let delegations = Delegations::default();
    let put = |object: api::Delegation| {
        let lost = delegations.link(&key("a"), Some(&Object::of(object).facts));
        lost.map(|lost| lost.digest)
    };
    assert_eq!(put(countersigned(hop("a", "c", "x"), 1)), None);
    assert_eq!(delegations.with_digest(&digest(1)), Some(key("a")));
    assert_eq!(
        put(countersigned(hop("a", "c", "x"), 1)),
        None,
        "it has it still"
    );
    assert_eq!(put(countersigned(hop("a", "c", "x"), 2)), Some(digest(1)));
    assert_eq!(delegations.with_digest(&digest(1)), None);
    assert_eq!(delegations.with_digest(&digest(2)), Some(key("a")));
    let lost = delegations.link(&key("a"), None).unwrap();
    assert_eq!((lost.digest, &*lost.domain), (digest(2), "example.org"));
    assert_eq!(delegations.with_digest(&digest(2)), None);
}

#[test]
fn a_jti_stays_with_the_first_that_took_it_until_it_can_be_used_no_more() {
    let delegations = Delegations::default();
    let (a, b) = (key("a"), key("b"));
    let take =
        |who: &str, uid: &str, key| delegations.take_jti(&id(who), "jti-1", (uid, key), at(100));
    assert_eq!(take("planner", "a-uid", &a), Ok(()));
    assert_eq!(take("planner", "a-uid", &a), Ok(()), "again");
    assert_eq!(take("planner", "b-uid", &b), Err(key("a")));
    assert_eq!(
        take("planner", "a-new-uid", &a),
        Err(key("a")),
        "another of its name"
    );
    assert_eq!(
        take("reader", "b-uid", &b),
        Ok(()),
        "each delegator has its own"
    );
    delegations.prune(at(99));
    assert_eq!(take("planner", "b-uid", &b), Err(key("a")));
    delegations.prune(at(100));
    assert_eq!(take("planner", "b-uid", &b), Ok(()));
}

#[test]
fn after_a_restart_a_jti_is_known_from_what_was_countersigned_with_it() {
    use base64::Engine as _;
    let delegations = Delegations::default();
    let claims =
        json!({"iss": id("planner").as_str(), "jti": "jti-1", "exp": 1_800_000_100, "more": 1});
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims.to_string());
    let mut object = hop("a", "c", "x");
    object.spec.statement = Some(format!("header.{payload}.signature"));
    let taken = |delegations: &Delegations| {
        let by = ("b-uid", &key("b"));
        delegations
            .take_jti(&id("planner"), "jti-1", by, at(100))
            .is_err()
    };
    let unverified = Delegations::default();
    link(&unverified, object.clone());
    assert!(!taken(&unverified), "what nobody verified takes nothing");
    link(&delegations, countersigned(object, 1));
    delegations.link(&key("a"), None);
    assert!(taken(&delegations), "also when it is gone");
}

#[test]
fn what_is_packed_is_unpacked_as_it_was() {
    let mut object = hop("a", "c", "x");
    let packed = Object::of(object.clone());
    object.metadata.managed_fields = None;
    assert_eq!(packed.unpack().unwrap(), object);
    assert!(!packed.facts.ready && packed.facts.completed.is_none());
}
