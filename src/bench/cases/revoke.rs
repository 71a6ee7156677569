//! The root of a tree of delegations is revoked: until a watch shows the last one Completed, and
//! until whoever verifies with the operator's lists refuses all of them.
//!
//! The operator is given one write, of the root's spec, and makes a status write for each
//! delegation; the plain writer makes as many of the same form, without the spec.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use countersign_statement::{Digest, Options, TrustedKeys, verify_chain};
use futures::future::{try_join_all, try_join3};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use super::PLAIN;
use super::statistics::median;
use crate::bed::{Bed, Programs};
use crate::clock::now;
use crate::delegating::{Tree, difference, status, status_of};
use crate::objects::delegations;
use crate::progress;
use crate::published::{Published, free_address};
use crate::results::Entry;
use crate::sight::Sight;

/// Delegations at each depth below the root.
const BELOW: [usize; 3] = [10, 100, 890];
const BELOW_QUICK: [usize; 3] = [4, 16, 80];

/// Status writes of the plain writer at a time; the best one counts.
const WINDOWS: [usize; 3] = [16, 32, 64];

pub(super) async fn run(programs: &Programs, quick: bool) -> Result<Vec<Entry>> {
    let (below, rounds) = if quick { (BELOW_QUICK, 1) } else { (BELOW, 3) };
    let live = live(programs, &below, rounds).await?;
    let plain = plain(programs, &below, rounds, &live).await?;
    let count: usize = below.iter().sum();
    let name = format!("root of {count} delegations revoked");
    Ok(vec![
        Entry::new(&format!("{name}, all marked"), median(live.marked), "s")
            .against(PLAIN, plain)
            .ratio_at_most(1.3),
        Entry::new(
            &format!("{name}, all refused by the lists, worst"),
            live.refused.into_iter().fold(0.0, f64::max) * 1000.0,
            "ms",
        )
        .at_most(1000.0),
    ])
}

/// Seconds of each round, and the status of a leaf before and after.
struct Live {
    marked: Vec<f64>,
    refused: Vec<f64>,
    before: Value,
    after: Value,
}

async fn live(programs: &Programs, below: &[usize], rounds: usize) -> Result<Live> {
    let address = free_address()?;
    let bed = Bed::make(programs).await?;
    let operator = bed.publishing_operator(programs, address).await?;
    let published = Published::open(address).await?;
    bed.agents(&Tree::agents(below)).await?;
    let mut live = Live {
        marked: Vec::new(),
        refused: Vec::new(),
        before: Value::Null,
        after: Value::Null,
    };
    for round in 0..rounds {
        let tree = Tree::of(&format!("tree-{round}"), below);
        tree.grow(&bed).await?;
        live.before = status(&bed, &tree.leaf()?.name).await?;
        let (marked, refused) = revoke(&bed, &published, &tree).await?;
        live.after = status(&bed, &tree.leaf()?.name).await?;
        progress(&format!(
            "revoke: {} marked after {marked:.2} s, refused by the lists after {refused:.3} s",
            tree.nodes().count()
        ));
        live.marked.push(marked);
        live.refused.push(refused);
    }
    operator.stop().await?;
    Ok(live)
}

/// Seconds from the revoking call to the last one marked, and from the answer to that call to the
/// list that has the root.
async fn revoke(bed: &Bed, published: &Published, tree: &Tree) -> Result<(f64, f64)> {
    let root = &tree.root()?.name;
    let chains = chains(bed).await?;
    let (_, root_digest) = chains.get(root).context("the root has no chain")?;
    let sight = Sight::ended(bed.api()).await?;
    let awaited: Vec<_> = tree.nodes().map(|it| sight.expect(&it.name)).collect();
    let call = async {
        let path = format!("{}/{root}", delegations());
        let revoked = json!({"spec": {"desiredState": "Revoked"}});
        let sent = Instant::now();
        bed.api().patch(&path, &revoked).await?;
        anyhow::Ok((sent, Instant::now()))
    };
    let marked = try_join_all(awaited.into_iter().map(|it| it.seen()));
    let ((sent, accepted), listed, marked) =
        try_join3(call, published.until_listed(root_digest), marked).await?;
    for node in tree.nodes() {
        let (chain, _) = chains.get(&node.name).context("no chain was seen")?;
        check_refused(chain, root_digest, published.keys())
            .with_context(|| format!("delegation {}", node.name))?;
    }
    let last = marked.into_iter().max().context("an empty tree")?;
    let marked = last.duration_since(sent).as_secs_f64();
    let refused = listed.saturating_duration_since(accepted).as_secs_f64();
    Ok((marked, refused))
}

/// Does the root's digest alone break the chain, which is good without?
fn check_refused(chain: &[String], root: &Digest, keys: &TrustedKeys) -> Result<()> {
    let texts: Vec<&str> = chain.iter().map(String::as_str).collect();
    verify_chain(&texts, keys, now(), &Options::default())?;
    let revoked = |digest: &Digest| digest == root;
    let options = Options {
        revoked: Some(&revoked),
        ..Options::default()
    };
    let refused = verify_chain(&texts, keys, now(), &options);
    ensure!(
        refused.is_err_and(|why| why.category() == "revoked"),
        "it is not refused as revoked"
    );
    Ok(())
}

/// Each delegation's statements, hop 0 first, and its own digest.
async fn chains(bed: &Bed) -> Result<HashMap<String, (Vec<String>, Digest)>> {
    let list: Value = bed.api().fetch(&delegations()).await?;
    let mut chains = HashMap::new();
    for item in list["items"].as_array().into_iter().flatten() {
        let status = &item["status"];
        // Those of earlier rounds are over.
        let (Some(name), Some(own), Some(digest)) = (
            item["metadata"]["name"].as_str(),
            status["statement"].as_str(),
            status["digest"].as_str(),
        ) else {
            continue;
        };
        let above = status["ancestors"].as_array().into_iter().flatten();
        let all = above.filter_map(Value::as_str).chain([own]);
        let chain = (all.map(str::to_owned).collect(), Digest::parse(digest)?);
        chains.insert(name.to_owned(), chain);
    }
    Ok(chains)
}

/// The least median of a window, in seconds: from the first call sent to the last one seen.
async fn plain(programs: &Programs, below: &[usize], rounds: usize, live: &Live) -> Result<f64> {
    let bed = Bed::make(programs).await?;
    let patch = difference(&live.before, &live.after);
    let mut least = f64::INFINITY;
    for window in WINDOWS {
        let mut took = Vec::new();
        for round in 0..rounds {
            let tree = Tree::of(&format!("plain-{window}-{round}"), below);
            tree.plant(&bed, &live.before).await?;
            took.push(mark(&bed, &tree, window, &patch).await?);
        }
        let took = median(took);
        progress(&format!(
            "revoke: as many status writes, {window} at a time: {took:.2} s"
        ));
        least = least.min(took);
    }
    Ok(least)
}

async fn mark(bed: &Bed, tree: &Tree, window: usize, patch: &Value) -> Result<f64> {
    let sight = Sight::ended(bed.api()).await?;
    let awaited: Vec<_> = tree.nodes().map(|it| sight.expect(&it.name)).collect();
    let sent = Instant::now();
    // Like the operator, it doesn't wait for the watch between writes.
    stream::iter(tree.nodes())
        .map(|node| async { bed.api().patch(&status_of(&node.name), patch).await })
        .buffer_unordered(window)
        .try_collect::<()>()
        .await?;
    let seen = try_join_all(awaited.into_iter().map(|it| it.seen())).await?;
    let last = seen.into_iter().max().context("an empty tree")?;
    Ok(last.duration_since(sent).as_secs_f64())
}
