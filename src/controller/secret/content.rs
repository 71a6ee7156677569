//! What is in a Secret, and whether it is still what was put there.

use std::collections::BTreeMap;

use countersign_authority::{Leaf, inspect_leaf};
use countersign_core::{SpiffeId, TrustDomainName};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ApiResource, ObjectMeta};

use super::{BUNDLE_ANNOTATION, IDENTITY_ANNOTATION, MANAGED_BY, MANAGED_BY_LABEL, UID_LABEL};
use crate::identity::{Certificate, Identity, SecretVersion, renewal};
use crate::trust_domain::Signing;

/// The type of Secret that ingress controllers, meshes and libraries read.
const TLS_TYPE: &str = "kubernetes.io/tls";

/// What a read Secret turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A good certificate of the identity, with everything around it as it was written, and the
    /// sequence number of the bundle beside it.
    Good(Certificate, i64),
    /// Anything else.
    Tampered,
}

/// The Secret for a new certificate. Its owner is the task, so that deleting the task takes it
/// along while the operator is down.
pub(crate) fn build(
    identity: &Identity,
    name: &str,
    leaf: &Leaf,
    signing: &Signing,
    task: &ApiResource,
    task_uid: &str,
    replaces: Option<&SecretVersion>,
) -> Secret {
    let key = leaf.key_pem.as_ref().map(|pem| pem.as_bytes().to_vec());
    let text = |text: &str| ByteString(text.as_bytes().to_vec());
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(identity.namespace.clone()),
            labels: Some(BTreeMap::from([
                (UID_LABEL.to_owned(), identity.uid.clone()),
                (MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned()),
            ])),
            annotations: Some(BTreeMap::from([
                (IDENTITY_ANNOTATION.to_owned(), identity.name.clone()),
                (BUNDLE_ANNOTATION.to_owned(), signing.sequence().to_string()),
            ])),
            owner_references: Some(vec![owner_reference(identity, task, task_uid)]),
            uid: replaces.map(|version| version.uid.clone()),
            resource_version: replaces.map(|version| version.resource_version.clone()),
            ..ObjectMeta::default()
        },
        type_: Some(TLS_TYPE.to_owned()),
        data: Some(BTreeMap::from([
            ("tls.crt".to_owned(), text(&leaf.chain_pem)),
            ("tls.key".to_owned(), ByteString(key.unwrap_or_default())),
            ("ca.crt".to_owned(), text(&signing.bundle_pem)),
        ])),
        ..Secret::default()
    }
}

fn owner_reference(identity: &Identity, task: &ApiResource, task_uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: task.api_version.clone(),
        kind: task.kind.clone(),
        name: identity.task.name.clone(),
        uid: task_uid.to_owned(),
        controller: Some(false),
        // True would need the right to update the task's finalizers where that is enforced.
        block_owner_deletion: Some(false),
    }
}

/// Reads a Secret with this identity's label. Anything that isn't as [`build`] makes it for this
/// identity counts as tampered with; a bundle of an older sequence number too, because what it
/// held then isn't known any more.
pub(crate) fn read(
    secret: &Secret,
    identity: &Identity,
    task_uid: &str,
    signing: &Signing,
    now: Timestamp,
) -> Content {
    good(secret, identity, task_uid, signing, now)
        .map_or(Content::Tampered, |(certificate, sequence)| {
            Content::Good(certificate, sequence)
        })
}

fn good(
    secret: &Secret,
    identity: &Identity,
    task_uid: &str,
    signing: &Signing,
    now: Timestamp,
) -> Option<(Certificate, i64)> {
    let owners = secret.metadata.owner_references.as_deref()?;
    let owned = owners
        .iter()
        .any(|owner| owner.uid == task_uid && owner.name == identity.task.name);
    if !owned || secret.type_.as_deref() != Some(TLS_TYPE) {
        return None;
    }
    let data = secret.data.as_ref()?;
    let (chain, key) = (&data.get("tls.crt")?.0, &data.get("tls.key")?.0);
    let facts = inspect_leaf(chain, Some(key)).ok()?;
    // Whoever may write the Secret may have planted a certificate of their own making.
    signing.signer.verify(chain, now).ok()?;
    let domain = TrustDomainName::parse(&identity.trust_domain).ok()?;
    let expected = SpiffeId::for_task(
        &domain,
        &identity.namespace,
        &identity.name,
        task_uid,
        &identity.uid,
    );
    if expected.ok()?.as_str() != facts.spiffe_id {
        return None;
    }
    let annotations = secret.metadata.annotations.as_ref()?;
    let sequence: i64 = annotations.get(BUNDLE_ANNOTATION)?.parse().ok()?;
    if sequence != signing.sequence() || data.get("ca.crt")?.0 != signing.bundle_pem.as_bytes() {
        return None;
    }
    let authority = facts.authority_id.to_string();
    if signing.must_reissue(&authority, Some(sequence)) {
        return None;
    }
    let issued = facts
        .not_before
        .checked_add(crate::identity::BACKDATE)
        .ok()?;
    let certificate = Certificate {
        renewal: Some(renewal(
            issued,
            facts.not_after,
            &identity.uid,
            &facts.serial_number,
        )),
        spiffe_id: facts.spiffe_id,
        serial_number: facts.serial_number,
        not_before: facts.not_before,
        not_after: facts.not_after,
        public_key_sha256: facts.public_key_sha256,
        authority_id: authority,
        chain: None,
    };
    Some((certificate, sequence))
}
