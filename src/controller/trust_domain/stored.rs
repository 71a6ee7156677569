//! The Secret that holds a trust domain's authority.

use std::collections::BTreeMap;

use countersign_api as api;
use countersign_authority::{AuthoritySet, Signer};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, ObjectMeta, PostParams};
use zeroize::Zeroize;

use super::plan::{Stored, refusal};
use crate::context::Context;
use crate::identity::Refusal;
use crate::secret::{MANAGED_BY, MANAGED_BY_LABEL, wipe};
use crate::write::{WriteError, is_status};

/// Marks a Secret as the authority of the trust domain that is its value. A Secret without it is
/// never read as an authority, whoever names it.
pub(crate) const AUTHORITY_LABEL: &str = "countersign.dev/authority";

/// Why a Secret with an authority can't be read. No event tells when it can.
pub(crate) const FORBIDDEN: &str = "AuthorityForbidden";

/// The name of the Secret with the built-in authorities of a trust domain.
pub(crate) fn secret_name(domain: &str) -> String {
    format!("{domain}-authority")
}

/// The reason of a built-in authority whose Secret is gone.
pub(crate) const LOST: &str = "AuthorityLost";

/// Reads the Secret; gives its version for the next write. Where it is missing and `known` tells of
/// authorities that it held, no other one is made: every handshake would fail, and whoever deleted
/// it by mistake has a backup.
pub(crate) async fn read(
    ctx: &Context,
    name: &str,
    spec: &api::TrustDomainSpec,
    known: &[api::AuthorityStatus],
    now: Timestamp,
) -> kube::Result<(Stored, Option<Secret>)> {
    let secrets: Api<Secret> = Api::namespaced(ctx.clients.reads.clone(), &ctx.namespace);
    let reference = spec.authority.secret_ref.as_ref();
    let secret = reference.map_or_else(|| secret_name(name), |it| it.name.clone());
    let mut found = match secrets.get_opt(&secret).await {
        Err(why) if is_status(&why, 403) => return Ok((Stored::Own(Err(forbidden(ctx))), None)),
        other => other?,
    };
    if let Some(reference) = reference {
        return Ok((
            Stored::Own(own(ctx, name, &reference.name, found, now)),
            None,
        ));
    }
    let distrusted = |known: &api::AuthorityStatus| spec.authority.distrusted.contains(&known.id);
    if found.is_none() && !known.iter().all(distrusted) {
        return Ok((Stored::Own(Err(lost(ctx, name))), None));
    }
    let set = match &found {
        None => Ok(AuthoritySet::default()),
        Some(secret) if secret.labels().get(AUTHORITY_LABEL).map(String::as_str) != Some(name) => {
            Err(countersign_authority::AuthorityError::BadState(format!(
                "Secret {} lacks the label {AUTHORITY_LABEL}={name}",
                secret_name(name)
            )))
        }
        Some(secret) => {
            let mut data = plain(secret);
            let set = AuthoritySet::from_secret_data(&data);
            data.values_mut().for_each(Zeroize::zeroize);
            set
        }
    };
    found.iter_mut().for_each(wipe); // of it only the version is needed from here on
    Ok((Stored::BuiltIn(set), found))
}

fn lost(ctx: &Context, name: &str) -> Refusal {
    Refusal {
        reason: LOST,
        message: format!(
            "Secret {} of namespace {} is gone, and the authorities of status.authorities with it: restore it from its backup, or name them all in spec.authority.distrusted to begin anew",
            secret_name(name),
            ctx.namespace
        ),
    }
}

fn forbidden(ctx: &Context) -> Refusal {
    Refusal {
        reason: FORBIDDEN,
        message: format!(
            "the operator may not read Secrets of namespace {}: give its ServiceAccount the verbs get, list, watch, create and update on secrets there",
            ctx.namespace
        ),
    }
}

/// Writes the authorities over the version that was read, or creates the Secret.
pub(crate) async fn write(
    ctx: &Context,
    name: &str,
    before: Option<&Secret>,
    set: &AuthoritySet,
) -> Result<Secret, WriteError> {
    let secrets: Api<Secret> = Api::namespaced(ctx.clients.writes.clone(), &ctx.namespace);
    let data = set.to_secret_data().into_iter();
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(secret_name(name)),
            namespace: Some(ctx.namespace.clone()),
            labels: Some(BTreeMap::from([
                (AUTHORITY_LABEL.to_owned(), name.to_owned()),
                (MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned()),
            ])),
            uid: before.and_then(|it| it.uid()),
            resource_version: before.and_then(|it| it.resource_version()),
            ..ObjectMeta::default()
        },
        type_: Some("countersign.dev/authority".to_owned()),
        data: Some(
            data.map(|(key, value)| (key, ByteString(value.to_vec())))
                .collect(),
        ),
        ..Secret::default()
    };
    let params = PostParams::default();
    let mut secret = secret;
    let mut answer = match before {
        None => ctx.gate.run(secrets.create(&params, &secret)).await,
        Some(_) => {
            let name = secret_name(name);
            ctx.gate.run(secrets.replace(&name, &params, &secret)).await
        }
    };
    wipe(&mut secret);
    answer.iter_mut().for_each(wipe);
    answer
}

/// An authority of one's own: `tls.crt` (issuing authority first), `tls.key`, `ca.crt` (the roots).
fn own(
    ctx: &Context,
    domain: &str,
    name: &str,
    found: Option<Secret>,
    now: Timestamp,
) -> Result<Signer, Refusal> {
    let refuse = |reason, message| Err(Refusal { reason, message });
    let Some(secret) = found else {
        return refuse(
            "AuthoritySecretMissing",
            format!("there is no Secret {name} in namespace {}", ctx.namespace),
        );
    };
    if secret.labels().get(AUTHORITY_LABEL).map(String::as_str) != Some(domain) {
        return refuse(
            "AuthoritySecretNotLabelled",
            format!("Secret {name} must have the label {AUTHORITY_LABEL}: {domain}"),
        );
    }
    let data = plain(&secret);
    let text = |key: &str| {
        data.get(key)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    };
    let (Some(chain), Some(key)) = (text("tls.crt"), text("tls.key")) else {
        return refuse(
            "AuthoritySecretIncomplete",
            format!(
                "Secret {name} must have tls.crt and tls.key in PEM, and ca.crt with the roots"
            ),
        );
    };
    Signer::from_pem(chain, key, text("ca.crt"), domain, now).map_err(|why| refusal(&why))
}

fn plain(secret: &Secret) -> BTreeMap<String, Vec<u8>> {
    let data = secret.data.iter().flatten();
    data.map(|(key, value)| (key.clone(), value.0.clone()))
        .collect()
}
