//! What may stand in a URI SAN. The authority judges for itself, whoever calls it.

use countersign_core::{BadSpiffeId, SpiffeId, TrustDomainName};

use crate::AuthorityError;

pub(crate) fn check_trust_domain(name: &str) -> Result<(), AuthorityError> {
    match TrustDomainName::parse(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(AuthorityError::BadTrustDomain(shortened(name))),
    }
}

/// Is `id` a SPIFFE ID with a path? Gives its trust domain.
pub(crate) fn trust_domain_of(id: &str) -> Result<&str, AuthorityError> {
    let bad = |why: BadSpiffeId| AuthorityError::BadSpiffeId {
        id: shortened(id),
        why: why.to_string(),
    };
    SpiffeId::parse(id).map_err(bad)?;
    let rest = id.strip_prefix("spiffe://");
    match rest.and_then(|rest| rest.split_once('/')) {
        Some((domain, _)) => Ok(domain),
        None => Err(bad(BadSpiffeId::Scheme)),
    }
}

pub(crate) fn check_id(id: &str, trust_domain: &str) -> Result<(), AuthorityError> {
    if trust_domain_of(id)? == trust_domain {
        return Ok(());
    }
    Err(AuthorityError::BadSpiffeId {
        id: shortened(id),
        why: format!("it is not in the trust domain {trust_domain}"),
    })
}

/// Errors carry at most so much of what a stranger wrote.
fn shortened(text: &str) -> String {
    text.chars().take(256).collect()
}
