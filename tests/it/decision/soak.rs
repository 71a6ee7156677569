//! A mixed load for minutes, or for hours by `make soak`: no memory that grows, no sensitive allow
//! without its record, no answer that must not be.

mod books;
mod cast;
mod hostile;
mod load;
mod tally;
mod upsets;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::books::{Books, Note};
use self::cast::{Actor, Cast};
use self::tally::{Memory, Times, Watched};
use super::decider::{Decider, free_address};
use super::setting::{guard, permit, set_cluster_policy, spiffe_id};
use super::through::{envoy, lasting, service};
use crate::harness::{DOMAIN, World, eventually};
use crate::survival::record::Book;

const REPLICAS: [&str; 2] = ["first", "second"];
/// Always in good standing.
const STEADY: [&str; 3] = ["steady-a", "steady-b", "steady-c"];
/// Connections of AuthZEN, and as many through Envoy.
const CONNECTIONS: u32 = 4;
/// Envoy waits for an answer so long: longer than anybody waits for the store.
const WAIT: Duration = Duration::from_secs(10);
/// No certificate of Envoy's own expires in the longest soak.
const DAY: u32 = 86_400;

fn setting(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(default, |it| it.parse().expect(name))
}

/// What holds for everybody: as elsewhere, but some of the invoices are secret, and nobody has access
/// to a vault.
fn guarded() -> Value {
    let mut guard = guard();
    let secret = json!({"pattern": "ledger/invoices/secret/*", "sensitivity": "Restricted"});
    guard["resources"].as_array_mut().unwrap().push(secret);
    let cedar =
        "forbid (principal, action, resource in Countersign::Collection::\"ledger/vault\");";
    let vault = json!({"id": "vault", "cedar": cedar});
    guard["policies"].as_array_mut().unwrap().push(vault);
    guard
}

/// Replicas that share signals.
async fn replicas(world: &World) -> Vec<Decider> {
    let token = world.plane().dir().join("peers.token");
    std::fs::write(&token, "a-token-of-replicas-long-enough").unwrap();
    let token = token.display().to_string();
    let addresses = REPLICAS.map(|_| free_address());
    let mut started = Vec::new();
    for (place, name) in REPLICAS.iter().enumerate() {
        let peer = format!("http://{}", addresses[1 - place]);
        let arguments = [
            ["--listen", &addresses[place], "--peer", &peer],
            // Of a long soak, what isn't sensitive would fill the disk.
            ["--peer-token", &token, "--record", "sensitive"],
        ];
        started.push(Decider::start(world, name, &arguments.concat()));
    }
    for replica in &started {
        replica.ready().await;
    }
    started
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_soak_grows_no_memory_and_leaves_no_sensitive_allow_without_its_record() {
    let lasts = Duration::from_secs(setting("SOAK_SECONDS", 120));
    let rate = u32::try_from(setting("SOAK_RATE", 150)).unwrap();
    let pause = Duration::from_secs(1) * (2 * CONNECTIONS) / rate;
    let world = World::own().await;
    let day = json!({"spec": {"maxCertificateTTLSeconds": DAY}});
    world.patch_domain(DOMAIN, day).await;
    let operator = world.operator("only", &["--secret-namespaces", "*"]);
    set_cluster_policy(&world, "guard", &guarded()).await;
    let replicas = replicas(&world).await;
    let space = world.space("soak").await;
    let swung = world.space("swung").await;
    space.set_policy("granted", &permit()).await;
    lasting(&space, &["gateway"], DAY).await;
    let steady = lasting(&space, &STEADY, upsets::SECONDS).await;
    let (address, _service) = service().await;
    let addresses: Vec<String> = replicas.iter().map(|it| it.address.clone()).collect();
    let envoy = envoy(&space, address, &addresses, WAIT).await;
    // Whoever breaks a long one off wants nothing to stay.
    let pids = replicas.iter().map(Decider::pid).chain([operator.pid()]);
    for pid in pids {
        world.plane().watch(Some(pid)).unwrap();
    }
    let watched = |name, pid, bounded| Watched { name, pid, bounded };
    let memory = Memory::of(vec![
        watched("operator", operator.pid(), true),
        watched("first replica", replicas[0].pid(), true),
        watched("second replica", replicas[1].pid(), true),
        watched("this test", std::process::id(), false),
    ]);
    let (notes, noted) = mpsc::channel(10_000);
    let cast = Cast::new(space, replicas, envoy.address(), notes, pause, lasts);
    let cast = Arc::new(cast);
    for identity in &steady {
        let name = identity.metadata.name.as_deref().unwrap();
        let actor = Actor::new(name, spiffe_id(identity)).with_credential(&cast.space);
        cast.until_all(&actor, true).await;
        cast.enter(actor);
    }

    let mut books = Books::open(Arc::clone(&cast)).await;
    let mut keeping = JoinSet::new();
    keeping.spawn(async move {
        let missing = books.keep(noted).await;
        (books, missing)
    });
    let mut askers = JoinSet::new();
    for seed in 0..u64::from(CONNECTIONS) {
        askers.spawn(load::by_authzen(Arc::clone(&cast), seed));
        askers.spawn(load::by_envoy(Arc::clone(&cast), 100 + seed));
    }
    tokio::join!(
        memory.watch(&cast),
        upsets::identities(&cast),
        upsets::chains(&cast),
        upsets::suspensions(&cast),
        upsets::fading(&cast),
        upsets::policies(&cast, &swung),
        upsets::stores(&cast),
    );
    askers.join_all().await;
    cast.notes.send(Note::End).await.unwrap();
    let (books, missing) = keeping.join_all().await.remove(0);
    tell(&cast, &memory, &books, lasts);
    verify(&world, &cast, missing).await;
    assert_eq!(cast.counts.of("wrong"), 0, "told above");
    let grown = memory.grown();
    assert!(grown.is_empty(), "{grown:?}");
    for upset in ["identities", "chains", "suspensions", "policies", "stores"] {
        assert!(cast.counts.of(&format!("upset: {upset}")) > 0, "{upset}");
    }
    assert!(cast.counts.of("allowed, recorded first") > 0);
    let requests = cast.authzen.count() + cast.through_envoy.count();
    let closed = cast.counts.of(load::CLOSED);
    assert!(closed <= requests / 100, "{closed} of {requests}");
}

/// Each chain of records verifies, and no more denials are missing than were counted as dropped.
async fn verify(world: &World, cast: &Cast, missing: usize) {
    let mut dropped = 0.0;
    for replica in &cast.replicas {
        let book = Book::open(world, &replica.audit).await;
        let report = book.verify(&[]).await;
        assert!(report.is_honest(), "{report}");
        // It is set every two seconds.
        dropped += eventually("the count of drops", async || {
            Some(replica.metric("countersign_audit_dropped").await)
        })
        .await;
    }
    eprintln!("soak: {missing} denials aren't on record, {dropped} were dropped");
    assert!(f64::from(u32::try_from(missing).unwrap()) <= dropped);
    let operator = world.plane().dir().join("audit-only.db");
    let book = Book::open(world, &format!("sqlite:{}", operator.display())).await;
    let report = book.verify(&book.anchors().await).await;
    assert!(report.is_honest(), "{report}");
}

fn tell(cast: &Cast, memory: &Memory, books: &Books, lasts: Duration) {
    let line = |name: &str, times: &Times| {
        let (p50, p99) = (times.percentile(50), times.percentile(99));
        let a_second = times.count() / lasts.as_secs().max(1);
        let count = times.count();
        format!("{name:<16}{count:>10}{a_second:>10}   p50 {p50:?}, p99 {p99:?}\n")
    };
    let mut table = format!("{:<16}{:>10}{:>10}\n", "", "requests", "a second");
    table += &line("AuthZEN", &cast.authzen);
    table += &line("through Envoy", &cast.through_envoy);
    for (what, count) in cast.counts.all() {
        table += &format!("{what:<40}{count:>10}\n");
    }
    let (records, matched) = (books.records, books.matched);
    table += &format!("{matched} of {records} records were held against what a client was told\n");
    let sizes = cast.replicas.iter().map(|it| {
        let path = it.audit.strip_prefix("sqlite:").unwrap();
        std::fs::metadata(path).unwrap().len() / 1024 / 1024
    });
    table += &format!("the stores have {} MiB\n", sizes.sum::<u64>());
    eprintln!("soak, {} s:\n{table}{}", lasts.as_secs(), memory.table());
}
