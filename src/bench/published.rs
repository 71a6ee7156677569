//! What the operator publishes, read as a verifier reads it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use countersign_statement::{Digest, TrustedKeys, revocation};
use kube::{Client, Config};
use serde_json::Value;

use crate::api::Api;
use crate::clock::now;
use crate::objects::TRUST_DOMAIN;

/// Between two looks at a list.
const EVERY: Duration = Duration::from_millis(10);

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A verifier that fetches bundle and lists.
pub(crate) struct Published {
    api: Api,
    keys: TrustedKeys,
    partitions: u32,
}

impl Published {
    /// Reads bundle and index of what is served there.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let config = Config::new(format!("http://{address}").parse()?);
        let api = Api::new(Client::try_from(config)?);
        let bundle = api.fetch_text(&format!("/bundles/{TRUST_DOMAIN}")).await?;
        let index: Value = api.fetch(&format!("/revocations/{TRUST_DOMAIN}")).await?;
        let partitions = index.pointer("/statements/partitions");
        let partitions = partitions.and_then(Value::as_u64);
        Ok(Self {
            keys: TrustedKeys::from_bundle_json(TRUST_DOMAIN, &bundle)?,
            partitions: partitions
                .context("no partitions in the index")?
                .try_into()?,
            api,
        })
    }

    /// What statements are signed with.
    pub(crate) fn keys(&self) -> &TrustedKeys {
        &self.keys
    }

    /// When a list has the digest: from then on everybody who fetches it refuses whatever hangs on
    /// that statement.
    pub(crate) async fn until_listed(&self, digest: &Digest) -> Result<Instant> {
        let partition = revocation::partition_of(digest, self.partitions);
        let path = format!("/revocations/{TRUST_DOMAIN}/statements/{partition}");
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let text = self.api.fetch_text(&path).await?;
            let list = revocation::List::verify(&text, &self.keys, now())?;
            if list.contains(digest) == Some(true) {
                return Ok(Instant::now());
            }
            tokio::time::sleep(EVERY).await;
        }
        bail!("{digest} was not listed within {PATIENCE:?}")
    }
}

/// An address of this machine that nobody listens at now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr()?)
}
