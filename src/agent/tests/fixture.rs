//! A trust domain that issues what is asked.

use std::collections::BTreeSet;

use countersign_authority::{
    AuthoritySet, Bundle, KeyAlgorithm, LeafKey, LeafRequest, PrivateKey, RequestedKey,
    RevocationReason, Revoked, Wanted,
};
use countersign_issuing::{Bytes, IssueX509Response, Trust};
use countersign_runtime::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::held::Held;
use crate::trust::Trust as Read;

pub(crate) const AGENT: &str = "spiffe://example.org/ns/finance/agent/reader/task/4f1c";

/// `example.org`, each time with another authority.
pub(crate) struct TrustDomain {
    set: AuthoritySet,
    pub(crate) now: Timestamp,
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

    pub(crate) fn trust(&self) -> Trust {
        let bundle = self.bundle();
        Trust {
            trust_domain: "example.org".to_owned(),
            roots: bundle.roots().iter().map(|it| it.der().to_vec()).collect(),
            bundle_json: bundle.spiffe_json(60),
            sequence: 1,
            crls: Vec::new(),
            intermediates: Vec::new(),
        }
    }

    /// The list of what was revoked, for a minute.
    pub(crate) fn crl(&self, serials: &[&str], number: u64) -> Bytes {
        let lines = serials.iter().map(|serial_number| Revoked {
            serial_number,
            at: self.now,
            reason: RevocationReason::Unspecified,
        });
        let lines: Vec<_> = lines.collect();
        let until = self.now + SignedDuration::from_secs(60);
        let signer = self.set.signer().unwrap().unwrap();
        let list = signer.crl(&lines, number, self.now, until).unwrap();
        list.der.into()
    }

    /// For five minutes, to be renewed after half of them.
    pub(crate) fn issue(&self, spiffe_id: &str, request: &[u8]) -> IssueX509Response {
        let key = RequestedKey::from_pkcs10_der(request).unwrap();
        let request = LeafRequest {
            spiffe_id,
            key: LeafKey::Public(&key),
            ttl_seconds: 300,
            not_after_cap: None,
        };
        let signer = self.set.signer().unwrap().unwrap();
        let leaf = signer.issue(&request, self.now).unwrap();
        let chain = pem::parse_many(&leaf.chain_pem).unwrap();
        IssueX509Response {
            spiffe_id: spiffe_id.to_owned(),
            chain: chain.into_iter().map(pem::Pem::into_contents).collect(),
            not_after: leaf.not_after.as_second(),
            renew_at: self.now.as_second() + 150,
            trust: Some(self.trust()),
            serial_number: leaf.serial_number,
        }
    }

    pub(crate) fn held(&self) -> (Held, Read) {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let issued = self.issue(AGENT, &key.certificate_request().unwrap());
        let trust = Read::read(self.trust(), "example.org").unwrap();
        let held = Held::read(issued, key, &trust, self.now, Instant::now()).unwrap();
        (held, trust)
    }
}
