//! What can't be done without: a request is read, a leaf is put together and signed.

use std::time::Instant;

use anyhow::{Context, Result};
use countersign_authority::{LeafKey, LeafRequest, RequestedKey};
use rcgen::{CertificateParams, KeyPair};

use crate::made_up::uid;
use crate::signed::{Signatory, start};

/// Leaves a second on this thread, of an authority as the operator makes them.
pub(super) fn a_second(leaves: usize) -> Result<f64> {
    let signatory = Signatory::make()?;
    let signer = signatory.issuer()?;
    let key = KeyPair::generate()?;
    let asked = CertificateParams::default().serialize_request(&key)?;
    let id = format!(
        "spiffe://{}/ns/agents/agent/issue-1/task/{}/{}",
        signer.trust_domain(),
        uid(1),
        uid(2)
    );
    let moment = start()?;
    let issue = || {
        let requested = RequestedKey::from_pkcs10_der(asked.der())?;
        let request = LeafRequest {
            spiffe_id: &id,
            key: LeafKey::Public(&requested),
            ttl_seconds: 3600,
            not_after_cap: None,
        };
        signer.issue(&request, moment)
    };
    for _ in 0..leaves / 10 {
        issue()?;
    }
    let started = Instant::now();
    for _ in 0..leaves {
        issue()?;
    }
    let leaves = u32::try_from(leaves).context("that many")?;
    Ok(f64::from(leaves) / started.elapsed().as_secs_f64())
}
