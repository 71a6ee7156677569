//! Checkpoints of the audit log: signed with a key of the trust domain, and the newest ones kept
//! outside the log's database. Who cuts off its end, with whatever rights there, is found out.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use countersign_audit::{Checkpoint, CheckpointSigner};
use countersign_statement::{Purpose, checkpoint};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::context::Context;
use crate::secret::{MANAGED_BY, MANAGED_BY_LABEL};

/// The ConfigMap, in the operator's own namespace.
const CONFIG_MAP: &str = "countersign-audit-checkpoints";
/// How often the newest checkpoints are compared with what was published.
const EVERY: Duration = Duration::from_secs(5);

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

/// Keeps the newest checkpoints in a ConfigMap: each replica those of its own chains. Never
/// returns.
pub(crate) async fn publish(ctx: &Context) {
    let mut published: BTreeMap<String, String> = BTreeMap::new();
    loop {
        sleep(EVERY).await;
        if !ctx.gate.leads() {
            continue;
        }
        let newest = ctx.audit.log().latest_checkpoints().into_iter();
        let newest: BTreeMap<String, String> = newest
            .map(|it| (it.checkpoint.chain.replace('/', "."), it.token))
            .collect();
        if newest.is_empty() || newest == published {
            continue;
        }
        match put(ctx, &newest).await {
            Ok(()) => published = newest,
            Err(why) => debug!("can't publish checkpoints: {why}"),
        }
    }
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
