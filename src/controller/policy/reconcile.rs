//! One pass over one object.

use std::sync::Arc;

use countersign_api::{AgentPolicy, ClusterAgentPolicy, PolicyMode};
use countersign_runtime::{ObjectKey, Outcome, merge_patch};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::Kind;
use super::judge::{Refused, Verdict, judge};
use super::plan::plan;
use crate::condition::is_true;
use crate::context::Context;
use crate::write::WriteError;

/// How many objects stand how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) in_effect: usize,
    pub(crate) audit: usize,
    pub(crate) disabled: usize,
    pub(crate) stalled: usize,
    /// Nobody has looked at them since their last change.
    pub(crate) pending: usize,
}

/// Has all objects looked at: at a take-over.
pub(crate) fn look_at_all(ctx: &Context) {
    fn of<K: Kind>(ctx: &Context) {
        for key in K::all(ctx).store().keys() {
            ctx.look_at_policy::<K>(&key);
        }
    }
    of::<ClusterAgentPolicy>(ctx);
    of::<AgentPolicy>(ctx);
}

/// Brings the status of one object to where it should be. Only one is judged at a time, by whoever holds
/// `judging`: thousands at once must not take all cores.
pub(crate) async fn reconcile(
    ctx: &Context,
    key: &ObjectKey,
    judging: &Mutex<()>,
) -> Result<Outcome, WriteError> {
    if key.namespace.is_some() {
        pass::<AgentPolicy>(ctx, key, judging).await
    } else {
        pass::<ClusterAgentPolicy>(ctx, key, judging).await
    }
}

async fn pass<K: Kind>(
    ctx: &Context,
    key: &ObjectKey,
    judging: &Mutex<()>,
) -> Result<Outcome, WriteError> {
    let settled = Outcome::Settled { again: None };
    let all = K::all(ctx);
    let Some(object) = all.store().get(key) else {
        all.forget(key);
        return Ok(settled);
    };
    let verdict = match all.verdict(key, &object) {
        Some(known) => known,
        None => {
            let _alone = judging.lock().await;
            let verdict = Arc::new(judged(Arc::clone(&object)).await);
            all.judge(key, &object, &verdict);
            verdict
        }
    };
    let unwritten = all.unwritten(key);
    let unwritten = unwritten
        .as_ref()
        .map(|(good, digest)| (&**good, &**digest));
    let status = plan(&*object, &verdict, unwritten, ctx.clock.now());
    let before = object.status().and_then(|it| serde_json::to_value(it).ok());
    let after = serde_json::to_value(&status).unwrap_or_default();
    let Some(patch) = merge_patch(&before.unwrap_or_else(|| json!({})), &after) else {
        all.written(key);
        return Ok(settled);
    };
    let body = json!({
        "metadata": {"resourceVersion": object.resource_version()},
        "status": patch,
    });
    let api = K::api(ctx.clients.writes.clone(), key.namespace());
    let (params, patch) = (PatchParams::default(), Patch::Merge(body));
    match ctx
        .gate
        .run(api.patch_status(&key.name, &params, &patch))
        .await
    {
        Ok(stored) => {
            all.written(key);
            told(ctx, key, &*object, &stored, &verdict).await;
            Ok(settled)
        }
        // Changed or gone meanwhile: the watch brings what it is now.
        Err(why) if why.is(409) || why.is(404) => Ok(settled),
        Err(why) => Err(why),
    }
}

/// Judges where nobody waits for the thread. A compiler that panics refuses.
async fn judged<K: Kind>(object: Arc<K>) -> Verdict {
    match spawn_blocking(move || judge(&*object)).await {
        Ok(verdict) => verdict,
        Err(why) => Verdict::Refused(Refused::by_failure(&why)),
    }
}

async fn told<K: Kind>(ctx: &Context, key: &ObjectKey, before: &K, stored: &K, verdict: &Verdict) {
    let kind = K::kind(&());
    match verdict {
        Verdict::Counts { digest } => info!(policy = %key, %kind, digest, "policies compiled"),
        Verdict::Refused(why) => {
            warn!(policy = %key, %kind, reason = why.reason, "policies refused: {}", why.first);
        }
    }
    let reference = before.object_ref(&());
    ctx.events
        .refused(
            before.conditions(),
            reference,
            stored.conditions(),
            "TakeEffect",
        )
        .await;
}

/// Counts, by what the watches have brought.
pub(crate) fn tally(ctx: &Context) -> Tally {
    fn of<K: Kind>(ctx: &Context, sum: &mut Tally) {
        K::all(ctx).store().for_each(|_, object| {
            let ready = object.conditions().iter().find(|it| it.type_ == "Ready");
            let current =
                ready.is_some_and(|it| it.observed_generation == object.meta().generation);
            let counted = if !current {
                &mut sum.pending
            } else if is_true(object.conditions(), "Stalled") {
                &mut sum.stalled
            } else {
                match object.mode() {
                    PolicyMode::Enforce => &mut sum.in_effect,
                    PolicyMode::Audit => &mut sum.audit,
                    PolicyMode::Disabled => &mut sum.disabled,
                }
            };
            *counted += 1;
        });
    }
    let mut sum = Tally::default();
    of::<AgentPolicy>(ctx, &mut sum);
    of::<ClusterAgentPolicy>(ctx, &mut sum);
    sum
}
