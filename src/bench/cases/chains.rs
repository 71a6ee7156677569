//! Verification of chains of 1 to 16 hops, beside other people's libraries.
//!
//! A chain of n hops has n signed statements here as there: for us hop 0, the owner's grants, is the
//! first of them, so that a Delegation whose `status.depth` is d has a chain of d + 1. *Cold* is
//! from text each time, with nothing kept; *warm* is by a verifier that has met the chain.
//!
//! Batches of everybody take turns: what slows the machine down slows all of them alike.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result};
use countersign_authority::Bundle;
use countersign_statement::{Options, Statement, TrustedKeys, Verifier, verify_chain};
use jiff::Timestamp;

use super::statistics::median;
use crate::bed::Programs;
use crate::progress;
use crate::results::Entry;
use crate::rival::Rivals;
use crate::signed::{Signatory, SignedBy, verified_at};

const HOPS: [usize; 6] = [1, 2, 3, 5, 8, 16];

/// Lengths with agents' own signatures; the first two hops never have one.
const AGENT_HOPS: [usize; 3] = [3, 8, 16];

/// Lengths of chains that are known.
const WARM_HOPS: [usize; 2] = [8, 16];

/// Verifications in a batch, and before it some that aren't timed, as in the peers' program.
const BATCH: usize = 50;
const WARM_UP: usize = 20;

const BISCUIT: &str = "biscuit-auth 6.0.0";
const TENUO: &str = "tenuo 0.3.5";

pub(super) async fn run(programs: &Programs, quick: bool) -> Result<Vec<Entry>> {
    let rounds = if quick { 4 } else { 40 };
    let signatory = Signatory::make()?;
    let desk = Desk {
        keys: signatory.keys()?,
        roots: signatory.roots(),
        now: verified_at()?,
    };
    let mut rivals = Rivals::start(programs.peers(), BATCH)?;
    let mut entries = Vec::new();
    for hops in HOPS {
        let chain = signatory.chain(hops, SignedBy::Domain)?;
        entries.extend(beside(&desk, &mut rivals, &chain, rounds).await?);
    }
    for hops in WARM_HOPS {
        let chain = signatory.chain(hops, SignedBy::Domain)?;
        entries.push(known(&desk, &chain, rounds)?);
        entries.push(below_known(&desk, &signatory, &chain, rounds)?);
    }
    for hops in AGENT_HOPS {
        let chain = signatory.chain(hops, SignedBy::Agents)?;
        entries.push(with_agents(&desk, &chain, rounds)?);
    }
    Ok(entries)
}

/// What one needs to verify.
struct Desk {
    keys: TrustedKeys,
    roots: Bundle,
    now: Timestamp,
}

/// Cold, in turns with the peers.
async fn beside(
    desk: &Desk,
    rivals: &mut Rivals,
    chain: &[Statement],
    rounds: usize,
) -> Result<Vec<Entry>> {
    let hops = chain.len();
    let texts = texts(chain);
    let (mut ours, mut biscuit, mut tenuo) = (Vec::new(), Vec::new(), Vec::new());
    let mut biscuit_bytes = 0.0;
    for _ in 0..rounds {
        let theirs = rivals.batch("biscuit", hops).await?;
        biscuit.push(theirs.p50_us);
        biscuit_bytes = theirs.bytes;
        ours.push(batch(|| desk.cold(&texts, &Options::default()))?);
        tenuo.push(rivals.batch("tenuo", hops).await?.p50_us);
    }
    let (ours, biscuit, tenuo) = (median(ours), median(biscuit), median(tenuo));
    progress(&format!(
        "chains: {hops} hops, cold: {ours:.1} µs; biscuit {biscuit:.1}, tenuo {tenuo:.1}"
    ));
    let what = |what: &str| format!("chain of {hops}, {what}");
    let mut entries = vec![
        Entry::new(&what("cold"), ours, "µs")
            .against(BISCUIT, biscuit)
            .ratio_at_most(0.85),
        Entry::new(&what("cold, beside Tenuo"), ours, "µs").against(TENUO, tenuo),
        Entry::new(&what("size"), bytes(&texts), "B").against(BISCUIT, biscuit_bytes),
    ];
    if hops == 8 {
        entries.push(Entry::new(&what("cold, in time"), ours, "µs").at_most(500.0));
    }
    Ok(entries)
}

/// A chain that the verifier has met.
fn known(desk: &Desk, chain: &[Statement], rounds: usize) -> Result<Entry> {
    let texts = texts(chain);
    let verifier = Verifier::new(desk.keys.clone(), 1000);
    let options = Options::default();
    let verify = || {
        let chain = verifier.verify(black_box(&texts), desk.now, &options)?;
        black_box(chain);
        Ok(())
    };
    let took = batches(rounds, verify)?;
    let name = format!("chain of {}, warm", chain.len());
    Ok(Entry::new(&name, took, "µs").at_most(5.0))
}

/// Of a chain the verifier knows all but the leaf: one signature. Each leaf is new once.
fn below_known(
    desk: &Desk,
    signatory: &Signatory,
    chain: &[Statement],
    rounds: usize,
) -> Result<Entry> {
    let (_, above) = chain.split_last().context("a chain is never empty")?;
    let parent = above.last().context("a leaf has something above")?;
    let leaves = signatory.siblings(parent, rounds * BATCH)?;
    let verifier = Verifier::new(desk.keys.clone(), 4 * leaves.len());
    verifier.verify(&texts(above), desk.now, &Options::default())?;
    let mut took = Vec::new();
    for leaf in &leaves {
        let mut all = texts(above);
        all.push(leaf.compact());
        let started = Instant::now();
        let chain = verifier.verify(black_box(&all), desk.now, &Options::default());
        took.push(micros(started));
        black_box(chain?);
    }
    let name = format!("chain of {}, all but the leaf known", chain.len());
    Ok(Entry::new(&name, median(took), "µs"))
}

/// Cold, with the delegators' own signatures and certificates.
fn with_agents(desk: &Desk, chain: &[Statement], rounds: usize) -> Result<Entry> {
    let texts = texts(chain);
    let options = Options {
        agent_signatures: Some(&desk.roots),
        ..Options::default()
    };
    let took = batches(rounds, || desk.cold(&texts, &options))?;
    let (hops, signed) = (chain.len(), chain.len().saturating_sub(2));
    progress(&format!(
        "chains: {hops} hops, {signed} signed by agents too: {took:.1} µs, {} bytes",
        bytes(&texts)
    ));
    let name = format!("chain of {hops}, {signed} of them signed by agents (P-256) too");
    Ok(Entry::new(&name, took, "µs"))
}

impl Desk {
    fn cold(&self, texts: &[&str], options: &Options<'_>) -> Result<()> {
        let chain = verify_chain(black_box(texts), &self.keys, self.now, options)?;
        black_box(chain);
        Ok(())
    }
}

/// The median of the batches' medians, in microseconds.
fn batches(rounds: usize, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut all = Vec::new();
    for _ in 0..rounds {
        all.push(batch(&mut call)?);
    }
    Ok(median(all))
}

/// The median of one batch, in microseconds.
fn batch(mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    for _ in 0..WARM_UP {
        call()?;
    }
    let mut took = Vec::with_capacity(BATCH);
    for _ in 0..BATCH {
        let started = Instant::now();
        let done = call();
        took.push(micros(started));
        done?;
    }
    Ok(median(took))
}

fn micros(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e6
}

fn texts(chain: &[Statement]) -> Vec<&str> {
    chain.iter().map(Statement::compact).collect()
}

/// Of the whole chain as it travels, without whatever stands between its statements.
#[allow(clippy::cast_precision_loss, reason = "kilobytes")]
fn bytes(texts: &[&str]) -> f64 {
    texts.iter().map(|it| it.len()).sum::<usize>() as f64
}
