//! What may stand in a URI SAN. The authority judges for itself, whoever calls it.

use crate::AuthorityError;

/// The longest SPIFFE ID (SPIFFE ID standard, section 2.3).
const MAX_ID_BYTES: usize = 2048;
/// The longest trust domain (the same).
const MAX_TRUST_DOMAIN_BYTES: usize = 255;

pub(crate) fn check_trust_domain(name: &str) -> Result<(), AuthorityError> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    if (1..=MAX_TRUST_DOMAIN_BYTES).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(AuthorityError::BadTrustDomain(shortened(name)))
    }
}

/// Is `id` a SPIFFE ID with a path? Gives its trust domain.
pub(crate) fn trust_domain_of(id: &str) -> Result<&str, AuthorityError> {
    let bad = |why: &str| AuthorityError::BadSpiffeId {
        id: shortened(id),
        why: why.to_owned(),
    };
    if id.len() > MAX_ID_BYTES {
        return Err(bad("it is longer than 2048 bytes"));
    }
    let rest = id
        .strip_prefix("spiffe://")
        .ok_or_else(|| bad("it does not begin with spiffe://"))?;
    let (domain, path) = rest
        .split_once('/')
        .ok_or_else(|| bad("it has no path: only an authority may be named so"))?;
    check_trust_domain(domain).map_err(|_| bad("its trust domain is not valid"))?;
    for segment in path.split('/') {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if segment.is_empty() || segment == "." || segment == ".." || !segment.bytes().all(allowed)
        {
            return Err(bad(
                "each part of its path must be of a-z, A-Z, 0-9, '.', '-' and '_', and not empty, '.' or '..'",
            ));
        }
    }
    Ok(domain)
}

pub(crate) fn check_id(id: &str, trust_domain: &str) -> Result<(), AuthorityError> {
    let found = trust_domain_of(id)?;
    if found == trust_domain {
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
