//! A trust domain whose authority is the operator's, and certificates that it wouldn't issue.

use std::collections::BTreeSet;

use countersign_authority::{
    AuthoritySet, Bundle, KeyAlgorithm, Leaf, LeafKey, LeafRequest, Wanted,
};
use countersign_runtime::Clock;
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, SanType};

pub(crate) const AGENT: &str = "spiffe://example.org/ns/finance/agent/reader/task/4f1c/9b2e";
pub(crate) const OTHER: &str = "spiffe://example.org/ns/finance/agent/writer/task/4f1c/77aa";

/// The trust domain `example.org`.
pub(crate) struct TrustDomain {
    set: AuthoritySet,
    now: Timestamp,
}

impl TrustDomain {
    pub(crate) fn new() -> Self {
        let now = Clock::system().now();
        let want = Wanted {
            trust_domain: "example.org".to_owned(),
            ca_lifetime_seconds: 30 * 86_400,
            key_algorithm: KeyAlgorithm::EcdsaP256,
            epoch: 1,
            distrusted: BTreeSet::new(),
            max_leaf_ttl_seconds: 3600,
            bundle_propagated: true,
            propagation_seconds: 60,
        };
        let set = AuthoritySet::default().next(&want, now).unwrap().unwrap();
        Self { set, now }
    }

    pub(crate) fn bundle(&self) -> Bundle {
        self.set.bundle()
    }

    pub(crate) fn issue(&self, spiffe_id: &str) -> Leaf {
        let request = LeafRequest {
            spiffe_id,
            key: LeafKey::Generate(KeyAlgorithm::EcdsaP256),
            ttl_seconds: 600,
            not_after_cap: None,
        };
        let signer = self.set.signer().unwrap().unwrap();
        signer.issue(&request, self.now).unwrap()
    }
}

/// A certificate, signed by its own key, with these URIs, in PEM.
pub(crate) fn self_signed(uris: &[&str]) -> String {
    let mut params = CertificateParams::default();
    let uri = |it: &&str| SanType::URI((*it).try_into().unwrap());
    params.subject_alt_names = uris.iter().map(uri).collect();
    params
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap()
        .pem()
}

/// A certificate for 127.0.0.1 and its key, in PEM.
pub(crate) fn server() -> (String, String) {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// As Envoy passes a certificate on.
pub(crate) fn url_encoded(pem: &str) -> String {
    let mut encoded = String::new();
    for it in pem.chars() {
        match it {
            '\n' | ' ' | '+' | '/' | '=' => encoded += &format!("%{:02X}", u32::from(it)),
            other => encoded.push(other),
        }
    }
    encoded
}
