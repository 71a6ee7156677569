//! Checkpoints of the audit log that are kept outside of it, and who believes them.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use countersign_audit::{Checkpoint, CheckpointVerifier, Hash};
use countersign_statement::{TrustedKeys, checkpoint};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;

use crate::cluster::{Connected, explain};

/// Where the operator keeps them, in its own namespace.
const CONFIG_MAP: &str = "countersign-audit-checkpoints";

/// A checkpoint as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// The chain's name with `_` for `/`; for people, as the token says it itself.
    pub(crate) name: String,
    pub(crate) token: String,
}

/// Those that the operator keeps in the cluster; none if it keeps none.
pub(crate) async fn published(client: &Connected) -> Result<Vec<Anchor>> {
    let api: Api<ConfigMap> = client.objects(&client.operator_namespace);
    let found = api.get_opt(CONFIG_MAP).await;
    let found = found.map_err(|why| explain(why, &format!("read ConfigMap {CONFIG_MAP}")))?;
    let data = found.and_then(|it| it.data).unwrap_or_default();
    let anchors = data.into_iter().map(|(name, token)| Anchor { name, token });
    Ok(anchors.collect())
}

/// The signing keys of the trust domains whose bundles are at hand.
#[derive(Debug, Default)]
pub(crate) struct Believed {
    domains: BTreeMap<String, TrustedKeys>,
}

impl Believed {
    pub(crate) fn add(&mut self, trust_domain: &str, bundle: &str) -> Result<()> {
        let keys = TrustedKeys::from_bundle_json(trust_domain, bundle)
            .map_err(|why| anyhow!("the bundle of {trust_domain}: {why}"))?;
        self.domains.insert(trust_domain.to_owned(), keys);
        Ok(())
    }

    /// The trust domains whose word counts.
    fn names(&self) -> String {
        let names: Vec<&str> = self.domains.keys().map(String::as_str).collect();
        names.join(", ")
    }
}

impl CheckpointVerifier for Believed {
    fn verify(&self, token: &str) -> Result<Checkpoint, String> {
        let mut refused = Vec::new();
        let mut found = None;
        for (domain, keys) in &self.domains {
            match checkpoint::verify(token, keys) {
                Ok(said) => found = Some((domain, said)),
                Err(why) => refused.push(why.to_string()),
            }
        }
        let Some((domain, said)) = found else {
            return Err(match refused.as_slice() {
                [only] => only.clone(),
                _ => format!(
                    "none of the trust domains at hand ({}) signed it",
                    self.names()
                ),
            });
        };
        // One trust domain must not vouch for another's records; for those of none, any may.
        let of = said.chain.split_once('/').map(|(of, _)| of);
        if of != Some(domain.as_str()) && of != Some("") {
            return Err(format!(
                "trust domain {domain} signs for chain {:?}",
                said.chain
            ));
        }
        let hash: String = said.hash.iter().map(|it| format!("{it:02x}")).collect();
        Ok(Checkpoint {
            chain: said.chain,
            seq: said.sequence,
            hash: Hash::parse(&hash).ok_or("its hash is none")?,
            time: said.issued_at,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;
    use crate::fixture::Signed;

    #[test]
    fn a_checkpoint_is_believed_of_its_own_trust_domain_only() {
        let ours = Signed::new("example.org");
        let theirs = Signed::new("other.org");
        let mut believed = Believed::default();
        believed.add("example.org", &ours.bundle()).unwrap();
        let token = ours.checkpoint("example.org/w-0", 7);
        let said = believed.verify(&token).unwrap();
        assert_eq!((said.chain.as_str(), said.seq), ("example.org/w-0", 7));
        assert!(
            believed
                .verify(&theirs.checkpoint("other.org/w-0", 7))
                .is_err()
        );
        assert!(
            believed
                .verify(&ours.checkpoint("other.org/w-0", 7))
                .unwrap_err()
                .contains("signs for")
        );
        let of_none = believed.verify(&ours.checkpoint("/decide-0", 7)).unwrap();
        assert_eq!(of_none.chain, "/decide-0");
        assert!(believed.verify(&theirs.checkpoint("/decide-0", 7)).is_err());
        assert!(believed.verify("junk").is_err());
        assert!(believed.verify("a.!!.b").is_err());
    }
}
