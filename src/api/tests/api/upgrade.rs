//! The policies one after the other: what each does alone, and to objects older than they are.

use countersign_api::manifests;
use countersign_testbed::{ControlPlane, Options};
use serde_json::json;

use crate::cluster::{create, delegations, identities, patch, refusal, until};
use crate::samples;

#[tokio::test]
async fn each_policy_holds_without_the_other_and_for_objects_older_than_both() {
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let client = plane.client().await.unwrap();
    let all = identities(client.clone(), "default");
    let delegations = delegations(client, "default");

    apply(&plane, |file| file.ends_with(".countersign.dev.yaml")).await;
    let mut old = samples::identity("old");
    old["spec"]["desiredState"] = json!("Suspended");
    until("the kind is served", async || {
        create(&all, old.clone()).await.is_ok()
    })
    .await;
    let mut forged = samples::identity("forged");
    forged["spec"]["requester"] = json!({"username": "alice@example.com"});
    create(&all, forged.clone()).await.unwrap();
    let change = json!({"spec": {"requester": {"username": "admin"}}});
    let why = refusal(patch(&all, "forged", change.clone()).await);
    assert!(
        why.contains("spec.requester: Forbidden: must not be changed"),
        "{why}"
    );

    let mut root = samples::root("forged");
    root["spec"]["requester"] = json!({"username": "alice@example.com"});
    create(&delegations, root.clone()).await.unwrap();
    let why = refusal(patch(&delegations, "forged", change.clone()).await);
    assert!(why.contains("spec.requester: Forbidden"), "{why}");

    // Without the stamp, the check refuses whatever isn't true.
    apply(&plane, |file| file.starts_with("validating")).await;
    forged["metadata"]["name"] = json!("refused");
    until("the check is in effect", async || {
        let made = create(&all, forged.clone()).await;
        if made.is_ok() {
            let gone = all
                .delete("refused", &kube::api::DeleteParams::default())
                .await;
            gone.unwrap();
        }
        made.is_err_and(|error| error.to_string().contains("must be 'admin', who creates"))
    })
    .await;
    refusal(create(&all, samples::identity("none")).await);
    let truth = json!({
        "username": "admin", "uid": "admin", "groups": ["system:masters", "system:authenticated"],
    });
    for (part, lie) in [
        ("username", json!("alice@example.com")),
        ("uid", json!("alice")),
        ("uid", json!(null)),
        ("groups", json!(["system:masters"])),
        (
            "groups",
            json!(["system:masters", "system:authenticated", "finance"]),
        ),
        ("groups", json!(null)),
    ] {
        let mut nearly = samples::identity("nearly");
        nearly["spec"]["requester"] = truth.clone();
        nearly["spec"]["requester"][part] = lie.clone();
        let why = refusal(create(&all, nearly).await);
        assert!(why.contains("must be 'admin'"), "{part} {lie}: {why}");
    }
    root["metadata"]["name"] = json!("refused");
    let why = refusal(create(&delegations, root).await);
    assert!(why.contains("must be 'admin', who creates"), "{why}");
    let mut honest = samples::identity("honest");
    honest["spec"]["requester"] = truth.clone();
    create(&all, honest).await.unwrap();
    let why = refusal(patch(&all, "old", change.clone()).await);
    assert!(
        why.contains("must not be changed: it says who created"),
        "{why}"
    );

    // With the stamp, an object that has none stays without: nobody can say afterwards who made it.
    apply(&plane, |file| file.starts_with("mutating")).await;
    until("the stamp is in effect", async || {
        patch(&all, "old", change.clone()).await.is_ok()
    })
    .await;
    let old = all.get("old").await.unwrap();
    assert!(old.data["spec"].get("requester").is_none(), "{old:?}");
    let stamped = create(&all, samples::identity("stamped")).await.unwrap();
    assert_eq!(stamped.data["spec"]["requester"], truth);
    let stamped = create(&delegations, samples::root("stamped"))
        .await
        .unwrap();
    assert_eq!(stamped.data["spec"]["requester"], truth);
}

async fn apply(plane: &ControlPlane, wanted: impl Fn(&str) -> bool) {
    let files = manifests().into_iter().filter(|(file, _)| wanted(file));
    let files: Vec<String> = files.map(|(_, yaml)| yaml).collect();
    let apply = ["apply", "--server-side", "-f", "-"];
    let applied = plane.kubectl_with_input(&apply, &files.join("---\n")).await;
    applied.unwrap();
}
