//! The status that hands a certificate over.
//!
//! What it says of the certificate is read from the certificate: the API server compares, and a
//! difference would be an answer that is refused each time.

use std::time::Duration;

use countersign_authority::{AuthorityError, LeafFacts, RequestedKey, inspect_leaf};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::certificates::v1::PodCertificateRequestStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use pem::{EncodeConfig, LineEnding, Pem, encode_many_config};

use super::answer::condition;
use crate::{IssuedX509, Lifetime};

/// `status.certificateChain` may have this many bytes.
const MAX_CHAIN_BYTES: usize = 100 * 1024;

/// Why a certificate isn't handed over though it was issued. The desk broke its word.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("the certificate can't be read: {0}")]
    Unreadable(#[from] AuthorityError),
    #[error("the certificate is for another key")]
    OtherKey,
    #[error("the certificate is valid for {0:?}, out of what was asked for")]
    Lifetime(Duration),
    #[error("the chain is too long")]
    TooLong,
}

/// The status for a certificate that was issued for `key` within `bounds`.
///
/// `beginRefreshAt` is half of its life: the kubelet adds up to five minutes of its own, and has half
/// an hour left at the least.
///
/// # Errors
/// It isn't what was asked for.
pub(super) fn status(
    issued: &IssuedX509,
    key: &RequestedKey,
    bounds: Lifetime,
    now: Timestamp,
) -> Result<(PodCertificateRequestStatus, LeafFacts), Unfit> {
    let chain = chain_pem(&issued.chain);
    if chain.len() > MAX_CHAIN_BYTES {
        return Err(Unfit::TooLong);
    }
    let facts = inspect_leaf(chain.as_bytes(), None)?;
    if facts.public_key_sha256 != key.public_key_sha256() {
        return Err(Unfit::OtherKey);
    }
    let lifetime = facts.not_after.duration_since(facts.not_before);
    let lifetime = Duration::try_from(lifetime).unwrap_or_default();
    if lifetime < bounds.at_least || lifetime > bounds.at_most {
        return Err(Unfit::Lifetime(lifetime));
    }
    let message = format!(
        "{}, serial number {}, until {}",
        facts.spiffe_id, facts.serial_number, facts.not_after
    );
    let status = PodCertificateRequestStatus {
        begin_refresh_at: Some(Time(half_way(&facts))),
        certificate_chain: Some(chain),
        conditions: Some(vec![condition("Issued", "Issued", &message, now)]),
        not_after: Some(Time(facts.not_after)),
        not_before: Some(Time(facts.not_before)),
    };
    Ok((status, facts))
}

/// In whole seconds, as the API has times.
fn half_way(facts: &LeafFacts) -> Timestamp {
    let life = facts.not_after.duration_since(facts.not_before);
    facts.not_before + SignedDuration::from_secs(life.as_secs() / 2)
}

fn chain_pem(chain: &[Vec<u8>]) -> String {
    let blocks: Vec<_> = chain
        .iter()
        .map(|der| Pem::new("CERTIFICATE", der.as_slice()))
        .collect();
    encode_many_config(&blocks, EncodeConfig::new().set_line_ending(LineEnding::LF))
}
