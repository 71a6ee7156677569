//! An end waits for no record, and has one all the same.

use countersign_audit::Kind;
use countersign_testbed::{Deliver, FaultProxy, Postgres, ProxyOptions};

use super::audit::arguments;
use super::cuts::forget_lease;
use super::hops::{Hops, root};
use super::record::Book;
use crate::harness::{PATIENCE, Space, World, eventually};
use crate::support::uid;

#[tokio::test]
async fn an_end_is_recorded_though_the_answer_to_its_write_was_lost() {
    let world = World::own().await;
    let options = ProxyOptions {
        uncounted: ["/leases", "/configmaps", "/secrets", "/events"]
            .map(str::to_owned)
            .into(),
    };
    let proxy = FaultProxy::start(world.plane(), options).unwrap();
    let url = format!("sqlite:{}", world.plane().dir().join("ends.db").display());
    let operator = world.operator_by(proxy.kubeconfig(), "only", &arguments(&url));
    let (space, hops) = made(&world).await;

    proxy.cut_after(1, Deliver::Yes);
    hops.revoke("revoked").await;
    proxy.until_cut().await;
    proxy.heal();
    hops.until_ended(PATIENCE, "revoked").await;
    // Watches are back.
    space.create_agent("other").await;
    space.until_ready("other").await;

    proxy.cut_after(1, Deliver::Yes);
    space.finish_pod("ends", "Succeeded").await;
    proxy.until_cut().await;
    proxy.heal();
    assert_eq!(space.until_completed("ends").await, "TaskSucceeded");
    space.until_no_secret("ends-identity").await;
    assert_recorded(&Book::open(&world, &url).await, &space, &hops).await;
    assert!(!operator.log().contains("panicked"));
}

#[tokio::test]
async fn ends_that_waited_for_a_database_when_their_operator_died_are_recorded_by_the_next() {
    let Some(mut server) = Postgres::start().unwrap() else {
        return;
    };
    let world = World::own().await;
    let url = server.url();
    let mut first = world.operator("first", &arguments(&url));
    let (space, hops) = made(&world).await;
    server.down().unwrap();
    hops.revoke("revoked").await;
    hops.until_ended(PATIENCE, "revoked").await;
    space.finish_pod("ends", "Succeeded").await;
    assert_eq!(space.until_completed("ends").await, "TaskSucceeded");
    space.until_no_secret("ends-identity").await;
    first.kill();
    forget_lease(&world).await;

    server.up().unwrap();
    let second = world.operator("second", &arguments(&url));
    second.until_leading().await;
    space.create_agent("next").await;
    space.until_ready("next").await;
    assert_recorded(&Book::open(&world, &url).await, &space, &hops).await;
}

/// An agent whose task ends, and a delegation that is revoked.
async fn made(world: &World) -> (Space, Hops) {
    let space = world.space("ends").await;
    let hops = Hops::of(&space);
    for name in ["planner", "ends"] {
        space.create_agent(name).await;
        space.until_ready(name).await;
    }
    hops.create(root("revoked", "planner")).await;
    hops.until_ready("revoked").await;
    (space, hops)
}

async fn assert_recorded(book: &Book, space: &Space, hops: &Hops) {
    for (uid, kind) in [
        (uid(&hops.get("revoked").await), Kind::DelegationEnded),
        (uid(&space.get("ends").await), Kind::IdentityEnded),
    ] {
        eventually(&format!("a record of {kind:?}"), async || {
            (book.count(&uid, kind).await == 1).then_some(())
        })
        .await;
    }
    book.assert_intact().await;
}
