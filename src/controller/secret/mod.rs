//! Secrets that hold credentials.
//!
//! The watches bring metadata only: no private key passes through the operator again, unless
//! somebody else changed a Secret and it has to be read.

mod content;
mod store;

use k8s_openapi::api::core::v1::Secret;
use zeroize::Zeroize as _;

pub(crate) use content::{Content, build, read};
pub(crate) use store::{Held, Secrets};

/// Marks a Secret as ours: the UID of its identity.
pub(crate) const UID_LABEL: &str = "countersign.dev/identity-uid";
/// Says whose it is.
pub(crate) const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY_LABEL`].
pub(crate) const MANAGED_BY: &str = "countersign";
/// The sequence number of the bundle in `ca.crt`.
pub(crate) const BUNDLE_ANNOTATION: &str = "countersign.dev/bundle-sequence";
/// The identity's name, for people.
pub(crate) const IDENTITY_ANNOTATION: &str = "countersign.dev/identity";

/// Overwrites the data of a Secret that isn't needed any more: it may hold keys.
pub(crate) fn wipe(secret: &mut Secret) {
    for value in secret.data.iter_mut().flat_map(|data| data.values_mut()) {
        value.0.zeroize();
    }
}
