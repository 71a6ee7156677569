//! Changes of specs, generated from the schema that the API server itself has: each is applied,
//! reconciled and taken back (after Acto, SOSP '23). What is refused says where, and changes
//! nothing.

use std::time::Duration;

use countersign_api::AgentIdentity;
use countersign_runtime::merge_patch;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Map, Value, json};

use super::crowd::life_seconds;
use crate::harness::{DOMAIN, OWNER, PATIENCE, Space, World, eventually};
use crate::support::label_namespace;

/// What the operator does about another object's change is done by then; nothing says so.
const SETTLED: Duration = Duration::from_millis(400);

/// What can't be taken back, and why.
const FOR_GOOD: [(&str, &str); 4] = [
    ("desiredState", "\"Revoked\""),  // by its rule
    ("desiredState", "\"Departed\""), // its identities are over by then
    // A deadline that was lowered once stays, as the least that was promised.
    ("maxIdentityLifetimeSeconds", "60"),
    ("maxIdentityLifetimeSeconds", "61"),
];

#[tokio::test]
async fn whatever_is_changed_and_taken_back_leaves_everything_as_it_was() {
    let world = World::own().await;
    let space = world.space("changes").await;
    let arguments = [
        "--secret-namespaces",
        "*",
        "--bundle-propagation-seconds",
        "1",
    ];
    let operator = world.operator("only", &arguments);
    let mut trial = Trial::begin(&space).await;
    let agent = trial.name();
    let (mut taken_back, mut refused) = (0, 0);
    for (kind, plural, name) in [
        ("AgentIdentity", "agentidentities", agent.as_str()),
        ("AgentOwner", "agentowners", OWNER),
        ("TrustDomain", "trustdomains", DOMAIN),
    ] {
        let mut target = Target::find(&space, kind, plural, name).await;
        for change in target.changes().await {
            if kind == "AgentIdentity" {
                target.name = trial.name();
            }
            match trial.of(&target, &change).await {
                Verdict::TakenBack => taken_back += 1,
                Verdict::Refused => refused += 1,
                Verdict::NoChange => {}
            }
        }
    }
    eprintln!("{taken_back} changes were taken back, {refused} refused");
    assert!(taken_back >= 25, "only {taken_back} changes");
    assert!(refused >= 80, "only {refused} refusals");

    label_namespace(&space, json!({"trust-domain": null})).await;
    let stalled = space.until_stalled(&trial.name()).await;
    assert_eq!(stalled, "NamespaceNotAdmitted");
    label_namespace(&space, json!({"trust-domain": DOMAIN})).await;
    trial.until_as_before("the namespace's label").await;
    space.assert_in_order().await;
    assert!(!operator.log().contains("panicked"));
}

/// One value at one place of a spec.
#[derive(Debug, Clone)]
struct Change {
    path: Vec<String>,
    value: Value,
}

/// What is changed.
struct Target {
    api: Api<DynamicObject>,
    name: String,
    schema: Value,
}

enum Verdict {
    NoChange,
    Refused,
    TakenBack,
}

/// An identity that should be the same after each change that is taken back.
struct Trial<'a> {
    space: &'a Space,
    number: usize,
    before: Value,
}

impl Target {
    async fn find(space: &Space, kind: &str, plural: &str, name: &str) -> Self {
        let group = GroupVersionKind::gvk("countersign.dev", "v1alpha1", kind);
        let resource = ApiResource::from_gvk_with_plural(&group, plural);
        let client = space.client.clone();
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        let definition = definitions
            .get(&format!("{plural}.countersign.dev"))
            .await
            .unwrap();
        let definition = serde_json::to_value(definition).unwrap();
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
        let namespaced = definition["spec"]["scope"] == "Namespaced";
        Self {
            api: if namespaced {
                Api::namespaced_with(client, &space.name, &resource)
            } else {
                Api::all_with(client, &resource)
            },
            name: name.to_owned(),
            schema: definition.pointer(spec).unwrap().clone(),
        }
    }

    async fn spec(&self) -> Value {
        self.api.get(&self.name).await.unwrap().data["spec"].clone()
    }

    /// Good and bad values for every place of the spec.
    async fn changes(&self) -> Vec<Change> {
        let mut all = Vec::new();
        walk(&self.schema, &self.spec().await, &mut Vec::new(), &mut all);
        all
    }

    async fn put(&self, path: &[String], value: &Value) -> kube::Result<DynamicObject> {
        let inner = path.iter().rev().fold(value.clone(), |value, key| {
            Value::Object(Map::from_iter([(key.clone(), value)]))
        });
        let patch = Patch::Merge(json!({"spec": inner}));
        let params = PatchParams::default();
        self.api.patch(&self.name, &params, &patch).await
    }
}

fn walk(schema: &Value, now: &Value, path: &mut Vec<String>, into: &mut Vec<Change>) {
    let mut add = |value: Value| {
        let path = path.clone();
        into.push(Change { path, value });
    };
    if !path.is_empty() {
        for value in values(schema, now) {
            add(value);
        }
    }
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        path.push(key.clone());
        walk(schema, &now[key], path, into);
        path.pop();
    }
}

fn values(schema: &Value, now: &Value) -> Vec<Value> {
    let mut all = vec![Value::Null];
    if let Some(words) = schema["enum"].as_array() {
        all.extend(words.iter().cloned());
        all.extend([json!("Nonsense"), json!(7)]);
        return all;
    }
    match schema["type"].as_str().unwrap() {
        "integer" => {
            let bounds = [&schema["minimum"], &schema["maximum"]];
            let [least, most] = bounds.map(|it| it.as_f64().unwrap() as i64);
            let now = now.as_i64().unwrap_or(least);
            for value in [
                least - 1,
                least,
                least + 1,
                now + 1,
                2 * now,
                most,
                most + 1,
            ] {
                all.push(json!(value));
            }
            all.extend([json!(now as f64 + 0.5), json!("text")]);
        }
        "string" => {
            all.extend([
                json!("other"),
                json!(""),
                json!("NOT \u{7f} good"),
                json!(7),
            ]);
            if let Some(most) = schema["maxLength"].as_u64() {
                all.push(json!("x".repeat(usize::try_from(most).unwrap() + 1)));
            }
        }
        "array" => {
            all.extend([
                json!([]),
                json!([7]),
                json!([{}]),
                json!(["text"]),
                json!("text"),
            ]);
        }
        _ => all.extend([json!({"unknown": "x"}), json!("text"), json!([])]),
    }
    all
}

impl<'a> Trial<'a> {
    async fn begin(space: &'a Space) -> Self {
        let mut trial = Self {
            space,
            number: 0,
            before: Value::Null,
        };
        trial.next().await;
        trial
    }

    fn name(&self) -> String {
        format!("agent-{}", self.number)
    }

    async fn next(&mut self) {
        self.number += 1;
        let name = self.name();
        self.space.create_agent(&name).await;
        self.space.until_ready(&name).await;
        let state = self.state().await;
        if !self.before.is_null() {
            assert_eq!(self.before, state, "a new identity");
        }
        self.before = state;
    }

    async fn of(&mut self, target: &Target, change: &Change) -> Verdict {
        let Change { path, value } = change;
        let at = path.join(".");
        let what = format!("{at} of {} = {value}", target.name);
        let before = target.api.get(&target.name).await.unwrap();
        let changed = match target.put(path, value).await {
            Ok(changed) => changed,
            Err(kube::Error::Api(status)) => {
                let message = &status.message;
                assert!((400..500).contains(&status.code), "{what}: {message}");
                let named = path.iter().rev().take(2).any(|key| message.contains(key));
                assert!(named, "{what} is refused without saying where: {message}");
                let after = target.api.get(&target.name).await.unwrap();
                assert_eq!(after.data["spec"], before.data["spec"], "{what}");
                return Verdict::Refused;
            }
            Err(why) => panic!("{what}: {why}"),
        };
        if changed.metadata.generation == before.metadata.generation {
            return Verdict::NoChange;
        }
        self.reconciled(&changed, &what).await;
        let back = merge_patch(&changed.data["spec"], &before.data["spec"]).unwrap();
        let back = target.put(&[], &back).await;
        let word = value.to_string();
        let for_good = FOR_GOOD
            .iter()
            .any(|(key, last)| at.ends_with(key) && word == *last);
        if for_good {
            tokio::time::sleep(SETTLED).await;
            self.next().await;
            return Verdict::TakenBack;
        }
        let back = back.unwrap_or_else(|why| panic!("{what} can't be taken back: {why}"));
        assert_eq!(back.data["spec"], before.data["spec"], "{what} taken back");
        self.until_as_before(&what).await;
        Verdict::TakenBack
    }

    async fn reconciled(&self, changed: &DynamicObject, what: &str) {
        if changed.name_any() != self.name() {
            tokio::time::sleep(SETTLED).await;
            return;
        }
        eventually(&format!("the operator's look at {what}"), async || {
            let status = self.space.get(&self.name()).await.status?;
            (status.observed_generation == changed.metadata.generation).then_some(())
        })
        .await;
    }

    async fn until_as_before(&self, what: &str) {
        let mut state = Value::Null;
        let same = async {
            loop {
                state = self.state().await;
                if state == self.before {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let same = tokio::time::timeout(PATIENCE, same).await;
        assert!(
            same.is_ok(),
            "{what}, taken back, leaves {state:#}\nof {:#}",
            self.before
        );
    }

    /// Everything of the identity but what each certificate and each moment changes.
    async fn state(&self) -> Value {
        let name = self.name();
        let identity = self.space.get(&name).await;
        let secret = self.space.secret(&format!("{name}-identity")).await;
        json!({
            "secret": secret.is_some(),
            "conditions": conditions(&identity),
            "life": life_seconds(&identity),
            "outcome": identity.status.as_ref().and_then(|it| it.task.as_ref()?.outcome),
            "longest": longest(&identity),
        })
    }
}

fn conditions(identity: &AgentIdentity) -> Value {
    let status = identity.status.as_ref();
    let all = status.into_iter().flat_map(|status| &status.conditions);
    all.map(|it| json!([it.type_, it.status, it.reason]))
        .collect()
}

/// How long it may live in all.
fn longest(identity: &AgentIdentity) -> Option<i64> {
    let status = identity.status.as_ref()?;
    let (begin, end) = (
        status.first_issue_time.as_ref()?,
        status.deadline_time.as_ref()?,
    );
    Some(end.0.as_second() - begin.0.as_second())
}
