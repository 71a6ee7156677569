//! The life of an identity.

use kube::api::{DeleteParams, Patch, PatchParams, PropagationPolicy};
use serde_json::json;

use crate::harness::{PATIENCE, World, condition, identity, job};
use crate::support::{create, find, is, serial, uid, until_gone, with};

const SECRET: &str = "reader-identity";

#[tokio::test]
async fn an_identity_lives_as_long_as_its_task() {
    let world = World::shared().await;
    let space = world.space("life").await;
    space.create_job(&job("work")).await;
    space
        .create_identity(&identity("reader", "jobs.batch/work"))
        .await;
    space.until_ready("reader").await;
    assert!(space.secret(SECRET).await.is_some());

    space.finish_job("work", "Succeeded").await;
    let over = space.until_completed("reader").await;
    assert_eq!(over, "TaskSucceeded");
    space.until_no_secret(SECRET).await;
    let it = space.get("reader").await;
    assert!(find(&it, "Ready").is_none(), "Ready is removed");
    let status = it.status.unwrap();
    assert!(status.task.unwrap().finished_time.is_some());
    assert!(status.secret.is_none());
    assert!(!status.certificate.unwrap().serial_number.is_empty());
}

#[tokio::test]
async fn it_waits_for_its_task_says_so_and_is_issued_just_in_time() {
    let world = World::shared().await;
    let space = world.space("wait").await;
    space
        .create_identity(&identity("reader", "jobs.batch/work"))
        .await;
    let it = space
        .until("reader", "waiting", |it| is(it, "Reconciling"))
        .await;
    let reconciling = find(&it, "Reconciling").unwrap();
    assert_eq!(reconciling.reason, "TaskNotFound");
    let expected = format!(
        "waiting for jobs.batch/work to exist in namespace {}",
        space.name
    );
    assert_eq!(reconciling.message, expected);
    let ready = condition(&it, "Ready").unwrap();
    assert_eq!(ready, ("False".to_owned(), "TaskNotFound".to_owned()));
    assert!(space.secret(SECRET).await.is_none());
    let status = it.status.as_ref().unwrap();
    assert!(status.certificate.is_none() && status.first_issue_time.is_none());

    space.create_job(&job("work")).await;
    let it = space.until_ready("reader").await;
    assert!(find(&it, "Reconciling").is_none());
    assert!(space.secret(SECRET).await.is_some());
}

#[tokio::test]
async fn a_task_of_the_same_name_elsewhere_is_another_task() {
    let world = World::shared().await;
    let (here, there) = (world.space("here").await, world.space("there").await);
    there.create_job(&job("work")).await;
    here.create_identity(&identity("reader", "jobs.batch/work"))
        .await;
    here.until("reader", "waiting", |it| is(it, "Reconciling"))
        .await;
    here.looked_at("reader").await;
    assert!(here.secret(SECRET).await.is_none());
}

#[tokio::test]
async fn it_ends_when_the_task_fails() {
    let world = World::shared().await;
    let space = world.space("fails").await;
    space.running("reader", json!({})).await;
    space.finish_job("reader-job", "Failed").await;
    assert_eq!(space.until_completed("reader").await, "TaskFailed");
    space.until_no_secret(SECRET).await;
}

#[tokio::test]
async fn it_ends_as_soon_as_the_task_is_to_be_deleted_long_before_the_collector() {
    let world = World::shared().await;
    let space = world.space("deleted").await;
    space.running("reader", json!({})).await;
    let held = json!({"metadata": {"finalizers": ["example.com/held"]}});
    let patch = PatchParams::default();
    space
        .jobs()
        .patch("reader-job", &patch, &Patch::Merge(held))
        .await
        .unwrap();
    space
        .jobs()
        .delete("reader-job", &DeleteParams::background())
        .await
        .unwrap();

    assert_eq!(space.until_completed("reader").await, "TaskDeleted");
    space.until_no_secret(SECRET).await;
    let job = space.jobs().get("reader-job").await.unwrap();
    assert!(
        job.metadata.deletion_timestamp.is_some(),
        "it is still there: nothing was collected"
    );
    let free = json!({"metadata": {"finalizers": null}});
    space
        .jobs()
        .patch("reader-job", &patch, &Patch::Merge(free))
        .await
        .unwrap();
}

#[tokio::test]
async fn it_ends_with_a_task_that_is_gone_and_its_successor_gets_nothing() {
    let world = World::shared().await;
    let space = world.space("replaced").await;
    let before = space.running("reader", json!({})).await;
    let orphan = DeleteParams {
        // Nothing but the operator may take the Secret.
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    space.jobs().delete("reader-job", &orphan).await.unwrap();
    crate::harness::eventually("a successor", async || {
        let successor = serde_json::to_value(job("reader-job")).unwrap();
        create(&space.jobs(), successor).await.ok()
    })
    .await;
    let reason = space.until_completed("reader").await;
    assert!(
        ["TaskDeleted", "TaskReplaced"].contains(&reason.as_str()),
        "{reason}"
    );
    space.until_no_secret(SECRET).await;
    let after = space.looked_at("reader").await;
    assert_eq!(serial(&after), serial(&before));
    assert!(space.secret(SECRET).await.is_none());
}

#[tokio::test]
async fn another_task_than_the_named_one_is_refused_for_good() {
    let world = World::shared().await;
    let space = world.space("uid").await;
    let work = space.create_job(&job("work")).await;
    let object = identity("right", "jobs.batch/work");
    let right = with(&object, &json!({"spec": {"taskRef": {"uid": uid(&work)}}}));
    space.create_identity(&right).await;
    space.until_ready("right").await;

    let wrong = json!({"metadata": {"name": "wrong"}, "spec": {"taskRef": {"uid": "another"}}});
    space.create_identity(&with(&object, &wrong)).await;
    assert_eq!(space.until_completed("wrong").await, "TaskReplaced");
    assert_eq!(serial(&space.get("wrong").await), "");
    assert!(space.secret("wrong-identity").await.is_none());
}

#[tokio::test]
async fn it_ends_at_its_deadline_and_no_certificate_goes_beyond() {
    let world = World::shared().await;
    let space = world.space("deadline").await;
    let it = space
        .running("reader", json!({"spec": {"activeDeadlineSeconds": 3}}))
        .await;
    let status = it.status.unwrap();
    let deadline = status.deadline_time.unwrap().0;
    let begun = status.first_issue_time.unwrap().0;
    assert_eq!(deadline.duration_since(begun).as_secs(), 3);
    assert_eq!(status.certificate.unwrap().not_after.0, deadline);
    assert_eq!(space.until_completed("reader").await, "DeadlineExceeded");
    space.until_no_secret(SECRET).await;
    let job = space.jobs().get("reader-job").await.unwrap();
    assert!(
        job.metadata.deletion_timestamp.is_none(),
        "the task is left alone"
    );
}

#[tokio::test]
async fn a_task_that_is_over_already_gets_nothing_however_often_it_is_asked_for() {
    let world = World::shared().await;
    let space = world.space("over").await;
    space.create_job(&job("work")).await;
    space
        .create_identity(&identity("first", "jobs.batch/work"))
        .await;
    space.until_ready("first").await;
    space.finish_job("work", "Succeeded").await;
    space.until_completed("first").await;

    space
        .create_identity(&identity("late", "jobs.batch/work"))
        .await;
    assert_eq!(space.until_completed("late").await, "TaskSucceeded");
    space.delete("first").await;
    until_gone(&space.identities(), "first").await;
    space
        .create_identity(&identity("first", "jobs.batch/work"))
        .await;
    assert_eq!(space.until_completed("first").await, "TaskSucceeded");
    for name in ["first", "late"] {
        let it = space.looked_at(name).await;
        assert_eq!(serial(&it), "");
        assert!(it.status.unwrap().first_issue_time.is_none());
        assert!(space.secret(&format!("{name}-identity")).await.is_none());
    }
}

#[tokio::test]
async fn a_deleted_identity_takes_its_secret_along_and_not_its_task() {
    let world = World::shared().await;
    let space = world.space("gone").await;
    space.running("reader", json!({})).await;
    space.delete("reader").await;
    until_gone(&space.identities(), "reader").await;
    space.until_no_secret(SECRET).await;
    assert!(space.jobs().get_opt("reader-job").await.unwrap().is_some());
}

#[tokio::test]
async fn an_identity_that_is_held_while_it_is_deleted_has_lost_its_secret_already() {
    let world = World::shared().await;
    let space = world.space("held").await;
    let patch = json!({"metadata": {"finalizers": ["example.com/held"]}});
    space.running("reader", patch).await;
    space.delete("reader").await;
    space.until_no_secret(SECRET).await;
    let it = space.get("reader").await;
    assert!(
        it.metadata.deletion_timestamp.is_some(),
        "it is still there"
    );
    let free = json!({"metadata": {"finalizers": null}});
    space.patch("reader", free).await;
    until_gone(&space.identities(), "reader").await;
    assert!(space.secret(SECRET).await.is_none());
}

#[tokio::test]
async fn a_deleted_namespace_goes_with_all_that_is_in_it() {
    let world = World::shared().await;
    let space = world.space("doomed").await;
    space.running("reader", json!({})).await;
    let namespaces = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(world.client().await);
    namespaces
        .delete(&space.name, &DeleteParams::default())
        .await
        .unwrap();
    space.until_no_secret(SECRET).await;
    until_gone(&space.identities(), "reader").await;
    world.still_serves().await;
}

#[tokio::test]
async fn the_record_goes_when_it_was_kept_for_long_enough() {
    let world = World::shared().await;
    let space = world.space("record").await;
    space
        .running("brief", json!({"spec": {"ttlSecondsAfterFinished": 0}}))
        .await;
    space.running("kept", json!({})).await;
    for name in ["brief", "kept"] {
        space.finish_job(&format!("{name}-job"), "Succeeded").await;
    }
    until_gone(&space.identities(), "brief").await;
    space.until_completed("kept").await;
    space.until_no_secret("brief-identity").await;
    let patch = json!({"spec": {"ttlSecondsAfterFinished": 1}});
    space.patch("kept", patch).await;
    until_gone(&space.identities(), "kept").await;
}

#[tokio::test]
async fn a_credential_is_gone_within_a_second_of_its_tasks_end() {
    let world = World::shared().await;
    let space = world.space("second").await;
    space.running("reader", json!({})).await;
    space.finish_job("reader-job", "Succeeded").await;
    let jobs = space.jobs();
    let ended = crate::support::until(&jobs, "reader-job", "complete", |it| is(it, "Complete"));
    ended.await;
    let started = std::time::Instant::now();
    space.until_no_secret(SECRET).await;
    // Twice as much for a machine that runs everything else at the same time.
    assert!(started.elapsed() < PATIENCE / 15, "{:?}", started.elapsed());
}
