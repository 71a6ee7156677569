//! The life of an identity.

use crate::harness::{World, identity, job};

#[tokio::test]
async fn an_identity_lives_as_long_as_its_task() {
    let world = World::shared().await;
    let space = world.space("life").await;
    space.create_job(&job("work")).await;
    space
        .create_identity(&identity("reader", "jobs.batch/work"))
        .await;
    space.until_ready("reader").await;
    assert!(space.secret("reader-identity").await.is_some());

    space.finish_job("work", "Succeeded").await;
    let over = space.until_completed("reader").await;
    assert_eq!(over, "TaskSucceeded");
    space.until_no_secret("reader-identity").await;
}
