//! What a delegation rests on ends between the look at it and the write, and two who lead at once.

use std::time::Duration;

use countersign_audit::{Kind, Record};
use countersign_testbed::{Deliver, FaultProxy, Postgres, ProxyOptions};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::crowd::{is_completed, is_ready, name};
use super::hops::{Hops, Showings, digest, hop, root};
use super::record::Book;
use crate::harness::{PATIENCE, World, eventually, within};
use crate::support::{OPERATOR_NAMESPACE, is, uid};

const EVERYWHERE: &[&str] = &["--secret-namespaces", "*"];
/// From the arrival of a write that is out of date to the end of what it said.
const ENDS: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_a_delegation_rests_on_ends_while_its_write_is_on_its_way() {
    let world = World::own().await;
    let proxy = only_delegations(&world);
    let operator = world.operator_by(proxy.kubeconfig(), "only", EVERYWHERE);
    let space = world.space("on-its-way").await;
    let hops = Hops::of(&space);
    for name in ["stays", "delegate", "delegator", "above"] {
        space.create_agent(name).await;
        space.until_ready(name).await;
    }
    for (name, to) in [("to-delegator", "delegator"), ("to-above", "above")] {
        hops.create(root(name, to)).await;
        hops.until_ready(name).await;
    }
    let showings = Showings::begin(&space, None).await;

    proxy.hold_writes();
    proxy.forget_requests();
    let late = [
        ("delegate-ends", root("delegate-ends", "delegate")),
        (
            "delegator-ends",
            hop("delegator-ends", "to-delegator", "delegator", "stays"),
        ),
        (
            "parent-ends",
            hop("parent-ends", "to-above", "above", "stays"),
        ),
    ];
    for (_, object) in &late {
        hops.create(object.clone()).await;
    }
    eventually("writes on their way", async || {
        let sent = |name: &str| {
            let requests = proxy.requests();
            let path = format!("/{name}/status");
            requests
                .iter()
                .any(|it| it.is_mutation() && it.path.ends_with(&path))
        };
        late.iter().all(|(name, _)| sent(name)).then_some(())
    })
    .await;
    space.finish_pod("delegate", "Succeeded").await;
    space.finish_pod("delegator", "Succeeded").await;
    hops.revoke("to-above").await;
    for agent in ["delegate", "delegator"] {
        space.until_completed(agent).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;

    proxy.release_writes();
    for (name, reason) in [
        ("delegate-ends", "DelegateEnded"),
        ("delegator-ends", "DelegatorEnded"),
        ("parent-ends", "ParentEnded"),
        ("to-delegator", "DelegateEnded"),
        ("to-above", "Revoked"),
    ] {
        let why = hops.until_ended(ENDS, name).await;
        // Whichever of an agent's end and its delegation's is seen first.
        let either = ["DelegatorEnded", "ParentEnded"];
        let same = why == reason || either.contains(&&*why) && either.contains(&reason);
        assert!(same, "{name}: {why}");
    }
    let shown = showings.end().await;
    let shown = |name: &str| shown.values().find(|it| it.name == name).unwrap().clone();
    assert_eq!(shown("delegate-ends").digests.len(), 1, "its write came");
    assert!(!operator.log().contains("panicked"));
}

#[tokio::test]
async fn what_a_delegation_rests_on_ends_while_the_answer_to_its_write_is_lost() {
    let world = World::own().await;
    let proxy = only_delegations(&world);
    let _operator = world.operator_by(proxy.kubeconfig(), "only", EVERYWHERE);
    let space = world.space("answer").await;
    let hops = Hops::of(&space);
    for name in ["ends", "next"] {
        space.create_agent(name).await;
        space.until_ready(name).await;
    }
    for (n, deliver) in [(1, Deliver::Yes), (2, Deliver::No)] {
        let agent = if n == 1 { "ends" } else { "next" };
        let late = format!("late-{n}");
        proxy.cut_after(1, deliver);
        hops.create(root(&late, agent)).await;
        proxy.until_cut().await;
        space.finish_pod(agent, "Succeeded").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(is(&hops.get(&late).await, "Ready"), deliver == Deliver::Yes);
        proxy.heal();
        // Watches come back within some seconds.
        let why = hops.until_ended(PATIENCE, &late).await;
        assert_eq!(why, "DelegateEnded");
    }
    // It hasn't lost its lead.
    space.create_agent("after").await;
    space.until_ready("after").await;
}

#[tokio::test]
async fn two_that_lead_at_once_leave_one_statement_for_each_delegation() {
    const AGENTS: usize = 6;
    const CHAINS: usize = 40;
    let Some(server) = Postgres::start().unwrap() else {
        return;
    };
    let world = World::own().await;
    let url = server.url();
    let replica = |writer| {
        let audit = ["--audit", &url, "--audit-writer", writer];
        world.operator(writer, &[EVERYWHERE, &audit].concat())
    };
    let first = replica("a");
    first.until_leading().await;
    let second = replica("b");
    let space = world.space("racing").await;
    let hops = Hops::of(&space);
    space.create_agents(0..AGENTS).await;
    space.until_count(PATIENCE, AGENTS, "Ready", is_ready).await;
    let book = Book::open(&world, &url).await;
    let showings = Showings::begin(&space, Some(book.reader.clone())).await;

    let work = async {
        for n in 0..CHAINS {
            let (top, below) = (format!("root-{n}"), format!("hop-{n}"));
            let (from, to) = (name(n % AGENTS), name((n + 1) % AGENTS));
            hops.create(hop(&below, &top, &from, &to)).await;
            hops.create(root(&top, &from)).await;
            if n % 4 == 3 {
                hops.revoke(&format!("root-{}", n - 1)).await;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    let stop = async {
        work.await;
        Err::<(), ()>(())
    };
    let _over = futures::future::try_join(stop, pass_the_lead(&world)).await;
    space.finish_pod(&name(0), "Succeeded").await;
    within(PATIENCE, "the agent's end", async || {
        (space.count(is_completed).await == 1).then_some(())
    })
    .await;
    let settled = |it: &_| is(it, "Ready") || is(it, "Completed");
    hops.until_all(PATIENCE, "settled", settled).await;
    for operator in [&first, &second] {
        let led = operator.log().matches("operator: leading").count();
        assert!(led > 1, "led {led} times: no race at all");
        assert!(!operator.log().contains("panicked"));
    }

    for (uid, shown) in showings.end().await {
        assert!(shown.digests.len() <= 1, "{uid}: {shown:?}");
    }
    let all = hops.all().await;
    let ready = |it: &&_| is(*it, "Ready");
    assert!(all.iter().filter(ready).count() > CHAINS / 4);
    for it in &all {
        let name = it.name_any();
        let parent = it.spec.parent_ref.as_ref();
        let parent = parent.map(|parent| all.iter().find(|it| it.name_any() == parent.name));
        if let Some(Some(parent)) = parent {
            assert!(!is(it, "Ready") || is(parent, "Ready"), "{name} is Ready");
        }
        let Some(digest) = digest(it) else {
            continue;
        };
        // Whoever lost a race has a record of something that nobody holds, and none later.
        let mut records = book.reader.by_object_uid(&uid(it)).await.unwrap();
        records.retain(|it| it.entry.kind == Kind::DelegationGranted);
        let of = |it: &Record| it.entry.delegation.as_ref().map(|it| it.digest.clone());
        // One that was signed twice in a second is the same, by whomever: one of the two wrote it.
        let is_last = |shown: &Record| {
            let same = |it: &&Record| it.position.chain == shown.position.chain;
            let last = records.iter().filter(same).map(|it| it.position.seq).max();
            last == Some(shown.position.seq)
        };
        let mut shown = records.iter();
        let shown = shown.any(|it| of(it).as_ref() == Some(&digest) && is_last(it));
        assert!(shown, "{name} shows {digest}: {records:#?}");
    }
    book.assert_intact().await;
    book.assert_covers(&space).await;
}

/// The lease is nobody's again and again: whoever had it believes to lead for two more seconds.
async fn pass_the_lead(world: &World) -> Result<(), ()> {
    let leases: Api<Lease> = Api::namespaced(world.client().await, OPERATOR_NAMESPACE);
    let (params, patch) = (
        PatchParams::default(),
        Patch::Merge(json!({"spec": {"holderIdentity": null}})),
    );
    loop {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let patched = leases.patch("countersign-operator", &params, &patch);
        patched.await.unwrap();
    }
}

/// A proxy that counts and holds writes of delegations alone.
fn only_delegations(world: &World) -> FaultProxy {
    let others = ["/leases", "/configmaps", "/agentidentities", "/secrets"];
    let more = ["/trustdomains", "/events", "/namespaces/countersign-system"];
    let options = ProxyOptions {
        uncounted: others.into_iter().chain(more).map(str::to_owned).collect(),
    };
    FaultProxy::start(world.plane(), options).unwrap()
}
