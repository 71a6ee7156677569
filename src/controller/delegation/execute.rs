//! Does what the plan says: a record before the statement, the statement before the status that
//! shows it. A crash between them leaves a record of something that nobody holds.

use countersign_api as api;
use countersign_runtime::{ObjectKey, merge_patch};
use countersign_statement::{Digest, Purpose, Statement};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, Patch, PatchParams};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use tracing::{debug, info};

use super::grantable::Proposal;
use super::observed::Observed;
use super::plan::{Plan, Status};
use super::store::Object;
use super::{parse, record};
use crate::audit::Of;
use crate::context::Context;
use crate::identity::{PassError, Refusal};

/// The longest chain, all statements together: each leaf's status has a copy, and each request that
/// goes along with one.
const MAX_CHAIN_BYTES: usize = 64 * 1024;

/// What came of executing a plan.
pub(crate) enum Step {
    /// The world is as planned.
    Done,
    /// It can't be countersigned for a reason that only doing it showed.
    Refused(Refusal),
    /// The delegation was changed meanwhile: look again from the start.
    Again,
    /// The delegation is gone, or another one has its name.
    Gone,
}

/// Executes `plan` for the delegation as it was observed.
pub(crate) async fn execute(
    ctx: &Context,
    key: &ObjectKey,
    object: &api::Delegation,
    seen: &Observed,
    plan: Plan,
) -> Result<Step, PassError> {
    let Some(mut status) = plan.status else {
        return Ok(Step::Done);
    };
    if let Some(proposal) = &plan.grant {
        if let Some(Ok(signed)) = &seen.signed {
            let (request, uid) = (&signed.request, seen.delegation.uid.as_str());
            let until = request.expires_at;
            let taken =
                ctx.delegations
                    .take_jti(&request.delegator, &request.id, (uid, key), until);
            if let Err(other) = taken {
                return Ok(Step::Refused(Refusal {
                    reason: "StatementReplayed",
                    message: format!(
                        "spec.statement was used by Delegation {other} already: sign a new one, with a jti of its own"
                    ),
                }));
            }
        }
        let (own, above) = match countersign(ctx, seen, proposal) {
            Ok(signed) => signed,
            Err(why) => return Ok(Step::Refused(why)),
        };
        let record = record::granted(seen, &own, above.first());
        let size = above.iter().map(|(it, _)| it.len()).sum::<usize>() + own.compact().len();
        if size > MAX_CHAIN_BYTES {
            return Ok(Step::Refused(Refusal {
                reason: "ChainTooLarge",
                message: format!(
                    "its chain has {size} bytes, and {MAX_CHAIN_BYTES} are the most: write shorter grants in it and above"
                ),
            }));
        }
        if let Err(why) = ctx.audit.granting(Of::Delegation, record).await {
            return Ok(Step::Refused(why));
        }
        status.digest = Some(*own.digest());
        status.statements = above.into_iter().map(|(statement, _)| statement).collect();
        status.statements.push(own.compact().to_owned());
    }
    let step = put_status(ctx, key, object, seen, &status).await?;
    if matches!(step, Step::Done) && plan.grant.is_some() {
        ctx.metrics.countersigned();
        info!(delegation = %key, digest = %status.digest.map(|it| it.to_string()).unwrap_or_default(), depth = status.shown.depth, "countersigned");
    }
    Ok(step)
}

/// Puts a version into its place; a statement that isn't held any more is gone.
fn relink(ctx: &Context, key: &ObjectKey, object: &Object) {
    if let Some(lost) = ctx.delegations.link(key, Some(&object.facts)) {
        ctx.revocations.gone(lost);
    }
}

/// This hop's statement, and those above it with their digests: hop 0 is signed here too.
fn countersign(
    ctx: &Context,
    seen: &Observed,
    proposal: &Proposal,
) -> Result<(Statement, Vec<(String, Digest)>), Refusal> {
    let not_ready = |message: String| Refusal {
        reason: "TrustDomainNotReady",
        message,
    };
    let domain = ctx.domains.get(proposal.claims.issuer.as_str());
    let keys = match domain.as_ref().map(|domain| &domain.keys) {
        Some(Ok(keys)) => keys,
        Some(Err(why)) => return Err(Refusal::clone(why)),
        None => return Err(not_ready("its trust domain is gone".to_owned())),
    };
    let signer = keys.ring.signer(Purpose::Statements);
    let signer = signer.map_err(|why| not_ready(why.to_string()))?;
    let sign = |claims| {
        let signed = signer.countersign(claims);
        signed.map_err(|why| not_ready(why.to_string()))
    };
    let held = |hop: &Statement| (hop.compact().to_owned(), *hop.digest());
    let mut claims = proposal.claims.clone();
    let above = match &proposal.first {
        Some(first) => {
            let first = sign(first)?;
            claims.parent = Some(*first.digest());
            vec![held(&first)]
        }
        None => seen
            .parent_chain()
            .map_or_else(Vec::new, |chain| chain.hops().map(held).collect()),
    };
    Ok((sign(&claims)?, above))
}

/// Writes the status, if it differs, over the very version that was observed.
async fn put_status(
    ctx: &Context,
    key: &ObjectKey,
    object: &api::Delegation,
    seen: &Observed,
    status: &Status,
) -> Result<Step, PassError> {
    let before = object.status.as_ref();
    let after = parse::status(status, &seen.delegation, before, seen.now);
    let old = before.and_then(|status| serde_json::to_value(status).ok());
    let new = serde_json::to_value(&after).unwrap_or_default();
    let Some(patch) = merge_patch(&old.unwrap_or_else(|| json!({})), &new) else {
        return Ok(Step::Done);
    };
    let delegations: Api<api::Delegation> =
        Api::namespaced(ctx.clients.writes.clone(), key.namespace());
    let body = Patch::Merge(json!({
        "metadata": {"resourceVersion": object.resource_version()},
        "status": patch,
    }));
    let params = PatchParams::default();
    let call = delegations.patch_status(&key.name, &params, &body);
    match ctx.gate.run(call).await {
        Ok(stored) => {
            let stored = ctx.delegations.objects.wrote(key, Object::of(stored));
            relink(ctx, key, &stored);
            ended(ctx, key, seen, status, &after);
            // What rests on it doesn't wait for a watch to tell.
            for child in ctx.delegations.children(key) {
                ctx.look_at_delegation(&child);
            }
            let known = before.map_or(&[][..], |status| &status.conditions);
            let reference = object.object_ref(&());
            ctx.events
                .refused(known, reference, &after.conditions, "Countersign")
                .await;
            Ok(Step::Done)
        }
        Err(why) if why.is(409) || why.is(404) => {
            debug!(delegation = %key, "status is not as it was seen: {why}");
            ctx.metrics.conflict();
            refresh(ctx, key, object).await
        }
        Err(source) => Err(PassError::Write {
            what: "the delegation's status",
            source,
        }),
    }
}

/// Tells of what ended or was refused for the first time.
fn ended(
    ctx: &Context,
    key: &ObjectKey,
    seen: &Observed,
    status: &Status,
    after: &api::DelegationStatus,
) {
    let over = status.conditions.iter().find(|it| it.kind == "Completed");
    if let Some(over) = over
        && seen.recorded.completed.is_none()
    {
        info!(delegation = %key, reason = over.reason, "delegation is over");
        ctx.metrics.delegation_ended(); // its record is made when the watch shows it
    }
    let refused = after.conditions.iter().find(|it| it.type_ == "Stalled");
    if let Some(refused) = refused
        && refused.last_transition_time.0 == seen.now
    {
        ctx.audit
            .later(record::refused(seen, &refused.reason, &refused.message));
    }
}

async fn refresh(
    ctx: &Context,
    key: &ObjectKey,
    object: &api::Delegation,
) -> Result<Step, PassError> {
    let delegations: Api<api::Delegation> =
        Api::namespaced(ctx.clients.reads.clone(), key.namespace());
    let live = delegations.get_opt(&key.name).await?;
    Ok(match live {
        Some(live) if live.uid() == object.uid() => {
            ctx.delegations.objects.wrote(key, Object::of(live));
            Step::Again
        }
        _ => Step::Gone,
    })
}

/// Within a namespace a hop is its parent's dependent: Kubernetes deletes it with it, should the
/// operator be down. Across namespaces Kubernetes would delete it at once.
pub(crate) async fn tie_to_parent(
    ctx: &Context,
    key: &ObjectKey,
    seen: &Observed,
) -> Result<(), PassError> {
    let (Some(parent), Some(uid)) = (&seen.delegation.parent, seen.parent_uid()) else {
        return Ok(());
    };
    let newest = ctx.delegations.get(key).and_then(|it| it.unpack());
    let Some(object) = newest.filter(|it| it.uid().as_deref() == Some(&seen.delegation.uid)) else {
        return Ok(());
    };
    let tied = object.owner_references().iter().any(|it| it.uid == uid);
    if tied || parent.namespace != seen.delegation.namespace {
        return Ok(());
    }
    let mut references = object.owner_references().to_vec();
    references.push(OwnerReference {
        api_version: "countersign.dev/v1alpha1".to_owned(),
        kind: "Delegation".to_owned(),
        name: parent.name.clone(),
        uid: uid.to_owned(),
        controller: None,
        block_owner_deletion: None,
    });
    // Over the very version that was read: the list is written as a whole.
    let body = json!({"metadata": {
        "uid": object.uid(),
        "resourceVersion": object.resource_version(),
        "ownerReferences": references,
    }});
    let delegations: Api<api::Delegation> =
        Api::namespaced(ctx.clients.writes.clone(), key.namespace());
    let (params, patch) = (PatchParams::default(), Patch::Merge(body));
    let call = delegations.patch(&key.name, &params, &patch);
    match ctx.gate.run(call).await {
        Ok(stored) => {
            ctx.delegations.objects.wrote(key, Object::of(stored));
            Ok(())
        }
        // Changed meanwhile, gone, or not allowed by this cluster: only a net is missing.
        Err(why) if why.is(404) || why.is(409) || why.is(403) => {
            debug!(delegation = %key, "not made its parent's dependent: {why}");
            Ok(())
        }
        Err(source) => Err(PassError::Write {
            what: "the delegation's owner reference",
            source,
        }),
    }
}
