//! PEM, for Envoy and for files.

use pem::{EncodeConfig, LineEnding, Pem, encode_many_config};

use crate::held::Held;

/// `CERTIFICATE` blocks, leaf first.
pub(crate) fn chain(held: &Held) -> String {
    let blocks = held.chain.iter();
    let blocks: Vec<_> = blocks
        .map(|der| Pem::new("CERTIFICATE", der.as_slice()))
        .collect();
    encode_many_config(&blocks, EncodeConfig::new().set_line_ending(LineEnding::LF))
}
