//! Watches both kinds, and works on what changed.

use std::sync::Arc;

use countersign_api::{AgentPolicy, ClusterAgentPolicy};
use countersign_runtime::{ObjectKey, Outcome, Supervisor, Urgency, WatchMetrics, watch_into};
use futures::future::join_all;
use kube::Api;
use tokio::sync::Mutex;
use tracing::warn;

use super::{Kind, reconcile};
use crate::context::Context;
use crate::follow::config;
use crate::hand::Hand;
use crate::write::WriteError;

/// Passes under way at a time: most of one is the wait for the API server to store a status. With one
/// alone, ten thousand policies take three times as long.
const AT_ONCE: usize = 6;

/// Starts the watches. No pass waits for them: they decide nothing here.
pub(crate) fn follow(ctx: &Arc<Context>, metrics: &WatchMetrics, to: &mut Supervisor) {
    watch::<ClusterAgentPolicy>(ctx, metrics, to);
    watch::<AgentPolicy>(ctx, metrics, to);
}

fn watch<K: Kind>(ctx: &Arc<Context>, metrics: &WatchMetrics, to: &mut Supervisor) {
    let (c, metrics) = (Arc::clone(ctx), metrics.clone());
    to.spawn("watch agent policies", async move {
        let changed = |key: &ObjectKey, _: Option<&Arc<K>>, new: Option<&Arc<K>>| match new {
            Some(_) => c.look_at_policy::<K>(key),
            None => K::all(&c).forget(key),
        };
        let reduce = |mut object: K| {
            let meta = object.meta_mut();
            meta.managed_fields = None;
            meta.annotations = None; // a client-side apply keeps a whole copy there
            Some(object)
        };
        let api: Api<K> = Api::all(c.clients.reads.clone());
        let store = Arc::clone(K::all(&c).store());
        let name = K::plural(&()).into_owned();
        watch_into(&name, api, config(&c), store, reduce, changed, metrics).await
    });
}

/// Looks at what changed, for ever.
pub(crate) async fn work(ctx: &Context) {
    let judging = Mutex::new(());
    join_all((0..AT_ONCE).map(|_| work_alone(ctx, &judging))).await;
}

/// Looks at one after the other; whoever has `judging` judges.
async fn work_alone(ctx: &Context, judging: &Mutex<()>) {
    loop {
        let key = ctx.policy_queue.next().await;
        let failed = Outcome::Failed {
            urgency: Urgency::Renew,
        };
        let mut hand = Hand {
            queue: &ctx.policy_queue,
            key: &key,
            outcome: failed,
        };
        match reconcile(ctx, &key, judging).await {
            Ok(outcome) => {
                ctx.metrics.passed("policy", "settled");
                hand.outcome = outcome;
            }
            Err(why) => {
                ctx.metrics.passed("policy", why.category());
                if !matches!(why, WriteError::NotLeader(_)) {
                    warn!(policy = %key, "can't write the status: {why}");
                }
            }
        }
    }
}
