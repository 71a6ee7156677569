//! TaskKinds: says whether their rules work.

use std::sync::Arc;

use countersign_api as api;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tracing::warn;

use crate::condition::condition;
use crate::context::Context;
use crate::task::{KindKey, Rule};

/// Of those that changed while another replica led, or nobody did.
pub(crate) async fn tell_all(ctx: &Context) {
    let mut all = Vec::new();
    ctx.task_kinds
        .for_each(|_, object| all.push(Arc::clone(object)));
    for object in all {
        if let Some(rule) = ctx.kinds.rules(&KindKey::parse(&object.name_any())) {
            tell(ctx, &object, &rule).await;
        }
    }
}

/// Writes a TaskKind's conditions, if they differ.
pub(crate) async fn tell(ctx: &Context, object: &api::TaskKind, rule: &Rule) {
    let generation = object.metadata.generation.unwrap_or_default();
    let old = object
        .status
        .as_ref()
        .map(|status| status.conditions.clone());
    let old = old.unwrap_or_default();
    let now = ctx.clock.now();
    let make = |kind: &str, status, reason: &str, message: &str| {
        condition(kind, status, reason, message, generation, &old, now)
    };
    let conditions = match rule {
        Ok(_) => vec![make("Ready", true, "RulesCompiled", "its rules are in use")],
        Err(why) => vec![
            make("Ready", false, why.reason(), &why.to_string()),
            make("Stalled", true, why.reason(), &why.to_string()),
        ],
    };
    if conditions == old {
        return;
    }
    let kinds: Api<api::TaskKind> = Api::all(ctx.clients.writes.clone());
    let body = json!({
        "metadata": {"resourceVersion": object.resource_version()},
        "status": {"observedGeneration": generation, "conditions": conditions},
    });
    let (name, params, patch) = (
        object.name_any(),
        PatchParams::default(),
        Patch::Merge(body),
    );
    let call = kinds.patch_status(&name, &params, &patch);
    match ctx.gate.run(call).await {
        Err(why) if !why.is(409) && !why.is(404) => {
            warn!(task_kind = name, "can't write the status: {why}");
        }
        _ => {}
    }
}
