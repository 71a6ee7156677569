//! Refusals and bearer tokens, as they stand in metadata.

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Code, Status};

/// The trailer that a refusal's reason stands in.
pub const REASON: &str = "countersign-reason";

const AUTHORIZATION: &str = "authorization";
const SCHEME: &str = "Bearer ";

/// A status with its reason, which is visible ASCII: one word. A reason that isn't is left out.
pub fn refusal(code: Code, reason: &str, message: impl Into<String>) -> Status {
    let mut status = Status::new(code, message);
    if let Ok(value) = reason.parse::<MetadataValue<Ascii>>() {
        status.metadata_mut().insert(REASON, value);
    }
    status
}

/// The reason of a refusal; `None` where somebody else refused, or there was no connection.
pub fn reason_of(status: &Status) -> Option<&str> {
    status.metadata().get(REASON)?.to_str().ok()
}

/// The bearer token of a request's metadata; its scheme's name in any case (RFC 9110, 11.1).
pub fn bearer_of(metadata: &MetadataMap) -> Option<&str> {
    let value = metadata.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim())
}

/// Puts a bearer token into a request's metadata.
///
/// # Errors
/// It isn't visible ASCII. The error doesn't say what it is.
pub fn put_bearer(metadata: &mut MetadataMap, token: &str) -> Result<(), Status> {
    let mut value = format!("{SCHEME}{token}")
        .parse::<MetadataValue<Ascii>>()
        .map_err(|_| Status::invalid_argument("the token has characters that no token has"))?;
    value.set_sensitive(true); // HPACK keeps it out of its table, Debug doesn't show it
    metadata.insert(AUTHORIZATION, value);
    Ok(())
}
