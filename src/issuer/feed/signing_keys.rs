//! Secrets with signing keys, as the operator keeps them: of them only the one for JWT-SVIDs is kept
//! here.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_jwtsvid::Signer;
use countersign_statement::KeyRing;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use zeroize::Zeroize as _;

/// Marks a Secret as the signing keys of the trust domain that is its value.
pub(super) const LABEL: &str = "countersign.dev/signing-keys";

/// What is made of a Secret with signing keys.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    pub(crate) trust_domain: String,
    uid: String,
    version: String,
    /// What signs JWT-SVIDs.
    pub(crate) tokens: Result<Arc<Signer>, String>,
}

/// The Secret with a trust domain's signing keys.
pub(super) fn secret(trust_domain: &str) -> String {
    format!("{trust_domain}-signing-keys")
}

/// `None` for a Secret without a UID. What holds keys is wiped.
pub(super) fn reduce(object: Secret) -> Option<SigningKeys> {
    let trust_domain = object.labels().get(LABEL)?.clone();
    let (uid, version) = (object.uid()?, object.resource_version()?);
    let data = object.data.unwrap_or_default().into_iter();
    let mut data: BTreeMap<String, Vec<u8>> = data.map(|(key, it)| (key, it.0)).collect();
    let tokens = read(&data, &trust_domain).map(Arc::new);
    data.values_mut().for_each(|it| it.zeroize());
    Some(SigningKeys {
        trust_domain,
        uid,
        version,
        tokens,
    })
}

fn read(data: &BTreeMap<String, Vec<u8>>, trust_domain: &str) -> Result<Signer, String> {
    let ring = KeyRing::from_secret_data(data).map_err(|why| why.to_string())?;
    if ring.trust_domain() != trust_domain {
        return Err("its Secret holds the signing keys of another trust domain".to_owned());
    }
    Signer::of(&ring).map_err(|why| why.to_string())
}

impl PartialEq for SigningKeys {
    /// By the version that was read.
    fn eq(&self, other: &Self) -> bool {
        (&self.trust_domain, &self.uid, &self.version)
            == (&other.trust_domain, &other.uid, &other.version)
    }
}
