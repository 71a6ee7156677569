//! Tells the world what to trust: a ConfigMap for everybody, a ClusterTrustBundle where the API
//! server has them.

use std::collections::BTreeMap;

use countersign_authority::{AuthorityCertificate, Bundle};
use jiff::Timestamp;
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
/// The key of the authorities below the roots, by which a leaf that is shown alone is led up to one.
/// Absent where there are none.
const INTERMEDIATES: &str = "intermediates.crt";
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

/// Publishes `bundle`, where it isn't published already, without the authorities in `distrusted`.
///
/// What can't be read or written is told and tried again at the next pass; it keeps nobody from
/// signing.
pub(crate) async fn publish(
    ctx: &Context,
    domain: &str,
    bundle: &Bundle,
    keys: SigningKeys<'_>,
    distrusted: &[String],
) -> Published {
    let unread = |why: kube::Error| {
        Some(Refusal {
            reason: "BundleNotRead",
            message: format!("can't read what is published: {why}"),
        })
    };
    let config_map = publish_config_map(ctx, domain, bundle, keys, distrusted).await;
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
    distrusted: &[String],
) -> kube::Result<Result<Document, Refusal>> {
    let name = format!("{domain}-bundle");
    let reads: Api<ConfigMap> = Api::namespaced(ctx.clients.reads.clone(), &ctx.namespace);
    let before = reads.get_opt(&name).await?;
    let published = before.as_ref().filter(|before| ours(*before));
    let published = |key: &str| {
        let text = published.and_then(|before| before.data.as_ref()?.get(key));
        text.map(String::as_str)
    };
    let document = Document::next(bundle, keys, published("bundle.json"));
    let below = intermediates(
        bundle,
        published(INTERMEDIATES),
        distrusted,
        ctx.clock.now(),
    );
    let mut data = BTreeMap::from([
        ("bundle.json".to_owned(), document.json.clone()),
        ("ca.crt".to_owned(), bundle.pem()),
    ]);
    if !below.is_empty() {
        data.insert(INTERMEDIATES.to_owned(), below);
    }
    let mut wanted = ConfigMap {
        metadata: meta(&name, bundle),
        data: Some(data),
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

/// PEM of the bundle's authorities below its roots, and of those that were published before and that a
/// root still vouches for: what they signed counts until it is issued anew, and where it is shown with
/// its chain it counts for longer anyway. What is distrusted is no longer among them, and so nothing
/// below it is.
fn intermediates(
    bundle: &Bundle,
    before: Option<&str>,
    distrusted: &[String],
    now: Timestamp,
) -> String {
    let roots = || Bundle::new(bundle.sequence, bundle.roots().iter().cloned());
    // What somebody else wrote there is no reason to publish nothing.
    let before = before.and_then(|pem| roots().with_intermediates_pem(pem).ok());
    let before = before.iter().flat_map(Bundle::intermediates);
    let good = |der: &&[u8]| match AuthorityCertificate::from_der(der) {
        Ok(it) => now < it.not_after() && !distrusted.iter().any(|id| id == it.id().as_str()),
        Err(_) => false, // without an id nobody could distrust it
    };
    let all = bundle.intermediates().chain(before).filter(good);
    roots().with_intermediates(all).intermediates_pem()
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use countersign_authority::Signer;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

    use super::*;

    fn authority(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        params
    }

    /// Two issuing authorities below one root, one after the other.
    fn one_after_the_other(now: Timestamp) -> [Signer; 2] {
        let key = KeyPair::generate().unwrap();
        let root = authority("root");
        let pem = root.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(root, key);
        ["first", "second"].map(|name| {
            let key = KeyPair::generate().unwrap();
            let chain = authority(name).signed_by(&key, &issuer).unwrap().pem();
            let key = key.serialize_pem();
            Signer::from_pem(&chain, &key, Some(&pem), "example.org", now).unwrap()
        })
    }

    #[test]
    fn what_is_replaced_stays_below_its_root_until_it_is_distrusted() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let [first, second] = one_after_the_other(now);
        let before = intermediates(&first.bundle(1), None, &[], now);
        assert_eq!(before, first.certificate().pem());
        let both = intermediates(&second.bundle(2), Some(&before), &[], now);
        assert_eq!(both.matches("BEGIN").count(), 2);
        assert!(both.contains(&before));
        let again = intermediates(&second.bundle(2), Some(&both), &[], now);
        assert_eq!(again, both);
        let distrusted = [first.id().to_string()];
        let one = intermediates(&second.bundle(2), Some(&both), &distrusted, now);
        assert_eq!(one, second.certificate().pem());
        // It comes back by nothing but a look at the Secret.
        let still = intermediates(&second.bundle(2), Some(&one), &[], now);
        assert_eq!(still, one);
    }

    #[test]
    fn what_no_root_vouches_for_is_not_published() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let [own, _] = one_after_the_other(now);
        let [others, _] = one_after_the_other(now);
        let foreign = others.certificate().pem();
        let none = intermediates(
            &Bundle::new(1, own.roots().to_vec()),
            Some(&foreign),
            &[],
            now,
        );
        assert_eq!(none, "");
        for junk in ["", "x", "-----BEGIN CERTIFICATE-----"] {
            let own_only = intermediates(&own.bundle(1), Some(junk), &[], now);
            assert_eq!(own_only, own.certificate().pem());
        }
    }
}
