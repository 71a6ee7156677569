//! Checkpoints of the audit log: signed with a key of the trust domain, and the newest ones kept
//! outside the log's database. Who cuts off its end, with whatever rights there, is found out.

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
        match checkpoint::verify(token, &keys.trusted) {
            Ok(head) if head.chain.split('/').next() == Some(&name) => {
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
/// never signed again.
async fn recall(ctx: &Context) -> Result<(), String> {
    let maps: Api<ConfigMap> = Api::namespaced(ctx.clients.reads.clone(), &ctx.namespace);
    let found = timeout(LIMIT, maps.get_opt(CONFIG_MAP)).await;
    let found = found.map_err(|_| "no answer in time".to_owned())?;
    let tokens = found.map_err(|why| why.to_string())?;
    let mut floor = Vec::new();
    for (chain, token) in tokens.and_then(|map| map.data).unwrap_or_default() {
        match verify(ctx, &token) {
            Ok(head) => floor.push(head),
            // Of a trust domain that is gone or isn't there yet, or by a key that is distrusted.
            Err(why) => debug!(chain, "a published checkpoint doesn't verify: {why}"),
        }
    }
    ctx.audit.log().set_floor(floor);
    Ok(())
}

/// Recalls until that worked: nothing is granted before. Beside all other work, for no end waits.
pub(crate) async fn recall_first(ctx: &Context) {
    while let Err(why) = recall(ctx).await {
        warn!("can't read the published checkpoints, so that nothing is granted: {why}");
        sleep(AGAIN).await;
    }
    ctx.audit.set_recalled(true);
}

/// Keeps the newest checkpoints in a ConfigMap: each replica those of its own chains. Never
/// returns.
pub(crate) async fn publish(ctx: &Context) {
    let mut published: BTreeMap<String, String> = BTreeMap::new();
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
        if let Err(why) = recall(ctx).await {
            debug!("can't read the published checkpoints: {why}");
            continue;
        }
        let newest = newest_of(ctx); // without what the floor refuses
        match put(ctx, &newest).await {
            Ok(()) => published = newest,
            Err(why) => debug!("can't publish checkpoints: {why}"),
        }
    }
}

/// The newest checkpoint of each chain, by the key that it is published under.
fn newest_of(ctx: &Context) -> BTreeMap<String, String> {
    let newest = ctx.audit.log().latest_checkpoints().into_iter();
    newest
        .map(|it| (it.checkpoint.chain.replace('/', "."), it.token))
        .collect()
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
