//! Does what the plan says, in the order that a crash at any line leaves nothing behind that the
//! next pass doesn't mend: a credential before the status that tells of it, a status that ends it
//! before its deletion.

use countersign_api as api;
use countersign_audit::Kind;
use countersign_authority::{
    AuthorityError, Leaf, LeafKey, LeafRequest, RequestedKey, RevocationReason,
};
use countersign_runtime::{ObjectKey, merge_patch};
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use tracing::{debug, info, warn};

use super::observed::{
    Certificate, CredentialSeen, Delivery, DomainSeen, Observed, Refusal, SecretVersion,
};
use super::plan::{Credential, Issue, Plan, Status};
use super::store::Object;
use super::{delivery, parse, plan, record};
use crate::audit::Of;
use crate::context::Context;
use crate::revocation::Issued;
use crate::trust_domain::Signing;
use crate::write::WriteError;

/// What came of executing a plan.
#[allow(clippy::large_enum_variant, reason = "lives for a moment on the stack")]
pub(crate) enum Step {
    /// The world is as planned.
    Done,
    /// Something was learned: plan again with it.
    Learned(CredentialSeen),
    /// It can't be issued for a reason that only signing showed.
    Refused(Refusal),
    /// The identity was changed meanwhile: look again from the start.
    Again,
    /// The identity is gone, or another one has its name: its own event tells of that.
    Gone,
}

/// Why a pass didn't come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassError {
    #[error("can't read: {0}")]
    Read(#[from] kube::Error),
    #[error("can't write {what}: {source}")]
    Write {
        what: &'static str,
        #[source]
        source: WriteError,
    },
}

impl PassError {
    pub(crate) fn category(&self) -> &'static str {
        match self {
            Self::Read(why) => crate::write::category(why),
            Self::Write { source, .. } => source.category(),
        }
    }
}

pub(super) fn writing(what: &'static str) -> impl Fn(WriteError) -> PassError {
    move |source| PassError::Write { what, source }
}

/// Executes `plan` for the identity as it was observed.
pub(crate) async fn execute(
    ctx: &Context,
    key: &ObjectKey,
    object: &api::AgentIdentity,
    seen: &Observed,
    plan: Plan,
) -> Result<Step, PassError> {
    match plan.credential {
        Credential::Read => {
            // Written by us, without a record that we know: perhaps the record is only news that
            // hasn't come yet. Then its spec is, too.
            let live = refresh(ctx, key, object).await?;
            if live.is_none_or(|live| live.resource_version() != object.resource_version()) {
                return Ok(Step::Again);
            }
            Ok(Step::Learned(delivery::read(ctx, object, seen).await?))
        }
        Credential::Issue(order) => {
            let Some(status) = plan.status else {
                return Ok(Step::Again);
            };
            issue(ctx, key, object, seen, &order, status).await
        }
        Credential::Keep => put_status(ctx, key, object, seen, plan.status.as_ref()).await,
        Credential::Remove => {
            match put_status(ctx, key, object, seen, plan.status.as_ref()).await? {
                Step::Done => {}
                other => return Ok(other),
            }
            delivery::remove(ctx, seen).await?;
            Ok(Step::Done)
        }
    }
}

/// Deletes the identity itself, when its record has been kept for long enough.
pub(crate) async fn delete_identity(
    ctx: &Context,
    object: &api::AgentIdentity,
) -> Result<(), PassError> {
    let identities: Api<api::AgentIdentity> = Api::namespaced(
        ctx.clients.writes.clone(),
        &object.namespace().unwrap_or_default(),
    );
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: object.uid(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let name = object.name_any();
    match ctx.gate.run(identities.delete(&name, &params)).await {
        Err(why) if !why.is(404) && !why.is(409) => Err(writing("the identity's deletion")(why)),
        _ => Ok(()),
    }
}

pub(super) fn signing(ctx: &Context, seen: &Observed) -> Option<Signing> {
    let domain = ctx.domains.get(&seen.identity.trust_domain)?;
    domain.signing.clone().ok()
}

/// Signs, delivers, records.
async fn issue(
    ctx: &Context,
    key: &ObjectKey,
    object: &api::AgentIdentity,
    seen: &Observed,
    order: &Issue,
    mut status: Status,
) -> Result<Step, PassError> {
    // Between the look and now the authority may have gone; the next look says why.
    let Some(signing) = signing(ctx, seen) else {
        return Ok(Step::Again);
    };
    let leaf = match sign(&signing, seen, order) {
        Ok(leaf) => leaf,
        Err(why) => return Ok(Step::Refused(crate::trust_domain::refusal(&why))),
    };
    // A crash from here on leaves a record of something that nobody holds.
    let record = record::issued(seen, order, &leaf);
    if let Err(why) = ctx.audit.granting(Of::Identity, record).await {
        return Ok(Step::Refused(why));
    }
    ctx.revocations.issued(
        &seen.identity.uid.as_str().into(),
        Issued {
            serial_number: leaf.serial_number.as_str().into(),
            trust_domain: seen.identity.trust_domain.as_str().into(),
            authority: leaf.authority_id.as_str().into(),
            not_after: leaf.not_after,
        },
    );
    let written = match &seen.identity.delivery {
        Delivery::Secret { name } => {
            match delivery::put(ctx, object, seen, order, name, &leaf, &signing).await? {
                Ok(version) => Some(version),
                Err(learned) => return Ok(Step::Learned(learned)),
            }
        }
        Delivery::Request { .. } | Delivery::Workload => None,
    };
    status.certificate = Some(certificate(seen, order, &leaf, written.is_none()));
    status.bundle_sequence = written.as_ref().map(|_| signing.sequence());
    status.secret.clone_from(&written);
    let step = put_status(ctx, key, object, seen, Some(&status)).await?;
    if matches!(step, Step::Done) {
        let first = !order.renewal;
        ctx.metrics
            .issued(first, seen.identity.created, ctx.clock.now());
        info!(
            identity = %key,
            serial = leaf.serial_number,
            spiffe_id = order.spiffe_id,
            not_after = %leaf.not_after,
            renewal = order.renewal,
            "certificate issued"
        );
    } else if let Some(version) = &written {
        undo(ctx, key, object, version).await?;
    }
    Ok(step)
}

fn sign(signing: &Signing, seen: &Observed, order: &Issue) -> Result<Leaf, AuthorityError> {
    let requested;
    let key = match &seen.identity.delivery {
        Delivery::Request { pkcs10 } => {
            requested = RequestedKey::from_pkcs10_pem(pkcs10)?;
            LeafKey::Public(&requested)
        }
        // Of a Workload nothing is planned to be issued here.
        Delivery::Secret { .. } | Delivery::Workload => {
            LeafKey::Generate(seen.identity.key_algorithm)
        }
    };
    let request = LeafRequest {
        spiffe_id: &order.spiffe_id,
        key,
        ttl_seconds: order.ttl_seconds,
        not_after_cap: Some(order.not_after_cap),
    };
    signing.signer.issue(&request, seen.now)
}

fn certificate(seen: &Observed, order: &Issue, leaf: &Leaf, in_status: bool) -> Certificate {
    Certificate {
        spiffe_id: order.spiffe_id.clone(),
        serial_number: leaf.serial_number.clone(),
        not_before: leaf.not_before,
        not_after: leaf.not_after,
        renewal: Some(plan::renewal(
            seen.now,
            leaf.not_after,
            &seen.identity.uid,
            &leaf.serial_number,
        )),
        public_key_sha256: leaf.public_key_sha256.clone(),
        authority_id: leaf.authority_id.to_string(),
        chain: in_status.then(|| leaf.chain_pem.clone()),
    }
}

/// Writes the status, if it differs, over the very version that was observed.
async fn put_status(
    ctx: &Context,
    key: &ObjectKey,
    object: &api::AgentIdentity,
    seen: &Observed,
    status: Option<&Status>,
) -> Result<Step, PassError> {
    let Some(status) = status else {
        return Ok(Step::Done);
    };
    let before = object.status.as_ref();
    let after = parse::status(status, before, seen.now);
    let Some(patch) = difference(before, &after) else {
        return Ok(Step::Done);
    };
    let body = json!({
        "metadata": {"resourceVersion": object.resource_version()},
        "status": patch,
    });
    let identities: Api<api::AgentIdentity> =
        Api::namespaced(ctx.clients.writes.clone(), &seen.identity.namespace);
    let (name, params, patch) = (
        &seen.identity.name,
        PatchParams::default(),
        Patch::Merge(body),
    );
    let call = identities.patch_status(name, &params, &patch);
    match ctx.gate.run(call).await {
        Ok(stored) => {
            told(ctx, key, seen, before, status);
            let stored = ctx.identities.wrote(key, Object::of(stored));
            ctx.index.put(key, stored.links());
            let known = before.map_or(&[][..], |status| &status.conditions);
            let reference = object.object_ref(&());
            ctx.events
                .refused(known, reference, &after.conditions, "Issue")
                .await;
            Ok(Step::Done)
        }
        // Changed or gone meanwhile: what it is now is asked of the API server itself.
        Err(why) if why.is(409) || why.is(404) => {
            debug!(identity = %key, "status is not as it was seen: {why}");
            ctx.metrics.conflict();
            Ok(match refresh(ctx, key, object).await? {
                Some(_) => Step::Again,
                None => Step::Gone,
            })
        }
        Err(why) => Err(writing("the status")(why)),
    }
}

/// What has just been written may take a certificate's worth away: lists have it from now on, and
/// the audit log will.
fn told(
    ctx: &Context,
    key: &ObjectKey,
    seen: &Observed,
    before: Option<&api::AgentIdentityStatus>,
    status: &Status,
) {
    let known = before.map_or(&[][..], |status| &status.conditions);
    let newly = |kind: &str| {
        let is = status.conditions.iter().any(|it| it.kind == kind);
        is && !crate::condition::is_true(known, kind)
    };
    let (uid, now) = (&seen.identity.uid, seen.now);
    let mut record = None; // an end's is made when the watch shows it, however it was written
    if newly("Completed") {
        let reason = status.conditions.first().map(|it| it.reason.clone());
        info!(identity = %key, reason = reason.unwrap_or_default(), "identity is over");
        let reason = RevocationReason::CessationOfOperation;
        ctx.revocations.revoke(&uid.as_str().into(), now, reason);
    } else if newly("Suspended") {
        let reason = RevocationReason::CertificateHold;
        ctx.revocations.revoke(&uid.as_str().into(), now, reason);
        record = record::changed(seen, status, Kind::IdentitySuspended);
    } else if newly("Stalled") && seen.domain != DomainSeen::Missing {
        // A trust domain that there isn't has no log.
        record = record::changed(seen, status, Kind::IdentityRefused);
    } else if crate::condition::is_true(known, "Suspended")
        && !status.conditions.iter().any(|it| it.kind == "Suspended")
    {
        record = record::changed(seen, status, Kind::IdentityResumed);
    }
    if let Some(record) = record {
        ctx.audit.later(record);
    }
}

fn difference(
    before: Option<&api::AgentIdentityStatus>,
    after: &api::AgentIdentityStatus,
) -> Option<serde_json::Value> {
    let before = before.and_then(|status| serde_json::to_value(status).ok());
    let after = serde_json::to_value(after).unwrap_or_default();
    merge_patch(&before.unwrap_or_else(|| json!({})), &after)
}

/// Reads the identity itself. `None`: it is gone, or another object has its name.
async fn refresh(
    ctx: &Context,
    key: &ObjectKey,
    object: &api::AgentIdentity,
) -> Result<Option<api::AgentIdentity>, PassError> {
    let identities: Api<api::AgentIdentity> =
        Api::namespaced(ctx.clients.reads.clone(), key.namespace());
    let live = identities.get_opt(&key.name).await?;
    if let Some(live) = &live {
        ctx.identities.wrote(key, Object::of(live.clone()));
    }
    Ok(live.filter(|live| live.uid() == object.uid()))
}

/// A credential was written, but its record was not: if the identity is over or suspended by now,
/// or gone, the write is taken back. Otherwise the next pass finds it and records it.
async fn undo(
    ctx: &Context,
    key: &ObjectKey,
    object: &api::AgentIdentity,
    version: &SecretVersion,
) -> Result<(), PassError> {
    let live = refresh(ctx, key, object).await?;
    let wanted = live.as_ref().is_some_and(|live| {
        parse::recorded(live).completed.is_none()
            && matches!(live.spec.desired_state, api::DesiredState::Active)
            && parse::risk(live).is_none()
            && live.metadata.deletion_timestamp.is_none()
    });
    if !wanted {
        let reason = RevocationReason::CessationOfOperation;
        let uid = object.uid().unwrap_or_default().as_str().into();
        ctx.revocations.revoke(&uid, ctx.clock.now(), reason);
        warn!(identity = %key, secret = version.name, "took a credential back: the identity ended meanwhile");
        delivery::delete(ctx, key.namespace(), version).await?;
    }
    Ok(())
}
