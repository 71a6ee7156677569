//! SPIFFE IDs (SPIFFE ID standard, sections 2.1 to 2.4).

use std::fmt;

/// The longest trust domain name.
const MAX_TRUST_DOMAIN_BYTES: usize = 255;
/// The longest SPIFFE ID.
const MAX_ID_BYTES: usize = 2048;

/// A trust domain's name: 1 to 255 of a–z, 0–9, `.`, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomainName(String);

/// Why something is no SPIFFE ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSpiffeId {
    /// The trust domain's name has other characters or is too short or long.
    #[error("a trust domain must be 1 to 255 of the characters a-z, 0-9, '.', '-' and '_'")]
    TrustDomain,
    /// It doesn't begin with `spiffe://`, or has no path.
    #[error("a SPIFFE ID must be spiffe://<trust domain>/<path>")]
    Scheme,
    /// A part of the path is empty, `.`, `..` or has other characters.
    #[error("each part of a SPIFFE ID's path must be of a-z, A-Z, 0-9, '.', '-' and '_'")]
    Path,
    /// It is longer than 2048 bytes.
    #[error("a SPIFFE ID must not be longer than 2048 bytes")]
    TooLong,
}

impl TrustDomainName {
    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self, BadSpiffeId> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        if (1..=MAX_TRUST_DOMAIN_BYTES).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(BadSpiffeId::TrustDomain)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A workload's SPIFFE ID: always with a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId(String);

impl SpiffeId {
    /// Reads an ID.
    pub fn parse(id: &str) -> Result<Self, BadSpiffeId> {
        if id.len() > MAX_ID_BYTES {
            return Err(BadSpiffeId::TooLong);
        }
        let rest = id.strip_prefix("spiffe://").ok_or(BadSpiffeId::Scheme)?;
        let (domain, path) = rest.split_once('/').ok_or(BadSpiffeId::Scheme)?;
        TrustDomainName::parse(domain)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let good = |part: &str| {
            !part.is_empty() && part != "." && part != ".." && part.bytes().all(allowed)
        };
        if path.split('/').all(good) {
            Ok(Self(id.to_owned()))
        } else {
            Err(BadSpiffeId::Path)
        }
    }

    /// The ID of one agent for one task, made of facts of the API server alone: whoever may only
    /// write objects can't choose a UID.
    pub fn for_task(
        domain: &TrustDomainName,
        namespace: &str,
        agent: &str,
        task_uid: &str,
        identity_uid: &str,
    ) -> Result<Self, BadSpiffeId> {
        Self::parse(&format!(
            "spiffe://{domain}/ns/{namespace}/agent/{agent}/task/{task_uid}/{identity_uid}"
        ))
    }

    /// The ID.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_id_of_a_task_names_namespace_agent_task_and_identity() {
        let domain = TrustDomainName::parse("example.org").unwrap();
        let id = SpiffeId::for_task(&domain, "finance", "reader", "t-1", "i-2").unwrap();
        assert_eq!(
            id.as_str(),
            "spiffe://example.org/ns/finance/agent/reader/task/t-1/i-2"
        );
    }

    #[test]
    fn a_part_that_could_lead_elsewhere_is_refused() {
        let domain = TrustDomainName::parse("example.org").unwrap();
        for part in ["", ".", "..", "a/b", "ä", "a b", "a%2f", "a\u{0}"] {
            let id = SpiffeId::for_task(&domain, "finance", "reader", part, "i");
            // A slash makes more parts, each of them good: callers hand over UIDs only.
            assert_eq!(id.is_ok(), part == "a/b", "{part:?}");
        }
        assert_eq!(
            SpiffeId::parse("https://example.org/a"),
            Err(BadSpiffeId::Scheme)
        );
        assert_eq!(
            TrustDomainName::parse("Example.org"),
            Err(BadSpiffeId::TrustDomain)
        );
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_keeps_what_it_accepts(text in "\\PC{0,80}") {
            if let Ok(id) = SpiffeId::parse(&text) {
                prop_assert_eq!(id.as_str(), text);
            }
        }
    }
}
