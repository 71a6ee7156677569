//! The server's own certificates: one of each trust domain, which its authority signs here. There is no
//! second PKI: whoever trusts the trust domain knows the issuer by its SPIFFE ID.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_authority::{AuthorityId, KeyAlgorithm, LeafKey, LeafRequest};
use countersign_runtime::Clock;
use jiff::{SignedDuration, Timestamp};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::feed::{Domain, Feed};

/// Below a trust domain: the name that sidecars demand.
pub(crate) const PATH: &str = "countersign/issuer";
/// In memory only, and renewed at half of it.
const TTL_SECONDS: u64 = 3600;
/// How often it is looked whether any is to be made.
const LOOK: Duration = Duration::from_millis(500);
/// What went wrong is tried again so much later.
const RETRY: SignedDuration = SignedDuration::from_secs(5);

/// Certificates by trust domain.
#[derive(Default)]
pub(crate) struct Own(ArcSwap<HashMap<String, Held>>);

#[derive(Clone)]
struct Held {
    key: Option<Arc<CertifiedKey>>,
    signed_by: AuthorityId,
    renew: Timestamp,
}

impl Own {
    /// Makes and renews them for ever.
    pub(crate) async fn keep(self: Arc<Self>, feed: Arc<Feed>, clock: Clock) -> Infallible {
        loop {
            self.look(&feed, clock.now());
            sleep(LOOK).await;
        }
    }

    /// Is there one of each trust domain that signs?
    pub(crate) fn all_there(&self, feed: &Feed) -> bool {
        let held = self.0.load();
        let has = |name: &String| held.get(name).is_some_and(|it| it.key.is_some());
        let domains = feed.domains().all();
        let mut signing = domains.iter().filter(|(_, it)| it.signer.is_ok());
        signing.all(|(name, _)| has(name))
    }

    fn look(&self, feed: &Feed, now: Timestamp) {
        let domains = feed.domains().all();
        let before = self.0.load_full();
        let mut changed = false;
        let mut after = HashMap::new();
        for (name, domain) in domains.iter() {
            let held = before.get(name);
            let Ok(signer) = &domain.signer else {
                // What it has is good until its end.
                after.extend(held.map(|it| (name.clone(), it.clone())));
                continue;
            };
            let good = held.filter(|it| it.signed_by == *signer.id() && now < it.renew);
            let next = match good {
                Some(held) => held.clone(),
                None => {
                    changed = true;
                    make(domain, now).unwrap_or_else(|why| {
                        warn!(trust_domain = name, "no certificate of its own: {why}");
                        Held {
                            key: held.and_then(|it| it.key.clone()),
                            signed_by: signer.id().clone(),
                            renew: now.checked_add(RETRY).unwrap_or(now),
                        }
                    })
                }
            };
            after.insert(name.clone(), next);
        }
        if changed || after.len() != before.len() {
            self.0.store(Arc::new(after));
        }
    }

    /// By the name that a client asks for; where there is one only, that one.
    fn named(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let all = self.0.load();
        let named = name.and_then(|it| all.get(it));
        let only = || all.values().next().filter(|_| all.len() == 1);
        named.or_else(only)?.key.clone()
    }
}

/// TLS 1.3 and HTTP/2: sidecars are made for it.
pub(super) fn config(own: Arc<Own>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(own);
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn make(domain: &Domain, now: Timestamp) -> Result<Held, String> {
    let signer = domain.signer.as_ref().map_err(Clone::clone)?;
    let request = LeafRequest {
        spiffe_id: &format!("spiffe://{}/{PATH}", domain.name),
        key: LeafKey::Generate(KeyAlgorithm::EcdsaP256),
        ttl_seconds: TTL_SECONDS.min(domain.max_ttl_seconds),
        not_after_cap: None,
    };
    let leaf = signer.issue(&request, now).map_err(|why| why.to_string())?;
    let key = leaf.key_pem.as_ref().ok_or("it has no key")?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|why| why.to_string())?;
    let chain = CertificateDer::pem_slice_iter(leaf.chain_pem.as_bytes());
    let chain: Vec<_> = chain
        .collect::<Result<_, _>>()
        .map_err(|why| why.to_string())?;
    let key = any_supported_type(&key).map_err(|why| why.to_string())?;
    let half = leaf.not_after.duration_since(now) / 2;
    info!(
        trust_domain = domain.name,
        serial = leaf.serial_number,
        not_after = %leaf.not_after,
        "has a certificate of its own"
    );
    Ok(Held {
        key: Some(Arc::new(CertifiedKey::new(chain, key))),
        signed_by: leaf.authority_id,
        renew: now.checked_add(half).unwrap_or(now),
    })
}

impl ResolvesServerCert for Own {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.named(hello.server_name())
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").finish_non_exhaustive()
    }
}
