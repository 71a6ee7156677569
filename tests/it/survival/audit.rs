//! The audit log can't be written: nothing is granted, and all that ends goes on to end.

use std::time::{Duration, Instant};

use countersign_audit::Kind;
use countersign_testbed::Postgres;
use kube::ResourceExt as _;

use super::crowd::is_ready;
use super::cuts::forget_lease;
use super::disk::Disk;
use super::hops::{Hops, assert_over, digest, hop, root};
use super::record::Book;
use crate::harness::{PATIENCE, Space, World, eventually, identity, job, within};
use crate::support::{find, is, uid};

/// A second is promised; the rest is for two busy cores.
const ENDS: Duration = Duration::from_secs(1 + 9);
/// The same where nothing else is to be done: less than a grant waits for its record.
const HANGS: Duration = Duration::from_millis(1500);
/// How long a database is gone here.
const OUTAGE: Duration = Duration::from_secs(15);

#[tokio::test]
async fn while_the_disk_is_full_nothing_is_granted_and_all_that_ends_ends() {
    let world = World::own().await;
    let Some(disk) = Disk::mount(world.plane().dir()) else {
        return;
    };
    let url = format!("sqlite:{}", disk.path("audit.db").display());
    let operator = world.operator("only", &arguments(&url));
    let scene = Scene::set(&world).await;

    disk.fill();
    for message in scene.in_trouble().await {
        assert!(message.contains("database or disk is full"), "{message}");
        assert!(message.contains("Nothing is granted until"), "{message}");
    }

    disk.make_room();
    scene.resumed(&url).await;
    assert!(!operator.log().contains("panicked"));
}

#[tokio::test]
async fn while_the_database_is_gone_nothing_is_granted_and_all_that_ends_ends() {
    let Some(mut server) = Postgres::start().unwrap() else {
        return;
    };
    let world = World::own().await;
    let url = server.url();
    let operator = world.operator("only", &arguments(&url));
    let scene = Scene::set(&world).await;
    let space = &scene.space;
    space.create_agents(0..15).await;
    space.until_count(PATIENCE, 17, "Ready", is_ready).await;

    server.down().unwrap();
    let gone = Instant::now();
    for message in scene.in_trouble().await {
        assert!(message.contains("Nothing is granted until"), "{message}");
    }
    for n in 0.. {
        if gone.elapsed() > OUTAGE {
            break;
        }
        space.create_agent(&format!("waits-{n}")).await;
        let ends = super::crowd::name(n % 15);
        if n < 15 {
            space.finish_pod(&ends, "Succeeded").await;
            scene.assert_ends(&format!("{ends}-identity")).await;
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    let waiting = space.all().await.unwrap();
    let waiting = waiting.iter().filter(|it| it.name_any().contains("waits"));
    assert!(waiting.clone().count() > 5);
    assert!(waiting.clone().all(|it| !is_ready(it)), "granted meanwhile");

    server.up().unwrap();
    for it in waiting {
        space.until_ready(&it.name_any()).await;
    }
    scene.resumed(&url).await;
    assert!(!operator.log().contains("panicked"));
}

#[tokio::test]
async fn connections_to_the_database_that_break_delay_a_grant_by_a_moment() {
    let Some(server) = Postgres::start().unwrap() else {
        return;
    };
    let world = World::own().await;
    let url = server.url();
    let _operator = world.operator("only", &arguments(&url));
    let space = world.space("broken").await;
    space.create_agent("first").await;
    space.until_ready("first").await;
    for n in 0..8 {
        server.break_connections().unwrap();
        let name = format!("next-{n}");
        space.create_agent(&name).await;
        within(ENDS, &name, async || {
            is_ready(&space.get(&name).await).then_some(())
        })
        .await;
    }
    let book = Book::open(&world, &url).await;
    book.assert_intact().await;
    book.assert_covers(&space).await;
}

#[tokio::test]
async fn a_database_that_hangs_holds_no_end_up() {
    const LIVE: usize = 8;
    const WAITING: usize = 128;
    let Some(server) = Postgres::start().unwrap() else {
        return;
    };
    let world = World::own().await;
    let url = server.url();
    let _operator = world.operator("only", &arguments(&url));
    let space = world.space("hangs").await;
    space.create_agents(0..LIVE).await;
    space.until_count(PATIENCE, LIVE, "Ready", is_ready).await;

    server.hang().unwrap();
    let ends = async {
        // Whoever works waits for the log by then.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut taken = Vec::new();
        for n in 0..LIVE {
            let name = super::crowd::name(n);
            space.finish_pod(&name, "Succeeded").await;
            let finished = Instant::now();
            space.until_no_secret(&format!("{name}-identity")).await;
            taken.push(finished.elapsed());
        }
        taken.sort_unstable();
        taken
    };
    let ((), taken) = tokio::join!(space.create_agents(LIVE..LIVE + WAITING), ends);
    let granted = space.count(is_ready).await;
    server.wake().unwrap();
    // The usual end, since two cores that run other tests too may hold up any one of them.
    assert!(taken[LIVE / 2] < HANGS, "ends took {taken:?}");
    assert_eq!(granted, 0, "granted meanwhile");
    space
        .until_count(PATIENCE, WAITING, "Ready", is_ready)
        .await;
    let book = Book::open(&world, &url).await;
    book.assert_intact().await;
    book.assert_covers(&space).await;
    world.assert_written(&space, 1).await;
}

#[tokio::test]
async fn an_operator_that_starts_while_the_database_is_gone_ends_what_ends() {
    let Some(mut server) = Postgres::start().unwrap() else {
        return;
    };
    let world = World::own().await;
    let url = server.url();
    let mut first = world.operator("first", &arguments(&url));
    let scene = Scene::set(&world).await;
    first.kill();
    forget_lease(&world).await;
    server.down().unwrap();
    let second = world.operator("second", &arguments(&url));
    second.until_leading().await;
    scene.in_trouble().await;
    server.up().unwrap();
    scene.resumed(&url).await;
}

/// In every namespace, with this log.
/// Those of one after the other: they go on in one chain.
pub(super) fn arguments(url: &str) -> [&str; 6] {
    let writer = "operator";
    [
        "--secret-namespaces",
        "*",
        "--audit",
        url,
        "--audit-writer",
        writer,
    ]
}

/// Agents and delegations from before the trouble: of each, some end in it.
struct Scene<'a> {
    world: &'a World,
    space: Space,
    hops: Hops,
}

impl<'a> Scene<'a> {
    async fn set(world: &'a World) -> Self {
        let space = world.space("trouble").await;
        let hops = Hops::of(&space);
        for name in ["planner", "clerk", "ends"] {
            space.create_agent(name).await;
        }
        space.create_job(&job("work")).await;
        let worker = identity("worker", "jobs.batch/work");
        space.create_identity(&worker).await;
        for name in ["planner", "clerk", "ends", "worker"] {
            space.until_ready(name).await;
        }
        for object in [
            root("to-planner", "planner"),
            root("to-ends", "ends"),
            hop("to-clerk", "to-planner", "planner", "clerk"),
        ] {
            let name = hops.create(object).await.name_any();
            hops.until_ready(&name).await;
        }
        Self { world, space, hops }
    }

    async fn assert_ends(&self, secret: &str) {
        within(ENDS, &format!("the end of {secret}"), async || {
            self.space.secret(secret).await.is_none().then_some(())
        })
        .await;
    }

    /// What is asked for is refused, and what ends ends. Gives what is said of it.
    async fn in_trouble(&self) -> [String; 2] {
        let (space, hops) = (&self.space, &self.hops);
        space.create_agent("new").await;
        hops.create(root("late", "planner")).await;
        let said = [
            space.until_refused("new", "AuditUnavailable").await,
            hops.until_held("late", "AuditUnavailable").await,
        ];

        space.finish_pod("ends", "Succeeded").await;
        self.assert_ends("ends-identity").await;
        assert_eq!(hops.until_ended(ENDS, "to-ends").await, "DelegateEnded");
        hops.revoke("to-clerk").await;
        assert_eq!(hops.until_ended(ENDS, "to-clerk").await, "Revoked");
        space.finish_job("work", "Succeeded").await;
        // The Job's own controller takes a moment, too.
        within(2 * ENDS, "the end of the Job's Secret", async || {
            let gone = space.secret("worker-identity").await.is_none();
            gone.then_some(())
        })
        .await;

        assert!(space.secret("new-identity").await.is_none());
        let late = hops.get("late").await;
        assert!(!is(&late, "Ready") && digest(&late).is_none());
        // What was granted before stays so.
        assert!(is_ready(&space.get("planner").await));
        assert!(is(&hops.get("to-planner").await, "Ready"));
        said
    }

    /// All is granted by itself, and what happened meanwhile is in the log.
    async fn resumed(&self, url: &str) {
        let (space, hops) = (&self.space, &self.hops);
        let new = space.until_ready("new").await;
        let late = hops.until_ready("late").await;
        assert!(find(&new, "Stalled").is_none(), "{:#?}", new.status);
        let book = Book::open(self.world, url).await;
        for name in ["ends", "worker"] {
            let uid = uid(&space.get(name).await);
            eventually("the record of its end", async || {
                let count = book.count(&uid, Kind::IdentityEnded).await;
                (count > 0).then_some(())
            })
            .await;
            assert_eq!(book.count(&uid, Kind::IdentityEnded).await, 1, "{name}");
        }
        for name in ["to-ends", "to-clerk"] {
            let it = hops.get(name).await;
            assert_over(&it);
            let count = book.count(&uid(&it), Kind::DelegationEnded).await;
            assert_eq!(count, 1, "{name}");
        }
        assert_eq!(book.count(&uid(&late), Kind::DelegationGranted).await, 1);
        let all = book.all().await;
        let resumed = all.iter().filter(|it| it.entry.kind == Kind::LogResumed);
        assert!(resumed.count() > 0, "nothing says that the log failed");
        book.assert_intact().await;
        book.assert_covers(space).await;
        space.assert_in_order().await;
        self.world.assert_written(space, 1).await;
    }
}
