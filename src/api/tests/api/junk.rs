//! 200 KB of junk in any string: refused, at its place.

use kube::Error;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Map, Value, json};

use crate::cluster::{
    agent_policies, cluster_agent_policies, cluster_scoped, create, delegations, dry_run,
    identities, installed, object,
};
use crate::fields::{Field, fields};
use crate::samples;

const JUNK_LENGTH: usize = 200_000;

#[tokio::test]
async fn junk_is_refused_in_every_string_and_in_every_key() {
    let junk = "j".repeat(JUNK_LENGTH);
    let mut tried = 0;
    for kind in [
        "AgentIdentity",
        "TrustDomain",
        "AgentOwner",
        "TaskKind",
        "Delegation",
        "AgentPolicy",
        "ClusterAgentPolicy",
    ] {
        let (all, sample) = sample(kind).await;
        create(&all, sample.clone()).await.unwrap();
        for field in fields().into_iter().filter(|field| field.kind == kind) {
            if field.path[..2.min(field.path.len())] == ["spec", "requester"] {
                continue; // replaced by the stamp, whatever it holds
            }
            for path in places(&field, &junk) {
                let outcome = write(&all, &sample, &path, &junk).await;
                assert!(is_refused(&outcome), "{}: {outcome:?}", field.name());
                tried += 1;
            }
        }
    }
    assert!(tried > 120, "only {tried} places");
}

#[tokio::test]
async fn junk_as_the_requester_is_replaced() {
    let junk = "j".repeat(JUNK_LENGTH);
    for kind in ["AgentIdentity", "Delegation"] {
        let (all, mut sample) = sample(kind).await;
        sample["spec"]["requester"] = json!({"username": junk, "uid": junk, "groups": [junk]});
        let made = all.create(&dry_run(), &object(sample)).await.unwrap();
        assert_eq!(made.data["spec"]["requester"]["username"], "admin");
    }
}

/// Where junk can be in a field: as its value if that is a string, as a key if it is a map.
fn places(field: &Field, junk: &str) -> Vec<Vec<String>> {
    let mut places = Vec::new();
    if field.schema["type"] == "string" {
        places.push(field.path.clone());
    }
    if field.schema["additionalProperties"].is_object() {
        places.push([field.path.as_slice(), &[junk.to_owned()]].concat());
    }
    places
}

async fn write(
    all: &Api<DynamicObject>,
    sample: &Value,
    path: &[String],
    junk: &str,
) -> Result<DynamicObject, Error> {
    let key_is_junk = path.last().is_some_and(|last| last == junk);
    let value = if key_is_junk { "v" } else { junk };
    if path[0] == "status" {
        let name = sample["metadata"]["name"].as_str().unwrap();
        // What is required beside the junk, or rules on keys aren't asked.
        let mut status = json!({"status": sample["status"].as_object()});
        put(&mut status, path, value);
        let patch = Patch::Merge(status);
        return all
            .patch_status(name, &PatchParams::default(), &patch)
            .await;
    }
    let mut bad = sample.clone();
    bad["metadata"]["name"] = json!("junk.example");
    put(&mut bad, path, value);
    all.create(&dry_run(), &object(bad)).await
}

/// Sets the value at a path and makes what is missing on the way.
fn put(into: &mut Value, path: &[String], value: &str) {
    let Some((first, rest)) = path.split_first() else {
        *into = json!(value);
        return;
    };
    let below = if first == "0" {
        if !into.is_array() {
            *into = json!([{}]);
        }
        &mut into[0]
    } else {
        let fields = match into {
            Value::Object(fields) => fields,
            other => {
                *other = Value::Object(Map::new());
                other.as_object_mut().unwrap()
            }
        };
        fields.entry(first.clone()).or_insert(json!({}))
    };
    put(below, rest, value);
}

/// For the junk, and not only for what else is missing.
fn is_refused(outcome: &Result<DynamicObject, Error>) -> bool {
    let Err(Error::Api(status)) = outcome else {
        return false;
    };
    let reasons = [
        "Too long",
        "Unsupported value",
        "should match",
        "must be of type",
        "keys must",
    ];
    status.code == 422 && reasons.iter().any(|reason| status.message.contains(reason))
}

async fn sample(kind: &str) -> (Api<DynamicObject>, Value) {
    let plane = installed().await;
    let client = plane.client().await.unwrap();
    match kind {
        "AgentIdentity" => {
            let namespace = plane.namespace("junk").await.unwrap();
            (identities(client, &namespace), samples::identity("fine"))
        }
        "Delegation" => {
            let namespace = plane.namespace("junk").await.unwrap();
            (delegations(client, &namespace), samples::root("fine"))
        }
        "AgentPolicy" => {
            let namespace = plane.namespace("junk").await.unwrap();
            let all = agent_policies(client, &namespace);
            (all, samples::agent_policy("fine"))
        }
        "ClusterAgentPolicy" => {
            let all = cluster_agent_policies(client);
            (all, samples::cluster_agent_policy("fine.example"))
        }
        "TrustDomain" => {
            let all = cluster_scoped(client, kind, "trustdomains");
            (all, samples::trust_domain("fine.example"))
        }
        "AgentOwner" => {
            let all = cluster_scoped(client, kind, "agentowners");
            (all, samples::owner("junk"))
        }
        _ => {
            let all = cluster_scoped(client, kind, "taskkinds");
            (all, samples::task_kind("fine.example"))
        }
    }
}
