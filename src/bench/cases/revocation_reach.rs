//! From the answer to a revoking write, and to a signal, until each of three replicas denies: on
//! connections that were open before, while all of them answer other questions too.
//!
//! A probe for each replica asks about the agent again and again, a millisecond after the last answer;
//! what it adds is in the figures.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use countersign_decision::{Effect, Signal, SignalSubject};
use futures::future::{try_join, try_join_all};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::decide::point::{AUTHORIZATION, How, Point};
use super::decide::wire::{Connection, post};
use super::decide::{guard, permits};
use super::statistics::{median, percentile};
use crate::bed::{Bed, Programs};
use crate::clock::now;
use crate::objects::{Delivery, NAMESPACE, identities};
use crate::progress;
use crate::published::free_address;
use crate::results::Entry;
use crate::shape::Shape;
use crate::writer::{Half, Writer, names};

const REPLICAS: usize = 3;

/// Identities on their way at a time.
const WINDOW: usize = 128;

/// Connections to each replica that ask about other agents all the time, and the pause between their
/// questions: some hundreds a second each, so that the machine is busy and not beyond itself.
const BUSY: usize = 2;
const BUSY_PAUSE: Duration = Duration::from_millis(2);

const PROBE_PAUSE: Duration = Duration::from_millis(1);

/// An agent that is denied everywhere is asked about for so long after that.
const AFTERWARDS: Duration = Duration::from_millis(200);

/// Then something is wrong, and the bench says so.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of taking away from many agents, one after the other.
#[derive(Default)]
struct Reach {
    /// Milliseconds, for each agent and replica.
    took: Vec<f64>,
    /// Allows by a replica that had denied already.
    allows: usize,
}

/// What happens to an agent.
#[derive(Debug, Clone, Copy)]
enum Act {
    Revoke,
    Signal,
}

/// Replicas of one bed, and what they are asked about.
struct Setting {
    bed: Bed,
    points: Vec<Point>,
    /// Names and SPIFFE IDs of those that are taken away from.
    victims: Vec<(String, String)>,
}

pub(super) async fn run(programs: &Programs, shape: &Shape, quick: bool) -> Result<Vec<Entry>> {
    let (count, rounds) = if quick { (500, 8) } else { (10_000, 100) };
    let bed = Bed::make(programs).await?;
    for (kind, object) in [
        ("clusteragentpolicies", guard()),
        (&format!("namespaces/{NAMESPACE}/agentpolicies"), permits()),
    ] {
        let path = format!("/apis/countersign.dev/v1alpha1/{kind}");
        bed.api().create(&path, &object).await?;
    }
    let operator = bed.operator(programs).await?;
    let tasks = bed.tasks(names("reach", count)).await?;
    progress(&format!("reach: {count} identities, by request"));
    let writer = Writer {
        bed: &bed,
        shape,
        half: Half::Live,
        delivery: Delivery::Request,
    };
    writer.keep_going(&tasks, WINDOW).await?;
    let mut known = Vec::new();
    for task in tasks.iter().take(2 * rounds + REPLICAS * BUSY) {
        known.push((task.name.clone(), spiffe_id(&bed, &task.name).await?));
    }
    let others = known.split_off(2 * rounds);
    let dir = tempfile::tempdir()?;
    let points = replicas(programs, &bed, dir.path()).await?;
    for point in &points {
        point
            .until_allows(&question(&others.first().context("no agent")?.1))
            .await?;
    }
    let answered = Rc::new(Cell::new(0));
    let mut load = JoinSet::new();
    for (number, (_, agent)) in others.iter().enumerate() {
        let point = points.get(number % REPLICAS).context("no replica")?;
        let request = point.request(&question(agent));
        load.spawn_local(keep_busy(
            point.door.open().await?,
            request,
            Rc::clone(&answered),
        ));
    }
    let setting = Setting {
        bed,
        points,
        victims: known,
    };
    let (before, started) = (answered.get(), Instant::now());
    let revoked = setting.take_away(Act::Revoke, 0, rounds).await?;
    let signalled = setting.take_away(Act::Signal, rounds, rounds).await?;
    let rate = f64::from(answered.get() - before) / started.elapsed().as_secs_f64();
    if let Some(ended) = load.try_join_next() {
        ended??;
    }
    progress(&format!(
        "reach: meanwhile {rate:.0} other decisions a second"
    ));
    operator.stop().await?;
    let what = format!("{count} identities, {REPLICAS} replicas");
    let mut entries = entries_of(&format!("revocation to deny, {what}"), &revoked, 250.0);
    entries.extend(entries_of(
        &format!("signal to deny, {what}"),
        &signalled,
        100.0,
    ));
    entries.push(Entry::new("other decisions meanwhile", rate, "/s"));
    Ok(entries)
}

fn entries_of(name: &str, reach: &Reach, most: f64) -> Vec<Entry> {
    let (p50, p99) = (
        median(reach.took.clone()),
        percentile(reach.took.clone(), 99),
    );
    progress(&format!(
        "reach: {name}: p50 {p50:.1} ms, p99 {p99:.1} ms, {} allows afterwards",
        reach.allows
    ));
    vec![
        Entry::new(&format!("{name}, p50"), p50, "ms"),
        Entry::new(&format!("{name}, p99"), p99, "ms").at_most(most),
        Entry::new(
            &format!("{name}, allows afterwards"),
            count(reach.allows),
            "allows",
        )
        .at_most(0.0),
    ]
}

async fn replicas(programs: &Programs, bed: &Bed, dir: &std::path::Path) -> Result<Vec<Point>> {
    let mut addresses = Vec::new();
    for _ in 0..REPLICAS {
        addresses.push(free_address()?);
    }
    let mut points = Vec::new();
    for (number, listen) in addresses.iter().enumerate() {
        let others: Vec<_> = addresses
            .iter()
            .filter(|it| *it != listen)
            .copied()
            .collect();
        let name = format!("decide-{number}");
        let how = How {
            listen: *listen,
            peers: &others,
            ..How::new(&name)?
        };
        points.push(Point::start(programs, bed, dir, &how)?);
    }
    Ok(points)
}

impl Setting {
    async fn take_away(&self, act: Act, first: usize, rounds: usize) -> Result<Reach> {
        let mut reach = Reach::default();
        for (round, victim) in self.victims.iter().skip(first).take(rounds).enumerate() {
            let first_denies = RefCell::new(vec![None; REPLICAS]);
            let probes = (0..REPLICAS).map(|it| self.probe(it, &victim.1, &first_denies));
            let acted = async {
                sleep(Duration::from_millis(20)).await; // the probes are under way
                self.act(act, round, victim).await
            };
            let (accepted, allows) = try_join(acted, try_join_all(probes)).await?;
            reach.allows += allows.into_iter().sum::<usize>();
            for denied in first_denies.into_inner().into_iter().flatten() {
                let took = Instant::saturating_duration_since(&denied, accepted);
                reach.took.push(took.as_secs_f64() * 1e3);
            }
        }
        for point in &self.points {
            point.check()?;
        }
        Ok(reach)
    }

    /// When it was accepted.
    async fn act(&self, act: Act, round: usize, victim: &(String, String)) -> Result<Instant> {
        let (name, agent) = victim;
        match act {
            Act::Revoke => {
                let path = format!("{}/{name}", identities());
                let revoked = json!({"spec": {"desiredState": "Revoked"}});
                self.bed.api().patch(&path, &revoked).await?;
            }
            Act::Signal => {
                let point = self.points.get(round % REPLICAS).context("no replica")?;
                let mut open = point.door.open().await?;
                let signal = serde_json::to_string(&signal(round, agent))?;
                let reply = open
                    .ask(&post("/signals/v1", AUTHORIZATION, &signal))
                    .await?;
                ensure!(reply.status == 200, "a signal is refused: {}", reply.text());
            }
        }
        Ok(Instant::now())
    }

    /// Asks one replica until all have denied, and some time longer. Gives how often it allowed after
    /// it had denied.
    async fn probe(
        &self,
        replica: usize,
        agent: &str,
        first_denies: &RefCell<Vec<Option<Instant>>>,
    ) -> Result<usize> {
        let point = self.points.get(replica).context("no replica")?;
        let request = point.request(&question(agent));
        let mut open = point.door.open().await?;
        let (started, mut allows, mut denied) = (Instant::now(), 0, false);
        loop {
            let reply = open.ask(&request).await?;
            let allowed = reply.has(r#""decision":true"#);
            for excuse in ["Overloaded", "NotReady", "BadRequest"] {
                ensure!(allowed || !reply.has(excuse), "no answer: {}", reply.text());
            }
            if !allowed && !denied {
                denied = true;
                let mut all = first_denies.borrow_mut();
                let mine = all.get_mut(replica).context("no replica")?;
                *mine = Some(Instant::now());
            }
            allows += usize::from(allowed && denied);
            let last = first_denies
                .borrow()
                .iter()
                .copied()
                .collect::<Option<Vec<_>>>();
            let last = last.and_then(|all| all.into_iter().max());
            if last.is_some_and(|it| it.elapsed() > AFTERWARDS) {
                return Ok(allows);
            }
            if started.elapsed() > PATIENCE {
                bail!(
                    "replica {replica} says after {PATIENCE:?}: {}",
                    reply.text()
                );
            }
            sleep(PROBE_PAUSE).await;
        }
    }
}

async fn keep_busy(mut open: Connection, request: Vec<u8>, answered: Rc<Cell<u32>>) -> Result<()> {
    loop {
        let reply = open.ask(&request).await?;
        ensure!(reply.has(r#""decision":true"#), "denied: {}", reply.text());
        answered.set(answered.get() + 1);
        sleep(BUSY_PAUSE).await;
    }
}

async fn spiffe_id(bed: &Bed, name: &str) -> Result<String> {
    let object: Value = bed.api().fetch(&format!("{}/{name}", identities())).await?;
    let id = object.pointer("/status/spiffeID").and_then(Value::as_str);
    id.map(str::to_owned)
        .with_context(|| format!("{name} has no SPIFFE ID"))
}

fn question(agent: &str) -> Value {
    json!({
        "subject": {"type": "agent", "id": agent},
        "action": {"name": "read"},
        "resource": {"type": "document", "id": "ledger/invoices/7"},
        "context": {"sourceIP": "10.1.2.3"},
    })
}

fn signal(round: usize, agent: &str) -> Signal {
    Signal {
        id: format!("bench-{round}"),
        source: "bench".to_owned(),
        subject: SignalSubject::Agent(agent.to_owned()),
        kind: "bench/stolen".to_owned(),
        severity: 100,
        observed: now(),
        lifetime: SignedDuration::from_mins(10),
        effect: Effect::Deny,
        why: "a benchmark".to_owned(),
    }
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn count(allows: usize) -> f64 {
    allows as f64
}
