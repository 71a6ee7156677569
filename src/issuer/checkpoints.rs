//! Who believes checkpoints of the audit log: the signing keys in the published bundles.

use std::sync::Arc;

use countersign_audit::{Checkpoint, CheckpointVerifier, Hash};
use countersign_statement::{TrustedKeys, checkpoint};

use crate::feed::Feed;

/// The trust domains that are known.
pub(crate) struct Believed(pub(crate) Arc<Feed>);

impl Believed {
    fn bundles(&self) -> Vec<(String, String)> {
        let all = self.0.domains().all();
        let published = |(name, it): (&String, &Arc<crate::feed::Domain>)| {
            Some((name.clone(), it.trust.as_ref()?.json.clone()))
        };
        all.iter().filter_map(published).collect()
    }
}

impl CheckpointVerifier for Believed {
    /// One trust domain vouches for no other's records; for those of none, each may.
    fn verify(&self, token: &str) -> Result<Checkpoint, String> {
        let mut why = "no trust domain's bundle is known".to_owned();
        for (name, json) in self.bundles() {
            let keys = TrustedKeys::from_bundle_json(&name, &json);
            let said = keys
                .map_err(|why| why.to_string())
                .and_then(|keys| checkpoint::verify(token, &keys).map_err(|why| why.to_string()));
            match said {
                Ok(head) if [name.as_str(), ""].contains(&trust_domain_of(&head.chain)) => {
                    return Ok(Checkpoint {
                        chain: head.chain,
                        seq: head.sequence,
                        hash: Hash::from_bytes(head.hash),
                        time: head.issued_at,
                    });
                }
                Ok(head) => why = format!("trust domain {name} signed for chain {}", head.chain),
                Err(broken) => why = broken,
            }
        }
        Err(why)
    }
}

fn trust_domain_of(chain: &str) -> &str {
    chain.split_once('/').map_or(chain, |(name, _)| name)
}
