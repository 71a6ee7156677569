//! Segments of audit records, made from what their documentation says.

use std::sync::Arc;

use countersign_audit::{Checkpoint, CheckpointVerifier, Entry, Hash, Kind, ObjectRef, Outcome};
use countersign_statement::{Purpose, Signer, TrustedKeys, checkpoint};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{DOMAIN, after, ring, start};

/// The chain of the records.
pub const CHAIN: &str = "example.org/a";

/// A segment's file that verifies.
#[derive(Debug, Clone)]
pub struct Segment {
    /// The file.
    pub file: String,
    /// The exact text of each record's entry.
    pub bodies: Vec<String>,
    /// The hash of the last.
    pub last: [u8; 32],
}

/// Signs checkpoints of the trust domain and believes no others.
#[derive(Debug)]
pub struct Notary {
    signer: Arc<Signer>,
    keys: TrustedKeys,
}

impl Notary {
    /// With the trust domain's keys.
    pub fn new() -> Self {
        let ring = ring::ring(DOMAIN);
        Self {
            signer: ring.signer(Purpose::Checkpoints).expect("there is a key"),
            keys: ring.trusted().expect("a ring can be trusted"),
        }
    }

    /// The honest segment: three records.
    pub fn honest(&self) -> Segment {
        let bodies = (1..=3).map(|it| serde_json::to_string(&entry(it)).expect("it is an entry"));
        self.segment(1, &bodies.collect::<Vec<_>>())
    }

    /// A segment of any bodies from record `first` on, hashed and signed as the log does it.
    pub fn segment(&self, first: u64, bodies: &[String]) -> Segment {
        let last_seq = first + bodies.len() as u64 - 1;
        let mut last = [0; 32];
        let header = json!({
            "format": "countersign.dev/audit-segment/v1", "chain": CHAIN, "firstSeq": first,
            "lastSeq": last_seq, "previousHash": hex::encode(last),
        });
        let mut file = format!("{header}\n");
        for (seq, body) in (first..).zip(bodies) {
            last = hash_of(seq, &last, body);
            let hash = hex::encode(last);
            file.push_str(&format!(
                "{{\"chain\":\"{CHAIN}\",\"seq\":{seq},\"hash\":\"{hash}\",\"body\":{body}}}\n"
            ));
        }
        let head = checkpoint::Checkpoint {
            issued_at: start(),
            chain: CHAIN.to_owned(),
            sequence: last_seq,
            hash: last,
        };
        let token = checkpoint::sign(&head, &self.signer).expect("it signs");
        file.push_str(&format!("{{\"checkpoint\":\"{token}\"}}\n"));
        Segment {
            file,
            bodies: bodies.to_vec(),
            last,
        }
    }
}

impl Default for Notary {
    fn default() -> Self {
        Self::new()
    }
}

impl CheckpointVerifier for Notary {
    fn verify(&self, token: &str) -> Result<Checkpoint, String> {
        let it = checkpoint::verify(token, &self.keys).map_err(|why| why.to_string())?;
        let hash = Hash::parse(&hex::encode(it.hash)).ok_or("no hash")?;
        Ok(Checkpoint {
            chain: it.chain,
            seq: it.sequence,
            hash,
            time: it.issued_at,
        })
    }
}

/// A record's hash: the domain, the chain's name after its length (u32), the number (u64), the hash
/// before, the body; numbers big-endian.
fn hash_of(seq: u64, previous: &[u8; 32], body: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(b"countersign.dev/audit-record/v1\0");
    hasher.update((CHAIN.len() as u32).to_be_bytes());
    hasher.update(CHAIN);
    hasher.update(seq.to_be_bytes());
    hasher.update(previous);
    hasher.update(body);
    hasher.finalize().into()
}

fn entry(number: i64) -> Entry {
    let object = ObjectRef {
        kind: "AgentIdentity".to_owned(),
        namespace: Some("finance".to_owned()),
        name: format!("agent-{number}"),
        uid: format!("uid-{number}"),
    };
    let grants = r#"[{"actions": ["read"], "resources": ["ledger/invoices/*"]}]"#;
    Entry {
        spiffe_id: Some(format!("spiffe://example.org/ns/finance/agent/{number}")),
        serial_number: Some(format!("{number:x}")),
        not_after: Some(after(number + 300)),
        owner: Some("alice".to_owned()),
        permissions: serde_json::from_str(grants).expect("these are grants"),
        reason: "Issued".to_owned(),
        ..Entry::new(
            after(number),
            Kind::IdentityIssued,
            Outcome::Allowed,
            DOMAIN,
            object,
        )
    }
}
