//! Who may write what, tried as the users concerned.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use countersign_api::{MAX_GROUP_LENGTH, MAX_GROUPS};

use crate::cluster::{User, allow, create, dry_run, identities, installed, object, patch, refusal};
use crate::samples;

const IDENTITIES: &str = "agentidentities";
const DELEGATIONS: &str = "delegations";
const OURS: &str = "countersign.dev";

#[tokio::test]
async fn a_forged_requester_is_replaced_at_the_creation() {
    let namespace = namespace("forged").await;
    let mallory = User {
        uid: Some("u-1".to_owned()),
        groups: vec!["dev".to_owned()],
        ..author("mallory-forged", &namespace).await
    };
    let all = mallory.identities(&namespace).await;
    let stamp = json!({
        "username": "mallory-forged", "uid": "u-1", "groups": ["dev", "system:authenticated"],
    });
    for (index, forged) in [
        json!(null),
        json!({}),
        json!({"username": "alice@example.com", "uid": "alice", "groups": ["system:masters"]}),
        json!({"username": "mallory-forged", "uid": "u-1", "groups": ["admins"]}),
        json!("junk"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut wanted = samples::identity(&format!("a{index}"));
        wanted["spec"]["requester"] = forged.clone();
        let made = create(&all, wanted).await.unwrap();
        assert_eq!(made.data["spec"]["requester"], stamp, "{forged}");
    }
    let mut generated = samples::identity("");
    generated["metadata"] = json!({"generateName": "agent-"});
    generated["spec"]["requester"] = json!({"username": "alice@example.com"});
    let made = create(&all, generated).await.unwrap();
    assert_eq!(made.data["spec"]["requester"], stamp);

    let mut applied = samples::identity("applied");
    applied["spec"]["requester"] = json!({"username": "alice@example.com", "uid": "alice"});
    let made = all
        .patch(
            "applied",
            &PatchParams::apply("mallory"),
            &Patch::Apply(applied),
        )
        .await
        .unwrap();
    assert_eq!(made.data["spec"]["requester"], stamp);
}

#[tokio::test]
async fn a_forged_uid_does_not_stay_where_the_user_has_none() {
    let namespace = namespace("uid").await;
    let mallory = author("mallory-uid", &namespace).await;
    let mut forged = samples::identity("a");
    forged["spec"]["requester"] = json!({"username": "mallory-uid", "uid": "alice"});
    let made = create(&mallory.identities(&namespace).await, forged).await;
    let stamp = json!({"username": "mallory-uid", "groups": ["system:authenticated"]});
    assert_eq!(made.unwrap().data["spec"]["requester"], stamp);
}

#[tokio::test]
async fn the_requester_stays_whoever_writes_later() {
    let namespace = namespace("kept").await;
    let alice = author("alice-kept", &namespace).await;
    let mallory = author("mallory-kept", &namespace).await;
    let made = create(&alice.identities(&namespace).await, samples::identity("a")).await;
    let stamp = made.unwrap().data["spec"]["requester"].clone();
    assert_eq!(stamp["username"], "alice-kept");

    let all = mallory.identities(&namespace).await;
    for forged in [
        json!(null),
        json!({"username": "mallory-kept"}),
        json!({"groups": ["system:masters"]}),
        json!({"uid": "alice"}),
    ] {
        let forged = json!({"spec": {"requester": forged, "ttlSecondsAfterFinished": 60}});
        let patched = patch(&all, "a", forged.clone()).await.unwrap();
        assert_eq!(patched.data["spec"]["requester"], stamp, "{forged}");
        assert_eq!(patched.data["spec"]["ttlSecondsAfterFinished"], 60);
    }
    let mut forged = samples::identity("a");
    forged["spec"]["requester"] = json!({"username": "mallory-kept"});
    let applied = all
        .patch(
            "a",
            &PatchParams::apply("mallory").force(),
            &Patch::Apply(forged),
        )
        .await
        .unwrap();
    assert_eq!(applied.data["spec"]["requester"], stamp);
    let removal: Value = json!([{"op": "remove", "path": "/spec/requester"}]);
    let removal = Patch::Json::<()>(serde_json::from_value(removal).unwrap());
    let patched = all.patch("a", &PatchParams::default(), &removal).await;
    assert_eq!(patched.unwrap().data["spec"]["requester"], stamp);
}

#[tokio::test]
async fn the_requester_of_a_delegation_is_stamped_and_stays_too() {
    let namespace = namespace("deleg").await;
    let alice = User {
        uid: Some("u-2".to_owned()),
        ..delegator("alice-deleg", &namespace).await
    };
    let mallory = delegator("mallory-deleg", &namespace).await;
    let mine = alice.delegations(&namespace).await;
    let stamp = json!({
        "username": "alice-deleg", "uid": "u-2", "groups": ["system:authenticated"],
    });
    for (name, sample) in [
        ("root", samples::root("root")),
        ("hop", samples::hop("hop")),
    ] {
        for forged in [
            json!(null),
            json!({"username": "bob@example.com", "groups": ["system:masters"]}),
            json!("junk"),
        ] {
            let mut wanted = sample.clone();
            wanted["spec"]["requester"] = forged.clone();
            let made = mine.create(&dry_run(), &object(wanted)).await.unwrap();
            assert_eq!(made.data["spec"]["requester"], stamp, "{forged}");
        }
        let mut wanted = sample.clone();
        wanted["spec"]["requester"] = json!({"username": "bob@example.com"});
        let apply = PatchParams::apply("alice");
        let made = mine.patch(name, &apply, &Patch::Apply(wanted)).await;
        assert_eq!(made.unwrap().data["spec"]["requester"], stamp);
    }

    // Whoever may patch may revoke, and change nothing about who asked for it.
    let theirs = mallory.delegations(&namespace).await;
    for (name, forged) in [
        ("root", json!({"username": "mallory-deleg"})),
        ("hop", json!(null)),
    ] {
        let change = json!({"spec": {"requester": forged, "desiredState": "Revoked"}});
        let patched = patch(&theirs, name, change).await.unwrap();
        assert_eq!(patched.data["spec"]["requester"], stamp);
        assert_eq!(patched.data["spec"]["desiredState"], "Revoked");
        let back = json!({"spec": {"desiredState": "Active"}});
        for all in [&mine, &theirs] {
            let why = refusal(patch(all, name, back.clone()).await);
            assert!(why.contains("Revoked is for good"), "{why}");
        }
    }
    let removal: Value = json!([{"op": "remove", "path": "/spec/requester"}]);
    let removal = Patch::Json::<()>(serde_json::from_value(removal).unwrap());
    let patched = theirs.patch("hop", &PatchParams::default(), &removal).await;
    assert_eq!(patched.unwrap().data["spec"]["requester"], stamp);
    theirs
        .delete("hop", &DeleteParams::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn to_delegate_takes_no_task_and_no_verb_at_admission() {
    let namespace = namespace("deleg-verbs").await;
    let owner = User::named("owner-deleg");
    allow(
        &owner.name,
        Some(&namespace),
        OURS,
        DELEGATIONS,
        &["create"],
    )
    .await;
    let all = owner.delegations(&namespace).await;
    create(&all, samples::root("root")).await.unwrap();
    create(&all, samples::hop("hop")).await.unwrap();
    let nobody = User::named("nobody-deleg").delegations(&namespace).await;
    refusal(create(&nobody, samples::root("other")).await);
    let change = json!({"spec": {"desiredState": "Revoked"}});
    refusal(patch(&all, "root", change).await);
}

#[tokio::test]
async fn a_write_of_the_status_changes_nothing_else() {
    let namespace = namespace("status").await;
    let alice = author("alice-status", &namespace).await;
    let mallory = author("mallory-status", &namespace).await;
    let status = "agentidentities/status";
    allow(&mallory.name, Some(&namespace), OURS, status, &["patch"]).await;
    let mut suspended = samples::identity("a");
    suspended["spec"]["desiredState"] = json!("Suspended");
    let made = create(&alice.identities(&namespace).await, suspended).await;
    let made = made.unwrap();
    let forged = json!({
        "spec": {"requester": {"username": "mallory-status"}, "desiredState": "Active"},
        "status": {"observedGeneration": 1},
    });
    let patched = mallory
        .identities(&namespace)
        .await
        .patch_status("a", &PatchParams::default(), &Patch::Merge(forged))
        .await
        .unwrap();
    assert_eq!(patched.data["spec"], made.data["spec"]);
}

#[tokio::test]
async fn a_user_with_more_groups_than_are_kept_can_still_create() {
    let namespace = namespace("groups").await;
    let mut alice = author("alice-groups", &namespace).await;
    let long = "g".repeat(MAX_GROUP_LENGTH + 1);
    alice.groups = (0..400).map(|index| format!("group-{index}")).collect();
    alice.groups.insert(0, long.clone());
    alice.groups.insert(1, "g".repeat(MAX_GROUP_LENGTH));
    let all = alice.identities(&namespace).await;
    let made = create(&all, samples::identity("a")).await.unwrap();
    let kept = made.data["spec"]["requester"]["groups"].as_array().unwrap();
    assert_eq!(kept.len(), MAX_GROUPS);
    let wanted: Vec<&String> = alice.groups[1..=MAX_GROUPS].iter().collect();
    assert_eq!(kept.iter().collect::<Vec<_>>(), wanted);
    // And can still write.
    let patched = patch(&all, "a", json!({"spec": {"desiredState": "Suspended"}})).await;
    assert_eq!(
        patched.unwrap().data["spec"]["requester"],
        made.data["spec"]["requester"]
    );
}

#[tokio::test]
async fn to_name_a_task_one_must_be_allowed_to_update_it() {
    let namespace = namespace("task").await;
    let elsewhere = self::namespace("task-elsewhere").await;
    let user = User::named("bob-task");
    let verbs = ["create", "patch", "get"];
    allow(&user.name, Some(&namespace), OURS, IDENTITIES, &verbs).await;
    allow(&user.name, Some(&elsewhere), "batch", "jobs", &["update"]).await;
    allow(
        &user.name,
        Some(&namespace),
        "batch",
        "jobs",
        &["get", "create", "patch"],
    )
    .await;
    allow(
        &user.name,
        Some(&namespace),
        "batch",
        "cronjobs",
        &["update"],
    )
    .await;
    let all = user.identities(&namespace).await;
    let why = refusal(create(&all, samples::identity("a")).await);
    let wanted = format!("'bob-task' may not update jobs.batch/reconcile in namespace {namespace}");
    assert!(why.contains(&wanted), "{why}");

    let mut pod = samples::identity("pod");
    pod["spec"]["taskRef"] = json!({"resource": "pods", "name": "p"});
    let why = refusal(create(&all, pod.clone()).await);
    assert!(why.contains("may not update pods/p"), "{why}");
    let bob = PatchParams::apply("bob");
    let applied = all.patch("pod", &bob, &Patch::Apply(pod.clone())).await;
    assert!(refusal(applied).contains("may not update pods/p"));

    allow(&user.name, Some(&namespace), "", "pods", &["update"]).await;
    create(&all, pod).await.unwrap();
    allow(&user.name, Some(&namespace), "batch", "jobs", &["update"]).await;
    create(&all, samples::identity("a")).await.unwrap();
}

#[tokio::test]
async fn suspending_takes_a_write_and_resuming_the_requester_or_bind() {
    let namespace = namespace("resume").await;
    let alice = author("alice-resume", &namespace).await;
    let responder = User::named("responder");
    allow(
        &responder.name,
        Some(&namespace),
        OURS,
        IDENTITIES,
        &["patch"],
    )
    .await;
    let mine = alice.identities(&namespace).await;
    let theirs = responder.identities(&namespace).await;
    let state = |state: &str| json!({"spec": {"desiredState": state}});
    let mut wanted = samples::identity("a");
    wanted["spec"]["ownerRef"]["name"] = json!("owner-resume");
    create(&mine, wanted).await.unwrap();

    patch(&theirs, "a", state("Suspended")).await.unwrap();
    let sly = json!({"spec": {"desiredState": null}});
    let sly_too =
        json!({"spec": {"desiredState": "Active", "requester": {"username": "responder"}}});
    for resume in [state("Active"), sly, sly_too] {
        let why = refusal(patch(&theirs, "a", resume).await);
        for part in [
            "'alice-resume', who created",
            "bind on agentowners.countersign.dev/owner-resume",
        ] {
            assert!(why.contains(part), "{why}");
        }
    }
    patch(
        &theirs,
        "a",
        json!({"spec": {"ttlSecondsAfterFinished": 5}}),
    )
    .await
    .unwrap();
    patch(&mine, "a", state("Active")).await.unwrap();

    patch(&theirs, "a", state("Suspended")).await.unwrap();
    allow(&responder.name, None, OURS, "agentowners", &["bind"]).await;
    patch(&theirs, "a", state("Active")).await.unwrap();
    patch(&theirs, "a", state("Revoked")).await.unwrap();
    for back in ["Active", "Suspended"] {
        for all in [&theirs, &mine] {
            let why = refusal(patch(all, "a", state(back)).await);
            assert!(why.contains("Revoked is for good"), "{why}");
        }
    }
}

#[tokio::test]
async fn a_name_given_to_another_user_resumes_nothing() {
    let namespace = namespace("reused").await;
    let mut alice = author("alice-reused", &namespace).await;
    alice.uid = Some("first".to_owned());
    let mut wanted = samples::identity("a");
    wanted["spec"]["desiredState"] = json!("Suspended");
    create(&alice.identities(&namespace).await, wanted)
        .await
        .unwrap();
    let resume = json!({"spec": {"desiredState": "Active"}});
    for uid in [Some("second".to_owned()), None] {
        let other = User {
            uid,
            ..User::named("alice-reused")
        };
        let all = other.identities(&namespace).await;
        let why = refusal(patch(&all, "a", resume.clone()).await);
        assert!(why.contains("countersign-resume"), "{why}");
    }
    let all = alice.identities(&namespace).await;
    patch(&all, "a", resume).await.unwrap();
}

#[tokio::test]
async fn no_policy_stands_in_the_way_of_a_deletion() {
    let namespace = namespace("deletion").await;
    let alice = author("alice-deletion", &namespace).await;
    create(&alice.identities(&namespace).await, samples::identity("a"))
        .await
        .unwrap();
    let cleaner = User::named("cleaner");
    allow(
        &cleaner.name,
        Some(&namespace),
        OURS,
        IDENTITIES,
        &["delete"],
    )
    .await;
    let all = cleaner.identities(&namespace).await;
    all.delete("a", &DeleteParams::default()).await.unwrap();
    let admin = identities(installed().await.client().await.unwrap(), &namespace);
    assert!(admin.get_opt("a").await.unwrap().is_none());
}

async fn namespace(prefix: &str) -> String {
    installed().await.namespace(prefix).await.unwrap()
}

/// A user who may write identities and update Jobs.
async fn author(name: &str, namespace: &str) -> User {
    let verbs = ["create", "get", "patch", "update"];
    allow(name, Some(namespace), OURS, IDENTITIES, &verbs).await;
    allow(name, Some(namespace), "batch", "jobs", &["update"]).await;
    User::named(name)
}

/// A user who may write delegations, and neither identities nor tasks.
async fn delegator(name: &str, namespace: &str) -> User {
    let verbs = ["create", "get", "patch", "delete"];
    allow(name, Some(namespace), OURS, DELEGATIONS, &verbs).await;
    User::named(name)
}
