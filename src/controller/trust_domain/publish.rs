//! Tells the world what to trust: a ConfigMap for everybody, a ClusterTrustBundle where the API
//! server has them.

use std::collections::BTreeMap;

use countersign_authority::Bundle;
use k8s_openapi::api::certificates::v1::{ClusterTrustBundle, ClusterTrustBundleSpec};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams, Preconditions};

use super::document::{Document, SigningKeys};
use crate::context::Context;
use crate::identity::Refusal;
use crate::secret::{BUNDLE_ANNOTATION, MANAGED_BY, MANAGED_BY_LABEL};
use crate::write::WriteError;

/// The signer that ClusterTrustBundles are published for.
const SIGNER_NAME: &str = "countersign.dev/agent";
/// Digest of the bundle that is published.
const DIGEST_ANNOTATION: &str = "countersign.dev/bundle-digest";

/// What came of it: the digest of the bundle that is published now, whether the signing keys are,
/// and what is wrong.
pub(crate) struct Published {
    pub(crate) digest: Option<String>,
    pub(crate) keys: bool,
    pub(crate) document: Option<Document>,
    pub(crate) trouble: Option<Refusal>,
}

/// Publishes `bundle`, where it isn't published already.
///
/// What can't be read or written is told and tried again at the next pass; it keeps nobody from
/// signing.
pub(crate) async fn publish(
    ctx: &Context,
    domain: &str,
    bundle: &Bundle,
    keys: SigningKeys<'_>,
) -> Published {
    let unread = |why: kube::Error| {
        Some(Refusal {
            reason: "BundleNotRead",
            message: format!("can't read what is published: {why}"),
        })
    };
    let config_map = publish_config_map(ctx, domain, bundle, keys).await;
    let (config_map, document) = match config_map {
        Ok(Ok(document)) => (None, Some(document)),
        Ok(Err(why)) => (Some(why), None),
        Err(why) => (unread(why), None),
    };
    let trust_bundle = publish_trust_bundle(ctx, domain, bundle).await;
    let trust_bundle = trust_bundle.unwrap_or_else(unread);
    let digest = config_map.is_none().then(|| bundle.digest());
    Published {
        keys: digest.is_some() && matches!(keys, SigningKeys::Ring(_)),
        digest,
        document,
        trouble: config_map.or(trust_bundle),
    }
}

/// Digest and sequence number of the bundle in the ConfigMap, as far as it tells.
pub(crate) async fn last_published(
    ctx: &Context,
    domain: &str,
) -> kube::Result<(Option<String>, Option<u64>)> {
    let reads: Api<ConfigMap> = Api::namespaced(ctx.clients.reads.clone(), &ctx.namespace);
    let found = reads.get_opt(&format!("{domain}-bundle")).await?;
    let Some(found) = found.filter(ours) else {
        return Ok((None, None));
    };
    let told = |key: &str| found.annotations().get(key).cloned();
    let sequence = told(BUNDLE_ANNOTATION).and_then(|it| it.parse().ok());
    Ok((told(DIGEST_ANNOTATION), sequence))
}

async fn publish_config_map(
    ctx: &Context,
    domain: &str,
    bundle: &Bundle,
    keys: SigningKeys<'_>,
) -> kube::Result<Result<Document, Refusal>> {
    let name = format!("{domain}-bundle");
    let reads: Api<ConfigMap> = Api::namespaced(ctx.clients.reads.clone(), &ctx.namespace);
    let before = reads.get_opt(&name).await?;
    let published = before.as_ref().filter(|before| ours(*before));
    let published = published.and_then(|before| before.data.as_ref()?.get("bundle.json"));
    let document = Document::next(bundle, keys, published.map(String::as_str));
    let mut wanted = ConfigMap {
        metadata: meta(&name, bundle),
        data: Some(BTreeMap::from([
            ("bundle.json".to_owned(), document.json.clone()),
            ("ca.crt".to_owned(), bundle.pem()),
        ])),
        ..ConfigMap::default()
    };
    let writes: Api<ConfigMap> = Api::namespaced(ctx.clients.writes.clone(), &ctx.namespace);
    let params = PostParams::default();
    let written = match before {
        Some(before) if !ours(&before) => return Ok(Err(conflict("ConfigMap", &name))),
        Some(before) if before.data == wanted.data => return Ok(Ok(document)),
        Some(before) => {
            wanted.metadata.resource_version = before.resource_version();
            ctx.gate.run(writes.replace(&name, &params, &wanted)).await
        }
        None => ctx.gate.run(writes.create(&params, &wanted)).await,
    };
    Ok(match written {
        Ok(_) => Ok(document),
        Err(why) => Err(not_written("ConfigMap", &name, &why)),
    })
}

async fn publish_trust_bundle(
    ctx: &Context,
    domain: &str,
    bundle: &Bundle,
) -> kube::Result<Option<Refusal>> {
    let name = format!("countersign.dev:agent:{domain}");
    let reads: Api<ClusterTrustBundle> = Api::all(ctx.clients.reads.clone());
    let before = match reads.get_opt(&name).await {
        Err(why) if crate::write::is_status(&why, 403) => {
            return Ok(Some(Refusal {
                reason: "TrustBundleForbidden",
                message: format!("the operator may not read ClusterTrustBundles: {why}"),
            }));
        }
        other => other?,
    };
    let mut wanted = ClusterTrustBundle {
        metadata: meta(&name, bundle),
        spec: ClusterTrustBundleSpec {
            signer_name: Some(SIGNER_NAME.to_owned()),
            trust_bundle: bundle.pem(),
        },
    };
    let writes: Api<ClusterTrustBundle> = Api::all(ctx.clients.writes.clone());
    let params = PostParams::default();
    let written = match before {
        Some(before) if !ours(&before) => return Ok(Some(conflict("ClusterTrustBundle", &name))),
        Some(before) if before.spec == wanted.spec => return Ok(None),
        // One without roots can't be.
        Some(before) if bundle.roots().is_empty() => {
            let params = DeleteParams {
                preconditions: Some(Preconditions {
                    uid: before.uid(),
                    resource_version: None,
                }),
                ..DeleteParams::default()
            };
            let deleted = ctx.gate.run(writes.delete(&name, &params)).await;
            deleted.map(|_| ())
        }
        None if bundle.roots().is_empty() => return Ok(None),
        Some(before) => {
            wanted.metadata.resource_version = before.resource_version();
            let replaced = ctx.gate.run(writes.replace(&name, &params, &wanted)).await;
            replaced.map(|_| ())
        }
        None => ctx
            .gate
            .run(writes.create(&params, &wanted))
            .await
            .map(|_| ()),
    };
    Ok(match written {
        Ok(()) => None,
        // A create finds 404 only where the kind isn't served.
        Err(why) if why.is(404) => Some(Refusal {
            reason: "TrustBundleNotServed",
            message: "this API server has no ClusterTrustBundles (certificates.k8s.io/v1, from Kubernetes 1.37 on): the bundle is in the ConfigMap alone".to_owned(),
        }),
        Err(why) => Some(not_written("ClusterTrustBundle", &name, &why)),
    })
}

fn meta(name: &str, bundle: &Bundle) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(BTreeMap::from([(
            MANAGED_BY_LABEL.to_owned(),
            MANAGED_BY.to_owned(),
        )])),
        annotations: Some(BTreeMap::from([
            (DIGEST_ANNOTATION.to_owned(), bundle.digest()),
            (BUNDLE_ANNOTATION.to_owned(), bundle.sequence.to_string()),
        ])),
        ..ObjectMeta::default()
    }
}

fn ours(object: &impl kube::Resource) -> bool {
    object.labels().get(MANAGED_BY_LABEL).map(String::as_str) == Some(MANAGED_BY)
}

fn conflict(kind: &str, name: &str) -> Refusal {
    Refusal {
        reason: "BundleConflict",
        message: format!("{kind} {name} exists and is not the operator's: delete or rename it"),
    }
}

fn not_written(kind: &str, name: &str, why: &WriteError) -> Refusal {
    Refusal {
        reason: "BundleNotWritten",
        message: format!("can't write {kind} {name}: {why}"),
    }
}
