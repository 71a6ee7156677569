//! Names of headers, and one value of each.

use crate::ask::Unreadable;
use crate::envoy::HttpRequest;

/// What all headers that carry something of ours begin with.
const OURS: &str = "x-countersign-";

/// Carries a chain, from the client; and its digest, to the service behind.
pub(crate) const DELEGATION: &str = "x-countersign-delegation";
/// The agent's SPIFFE ID.
pub(crate) const AGENT: &str = "x-countersign-agent";
/// The owner on whose behalf it acts.
pub(crate) const OWNER: &str = "x-countersign-owner";
/// The user who asked for the root of the chain, or for the identity.
pub(crate) const REQUESTER: &str = "x-countersign-requester";
/// The decision's name.
pub(crate) const DECISION: &str = "x-countersign-decision";
/// Hops from the owner.
pub(crate) const DEPTH: &str = "x-countersign-delegation-depth";
/// Why it was denied.
pub(crate) const REASON: &str = "x-countersign-reason";

/// All that the service behind may be told: what of it isn't set is removed, also where Envoy was told
/// to hide the client's headers from us.
pub(crate) const TOLD: [&str; 6] = [AGENT, OWNER, REQUESTER, DECISION, DELEGATION, DEPTH];

/// By these services take another method, or another path, than those that were decided about.
const OVERRIDES: [&str; 5] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// The value of a header that must not come twice. Where Envoy joins several by commas, the comma is
/// for the reader to refuse.
pub(crate) fn only<'a>(http: &'a HttpRequest, name: &str) -> Result<Option<&'a [u8]>, Unreadable> {
    let mut values = http.each_header().filter(|(it, _)| is(it, name));
    match (values.next(), values.next()) {
        (first, None) => Ok(first.map(|(_, value)| value)),
        _ => Err(Unreadable(
            "a header that must be there once is there twice",
        )),
    }
}

/// Is a header there that makes the request another one?
pub(crate) fn overridden(http: &HttpRequest) -> bool {
    let mut names = http.each_header();
    names.any(|(name, _)| OVERRIDES.iter().any(|it| is(name, it)))
}

/// Does a service behind take it for one of ours?
pub(crate) fn is_ours(name: &str) -> bool {
    name.get(..OURS.len()).is_some_and(|it| is(it, OURS))
}

/// Are the names one for services? Some take `_` for `-`, as CGI's variables do.
fn is(name: &str, other: &str) -> bool {
    let plain = |byte: u8| match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    };
    name.len() == other.len() && name.bytes().map(plain).eq(other.bytes())
}
