//! What the world sees of a trust domain, and whose an address is.

use axum::body::Bytes;
use countersign_jwtsvid::{DISCOVERY_PATH, IssuerUrl, KEYS_PATH, Keys, discovery};

/// What the world sees of one trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    issuer: IssuerUrl,
    discovery: Bytes,
    keys: Bytes,
}

impl Face {
    /// The documents of `issuer`, which signs with `keys`.
    pub fn new(issuer: IssuerUrl, keys: &Keys) -> Self {
        Self {
            discovery: discovery(&issuer).into(),
            keys: keys.jwks().into(),
            issuer,
        }
    }

    /// By which URL it is known.
    pub fn issuer(&self) -> &IssuerUrl {
        &self.issuer
    }
}

/// The document at `path`; `host` is the request's. Behind an ingress both may have been changed: a
/// document that only one trust domain can be meant with is given whatever the host, and at the root
/// where there is only one trust domain. Two of one issuer URL have none: either one's keys would
/// be wrong for the other's tokens.
pub(super) fn document(faces: &[Face], host: Option<&str>, path: &str) -> Option<Bytes> {
    if let Some(base) = path.strip_suffix(DISCOVERY_PATH) {
        return meant(faces, host, base).map(|it| it.discovery.clone());
    }
    let base = path.strip_suffix(KEYS_PATH)?;
    meant(faces, host, base).map(|it| it.keys.clone())
}

fn meant<'a>(faces: &'a [Face], host: Option<&str>, base: &str) -> Option<&'a Face> {
    let here = || faces.iter().filter(|it| it.issuer.path() == base);
    let host = host.map(|it| it.strip_suffix(":443").unwrap_or(it));
    let named =
        |it: &&Face| host.is_some_and(|host| it.issuer.authority().eq_ignore_ascii_case(host));
    if here().any(|it| named(&it)) {
        return only(here().filter(named));
    }
    let anywhere = only(here());
    let alone = || only(faces.iter()).filter(|_| base.is_empty());
    anywhere.or_else(alone)
}

fn only<'a>(mut all: impl Iterator<Item = &'a Face>) -> Option<&'a Face> {
    let first = all.next();
    first.filter(|_| all.next().is_none())
}
