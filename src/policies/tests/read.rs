//! What is written is what is compiled.

use countersign_core::DataClass;
use countersign_policy::{Mode, Scope};
use serde_json::json;

use super::{READ, cluster_policy, of, policy};
use crate::PolicyObject as _;

#[test]
fn an_object_of_a_namespace_is_about_that_namespace() {
    let source = policy(1, READ).source();
    assert_eq!(source.scope, Scope::Namespace("finance".to_owned()));
    assert_eq!(
        (source.name.as_str(), source.mode),
        ("readers", Mode::Enforce)
    );
    assert_eq!(source.policies[0].id, "one");
    assert_eq!(
        cluster_policy("guard", json!({})).source().scope,
        Scope::Cluster
    );
}

#[test]
fn every_part_of_a_test_is_put_to_the_policies() {
    let tests = json!([{
        "name": "all of it",
        "request": {
            "principal": {
                "name": "reader", "namespace": "research", "owner": "alice",
                "attributes": {"purpose": "audit"},
            },
            "action": "read",
            "resource": {
                "path": "ledger/invoices/7", "type": "document", "sensitivity": "Restricted",
                "residency": ["eu"], "properties": {"ownerID": "reader"},
            },
            "context": {
                "risk": 61, "anomaly": 7, "codes": ["falco/shell"], "delegationDepth": 3,
                "tool": "post_entry", "effect": "Destructive", "sourceIP": "10.0.0.9",
            },
        },
        "expect": {"decision": "Deny", "policies": ["one"]},
    }]);
    let read = cluster_policy("guard", json!({"tests": tests})).source();
    let test = &read.tests[0];
    assert_eq!(test.principal.namespace, "research");
    assert_eq!(test.principal.owner, "alice");
    assert_eq!(
        test.principal.attributes,
        [("purpose".to_owned(), "audit".to_owned())]
    );
    assert_eq!(
        (test.resource.kind.as_str(), test.resource.sensitivity),
        ("document", DataClass::Restricted)
    );
    assert_eq!(test.resource.residency, ["eu"]);
    assert_eq!(test.resource.properties.len(), 1);
    let context = &test.context;
    assert_eq!(
        (context.risk, context.anomaly, context.delegation_depth),
        (61, 7, Some(3))
    );
    assert_eq!(context.codes, ["falco/shell"]);
    assert_eq!(context.tool.as_deref(), Some("post_entry"));
    assert!(context.destructive);
    assert_eq!(context.source_ip, Some([10, 0, 0, 9].into()));
    assert!(!test.allowed);
    assert_eq!(test.policies, Some(vec!["one".to_owned()]));

    // In a namespace it is always of that, whatever somebody stored.
    let mut object: countersign_api::AgentPolicy = of(json!({
        "metadata": {"name": "a", "namespace": "finance"}, "spec": {"policies": []},
    }));
    object.spec.tests = serde_json::from_value(tests).unwrap();
    assert_eq!(object.source().tests[0].principal.namespace, "finance");
}

#[test]
fn obligations_are_json() {
    let policies = json!([{"id": "one", "cedar": READ, "obligations": [
        {"type": "step-up", "properties": {"acr_value": "urn:\"agents\""}},
        {"type": "notification"},
    ]}]);
    let source = cluster_policy("guard", json!({"policies": policies})).source();
    let read = &source.policies[0].obligations;
    assert_eq!(read[0].properties, r#"{"acr_value":"urn:\"agents\""}"#);
    assert_eq!(
        (read[1].kind.as_str(), read[1].properties.as_str()),
        ("notification", "{}")
    );
}
