//! Decisions beside OPA's: the same rules and facts, the same wire, in turns.
//!
//! Both know the same cluster: agents, an owner, and chains of three delegations that the real operator
//! countersigned, two permits and four guards. The question is whether an agent at the end of a chain
//! may read a file; the answer is always yes, which is the longest way: all grants, all hops, all
//! policies are looked at. Beforehand both are asked what they must deny, and must agree.
//!
//! What is equal: the facts (state and end of each identity, owner and hop), the grants that all must
//! have it (the agent's, its owner's, those of each hop), the policies for each agent in the chain, the
//! guards on risk, destruction, network and depth, the body of the question, HTTP/1.1 with connections
//! that stay open, the client, and the certificates where there is TLS. OPA has its facts as data, by
//! name, and the store that is optimised for reading.
//!
//! What isn't: OPA verifies no certificate and no signature of a chain (we do, the first time), keeps
//! no account of behaviour, and answers with one word, where we tell decision, reason, policies and
//! risk. We authenticate a token with each question in the clear; OPA is open to everybody there. Both
//! authenticate the caller's certificate with TLS. OPA judges guards once and not for each agent.
//!
//! The client takes its share of the machine's cores: what is called saturation is that of both
//! together, and the server that leaves more to the client looks the better for it, on both sides.
//!
//! Beside them, without a goal, the AuthZEN endpoint of Keycloak, which has no chains, no grants that
//! narrow and no guards on risk: the same rules can't be put to it, and it is asked about one role.

mod agreement;
mod certificates;
mod engine;
mod gateway;
mod grpc;
mod keycloak;
mod leash;
mod measure;
mod memory;
mod opa;
pub(super) mod point;
mod scene;
pub(super) mod wire;

use std::time::Duration;

use anyhow::{Context, Result};

use self::certificates::Certificates;
use self::engine::Decider;
pub(crate) use self::leash::Leashed;
pub(super) use self::measure::Latency;
use self::measure::{Side, latency, saturation};
pub(crate) use self::memory::hold;
use self::opa::Opa;
use self::point::{How, Point};
use self::scene::{Credential, Scene};
pub(super) use self::scene::{guard, permits};
use crate::bed::Programs;
use crate::progress;
use crate::results::Entry;
use crate::signed::Signatory;

const OPA: &str = "OPA 1.22.2";

/// Connections that ask at once.
const CONNECTIONS: [usize; 2] = [16, 64];

/// As few policies as make a benchmark, and as many as make trouble.
const FEW: usize = 10;
const MANY: usize = 10_000;

/// A decision point counts what it dropped every two seconds.
const TOLD: Duration = Duration::from_secs(3);

const MIB: f64 = 1024.0 * 1024.0;

/// How much of each.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Blocks of a hundred questions one by one.
    blocks: usize,
    /// Rounds of saturation, and how long each takes.
    rounds: usize,
    each: Duration,
    /// Agents beside those of the chains.
    agents: usize,
}

pub(super) async fn run(programs: &Programs, quick: bool) -> Result<Vec<Entry>> {
    let size = if quick {
        Size {
            blocks: 20,
            rounds: 2,
            each: Duration::from_millis(500),
            agents: 70,
        }
    } else {
        Size {
            blocks: 200,
            rounds: 7,
            each: Duration::from_secs(2),
            agents: 970,
        }
    };
    let mut entries = in_process(size)?;
    entries.push(in_memory()?);
    let scene = Scene::set(programs, size.agents).await?;
    let certificates = Certificates::make(scene.dir())?;
    let agent = scene.credential().await?;
    entries.extend(beside(programs, &scene, None, &agent, size).await?);
    entries.extend(beside(programs, &scene, Some(&certificates), &agent, size).await?);
    entries.extend(recorded(programs, &scene, size).await?);
    entries.extend(beside_keycloak(programs, &scene, size).await?);
    entries.extend(through_envoy(programs, &scene, &certificates, &agent, size).await?);
    scene.end().await?;
    Ok(entries)
}

fn in_process(size: Size) -> Result<Vec<Entry>> {
    let signatory = Signatory::make()?;
    let few = Decider::make(&signatory, FEW)?;
    progress(&format!("decide: compiling {MANY} policies"));
    let many = Decider::make(&signatory, MANY)?;
    let all = engine::latency(&[&few, &many], 4 * size.blocks);
    let [few, many] = all[..] else {
        anyhow::bail!("two engines have two latencies");
    };
    progress(&format!(
        "decide: in process, {FEW} policies: {few}; {MANY}: {many}"
    ));
    Ok(vec![
        Entry::new(
            "decision in process, chain of three known, p50",
            few.p50,
            "µs",
        ),
        Entry::new(
            "decision in process, chain of three known, p99",
            few.p99,
            "µs",
        )
        .at_most(50.0),
        Entry::new(
            &format!("decision in process, {MANY} policies, p50"),
            many.p50,
            "µs",
        )
        .against(&format!("{FEW} policies"), few.p50)
        .ratio_at_most(1.25),
    ])
}

fn in_memory() -> Result<Entry> {
    const IDENTITIES: usize = 100_000;
    let bytes = memory::held(IDENTITIES)?;
    let name = format!("a process that holds {IDENTITIES} identities");
    Ok(Entry::new(&name, mib(bytes), "MiB").at_most(300.0))
}

/// One wire, ours and OPA's.
async fn beside(
    programs: &Programs,
    scene: &Scene,
    tls: Option<&Certificates>,
    agent: &Credential,
    size: Size,
) -> Result<Vec<Entry>> {
    let wire = if tls.is_some() {
        "mTLS"
    } else {
        "in the clear"
    };
    let name = format!("decide-{}", if tls.is_some() { "tls" } else { "clear" });
    let how = How {
        tls,
        ..How::new(&name)?
    };
    let point = start(programs, scene, &how).await?;
    let opa = Opa::start(programs.opa(), scene, tls).await?;
    let ours = point.side("Countersign", scene.questions());
    let theirs = opa.side(scene);
    let asked = agreement::questions(scene.questions())?;
    agreement::check(&ours, &asked, |it| point.request(it)).await?;
    agreement::check(&theirs, &asked, opa::request).await?;
    let mut entries = one_by_one(wire, &ours, &theirs, size).await?;
    for connections in CONNECTIONS {
        entries.push(saturated(wire, &ours, &theirs, connections, size).await?);
    }
    if tls.is_none() {
        let theirs = latency(&[&theirs], size.blocks).await?;
        let theirs = *theirs.first().context("no latency")?;
        entries.extend(over_grpc(&point, scene, agent, theirs, size).await?);
        let resident = mib(point.resident()?);
        let entry = Entry::new("decision point after saturation, resident", resident, "MiB");
        entries.push(entry.against(OPA, mib(opa.resident()?)));
    }
    point.check()?;
    Ok(entries)
}

async fn one_by_one(wire: &str, ours: &Side, theirs: &Side, size: Size) -> Result<Vec<Entry>> {
    let all = latency(&[ours, theirs], size.blocks).await?;
    let [ours, theirs] = all[..] else {
        anyhow::bail!("two sides have two latencies");
    };
    progress(&format!(
        "decide: {wire}, one by one: {ours}; {OPA}: {theirs}"
    ));
    Ok(vec![
        Entry::new(&format!("decision over HTTP, {wire}, p50"), ours.p50, "µs")
            .against(OPA, theirs.p50)
            .ratio_at_most(0.5),
        Entry::new(&format!("decision over HTTP, {wire}, p99"), ours.p99, "µs")
            .against(OPA, theirs.p99)
            .ratio_at_most(1.0),
    ])
}

async fn saturated(
    wire: &str,
    ours: &Side,
    theirs: &Side,
    connections: usize,
    size: Size,
) -> Result<Entry> {
    let all = saturation(&[ours, theirs], connections, size.rounds, size.each).await?;
    let [ours, theirs] = all[..] else {
        anyhow::bail!("two sides have two rates");
    };
    progress(&format!(
        "decide: {wire}, {connections} connections: {ours:.0} a second; {OPA}: {theirs:.0}"
    ));
    let name = format!("decisions over HTTP, {wire}, {connections} connections");
    Ok(Entry::new(&name, ours, "/s")
        .against(OPA, theirs)
        .ratio_at_least(3.0))
}

/// As Envoy asks, beside OPA over HTTP: OPA itself has no gRPC.
async fn over_grpc(
    point: &Point,
    scene: &Scene,
    agent: &Credential,
    theirs: Latency,
    size: Size,
) -> Result<Vec<Entry>> {
    let question = scene.questions().first().context("no question")?;
    let body = grpc::body(question, agent)?;
    let ours = grpc::latency(&point.door, &body, size.blocks).await?;
    progress(&format!("decide: ext_authz over gRPC: {ours}"));
    let peer = format!("{OPA} over HTTP");
    Ok(vec![
        Entry::new("ext_authz over gRPC, in the clear, p50", ours.p50, "µs")
            .against(&peer, theirs.p50),
        Entry::new("ext_authz over gRPC, in the clear, p99", ours.p99, "µs")
            .against(&peer, theirs.p99),
    ])
}

/// Our whole question beside Keycloak's simplest.
async fn beside_keycloak(programs: &Programs, scene: &Scene, size: Size) -> Result<Vec<Entry>> {
    const PEER: &str = "Keycloak 26.7.0, one role";
    let point = start(programs, scene, &How::new("decide-keycloak")?).await?;
    progress("decide: starting Keycloak");
    let peer = keycloak::Peer::start().await?;
    let (ours, theirs) = (point.side("Countersign", scene.questions()), peer.side()?);
    let all = latency(&[&ours, &theirs], size.blocks.min(20)).await?;
    let [one, other] = all[..] else {
        anyhow::bail!("two sides have two latencies");
    };
    let [connections, _] = CONNECTIONS;
    let rates = saturation(&[&ours, &theirs], connections, size.rounds, size.each).await?;
    let [rate, other_rate] = rates[..] else {
        anyhow::bail!("two sides have two rates");
    };
    progress(&format!(
        "decide: AuthZEN: {one}, {rate:.0} a second; {PEER}: {other}, {other_rate:.0}"
    ));
    Ok(vec![
        Entry::new("decision over AuthZEN, p50", one.p50, "µs").against(PEER, other.p50),
        Entry::new("decision over AuthZEN, p99", one.p99, "µs").against(PEER, other.p99),
        Entry::new("decisions over AuthZEN, 16 connections", rate, "/s").against(PEER, other_rate),
    ])
}

/// What it costs to have every allow on record, in SQLite, a moment after its answer.
async fn recorded(programs: &Programs, scene: &Scene, size: Size) -> Result<Vec<Entry>> {
    let how = How {
        record: "all",
        ..How::new("decide-recording")?
    };
    let recording = start(programs, scene, &how).await?;
    let plain = start(programs, scene, &How::new("decide-plain")?).await?;
    let on = recording.side("Countersign that records", scene.questions());
    let off = plain.side("Countersign", scene.questions());
    let all = latency(&[&on, &off], size.blocks).await?;
    let [with, without] = all[..] else {
        anyhow::bail!("two sides have two latencies");
    };
    let [connections, _] = CONNECTIONS;
    let rates = saturation(&[&on, &off], connections, size.rounds, size.each).await?;
    let [with_rate, without_rate] = rates[..] else {
        anyhow::bail!("two sides have two rates");
    };
    tokio::time::sleep(TOLD).await;
    let dropped = recording.metric("countersign_audit_dropped").await?;
    progress(&format!(
        "decide: every allow recorded: {with}, {with_rate:.0} a second, {dropped:.0} records dropped; sensitive ones only: {without}, {without_rate:.0}"
    ));
    const PEER: &str = "sensitive allows recorded only";
    Ok(vec![
        Entry::new("decision, every allow recorded, p50", with.p50, "µs")
            .against(PEER, without.p50),
        Entry::new("decision, every allow recorded, p99", with.p99, "µs")
            .against(PEER, without.p99),
        Entry::new(
            "decisions, every allow recorded, 16 connections",
            with_rate,
            "/s",
        )
        .against(PEER, without_rate),
        Entry::new("records dropped meanwhile", dropped, "records"),
    ])
}

async fn through_envoy(
    programs: &Programs,
    scene: &Scene,
    certificates: &Certificates,
    agent: &Credential,
    size: Size,
) -> Result<Vec<Entry>> {
    let how = How {
        tls: Some(certificates),
        ..How::new("decide-envoy")?
    };
    let point = start(programs, scene, &how).await?;
    let question = scene.questions().first().context("no question")?;
    let passing = gateway::measure(certificates, agent, question, how.listen, size.blocks).await?;
    point.check()?;
    progress(&format!(
        "decide: through Envoy: {}; without decisions {}",
        passing.with, passing.without
    ));
    const PEER: &str = "Envoy alone";
    Ok(vec![
        Entry::new(
            "request through Envoy with a decision, p50",
            passing.with.p50,
            "µs",
        )
        .against(PEER, passing.without.p50),
        Entry::new(
            "request through Envoy with a decision, p99",
            passing.with.p99,
            "µs",
        )
        .against(PEER, passing.without.p99),
    ])
}

async fn start(programs: &Programs, scene: &Scene, how: &How<'_>) -> Result<Point> {
    let point = Point::start(programs, scene.bed(), scene.dir(), how)?;
    // Each chain is verified once, by whoever is asked first.
    for question in scene.questions() {
        point.until_allows(question).await?;
    }
    Ok(point)
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}
