//! What is on the operator's lists goes to the engine's deny table.

use std::sync::Arc;

use countersign_decision::{Feed as _, World};
use countersign_lists::Revoke;
use countersign_statement::Digest;
use jiff::Timestamp;

/// What the engine knows.
#[derive(Debug)]
pub(crate) struct Listed(pub(crate) Arc<World>);

impl Revoke for Listed {
    fn certificate(&self, serial_number: &str, until: Timestamp) {
        self.0.revoke_serial(serial_number, until);
    }

    fn statement(&self, digest: &Digest, until: Timestamp) {
        if !self.0.holds_statement(digest) {
            self.0.revoke_statement(*digest, until);
        }
    }
}
