//! The agent's own signature below what it delegates.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use countersign_api as api;
use countersign_authority::PrivateKey;
use countersign_core::SpiffeId;
use countersign_statement::Digest;
use countersign_statement::agent::{Request, sign};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::grants;

/// What is needed beside the Delegation itself.
#[derive(Debug)]
pub(super) struct Signing<'a> {
    /// PEM.
    pub(super) key: &'a str,
    /// PEM, leaf first.
    pub(super) chain: &'a str,
    pub(super) delegator: &'a str,
    pub(super) delegate: &'a str,
    /// Of the delegator's own statement.
    pub(super) parent_digest: &'a str,
    /// Hops that lead to the delegation.
    pub(super) depth: u8,
    pub(super) now: Timestamp,
}

/// The statement for `spec.statement`: it says exactly what the rest of the spec says, as the
/// operator wants it.
pub(super) fn statement(delegation: &api::Delegation, signing: &Signing<'_>) -> Result<String> {
    let spec = &delegation.spec;
    let below = u8::try_from(spec.max_depth).context("maxDepth")?;
    let issued_at = grants::whole(signing.now);
    let life = SignedDuration::from_secs(spec.expires_after_seconds);
    let name = delegation.metadata.name.as_deref().unwrap_or_default();
    let request = Request {
        delegator: SpiffeId::parse(signing.delegator).context("the delegator's SPIFFE ID")?,
        delegate: SpiffeId::parse(signing.delegate).context("the delegate's SPIFFE ID")?,
        // Unique for this delegator: two in one nanosecond can't have one name.
        id: format!("{name}/{}", signing.now.as_nanosecond()),
        issued_at,
        expires_at: issued_at.checked_add(life).context("its end")?,
        max_depth: signing.depth.saturating_add(below),
        parent: Digest::parse(signing.parent_digest).context("the parent's status.digest")?,
        grants: countersign_api::to_domain(&spec.grants),
    };
    let key = PrivateKey::from_pem(signing.key).map_err(|why| anyhow!("--sign: {why}"))?;
    let chain = CertificateDer::pem_slice_iter(signing.chain.as_bytes())
        .map(|it| it.map(|der| der.to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|why| anyhow!("--certificate: {why}"))?;
    if chain.is_empty() {
        bail!("--certificate has no certificate");
    }
    sign(&request, &key, &chain).map_err(|why| anyhow!("sign: {why}"))
}

/// A file's text.
pub(super) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}
