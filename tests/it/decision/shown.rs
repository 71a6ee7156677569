//! Certificates that are shown in questions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::pki::certificates;

/// DER of the leaf of a chain in PEM.
pub(super) fn leaf(chain: &str) -> Vec<u8> {
    certificates(chain)[0].to_vec()
}

/// The question, with this certificate.
pub(super) fn showing(mut question: Value, leaf: &[u8]) -> Value {
    question["context"]["certificate"] = json!(STANDARD.encode(leaf));
    question
}
