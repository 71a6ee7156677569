//! Delivery by a Secret: written over the very version that was seen and deleted by its UID, so that
//! another's of the same name is never touched.

use countersign_api as api;
use countersign_authority::{Leaf, RevocationReason};
use countersign_runtime::ObjectKey;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use tracing::debug;

use super::execute::{PassError, signing, writing};
use super::observed::{CredentialSeen, Delivery, Observed, SecretVersion, TaskSeen};
use super::plan::Issue;
use crate::context::Context;
use crate::secret::{self, Content, Held, UID_LABEL};
use crate::task::KindKey;
use crate::trust_domain::Signing;

/// Reads a Secret that has our label and isn't as recorded.
pub(super) async fn read(
    ctx: &Context,
    object: &api::AgentIdentity,
    seen: &Observed,
) -> Result<CredentialSeen, PassError> {
    let Delivery::Secret { name } = &seen.identity.delivery else {
        return Ok(CredentialSeen::Missing);
    };
    let secrets: Api<Secret> = Api::namespaced(ctx.clients.reads.clone(), &seen.identity.namespace);
    let found = secrets.get_opt(name).await?;
    Ok(judge(ctx, object, seen, name, found.as_ref()))
}

/// What a Secret that was read means for this identity.
fn judge(
    ctx: &Context,
    object: &api::AgentIdentity,
    seen: &Observed,
    name: &str,
    found: Option<&Secret>,
) -> CredentialSeen {
    let key = ObjectKey::new(Some(&seen.identity.namespace), name);
    let Some(secret) = found else {
        if let Some(held) = ctx.secrets.get(&key) {
            ctx.secrets.deleted(&key, &held.uid);
        }
        return CredentialSeen::Missing;
    };
    let Some(version) = version(secret) else {
        return CredentialSeen::Foreign;
    };
    let label = secret.labels().get(UID_LABEL).map(String::as_str);
    let labelled = label == object.uid().as_deref();
    if !labelled && !seen.recorded.wrote(&version.uid) {
        return CredentialSeen::Foreign;
    }
    ctx.secrets.wrote(&key, held(&seen.identity.uid, &version));
    if !labelled {
        return CredentialSeen::Tampered(version);
    }
    let task_uid = match &seen.task {
        TaskSeen::Found { uid, .. } => Some(uid),
        _ => seen.recorded.task_uid.as_ref(),
    };
    // Nothing can be verified while nothing signs: that says nothing against what is there.
    let Some(signing) = signing(ctx, seen) else {
        return CredentialSeen::NotYet;
    };
    let content = task_uid.map_or(Content::Tampered, |uid| {
        secret::read(secret, &seen.identity, uid, &signing, seen.now)
    });
    match content {
        Content::Good(certificate, _) if seen.recorded.is_past(&certificate) => {
            CredentialSeen::Tampered(version)
        }
        Content::Good(certificate, bundle_sequence) => CredentialSeen::Adoptable {
            certificate,
            version,
            bundle_sequence,
        },
        Content::Tampered => CredentialSeen::Tampered(version),
    }
}

fn version(secret: &Secret) -> Option<SecretVersion> {
    Some(SecretVersion {
        name: secret.name_any(),
        uid: secret.uid()?,
        resource_version: secret.resource_version()?,
    })
}

fn held(identity_uid: &str, version: &SecretVersion) -> Held {
    Held {
        identity: identity_uid.into(),
        name: None,
        uid: version.uid.as_str().into(),
        resource_version: version.resource_version.as_str().into(),
    }
}

/// Creates the Secret, or replaces the very version that was seen. `Err`: what is there instead.
pub(super) async fn put(
    ctx: &Context,
    object: &api::AgentIdentity,
    seen: &Observed,
    order: &Issue,
    name: &str,
    leaf: &Leaf,
    signing: &Signing,
) -> Result<Result<SecretVersion, CredentialSeen>, PassError> {
    let kind = KindKey::new(&seen.identity.task.group, &seen.identity.task.resource);
    let Some(task) = ctx.tasks.resource(&kind) else {
        return Ok(Err(CredentialSeen::NotYet));
    };
    let secrets = secrets(ctx, &seen.identity.namespace);
    let replaces = order.replaces.as_ref();
    let mut secret = secret::build(
        &seen.identity,
        name,
        leaf,
        signing,
        &task,
        &order.task_uid,
        replaces,
    );
    let params = PostParams::default();
    let mut answer = match replaces {
        None => ctx.gate.run(secrets.create(&params, &secret)).await,
        Some(_) => ctx.gate.run(secrets.replace(name, &params, &secret)).await,
    };
    secret::wipe(&mut secret);
    answer.iter_mut().for_each(secret::wipe);
    match answer {
        Ok(stored) => {
            let Some(version) = version(&stored) else {
                return Ok(Err(CredentialSeen::NotYet));
            };
            let key = ObjectKey::new(Some(&seen.identity.namespace), name);
            ctx.secrets.wrote(&key, held(&seen.identity.uid, &version));
            Ok(Ok(version))
        }
        // Something else is there, or what was there is gone.
        Err(why) if why.is(409) || why.is(404) => {
            debug!(secret = name, "Secret is not as it was seen: {why}");
            let reads: Api<Secret> =
                Api::namespaced(ctx.clients.reads.clone(), &seen.identity.namespace);
            let found = reads.get_opt(name).await?;
            Ok(Err(judge(ctx, object, seen, name, found.as_ref())))
        }
        Err(why) if why.is(403) => Ok(Err(CredentialSeen::Forbidden(why.to_string()))),
        // Somebody made it immutable, or planted one of another type: only another one will do.
        Err(why) if why.is(422) && replaces.is_some() => {
            debug!(secret = name, "Secret can't be replaced: {why}");
            if let Some(version) = replaces {
                delete(ctx, &seen.identity.namespace, version).await?;
            }
            Ok(Err(CredentialSeen::Missing))
        }
        Err(why) => Err(writing("the Secret")(why)),
    }
}

/// Deletes the Secret that is there, if it is ours.
pub(super) async fn remove(ctx: &Context, seen: &Observed) -> Result<(), PassError> {
    let version = match &seen.credential {
        CredentialSeen::Unread(version)
        | CredentialSeen::Adoptable { version, .. }
        | CredentialSeen::Tampered(version) => version,
        // Missing to the watch, which follows a label: somebody may have taken just that away.
        CredentialSeen::AsRecorded
        | CredentialSeen::NotYet
        | CredentialSeen::Missing
        | CredentialSeen::NotEnabled
        | CredentialSeen::Forbidden(_) => {
            match &seen.recorded.secret {
                // A status that somebody forged may name any Secret.
                Some(version) if Some(&version.name) == seen.identity.secret_name() => version,
                _ => return Ok(()),
            }
        }
        _ => return Ok(()),
    };
    // Whatever took it away, it counts no more: its owner may be gone, its object about to go.
    let reason = RevocationReason::PrivilegeWithdrawn;
    let uid = seen.identity.uid.as_str().into();
    ctx.revocations.revoke(&uid, seen.now, reason);
    delete(ctx, &seen.identity.namespace, version).await?;
    ctx.metrics.retired(ended_at(seen), ctx.clock.now());
    Ok(())
}

/// When the end was seen, for the latency of retirement.
fn ended_at(seen: &Observed) -> Timestamp {
    seen.recorded.finished.unwrap_or(seen.now)
}

/// Deletes a Secret by its UID: never another one under the same name.
pub(super) async fn delete(
    ctx: &Context,
    namespace: &str,
    version: &SecretVersion,
) -> Result<(), PassError> {
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(version.uid.clone()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let secrets = secrets(ctx, namespace);
    match ctx.gate.run(secrets.delete(&version.name, &params)).await {
        // Gone, or another one by now: what was ours isn't there.
        Err(why) if !why.is(404) && !why.is(409) => Err(writing("the Secret's deletion")(why)),
        _ => {
            let key = ObjectKey::new(Some(namespace), &version.name);
            ctx.secrets.deleted(&key, &version.uid.as_str().into());
            Ok(())
        }
    }
}

fn secrets(ctx: &Context, namespace: &str) -> Api<Secret> {
    Api::namespaced(ctx.clients.writes.clone(), namespace)
}
