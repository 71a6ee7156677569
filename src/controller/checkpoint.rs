//! Checkpoints of the audit log: signed with a key of the trust domain, and the newest ones kept
//! outside the log's database. Who cuts off its end, with whatever rights there, is found out.
//!
//! A chain of no trust domain, of decisions about agents that nobody knows, is signed by the first
//! trust domain by name that has keys, and believed of any: it tells of nobody's agents, and a key of
//! its own would only be one more to keep.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use countersign_audit::{Checkpoint, CheckpointSigner, CheckpointVerifier, Hash};
use countersign_statement::{Purpose, checkpoint};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::context::Context;
use crate::secret::{MANAGED_BY, MANAGED_BY_LABEL};

/// The ConfigMap, in the operator's own namespace.
const CONFIG_MAP: &str = "countersign-audit-checkpoints";
/// How often the newest checkpoints are compared with what was published.
const EVERY: Duration = Duration::from_secs(5);
/// The published ones are waited for so long.
const LIMIT: Duration = Duration::from_secs(5);
/// After that they are asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// The ConfigMap's keys and tokens, in bytes: an API server takes a MiB. Room for 1,500 chains.
const MOST_BYTES: usize = 900 * 1024;

/// Signs with the keys of whatever trust domain the chain belongs to.
pub(crate) struct Checkpoints {
    ctx: Weak<Context>,
}

impl Checkpoints {
    pub(crate) fn new(ctx: &Arc<Context>) -> Self {
        Self {
            ctx: Arc::downgrade(ctx),
        }
    }
}

impl CheckpointSigner for Checkpoints {
    fn sign(&self, trust_domain: &str, head: &Checkpoint) -> Option<String> {
        let ctx = self.ctx.upgrade()?;
        if !trust_domain.is_empty() {
            return sign(&ctx, trust_domain, head);
        }
        let mut all = Vec::new();
        ctx.trust_domains
            .for_each(|key, _| all.push(key.name.clone()));
        all.sort_unstable();
        // Not before all are known: the second would begin at the first record.
        if all.iter().any(|name| ctx.domains.get(name).is_none()) {
            return None;
        }
        all.iter().find_map(|name| sign(&ctx, name, head))
    }
}

fn sign(ctx: &Context, trust_domain: &str, head: &Checkpoint) -> Option<String> {
    let domain = ctx.domains.get(trust_domain)?;
    let keys = domain.keys.as_ref().ok()?;
    let signer = keys.ring.signer(Purpose::Checkpoints).ok()?;
    let head = checkpoint::Checkpoint {
        issued_at: head.time,
        chain: head.chain.clone(),
        sequence: head.seq,
        hash: *head.hash.as_bytes(),
    };
    checkpoint::sign(&head, &signer)
        .inspect_err(|why| warn!("can't sign a checkpoint: {why}"))
        .ok()
}

/// Verifies with the keys of the trust domain in the chain's name.
pub(crate) struct Trusted {
    ctx: Weak<Context>,
}

impl Trusted {
    pub(crate) fn new(ctx: &Arc<Context>) -> Self {
        Self {
            ctx: Arc::downgrade(ctx),
        }
    }
}

impl CheckpointVerifier for Trusted {
    fn verify(&self, token: &str) -> Result<Checkpoint, String> {
        let ctx = self.ctx.upgrade().ok_or("the operator is stopping")?;
        verify(&ctx, token)
    }
}

fn verify(ctx: &Context, token: &str) -> Result<Checkpoint, String> {
    let mut why = "there is no trust domain".to_owned();
    for name in ctx.domains.names() {
        let domain = ctx.domains.get(&name);
        let Some(Ok(keys)) = domain.as_ref().map(|domain| &domain.keys) else {
            continue;
        };
        // Its issuer is checked: the keys of one trust domain vouch for no other's chain.
        let vouches = |chain: &str| {
            let of = chain.split('/').next();
            of == Some(&name) || of == Some("")
        };
        match checkpoint::verify(token, &keys.trusted) {
            Ok(head) if vouches(&head.chain) => {
                return Ok(Checkpoint {
                    chain: head.chain,
                    seq: head.sequence,
                    hash: Hash::from_bytes(head.hash),
                    time: head.issued_at,
                });
            }
            Ok(head) => why = format!("trust domain {name} signed for chain {}", head.chain),
            Err(broken) => why = broken.to_string(),
        }
    }
    Err(why)
}

/// Tells the log how far its chains had come by what is published: one that was cut off since is
/// never signed again. Gives what is published.
async fn recall(ctx: &Context) -> Result<BTreeMap<String, String>, String> {
    let maps: Api<ConfigMap> = Api::namespaced(ctx.clients.reads.clone(), &ctx.namespace);
    let found = timeout(LIMIT, maps.get_opt(CONFIG_MAP)).await;
    let found = found.map_err(|_| "no answer in time".to_owned())?;
    let map = found.map_err(|why| why.to_string())?;
    let published = map.and_then(|map| map.data).unwrap_or_default();
    let mut floor = Vec::new();
    for (chain, token) in &published {
        match verify(ctx, token) {
            Ok(head) => floor.push(head),
            // Of a trust domain that is gone or isn't there yet, or by a key that is distrusted.
            Err(why) => debug!(chain, "a published checkpoint doesn't verify: {why}"),
        }
    }
    ctx.audit.log().set_floor(floor);
    Ok(published)
}

/// Recalls until that worked: nothing is granted before. Beside all other work, for no end waits.
pub(crate) async fn recall_first(ctx: &Context) {
    while let Err(why) = recall(ctx).await {
        warn!("can't read the published checkpoints, so that nothing is granted: {why}");
        sleep(AGAIN).await;
    }
    ctx.audit.set_recalled(true);
}

/// Keeps the newest checkpoints in a ConfigMap: the leader those of its own chains, and those that it
/// has signed of others' chains. Never returns.
pub(crate) async fn publish(ctx: &Context) {
    let mut published = Vec::new();
    let mut full = false;
    loop {
        sleep(EVERY).await;
        if !ctx.gate.leads() {
            continue;
        }
        let newest = newest_of(ctx);
        if newest.is_empty() || newest == published {
            continue;
        }
        // What is there is known before anything takes its place, also where its trust domain had
        // no keys at the first look.
        let there = match recall(ctx).await {
            Ok(there) => there,
            Err(why) => {
                debug!("can't read the published checkpoints: {why}");
                continue;
            }
        };
        let newest = newest_of(ctx); // without what the floor refuses
        let (news, left_out) = news(&newest, &there);
        if left_out > 0 && !full {
            warn!(
                chains = left_out,
                "the ConfigMap {CONFIG_MAP} is full: chains that are new are not published. Take those of replicas that are gone out of it, once they were verified"
            );
        }
        full = left_out > 0;
        if news.is_empty() {
            published = newest;
            continue;
        }
        match put(ctx, &news).await {
            Ok(()) => published = newest,
            Err(why) => debug!("can't publish checkpoints: {why}"),
        }
    }
}

/// The newest checkpoint of each chain, by the key that it is published under: its own chains first.
fn newest_of(ctx: &Context) -> Vec<(String, String)> {
    let log = ctx.audit.log();
    let mut newest = log.latest_checkpoints();
    let own = |chain: &str| chain.split('/').nth(1) == Some(log.writer());
    newest.sort_by_key(|it| !own(&it.checkpoint.chain));
    let by_key = newest.into_iter();
    by_key
        .map(|it| (key(&it.checkpoint.chain), it.token))
        .collect()
}

/// What a chain's checkpoint is published under. No name of a trust domain has a `_`, so that no two
/// chains share one.
fn key(chain: &str) -> String {
    chain.replacen('/', "_", 1)
}

/// Those of `newest` that are not `there` yet, and how many don't fit. What is there stays: else
/// whoever may begin chains could push others out.
fn news(
    newest: &[(String, String)],
    there: &BTreeMap<String, String>,
) -> (BTreeMap<String, String>, usize) {
    let mut bytes: usize = there
        .iter()
        .map(|(key, token)| key.len() + token.len())
        .sum();
    let mut left_out = 0;
    let mut news = BTreeMap::new();
    for (key, token) in newest {
        match there.get(key) {
            Some(old) if old == token => continue,
            Some(old) => bytes = bytes.saturating_sub(old.len()) + token.len(),
            None if bytes + key.len() + token.len() > MOST_BYTES => {
                left_out += 1;
                continue;
            }
            None => bytes += key.len() + token.len(),
        }
        news.insert(key.clone(), token.clone());
    }
    (news, left_out)
}

async fn put(
    ctx: &Context,
    data: &BTreeMap<String, String>,
) -> Result<(), crate::write::WriteError> {
    let maps: Api<ConfigMap> = Api::namespaced(ctx.clients.writes.clone(), &ctx.namespace);
    let params = PatchParams::default();
    let patch = Patch::Merge(json!({"data": data}));
    match ctx.gate.run(maps.patch(CONFIG_MAP, &params, &patch)).await {
        Err(why) if why.is(404) => {}
        other => return other.map(|_| ()),
    }
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(CONFIG_MAP.to_owned()),
            labels: Some(BTreeMap::from([(
                MANAGED_BY_LABEL.to_owned(),
                MANAGED_BY.to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        data: Some(data.clone()),
        ..ConfigMap::default()
    };
    let params = PostParams::default();
    ctx.gate.run(maps.create(&params, &map)).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(letter: char) -> String {
        letter.to_string().repeat(1024)
    }

    #[test]
    fn what_is_published_already_is_not_written_again() {
        let newest = [("a_w", 'x'), ("b_w", 'y'), ("_w", 'z')];
        let newest = newest.map(|(key, it)| (key.to_owned(), token(it)));
        let there = BTreeMap::from([
            ("a_w".to_owned(), token('x')),
            ("b_w".to_owned(), token('o')),
            ("gone_w".to_owned(), token('g')),
        ]);
        let (news, left_out) = news(&newest, &there);
        let keys: Vec<&str> = news.keys().map(String::as_str).collect();
        assert_eq!((keys.as_slice(), left_out), (&["_w", "b_w"][..], 0));
    }

    #[test]
    fn a_full_map_keeps_what_it_has_and_takes_no_new_chain() {
        let there: BTreeMap<String, String> = (0..890)
            .map(|n| (format!("d_w-{n:04}"), token('o')))
            .collect();
        let newest: Vec<(String, String)> = (880..1000)
            .map(|n| (format!("d_w-{n:04}"), token('n')))
            .collect();
        let (news, left_out) = news(&newest, &there);
        // 890 of 1,032 bytes leave room for three.
        assert_eq!((news.len(), left_out), (13, 107));
        assert!(news.contains_key("d_w-0880") && news.contains_key("d_w-0892"));
    }

    #[test]
    fn no_two_chains_are_published_under_one_key() {
        assert_ne!(key("a/b.c"), key("a.b/c"));
        assert_eq!(key("/decide-0"), "_decide-0");
    }
}
