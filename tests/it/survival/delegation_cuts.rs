//! The operator is cut off at any write of a delegation's life, dies there, and another starts.

use std::time::Duration;

use countersign_audit::Kind;
use countersign_testbed::{Deliver, FaultProxy, ProxyOptions};

use super::audit::arguments;
use super::cuts::Fate;
use super::hops::{Hops, Showings, digest, hop, root};
use super::record::Book;
use crate::harness::{PATIENCE, World};
use crate::support::{is, uid};

/// The status of either when it is countersigned, the hop's tie to its parent, and the status of
/// either when it is over.
const WRITES_OF_A_LIFE: usize = 5;

#[tokio::test]
async fn a_chain_is_right_wherever_the_operator_is_cut_off_and_the_write_is_lost() {
    at_every_write(Deliver::No).await;
}

#[tokio::test]
async fn a_chain_is_right_wherever_the_operator_is_cut_off_and_the_write_gets_through() {
    at_every_write(Deliver::Yes).await;
}

async fn at_every_write(deliver: Deliver) {
    let world = World::own().await;
    let options = ProxyOptions {
        // Checkpoints are published by the clock.
        uncounted: vec!["/leases".to_owned(), "/configmaps".to_owned()],
    };
    let proxy = FaultProxy::start(world.plane(), options).unwrap();
    let file = world.plane().dir().join("cuts.db");
    let url = format!("sqlite:{}", file.display());
    let arguments = arguments(&url);
    let mut fate = Fate::begin(&world, &proxy, &arguments).await;
    let space = world.space("cut").await;
    for name in ["planner", "clerk"] {
        space.create_agent(name).await;
        space.until_ready(name).await;
    }
    let hops = Hops::of(&space);
    let book = Book::open(&world, &url).await;
    let showings = Showings::begin(&space, Some(book.reader.clone())).await;
    let mut n = 1;
    loop {
        fate.rest().await;
        proxy.cut_after(n, deliver);
        let cuts = fate.cuts;
        let (done, life) = tokio::sync::oneshot::channel();
        let live = async {
            live(&hops, n).await;
            done.send(()).unwrap();
        };
        tokio::join!(live, fate.rule_until(life));
        assert!(!hops.all().await.iter().any(|it| is(it, "Ready")));
        if fate.cuts == cuts {
            break;
        }
        n += 1;
    }
    proxy.heal();
    assert_eq!(fate.cuts, WRITES_OF_A_LIFE, "writes of a life");
    for shown in showings.end().await.values() {
        assert_eq!(shown.digests.len(), 1, "countersigned once more: {shown:?}");
    }
    book.assert_intact().await;
    book.assert_covers(&space).await;
    for delegation in hops.all().await {
        let granted = book.reader.by_object_uid(&uid(&delegation)).await.unwrap();
        let granted = granted.iter().rev();
        let mut granted = granted.filter(|it| it.entry.kind == Kind::DelegationGranted);
        let last = granted.next().and_then(|it| it.entry.delegation.clone());
        assert_eq!(last.map(|it| it.digest), digest(&delegation));
    }
}

/// Countersigned and revoked, root and hop.
async fn live(hops: &Hops, n: usize) {
    let (top, below) = (format!("root-{n}"), format!("hop-{n}"));
    hops.create(root(&top, "planner")).await;
    hops.until_ready(&top).await;
    let object = hop(&below, &top, "planner", "clerk");
    let made = hops.create(object).await;
    let made = uid(&made);
    hops.until_ready(&below).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    hops.revoke(&top).await;
    assert_eq!(hops.until_ended(PATIENCE, &top).await, "Revoked");
    assert_eq!(hops.until_ended(PATIENCE, &below).await, "ParentEnded");
    assert_eq!(uid(&hops.get(&below).await), made);
}
