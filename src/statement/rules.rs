//! The rules between a statement and the one above it.

use countersign_core::narrow;

use crate::error::Broken;
use crate::{Claims, Digest, MAX_DEPTH};

/// May `child` follow `parent`? The same pure function for whoever countersigns and whoever
/// verifies. `ancestors` are the subjects above, hop 0's and the parent's included; signatures,
/// revocation and the present time are not its concern.
pub fn check_hop(
    parent: &Claims,
    parent_digest: &Digest,
    ancestors: &[&str],
    child: &Claims,
) -> Result<(), Broken> {
    check_linkage(parent, parent_digest, child)?;
    check_depth(parent, child)?;
    check_times(parent, child)?;
    let subject = child.subject.as_str();
    if subject == parent.subject.as_str() || ancestors.contains(&subject) {
        return Err(Broken::Cycle(subject.to_owned()));
    }
    narrow(&parent.grants, &child.grants).map_err(Broken::Widens)
}

fn check_linkage(parent: &Claims, parent_digest: &Digest, child: &Claims) -> Result<(), Broken> {
    if child.parent.as_ref() != Some(parent_digest) {
        return Err(Broken::ParentHash);
    }
    if child.issuer != parent.issuer {
        return Err(Broken::OtherTrustDomain {
            found: child.issuer.to_string(),
            expected: parent.issuer.to_string(),
        });
    }
    if child.delegator.as_ref() != Some(&parent.subject) {
        let found = child.delegator.as_ref().map(ToString::to_string);
        return Err(Broken::Delegator {
            found: found.unwrap_or_default(),
            expected: parent.subject.to_string(),
        });
    }
    if child.owner != parent.owner {
        return Err(Broken::OtherOwner {
            found: child.owner.clone(),
            expected: parent.owner.clone(),
        });
    }
    if child.id == parent.id {
        return Err(Broken::ReusedId(child.id.clone()));
    }
    Ok(())
}

fn check_depth(parent: &Claims, child: &Claims) -> Result<(), Broken> {
    let expected = parent.depth.saturating_add(1);
    if child.depth != expected {
        return Err(Broken::Depth {
            found: child.depth,
            expected,
        });
    }
    if child.depth > parent.max_depth.min(MAX_DEPTH) {
        return Err(Broken::TooDeep {
            depth: child.depth,
            allowed: parent.max_depth.min(MAX_DEPTH),
        });
    }
    if child.max_depth > parent.max_depth {
        return Err(Broken::WidensDepth {
            found: child.max_depth,
            allowed: parent.max_depth,
        });
    }
    if child.max_depth < child.depth {
        return Err(Broken::TooDeep {
            depth: child.depth,
            allowed: child.max_depth,
        });
    }
    Ok(())
}

fn check_times(parent: &Claims, child: &Claims) -> Result<(), Broken> {
    if child.expires_at <= child.issued_at {
        return Err(Broken::NoLifetime);
    }
    if child.expires_at > parent.expires_at {
        return Err(Broken::WidensExpiry {
            found: child.expires_at,
            allowed: parent.expires_at,
        });
    }
    if child.issued_at < parent.issued_at {
        return Err(Broken::BeforeParent {
            found: child.issued_at,
            parent: parent.issued_at,
        });
    }
    Ok(())
}
