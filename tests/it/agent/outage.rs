//! Five hundred sidecars whose endpoint is killed, and is back when every renewal is overdue.

use std::collections::HashSet;
use std::time::Duration;

use countersign_agent::{Settings, run};
use countersign_audit::Reader;
use countersign_authority::Bundle;
use countersign_runtime::Clock;
use countersign_testbed::{Wanted, left_out};
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use rcgen::KeyPair;
use rustix::process::{Resource, Signal, getrlimit, setrlimit};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::harness::{DOMAIN, Space, World, eventually, job, within};
use crate::issuer::client::{Sidecar, request};
use crate::issuer::program::{Issuer, roots};
use crate::issuer::{APod, workload};
use crate::support::{uid, with};

const PODS: usize = 500;
/// In so many of them, another container takes all that the endpoint grants the pod.
const GREEDY: usize = 10;
/// What the endpoint that is back grants a pod in a minute, and at once.
const PER_POD: &str = "4";
/// How many calls it has in work at once.
const AT_ONCE: &str = "8";
/// What it says to whoever has had it, or comes when they are.
const TOO_MANY: &str = "asks for too many credentials";
const TOO_MUCH: &str = "too much at once";
/// For so long it stands still, so that more than that wait for it.
const STALL: Duration = Duration::from_secs(1);
/// A certificate of a minute is renewed after half of it at the latest.
const OVERDUE: Duration = Duration::from_secs(31);
const BUCKET: SignedDuration = SignedDuration::from_millis(100);
/// For all of them to have what they wait for.
const ALL: Duration = Duration::from_secs(120);

/// Sidecars, which run until this is dropped.
struct Sidecars {
    folders: Vec<TempDir>,
    _running: JoinSet<()>,
}

impl Sidecars {
    async fn start(world: &World, issuer: &Issuer, tokens: &[String]) -> Self {
        let bundle = Bundle::from_spiffe_json(&roots(world, DOMAIN).await).unwrap();
        let mut running = JoinSet::new();
        let mut folders = Vec::new();
        for token in tokens {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            std::fs::write(path("ca.crt"), bundle.pem()).unwrap();
            std::fs::write(path("token"), token).unwrap();
            let settings = Settings {
                issuer: format!("https://{}", issuer.address),
                trust_domain: DOMAIN.to_owned(),
                trust_bundle: path("ca.crt"),
                token: path("token"),
                identity: None,
                socket: path("agent.sock"),
                files: Some(path("tls")),
                health_listen: None,
                clock: Clock::system(),
            };
            running.spawn(async { run(settings, std::future::pending::<()>()).await.unwrap() });
            folders.push(folder);
        }
        Self {
            folders,
            _running: running,
        }
    }

    /// What each of them has for its pod's containers.
    fn certificates(&self) -> Vec<Option<String>> {
        let read = |it: &TempDir| std::fs::read_to_string(it.path().join("tls/tls.crt")).ok();
        self.folders.iter().map(read).collect()
    }

    /// Until each has one that it hadn't before.
    async fn until_other(&self, before: &[Option<String>]) -> Vec<Option<String>> {
        within(ALL, "a new certificate for everybody", async || {
            let now = self.certificates();
            let mut pairs = now.iter().zip(before);
            let done = pairs.all(|(now, before)| now.is_some() && now != before);
            done.then_some(now)
        })
        .await
    }
}

impl Space {
    /// A token of each pod, once all of them are there.
    async fn tokens(&self) -> Vec<String> {
        let pods = Api::<Pod>::namespaced(self.client.clone(), &self.name);
        let all = eventually("the Job's pods", async || {
            let listed = pods.list(&ListParams::default()).await.unwrap();
            (listed.items.len() == PODS).then_some(listed.items)
        })
        .await;
        stream::iter(all)
            .map(async |pod| {
                let pod = APod {
                    name: pod.name_any(),
                    uid: uid(&pod),
                };
                self.token(&pod).await
            })
            .buffered(16)
            .collect()
            .await
    }
}

/// A socket, both ends of a connection, files, and what a runtime has: many machines start with 1024.
fn may_open(files: u64) -> bool {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let raised = setrlimit(Resource::Nofile, limit).is_ok();
    let enough = raised && limit.maximum.is_none_or(|it| it >= files);
    if !enough {
        let why = format!("{PODS} sidecars take {files} open files, and {limit:?} are allowed");
        left_out(Wanted::Files, why);
    }
    enough
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_sidecars_that_lost_their_endpoint_come_back_spread_out_and_all_are_served() {
    if !may_open(8 * PODS as u64) {
        return;
    }
    let world = World::shared().await;
    let first = Issuer::start(world, "outage", &[]);
    let address = first.address.clone();
    let space = world.space("outage").await;
    let many = json!({"spec": {"parallelism": PODS, "completions": PODS}});
    space.create_job(&with(&job("work"), &many)).await;
    let reader = workload("reader", "jobs.batch/work", &json!({}));
    space.create_identity(&reader).await;
    let reader = space.until_ready("reader").await;
    let tokens = space.tokens().await;
    first.ready().await;
    let sidecars = Sidecars::start(world, &first, &tokens).await;
    let had = sidecars.until_other(&vec![None; PODS]).await;

    drop(first); // SIGKILL
    tokio::time::sleep(OVERDUE).await;
    let arguments = [
        ["--listen", &address],
        ["--max-per-pod", PER_POD],
        ["--max-concurrent", AT_ONCE],
    ];
    let second = Issuer::start(world, "outage-over", &arguments.concat());
    second.ready().await;
    let greedy = second.sidecar(world).await;
    let taken = join_all(tokens[..GREEDY].iter().map(|it| take_all(&greedy, it))).await;
    let taken: HashSet<String> = taken.into_iter().flatten().collect();
    let stalled = Clock::system().now();
    second.signal(Signal::STOP);
    tokio::time::sleep(STALL).await;
    second.signal(Signal::CONT);
    sidecars.until_other(&had).await;

    let log = second.log();
    let arrivals = arrivals(&second, &uid(&reader), &taken).await;
    let refused = |why: &str| log.lines().filter(|it| it.contains(why)).count();
    let (too_much, too_many) = (refused(TOO_MUCH), refused(TOO_MANY));
    let spread = arrivals[arrivals.len() - 1].duration_since(arrivals[0]);
    // Those who wait while it stands still are counted together when it goes on.
    let stall = stalled..stalled + 2 * STALL;
    let mut unhindered = arrivals.clone();
    unhindered.retain(|it| !stall.contains(it));
    let most = most_within_a_bucket(&unhindered);
    eprintln!(
        "{PODS} sidecars ask {} times, {too_much} too much at once, {too_many} too many for a pod; over {spread:?}, at most {most} within {BUCKET:?}: {:?}",
        arrivals.len(),
        histogram(&arrivals),
    );
    assert!(
        too_many > GREEDY,
        "no sidecar was refused for its pod's share"
    );
    assert!(spread > SignedDuration::from_secs(2), "{spread:?}");
    assert!(most < PODS / 4, "{most} of {PODS} within {BUCKET:?}");
}

/// Takes certificates until the pod has had all of its share; gives their serial numbers.
async fn take_all(greedy: &Sidecar, token: &str) -> Vec<String> {
    let mut taken = Vec::new();
    loop {
        let mut client = greedy.client.clone();
        let asked = request(&KeyPair::generate().unwrap());
        match client.issue_x509(token, asked).await {
            Ok(issued) => taken.push(issued.serial_number),
            Err(why) if why.message().contains(TOO_MANY) => return taken,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await, // its turn comes
        }
    }
}

/// When sidecars asked for certificates: for those that were issued, by the audit log, and for those that
/// weren't. What others have taken isn't theirs.
async fn arrivals(issuer: &Issuer, identity: &str, taken: &HashSet<String>) -> Vec<Timestamp> {
    let records = Reader::open(&issuer.audit).await.unwrap();
    let mut records = records.by_object_uid(identity).await.unwrap();
    records.retain(|it| {
        let serial = it.entry.serial_number.as_ref();
        serial.is_some_and(|serial| !taken.contains(serial))
    });
    let issued = records.iter().map(|it| it.entry.time);
    let log = issuer.log();
    let refused = log.lines().filter(|it| it.contains("IssueX509"));
    let refused = refused.map(|it| it.split(' ').next().unwrap().parse().unwrap());
    let mut all: Vec<Timestamp> = issued.chain(refused).collect();
    all.sort();
    all
}

fn most_within_a_bucket(arrivals: &[Timestamp]) -> usize {
    let from = |begin: usize| {
        let end = arrivals[begin] + BUCKET;
        arrivals[begin..].partition_point(|it| *it < end)
    };
    (0..arrivals.len()).map(from).max().unwrap_or_default()
}

/// How many came in each bucket from the first on.
fn histogram(arrivals: &[Timestamp]) -> Vec<usize> {
    let bucket = |it: &Timestamp| {
        let after = it.duration_since(arrivals[0]).as_millis() / BUCKET.as_millis();
        usize::try_from(after).unwrap()
    };
    let mut counts = vec![0; bucket(&arrivals[arrivals.len() - 1]) + 1];
    for it in arrivals {
        counts[bucket(it)] += 1;
    }
    counts
}
