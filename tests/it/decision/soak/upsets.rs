//! What changes while everybody asks.
//!
//! Each goes on until the end, in turns: it says that something is about to change, changes it, waits
//! until each replica says so, and has it stay so for a while, in which no other answer is good.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::setting::{permit, spiffe_id};
use super::super::signals::signal;
use super::super::through::{lasting, try_ask, wide};
use super::cast::{Actor, Cast, Held, PATIENCE};
use crate::harness::{Space, within};
use crate::support::{delete, serial, until_gone};

/// How long a state stays, in seconds.
const STAYS: u64 = 4;
/// The shortest that a certificate in a Secret may be good for: it is renewed all the time.
pub(super) const SECONDS: u32 = 300;
/// How long the store can't be written, and between two such times.
const LOCKED: Duration = Duration::from_secs(3);
const BETWEEN: u64 = 20;

/// Identities come, work, and end in one way or another.
pub(super) async fn identities(cast: &Cast) {
    let space = &cast.space;
    for turn in 0.. {
        if cast.is_over() {
            return;
        }
        let name = format!("brief-{turn}");
        let identity = space.running(&name, wide(SECONDS)).await;
        let actor = Actor::new(&name, spiffe_id(&identity)).with_credential(space);
        cast.until_all(&actor, true).await;
        let actor = cast.enter(actor);
        cast.rest(STAYS).await;
        actor.standing.begin();
        match turn % 3 {
            0 => space.finish_job(&format!("{name}-job"), "Succeeded").await,
            1 => revoke(space, &name).await,
            _ => space.delete(&name).await,
        }
        cast.until_all_say(&actor, false).await;
        cast.rest(STAYS).await;
        cast.leave(&actor);
        let params = DeleteParams::background();
        drop(space.identities().delete(&name, &params).await); // it may be gone
        delete(&space.jobs(), &format!("{name}-job")).await;
        cast.counts.add("upset: identities");
    }
}

async fn revoke(space: &Space, name: &str) {
    let revoked = json!({"spec": {"desiredState": "Revoked"}});
    space.patch(name, revoked).await;
}

/// Chains of three come, and end with their root.
pub(super) async fn chains(cast: &Cast) {
    let space = &cast.space;
    let names = ["planner", "worker", "reader"];
    let agents = lasting(space, &names, SECONDS).await;
    for turn in 0.. {
        if cast.is_over() {
            return;
        }
        let chain = space.chain(&names).await;
        let status = chain[2].status.clone().unwrap();
        let statements: Vec<String> = (status.ancestors.into_iter())
            .chain(status.statement)
            .collect();
        assert_eq!(statements.len(), 1 + names.len(), "from the owner on");
        let mut actor = Actor::new("reader", spiffe_id(&agents[2])).with_credential(space);
        actor.chain = Some(Held {
            digest: status.digest.unwrap(),
            statements: statements.join("~"),
        });
        cast.until_all(&actor, true).await;
        let actor = cast.enter(actor);
        cast.rest(2 * STAYS).await;
        actor.standing.begin();
        let delegations = space.delegations();
        if turn % 2 == 0 {
            let patch = Patch::Merge(json!({"spec": {"desiredState": "Revoked"}}));
            let params = PatchParams::default();
            let revoked = delegations.patch("to-planner", &params, &patch);
            revoked.await.unwrap();
        } else {
            delete(&delegations, "to-planner").await;
        }
        cast.until_all_say(&actor, false).await;
        cast.rest(STAYS).await;
        cast.leave(&actor);
        for name in ["to-reader", "to-worker", "to-planner"] {
            let params = DeleteParams::background();
            drop(delegations.delete(name, &params).await); // the collector may have been here
            until_gone(&delegations, name).await;
        }
        cast.counts.add("upset: chains");
    }
}

/// A risk suspends, and is taken back.
pub(super) async fn suspensions(cast: &Cast) {
    let space = &cast.space;
    let agents = lasting(space, &["risky"], SECONDS).await;
    let actor = Actor::new("risky", spiffe_id(&agents[0])).with_credential(space);
    cast.until_all(&actor, true).await;
    let actor = cast.enter(actor);
    for turn in 0.. {
        if cast.is_over() {
            return;
        }
        let replica = &cast.replicas[turn % cast.replicas.len()];
        let before = serial(&space.get("risky").await);
        actor.standing.begin();
        replica.tell(&signal(&actor.agent, 90, "risk")).await;
        let question = actor.question("read", "ledger/invoices/7");
        for replica in &cast.replicas {
            replica.until(&question, "AgentSuspended").await;
        }
        actor.standing.settle(false);
        cast.rest(STAYS).await;
        actor.standing.begin();
        replica.tell(&signal(&actor.agent, 0, "clear")).await;
        space
            .until("risky", "issued again", |it| {
                let now = serial(it);
                !now.is_empty() && now != before
            })
            .await;
        cast.until_all_say(&actor, true).await;
        cast.rest(STAYS).await;
        cast.counts.add("upset: suspensions");
    }
}

/// A risk below the threshold, which a guard looks at, fades.
pub(super) async fn fading(cast: &Cast) {
    /// Severity 79 is below 30, the guard's bound, after 18.6 s.
    const LIFETIME: &str = "PT30S";
    const SURE: Duration = Duration::from_secs(14);
    let agents = lasting(&cast.space, &["fading"], SECONDS).await;
    let mut actor = Actor::new("fading", spiffe_id(&agents[0]));
    actor.destructive = true;
    cast.until_all(&actor, true).await;
    let actor = cast.enter(actor);
    let question = actor.question("read", "ledger/invoices/7");
    while !cast.is_over() {
        actor.standing.begin();
        let mut told = signal(&actor.agent, 79, "risk");
        told["lifetime"] = json!(LIFETIME);
        cast.replicas[0].tell(&told).await;
        let since = Instant::now();
        for replica in &cast.replicas {
            let denied = async || match try_ask(&replica.address, &question).await {
                Ok(told) => (!told.allowed || since.elapsed() > SURE).then_some(()),
                Err(_) => None,
            };
            within(PATIENCE, "the guard", denied).await;
        }
        if since.elapsed() < SURE / 2 {
            actor.standing.settle(false);
            sleep(SURE.saturating_sub(since.elapsed()) / 2).await;
            actor.standing.begin();
            cast.counts.add("upset: fading");
        }
        cast.until_all_say(&actor, true).await;
        cast.rest(STAYS).await;
    }
}

/// Policies that permit, forbid, can't be read, and go.
pub(super) async fn policies(cast: &Cast, space: &Space) {
    space.set_policy("granted", &permit()).await;
    let agents = lasting(space, &["swung"], SECONDS).await;
    let actor = Actor::new("swung", spiffe_id(&agents[0])).with_credential(space);
    cast.until_all(&actor, true).await;
    let actor = cast.enter(actor);
    let forbid = json!({"policies": [
        {"id": "granted", "cedar": "permit (principal, action, resource);"},
        {"id": "not", "cedar": "forbid (principal, action, resource in Countersign::Collection::\"ledger/invoices\");"},
    ]});
    let bad = json!({"policies": [
        {"id": "granted", "cedar": "permit (principal, action, resource) when { resource.sensitvity < 9 };"},
    ]});
    for turn in 0.. {
        if cast.is_over() {
            return;
        }
        noise(cast, turn).await;
        actor.standing.begin();
        if turn % 2 == 0 {
            space.set_policy("granted", &forbid).await;
        } else {
            delete(&space.policies(), "granted").await;
        }
        cast.until_all_say(&actor, false).await;
        cast.rest(STAYS).await;
        actor.standing.begin();
        space.set_policy("granted", &permit()).await;
        cast.until_all_say(&actor, true).await;
        // The good one stays in force.
        space.set_policy("granted", &bad).await;
        cast.rest(STAYS).await;
        cast.counts.add("upset: policies");
    }
}

/// Policies that are others in each turn and decide nothing for anybody here.
async fn noise(cast: &Cast, turn: usize) {
    for place in 0..10 {
        let path = format!("ledger/orders/{place}/{turn}");
        let cedar =
            format!("forbid (principal, action, resource in Countersign::Collection::\"{path}\");");
        let spec: Value = json!({"policies": [{"id": "noise", "cedar": cedar}]});
        let name = format!("noise-{place}");
        cast.space.set_policy(&name, &spec).await;
    }
}

/// Each replica's store in turn can't be written for a while.
pub(super) async fn stores(cast: &Cast) {
    for turn in 0.. {
        cast.rest(BETWEEN).await;
        if cast.is_over() {
            return;
        }
        let store = &cast.replicas[turn % cast.replicas.len()].audit;
        let path = store.strip_prefix("sqlite:").unwrap().to_owned();
        let locked = tokio::task::spawn_blocking(move || lock(&path));
        locked.await.unwrap();
        cast.counts.add("upset: stores");
    }
}

/// Takes the one lock that writers of a SQLite file take, and gives it back.
fn lock(path: &str) {
    const PROGRAM: &str = "\
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
store.execute('BEGIN IMMEDIATE')
print('locked', flush=True)
sys.stdin.read()
store.execute('ROLLBACK')
";
    let mut child = Command::new("python3")
        .args(["-c", PROGRAM, path])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let stdin = child.stdin.take();
    let mut said = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut said).unwrap();
    assert_eq!(said, "locked\n");
    std::thread::sleep(LOCKED);
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
