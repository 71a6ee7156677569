//! Ten thousand policies at once: applied, counted in the status of each, and deleted.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use countersign_api::AgentPolicy;
use futures::future::join_all;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::decider::{Decider, ask, question};
use super::setting::{guard, permit, set_cluster_policy, spiffe_id};
use crate::harness::{Operator, Space, World, within};
use crate::support::is;

/// So many, spread over the namespaces.
const POLICIES: usize = 10_000;
const NAMESPACES: usize = 4;
/// So many connections apply them.
const CONNECTIONS: usize = 16;
/// Questions of one request.
const BATCH: usize = 500;
/// From the last one applied to all in force: seconds, but for a machine that others use as well.
const IN_FORCE: Duration = Duration::from_secs(300);
/// From then on to the last status written: a minute or two of a debug build.
const JUDGED: Duration = Duration::from_secs(600);
/// What nobody permits.
const NEVER: &str = "ledger/never";

/// Where the policies are applied, and an agent that each of them permits one thing.
struct Tenant {
    space: Space,
    agent: String,
}

/// Everything that runs.
struct Setting {
    world: World,
    operator: Operator,
    decider: Decider,
    tenants: Vec<Tenant>,
    /// What was permitted before, and stays so.
    old: Value,
}

impl Setting {
    async fn new() -> Self {
        let world = World::own().await;
        let operator = world.operator("many", &["--secret-namespaces", "*"]);
        set_cluster_policy(&world, "guard", &guard()).await;
        // Answers are looked at here, one by one.
        let decider = Decider::start(&world, "many", &["--record", "sensitive"]);
        decider.ready().await;
        let mut tenants = Vec::new();
        for _ in 0..NAMESPACES {
            let space = world.space("many").await;
            let agent = spiffe_id(&space.agents(&["reader"]).await[0]);
            tenants.push(Tenant { space, agent });
        }
        let space = world.space("before").await;
        space.set_policy("granted", &permit()).await;
        let agent = spiffe_id(&space.agents(&["reader"]).await[0]);
        let old = question(&agent, "read", "ledger/invoices/7");
        decider.until(&old, "Permitted").await;
        let setting = Self {
            world,
            operator,
            decider,
            tenants,
            old,
        };
        for n in 0..NAMESPACES {
            setting
                .decider
                .until(&setting.question(n), "NoPolicyPermits")
                .await;
        }
        setting
    }

    fn tenant(&self, n: usize) -> &Tenant {
        &self.tenants[n % NAMESPACES]
    }

    /// About what the n-th policy permits.
    fn question(&self, n: usize) -> Value {
        question(&self.tenant(n).agent, "read", &path(n))
    }

    /// Does something for each policy, by many connections at once.
    async fn by_many<F>(&self, work: impl Fn(Api<AgentPolicy>, usize) -> F) -> Duration
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let started = Instant::now();
        let next = AtomicUsize::new(0);
        let connections = (0..CONNECTIONS).map(async |_| {
            let client = self.world.client().await;
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= POLICIES {
                    return;
                }
                let namespace = &self.tenant(n).space.name;
                work(Api::namespaced(client.clone(), namespace), n).await;
            }
        });
        join_all(connections).await;
        started.elapsed()
    }

    /// Asks about many, in few requests; gives those that are allowed.
    async fn allowed(&self, numbers: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut open = self.decider.connect().await;
        let mut allowed = BTreeSet::new();
        let numbers: Vec<usize> = numbers.iter().copied().collect();
        for batch in numbers.chunks(BATCH) {
            let questions: Vec<Value> = batch.iter().map(|n| self.question(*n)).collect();
            let body = json!({"evaluations": questions}).to_string();
            let reply = open
                .post("/access/v1/evaluations", body.as_bytes())
                .await
                .unwrap();
            let answers = reply.json()["evaluations"].as_array().unwrap().clone();
            assert_eq!(answers.len(), batch.len());
            for (n, answer) in batch.iter().zip(answers) {
                if answer["decision"] == json!(true) {
                    allowed.insert(*n);
                }
            }
        }
        allowed
    }

    /// Until all are allowed, or none is. Those that came last are asked about until then, and each of the
    /// others once.
    async fn until_all(&self, wanted: bool) -> Duration {
        let started = Instant::now();
        let mut left: BTreeSet<usize> = last().collect();
        let mut others: BTreeSet<usize> = (0..POLICIES).collect();
        loop {
            let allowed = self.allowed(&left).await;
            left.retain(|n| allowed.contains(n) != wanted);
            if left.is_empty() {
                left.append(&mut others);
                if left.is_empty() {
                    return started.elapsed();
                }
                continue;
            }
            let (count, log) = (left.len(), self.decider.log());
            assert!(started.elapsed() < IN_FORCE, "{count} are left\n{log}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The ones that were applied last are judged last.
    async fn last_ready(&self) -> bool {
        for n in last() {
            let all = self.tenant(n).space.policies();
            if !is(&all.get(&name(n)).await.unwrap(), "Ready") {
                return false;
            }
        }
        true
    }

    /// How many policies the operator has said nothing good of.
    async fn not_ready(&self) -> usize {
        let mut count = 0;
        for tenant in &self.tenants {
            let all: Api<AgentPolicy> = tenant.space.policies();
            let mut page = ListParams::default().limit(500);
            loop {
                let found = all.list(&page).await.unwrap();
                count += found.items.iter().filter(|it| !is(*it, "Ready")).count();
                page.continue_token = found.metadata.continue_.filter(|it| !it.is_empty());
                if page.continue_token.is_none() {
                    break;
                }
            }
        }
        count
    }

    fn memory(&self, when: &str) {
        let (decider, operator) = (
            resident_mib(self.decider.pid()),
            resident_mib(self.operator.pid()),
        );
        eprintln!("{when}: decision point {decider} MiB, operator {operator} MiB");
    }

    /// Looks at one thing after another until it is told to stop: that the decision point is ready,
    /// that what was permitted is, and that nothing is that no policy permits yet.
    async fn watch(&self, begun: &[AtomicBool], stop: &AtomicBool) {
        let mut open = self.decider.connect().await;
        let (mut rounds, mut slowest) = (0_usize, Duration::ZERO);
        while !stop.load(Ordering::Relaxed) {
            assert!(self.decider.is_ready().await, "{}", self.decider.log());
            let asked = Instant::now();
            let told = ask(&mut open, &self.old).await;
            slowest = slowest.max(asked.elapsed());
            assert!(told.allowed, "{told:?}\n{}", self.decider.log());
            let never = question(&self.tenant(rounds).agent, "read", NEVER);
            let told = ask(&mut open, &never).await;
            assert_eq!(told.reason, "NoPolicyPermits", "{told:?}");
            // Backwards, so that it is asked before it is applied, too.
            let n = POLICIES - 1 - (rounds * 7919) % POLICIES;
            let told = ask(&mut open, &self.question(n)).await;
            let after = begun[n].load(Ordering::SeqCst);
            assert!(after || !told.allowed, "{n} isn't there yet: {told:?}");
            rounds += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        eprintln!("meanwhile: {rounds} rounds of questions, the slowest answer after {slowest:?}");
        assert!(rounds > 0);
    }
}

#[tokio::test]
async fn ten_thousand_policies_at_once_are_all_in_force_soon_and_until_they_are_deleted() {
    let it = Setting::new().await;
    it.memory("without policies");
    let begun: Vec<AtomicBool> = (0..POLICIES).map(|_| false.into()).collect();
    let stop = AtomicBool::new(false);
    let apply = async {
        let apply = |all, n: usize| {
            begun[n].store(true, Ordering::SeqCst);
            apply_one(all, n)
        };
        let took = it.by_many(apply).await;
        eprintln!("{POLICIES} policies applied by {CONNECTIONS} connections in {took:?}");
        let took = it.until_all(true).await;
        eprintln!("all of them in force {took:?} after the last was applied");
        let since = Instant::now();
        // All of them are megabytes, and their listing is work for the API server.
        let look = async || {
            let ready = it.last_ready().await && it.not_ready().await == 0;
            tokio::time::sleep(Duration::from_millis(500)).await;
            ready.then_some(())
        };
        within(JUDGED, "the status of each", look).await;
        let took = since.elapsed();
        eprintln!("all of them Ready {took:?} later");
        it.memory("with policies");
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(apply, it.watch(&begun, &stop));

    let took = it.by_many(delete_one).await;
    eprintln!("{POLICIES} policies deleted in {took:?}");
    let took = it.until_all(false).await;
    eprintln!("nothing permitted by them any more {took:?} later");
    for n in [0, 1, 2, 3, POLICIES - 1] {
        let told = it.decider.ask(&it.question(n)).await;
        assert_eq!(told.reason, "NoPolicyPermits");
    }
    assert!(it.decider.ask(&it.old).await.allowed);
    it.memory("without policies again");
}

/// One of each namespace.
fn last() -> impl Iterator<Item = usize> {
    POLICIES - NAMESPACES..POLICIES
}

fn name(n: usize) -> String {
    format!("p{n}")
}

fn path(n: usize) -> String {
    format!("ledger/many/{n}")
}

async fn apply_one(all: Api<AgentPolicy>, n: usize) {
    let name = name(n);
    let cedar = format!(
        r#"permit (principal, action == Countersign::Action::"read", resource == Countersign::Resource::"{}");"#,
        path(n)
    );
    let object = json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": name},
        "spec": {"policies": [{"id": "one", "cedar": cedar}]},
    });
    let (params, object) = (PatchParams::apply("tests"), Patch::Apply(&object));
    all.patch(&name, &params, &object).await.unwrap();
}

async fn delete_one(all: Api<AgentPolicy>, n: usize) {
    let params = DeleteParams::default();
    all.delete(&name(n), &params).await.unwrap();
}

/// Resident memory of a process.
fn resident_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}
