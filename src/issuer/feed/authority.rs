//! Secrets with authorities, as the operator keeps them.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_authority::{AuthoritySet, Signer};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use zeroize::Zeroize as _;

/// What is made of a Secret with an authority.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) trust_domain: String,
    uid: String,
    version: String,
    pub(crate) authority: Result<Authority, String>,
}

/// What signs.
#[derive(Debug)]
pub(crate) enum Authority {
    BuiltIn(Arc<AuthoritySet>, Arc<Signer>),
    Own(Arc<Signer>),
}

/// `None` for a Secret without a UID. What holds keys is wiped.
pub(super) fn reduce(object: Secret, label: &str, now: Timestamp) -> Option<Stored> {
    let trust_domain = object.labels().get(label)?.clone();
    let (uid, version) = (object.uid()?, object.resource_version()?);
    let data = object.data.unwrap_or_default().into_iter();
    let mut data: BTreeMap<String, Vec<u8>> = data.map(|(key, it)| (key, it.0)).collect();
    let authority = read(&data, &trust_domain, now);
    data.values_mut().for_each(|it| it.zeroize());
    Some(Stored {
        trust_domain,
        uid,
        version,
        authority,
    })
}

/// Built-in authorities have a `state.json`, one's own has `tls.crt`.
fn read(
    data: &BTreeMap<String, Vec<u8>>,
    trust_domain: &str,
    now: Timestamp,
) -> Result<Authority, String> {
    if data.contains_key("tls.crt") {
        let text = |key: &str| {
            let bytes = data.get(key)?;
            std::str::from_utf8(bytes).ok()
        };
        let (Some(chain), Some(key)) = (text("tls.crt"), text("tls.key")) else {
            return Err("its Secret has no tls.crt and tls.key in PEM".to_owned());
        };
        let signer = Signer::from_pem(chain, key, text("ca.crt"), trust_domain, now);
        let signer = signer.map_err(|why| why.to_string())?;
        return Ok(Authority::Own(Arc::new(signer)));
    }
    let set = AuthoritySet::from_secret_data(data).map_err(|why| why.to_string())?;
    if set.trust_domain() != trust_domain {
        return Err("its Secret holds the authorities of another trust domain".to_owned());
    }
    match set.signer() {
        Ok(Some(signer)) => Ok(Authority::BuiltIn(Arc::new(set), signer)),
        Ok(None) => Err("no authority is active".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

impl Authority {
    pub(crate) fn signer(&self) -> &Arc<Signer> {
        match self {
            Self::BuiltIn(_, signer) | Self::Own(signer) => signer,
        }
    }
}

impl PartialEq for Stored {
    /// By the version that was read, and whether it could be: time alone may change that.
    fn eq(&self, other: &Self) -> bool {
        (&self.trust_domain, &self.uid, &self.version)
            == (&other.trust_domain, &other.uid, &other.version)
            && self.authority.is_ok() == other.authority.is_ok()
    }
}
