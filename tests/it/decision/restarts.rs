//! Replicas that are killed and come back, under load, behind a real Envoy.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::connection::Connection;
use super::counts::Counts;
use super::decider::{Decider, free_address, question};
use super::revocation::patch_identity;
use super::setting::{shared, spiffe_id};
use super::through::{Came, credential, envoy, lasting, service, try_ask};
use crate::harness::{World, within};
use crate::pki::Credential;

const REPLICAS: [&str; 3] = ["one", "two", "three"];
/// Each replica is killed so often.
const ROUNDS: usize = 2;
/// Of these, all but the last [`STAY`] are revoked: one while each replica is away.
const AGENTS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "y", "z"];
const STAY: usize = 2;
/// How long a replica is away at least.
const AWAY: Duration = Duration::from_millis(1500);
/// Between two requests of a connection: the machine is others' too.
const PAUSE: Duration = Duration::from_millis(5);
/// Envoy's own default.
const WAIT: Duration = Duration::from_millis(200);
/// Much longer than anything takes on two busy cores.
const PATIENCE: Duration = Duration::from_secs(120);

/// Permits everything that is granted, but for a vault.
fn policies() -> Value {
    json!({"policies": [
        {"id": "granted", "cedar": "permit (principal, action, resource);"},
        {"id": "vault", "cedar": "forbid (principal, action, resource in Countersign::Collection::\"ledger/vault\");"},
    ]})
}

/// What all connections share.
struct Scene {
    envoy: std::net::SocketAddr,
    /// The digest of a chain of the last agent's.
    chain: String,
    /// Agents that all live replicas deny.
    over: [AtomicBool; AGENTS.len()],
    done: AtomicBool,
    counts: Counts,
}

/// A request and whether it may ever be allowed.
struct Ask {
    method: &'static str,
    path: &'static str,
    chain: bool,
    may: bool,
}

/// What is asked in turn. The chain is the last agent's alone.
fn ask(turn: usize, agent: usize) -> Ask {
    let (method, path, chain, may) = match turn % 6 {
        0 | 3 => ("GET", "/invoices/7", false, true),
        1 => ("DELETE", "/invoices/7", false, false),
        2 => ("GET", "/vault/7", false, false),
        4 => ("POST", "/invoices/7", false, false),
        _ => ("GET", "/invoices/8", true, agent + 1 == AGENTS.len()),
    };
    Ask {
        method,
        path,
        chain,
        may,
    }
}

/// Asks again and again as one agent; gives what must not have been.
async fn load(scene: Arc<Scene>, agent: usize, credential: Credential) -> Vec<String> {
    let (mut open, mut wrong, mut turn) = (None, Vec::new(), agent);
    while !scene.done.load(Ordering::SeqCst) {
        let mut connection = match open.take() {
            Some(connection) => connection,
            None => Connection::as_agent(scene.envoy, &credential).await,
        };
        turn += 1;
        let it = ask(turn, agent);
        let over = scene.over[agent].load(Ordering::SeqCst);
        let chain = [("x-countersign-delegation", scene.chain.as_bytes())];
        let headers = if it.chain { &chain[..] } else { &[] };
        let sent = connection.send(it.method, it.path, headers, b"").await;
        let Ok(reply) = sent else {
            scene.counts.add("Envoy closed the connection");
            continue;
        };
        open = Some(connection);
        match Came::of(&reply) {
            Came::Through(decision) => {
                scene.counts.add("allowed");
                if over || !it.may {
                    let name = AGENTS[agent];
                    let revoked = if over { " after its revocation" } else { "" };
                    let (method, path) = (it.method, it.path);
                    wrong.push(format!("{method} {path} by {name}{revoked}: {decision}"));
                }
            }
            Came::Refused { reason, .. } => scene.counts.add(&reason),
            Came::Stopped(status) => scene.counts.add(&format!("no replica answered: {status}")),
        }
        sleep(PAUSE).await;
    }
    wrong
}

/// Waits until a replica denies the agent, or is gone: one that starts after that lists what is.
async fn until_applied(address: &str, asked: &Value) {
    within(
        PATIENCE,
        "the revocation at a replica",
        async || match try_ask(address, asked).await {
            Err(why) => (why.kind() == ErrorKind::ConnectionRefused).then_some(()),
            Ok(told) => ["AgentEnded", "UnknownAgent"]
                .contains(&told.reason.as_str())
                .then_some(()),
        },
    )
    .await;
}

/// Starts a replica and watches what it answers until it allows what it should; gives how often it
/// said that it isn't ready.
async fn start(world: &World, name: &str, address: &str, asked: &Value) -> (Decider, u32) {
    let decider = Decider::start(world, name, &["--listen", address]);
    let started = Instant::now();
    let mut not_ready = 0;
    loop {
        match try_ask(address, asked).await {
            Err(_) => {} // not listening yet
            Ok(told) if told.allowed => {
                assert!(decider.is_ready().await, "it allows before it is ready");
                return (decider, not_ready);
            }
            Ok(told) => {
                assert_eq!(told.reason, "NotReady", "{told:?}");
                not_ready += 1;
            }
        }
        assert!(started.elapsed() < PATIENCE, "{}", decider.log());
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_killed_one_after_the_other_under_load_let_nobody_in_whom_they_should_not() {
    let (world, _) = shared().await;
    let space = world.space("restarts").await;
    space.set_policy("granted", &policies()).await;
    lasting(&space, &["gateway"], 3600).await;
    let agents = lasting(&space, &AGENTS, 3600).await;
    let questions = agents
        .iter()
        .map(|it| question(&spiffe_id(it), "read", "ledger/invoices/7"));
    let questions: Vec<Value> = questions.collect();
    let steady = &questions[AGENTS.len() - 1];
    let chain = space.chain(&AGENTS[AGENTS.len() - STAY..]).await;
    let digest = chain[1].status.as_ref().unwrap().digest.clone().unwrap();
    let addresses = REPLICAS.map(|_| free_address());
    let mut replicas = Vec::new();
    for (name, address) in REPLICAS.iter().zip(&addresses) {
        replicas.push(Some(start(world, name, address, steady).await.0));
    }
    let (address, _service) = service().await;
    let envoy = envoy(&space, address, &addresses, WAIT).await;
    let scene = Arc::new(Scene {
        envoy: envoy.address(),
        chain: digest,
        over: Default::default(),
        done: AtomicBool::new(false),
        counts: Counts::default(),
    });
    let mut loads = JoinSet::new();
    for (place, agent) in agents.iter().enumerate() {
        let credential = credential(&space.secrets(), &agent.name_any()).await;
        loads.spawn(load(Arc::clone(&scene), place, credential.unwrap()));
    }

    let started = Instant::now();
    let mut not_ready = 0;
    for turn in 0..ROUNDS * REPLICAS.len() {
        let place = turn % REPLICAS.len();
        let (name, address) = (REPLICAS[place], &addresses[place]);
        replicas[place] = None; // SIGKILL
        let comes_back = async {
            sleep(AWAY).await;
            start(world, name, address, steady).await
        };
        // While it is away, while it starts, and while it lists.
        let revoke = async {
            sleep(AWAY / 2 * u32::try_from(turn).unwrap()).await;
            patch_identity(&space, AGENTS[turn], "Revoked").await;
            for address in &addresses {
                until_applied(address, &questions[turn]).await;
            }
            scene.over[turn].store(true, Ordering::SeqCst);
        };
        let ((replica, said), ()) = tokio::join!(comes_back, revoke);
        replicas[place] = Some(replica);
        not_ready += said;
    }
    sleep(Duration::from_secs(1)).await; // all are back, and each is asked by all
    scene.done.store(true, Ordering::SeqCst);
    let wrong: Vec<String> = loads.join_all().await.concat();
    let counts = scene.counts.all();
    let all: u64 = counts.values().sum();
    eprintln!(
        "restarts: {all} requests in {:.0} s, {not_ready} answers before a replica was ready: {counts:?}",
        started.elapsed().as_secs_f64()
    );
    assert!(wrong.is_empty(), "allowed, and must not be: {wrong:#?}");
    assert!(not_ready > 0, "no replica was asked before it was ready");
    for seen in [
        "allowed",
        "AgentEnded",
        "NotGranted",
        "ForbiddenByPolicy",
        "NotTheDelegate",
    ] {
        assert!(counts.contains_key(seen), "{seen} never: {counts:?}");
    }
    for (asked, over) in questions.iter().zip(&scene.over) {
        let over = over.load(Ordering::SeqCst);
        for replica in replicas.iter().flatten() {
            let told = replica.ask(asked).await;
            assert_eq!(told.allowed, !over, "{told:?}");
        }
    }
}
