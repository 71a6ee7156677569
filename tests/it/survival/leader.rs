//! Two replicas, and the one that leads goes in every way there is.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::crowd::{is_completed, is_ready, life_seconds, name};
use super::sightings::Sightings;
use crate::harness::{PATIENCE, World, within};

const EVERYWHERE: &[&str] = &["--secret-namespaces", "*"];
/// The lease, and what two busy cores need to notice and to begin.
const TAKE_OVER: Duration = Duration::from_secs(10 + 5);

#[tokio::test]
async fn a_leader_killed_in_the_middle_of_renewals_is_followed_and_nothing_is_issued_twice() {
    const ALL: usize = 100;
    const ENDED: usize = 20;
    let world = World::own().await;
    let mut first = world.operator("first", EVERYWHERE);
    first.until_leading().await;
    let second = world.operator("second", EVERYWHERE);
    let space = world.space("killed").await;
    space.create_agents(0..ALL).await;
    space.until_count(PATIENCE, ALL, "Ready", is_ready).await;

    let renewed = |it: &_| life_seconds(it) == 600;
    let longer = json!({"spec": {"credential": {"certificateTTLSeconds": 600}}});
    let kill = async {
        let count = within(PATIENCE, "the first renewals", async || {
            let count = space.count(renewed).await;
            (count >= 10).then_some(count)
        })
        .await;
        first.kill();
        assert!(count < ALL, "killed too late");
        Instant::now()
    };
    let (killed, ()) = tokio::join!(kill, space.patch_agents(0..ALL, longer));
    for n in 0..ENDED {
        let name = name(n);
        match n % 4 {
            0 => space.finish_pod(&name, "Succeeded").await,
            1 => space.finish_pod(&name, "Failed").await,
            2 => space.delete_pod(&name).await,
            _ => space.replace_pod(&name).await,
        }
    }
    second.until_leading().await;
    let took = killed.elapsed();
    assert!(took < TAKE_OVER, "{took:?} until another led");
    within(PATIENCE, "the credentials' end", async || {
        let left = space.credentials().await.len();
        (left == ALL - ENDED).then_some(())
    })
    .await;
    let going_on = |it: &_| is_ready(it) && renewed(it);
    space
        .until_count(PATIENCE, ALL - ENDED, "renewed", going_on)
        .await;
    assert_eq!(space.count(is_completed).await, ENDED);
    let serials = space.assert_in_order().await;
    assert_eq!(serials.len(), ALL - ENDED);
    world.assert_written(&space, 2).await; // once issued, once renewed
}

#[tokio::test]
async fn a_leader_stopped_past_its_lease_brings_nothing_back_and_writes_no_more() {
    const RENEWED: usize = 10;
    const ENDED: usize = 5;
    let world = World::own().await;
    let proxy = world.proxy();
    let first = world.operator_by(proxy.kubeconfig(), "first", EVERYWHERE);
    first.until_leading().await;
    let mut second = world.operator("second", EVERYWHERE);
    let space = world.space("stopped").await;
    space.create_agents(0..RENEWED).await;
    space
        .until_count(PATIENCE, RENEWED, "Ready", is_ready)
        .await;

    // What it has sent is on its way for long: a first issue, and renewals.
    proxy.hold_writes();
    proxy.forget_requests();
    space.create_agent("late").await;
    let longer = json!({"spec": {"credential": {"certificateTTLSeconds": 600}}});
    space.patch_agents(0..RENEWED, longer).await;
    let sent = || {
        let requests = proxy.requests().into_iter();
        let writes = requests.filter(|it| it.is_mutation() && it.path.contains("/secrets"));
        writes.count()
    };
    within(PATIENCE, "writes on their way", async || {
        (sent() > RENEWED).then_some(())
    })
    .await;
    first.signal(Signal::STOP);
    second.until_leading().await;
    space
        .until_count(PATIENCE, RENEWED + 1, "Ready", is_ready)
        .await;
    let renewed = |it: &_| is_ready(it) && life_seconds(it) == 600;
    space
        .until_count(PATIENCE, RENEWED, "renewed", renewed)
        .await;
    let mut over: Vec<String> = (0..ENDED).map(name).collect();
    over.push("late".to_owned());
    for name in &over {
        space.finish_pod(name, "Succeeded").await;
    }
    for name in &over {
        space.until_no_secret(&format!("{name}-identity")).await;
    }
    let before = space.assert_in_order().await;
    assert_eq!(before.len(), RENEWED - ENDED);

    let sightings = Sightings::begin(&space).await;
    proxy.release_writes();
    tokio::time::sleep(Duration::from_secs(2)).await;
    proxy.forget_requests();
    first.signal(Signal::CONT);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let came_back = sightings.end(&[]).await;
    assert!(
        came_back.contains("late-identity"),
        "the late write never came: {came_back:?}"
    );
    let written = proxy.requests().into_iter();
    let written = written.filter(|it| it.is_mutation() && !it.path.contains("/leases"));
    let written: Vec<_> = written.collect();
    assert!(written.is_empty(), "it wrote: {written:#?}");
    assert_eq!(space.assert_in_order().await, before);
    world.assert_written(&space, 2).await;

    // It is of use again.
    assert!(second.stop().success());
    space.create_agent("next").await;
    space.until_ready("next").await;
}

#[tokio::test]
async fn a_leader_that_is_asked_to_stop_is_followed_within_two_seconds() {
    let world = World::own().await;
    let mut first = world.operator("first", EVERYWHERE);
    first.until_leading().await;
    let second = world.operator("second", EVERYWHERE);
    let space = world.space("asked").await;
    space.create_agent("before").await;
    space.until_ready("before").await;
    let before = space.assert_in_order().await;

    let asked = Instant::now();
    assert!(first.stop().success());
    second.until_leading().await;
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?} until another led");
    space.create_agent("after").await;
    space.until_ready("after").await;
    let after = space.assert_in_order().await;
    assert_eq!(after["before"], before["before"], "issued once more");
}
