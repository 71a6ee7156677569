#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

use serde_json::{Value, json};

use super::*;

/// An identity for tests of others.
#[derive(Clone, Copy)]
pub(crate) struct Given {
    pub(crate) name: &'static str,
    pub(crate) namespace: &'static str,
    pub(crate) task: Option<&'static str>,
    pub(crate) account: Option<&'static str>,
    pub(crate) pods: Pods,
    pub(crate) over: bool,
}

pub(crate) fn seen(given: &Given) -> Seen {
    let mut it = reduce(&object(&json!({}))).unwrap();
    it.name = given.name.to_owned();
    it.namespace = given.namespace.to_owned();
    it.task_uid = given.task.map(str::to_owned);
    it.service_account = given.account.map(str::to_owned);
    it.pods = given.pods;
    if given.over {
        it.standing = Standing::TaskOver("it is over".to_owned());
    }
    it
}

/// One that may be issued for, with changes.
fn object(changes: &Value) -> api::AgentIdentity {
    let id = "spiffe://example.org/ns/ns/agent/a/task/job/uid";
    let mut whole = json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "AgentIdentity",
        "metadata": {"name": "a", "namespace": "ns", "uid": "uid"},
        "spec": {
            "trustDomainRef": {"name": "example.org"},
            "ownerRef": {"name": "alice"},
            "taskRef": {"group": "batch", "resource": "jobs", "name": "work"},
            "credential": {"delivery": "Workload"},
        },
        "status": {
            "spiffeID": id,
            "task": {"uid": "job", "outcome": "Running"},
            "deadlineTime": "2026-01-01T00:00:00Z",
            "conditions": [condition("Ready", "Issuable")],
        },
    });
    merge(&mut whole, changes);
    serde_json::from_value(whole).unwrap()
}

fn condition(kind: &str, reason: &str) -> Value {
    json!({
        "type": kind, "status": "True", "reason": reason, "message": "so it is",
        "lastTransitionTime": "2025-01-01T00:00:00Z",
    })
}

/// RFC 7396.
fn merge(into: &mut Value, changes: &Value) {
    let Some(changes) = changes.as_object() else {
        *into = changes.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in changes {
        match value {
            Value::Null => drop(into.as_object_mut().unwrap().remove(key)),
            value => merge(&mut into[key], value),
        }
    }
}

fn standing_of(changes: &Value) -> &'static str {
    match reduce(&object(changes)).unwrap().standing {
        Standing::Active => "Active",
        Standing::NotReady(_) => "NotReady",
        Standing::Suspended(_) => "Suspended",
        Standing::TaskOver(_) => "TaskOver",
        Standing::Ended(_) => "Ended",
    }
}

#[test]
fn it_may_be_issued_for_only_while_everything_says_so() {
    let conditions = |all: &[(&str, &str)]| {
        let all: Vec<_> = all.iter().map(|(kind, why)| condition(kind, why)).collect();
        json!({"status": {"conditions": all}})
    };
    let outcome = |word: &str| json!({"status": {"task": {"outcome": word}}});
    let table = [
        (json!({}), "Active"),
        (json!({"status": null}), "NotReady"),
        (conditions(&[]), "NotReady"),
        (conditions(&[("Stalled", "GrantsWiden")]), "NotReady"),
        (
            conditions(&[("Ready", "Issuable"), ("Stalled", "NamespaceNotAdmitted")]),
            "NotReady",
        ),
        (json!({"status": {"deadlineTime": null}}), "NotReady"),
        (json!({"status": {"task": {"outcome": null}}}), "NotReady"),
        (json!({"status": {"task": {"uid": null}}}), "NotReady"),
        (
            json!({"status": {"spiffeID": "spiffe://example.org/ns/ns/agent/b/task/job/uid"}}),
            "NotReady",
        ),
        (json!({"spec": {"desiredState": "Suspended"}}), "Suspended"),
        (
            json!({"spec": {"desiredState": "Suspended"}, "status": null}),
            "Suspended",
        ),
        (conditions(&[("Suspended", "Suspended")]), "Suspended"),
        (
            json!({"status": {"risk": {"state": "Suspended", "score": 90, "reason": "x", "observedTime": "2025-01-01T00:00:00Z"}}}),
            "Suspended",
        ),
        (json!({"spec": {"desiredState": "Revoked"}}), "Ended"),
        (
            json!({"metadata": {"deletionTimestamp": "2025-01-01T00:00:00Z"}}),
            "Ended",
        ),
        (conditions(&[("Completed", "Revoked")]), "Ended"),
        (
            conditions(&[("Completed", "Revoked"), ("Ready", "Issuable")]),
            "Ended",
        ),
        (outcome("Succeeded"), "TaskOver"),
        (outcome("Failed"), "TaskOver"),
        (outcome("Deleted"), "TaskOver"),
        (outcome("Replaced"), "TaskOver"),
        (outcome("DeadlineExceeded"), "Ended"),
    ];
    for (changes, expected) in table {
        assert_eq!(standing_of(&changes), expected, "{changes}");
    }
}

#[test]
fn other_deliveries_are_none_of_its_business() {
    let secret = object(&json!({"spec": {"credential": {"delivery": "Secret"}}}));
    assert_eq!(reduce(&secret), None);
}

#[test]
fn whoever_writes_a_status_gives_nobody_anothers_name() {
    let forged = "spiffe://example.org/ns/other/agent/boss/task/job/uid";
    let seen = reduce(&object(&json!({"status": {"spiffeID": forged}}))).unwrap();
    assert_ne!(seen.spiffe_id, forged);
    assert_ne!(seen.standing, Standing::Active);
}
