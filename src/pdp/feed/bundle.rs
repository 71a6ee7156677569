//! Trust domains by their published bundles.

use std::sync::Arc;

use countersign_authority::Bundle;
use countersign_decision::TrustDomainFacts;
use countersign_statement::TrustedKeys;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use tracing::warn;

/// The end of such a ConfigMap's name.
const SUFFIX: &str = "-bundle";

/// The ConfigMap with a trust domain's bundle.
pub(crate) fn config_map(trust_domain: &str) -> String {
    format!("{trust_domain}{SUFFIX}")
}

/// A bundle's text: what is compared is what was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) trust_domain: String,
    pub(super) json: String,
    /// PEM of the authorities below the roots.
    intermediates: Option<String>,
}

/// `None` for a ConfigMap that is no bundle.
pub(crate) fn reduce(object: &ConfigMap) -> Option<Seen> {
    let data = object.data.as_ref()?;
    let json = data.get("bundle.json")?.clone();
    let name = object.name_any();
    Some(Seen {
        trust_domain: name.strip_suffix(SUFFIX)?.to_owned(),
        json,
        intermediates: data.get("intermediates.crt").cloned(),
    })
}

/// `None`, and a warning, for a bundle that can't be read: its trust domain is unknown then. Where only
/// the authorities below its roots can't be, what they signed is good for nothing.
pub(crate) fn facts(seen: &Seen) -> Option<TrustDomainFacts> {
    let name = &seen.trust_domain;
    let bundle = Bundle::from_spiffe_json(&seen.json);
    let keys = TrustedKeys::from_bundle_json(name, &seen.json);
    match (bundle, keys) {
        (Ok(bundle), Ok(keys)) => Some(TrustDomainFacts {
            name: name.clone(),
            bundle: Arc::new(whole(seen, bundle)),
            keys: Arc::new(keys),
        }),
        (bundle, keys) => {
            let why = (bundle.err().map(|it| it.to_string()))
                .or_else(|| keys.err().map(|it| it.to_string()));
            warn!(trust_domain = name, why, "the bundle can't be read");
            None
        }
    }
}

fn whole(seen: &Seen, roots: Bundle) -> Bundle {
    let Some(pem) = &seen.intermediates else {
        return roots;
    };
    match roots.clone().with_intermediates_pem(pem) {
        Ok(whole) => whole,
        Err(why) => {
            let name = &seen.trust_domain;
            warn!(
                trust_domain = name,
                "the authorities below the bundle's roots can't be read: {why}"
            );
            roots
        }
    }
}
