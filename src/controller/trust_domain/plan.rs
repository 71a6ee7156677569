//! What a trust domain's authorities should be. Pure but for the keys that a new authority needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_api as api;
use countersign_authority::{
    AuthorityError, AuthorityId, AuthoritySet, AuthorityStatus, Bundle, KeyAlgorithm, Signer,
    Wanted,
};
use jiff::Timestamp;

use super::domain::{Domain, Signing};
use super::keys::Keys;
use crate::identity::Refusal;

/// Everything that decides about one trust domain.
pub(crate) struct Observed<'a> {
    pub(crate) now: Timestamp,
    pub(crate) name: &'a str,
    pub(crate) spec: &'a api::TrustDomainSpec,
    pub(crate) stored: Stored,
    pub(crate) keys: Result<Arc<Keys>, Refusal>,
    /// The bundle that is published has this digest.
    pub(crate) published: Option<String>,
    /// The last bundle of an authority of one's own: its digest, where that is known, and its
    /// sequence number.
    pub(crate) last_own: (Option<String>, u64),
    /// Every live Secret of the trust domain carries a bundle of at least this sequence number.
    pub(crate) delivered: Option<i64>,
    /// How long a Secret takes to reach everybody.
    pub(crate) propagation_seconds: u64,
}

/// What the Secret with the authority's key holds.
pub(crate) enum Stored {
    /// Built-in authorities: none yet, some, or something that can't be read.
    BuiltIn(Result<AuthoritySet, AuthorityError>),
    /// One's own: missing, or what can be made of it.
    Own(Result<Signer, Refusal>),
}

/// What to do about one trust domain.
pub(crate) struct Plan {
    /// The authorities to store before anything is signed by them.
    pub(crate) store: Option<AuthoritySet>,
    pub(crate) domain: Domain,
    pub(crate) authorities: Vec<AuthorityStatus>,
    /// When time alone changes something.
    pub(crate) again: Option<Timestamp>,
    /// What is published must not be trusted any more, and there is nothing instead: an empty bundle
    /// of this sequence number is published.
    pub(crate) withdraw: Option<u64>,
}

/// Decides.
pub(crate) fn plan(seen: Observed<'_>) -> Plan {
    let spec = seen.spec;
    let keys = seen.keys.clone();
    let seconds = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
    let domain = |signing| Domain {
        selector: spec.namespace_selector.clone(),
        default_ttl_seconds: seconds(spec.default_certificate_ttl_seconds),
        max_ttl_seconds: seconds(spec.max_certificate_ttl_seconds),
        max_lifetime_seconds: seconds(spec.max_identity_lifetime_seconds),
        max_delegation_seconds: seconds(spec.max_delegation_lifetime_seconds),
        published: false, // known only when it was done
        document: None,
        keys: keys.clone(),
        signing,
    };
    match &seen.stored {
        Stored::BuiltIn(stored) => match built_in(&seen, stored) {
            Ok((store, signing, authorities, again)) => Plan {
                store,
                domain: domain(Ok(signing)),
                authorities,
                again,
                withdraw: None,
            },
            Err(why) => Plan {
                store: None,
                domain: domain(Err(refusal(&why))),
                authorities: Vec::new(),
                again: None,
                withdraw: None,
            },
        },
        Stored::Own(_) => own(seen, domain),
    }
}

type BuiltIn = (
    Option<AuthoritySet>,
    Signing,
    Vec<AuthorityStatus>,
    Option<Timestamp>,
);

fn built_in(
    seen: &Observed<'_>,
    stored: &Result<AuthoritySet, AuthorityError>,
) -> Result<BuiltIn, AuthorityError> {
    let stored = stored.as_ref().map_err(Clone::clone)?;
    let built_in = seen.spec.authority.built_in.clone().unwrap_or_default();
    let digest = stored.bundle().digest();
    let sequence = i64::try_from(stored.bundle_sequence()).unwrap_or(i64::MAX);
    let want = Wanted {
        trust_domain: seen.name.to_owned(),
        ca_lifetime_seconds: u64::try_from(built_in.ca_lifetime_seconds).unwrap_or(0),
        key_algorithm: match built_in.key_algorithm {
            api::KeyAlgorithm::EcdsaP256 => KeyAlgorithm::EcdsaP256,
            api::KeyAlgorithm::EcdsaP384 => KeyAlgorithm::EcdsaP384,
            api::KeyAlgorithm::Ed25519 => KeyAlgorithm::Ed25519,
        },
        epoch: u64::try_from(built_in.epoch).unwrap_or(1),
        distrusted: distrusted(seen.spec),
        max_leaf_ttl_seconds: u64::try_from(seen.spec.max_certificate_ttl_seconds).unwrap_or(0),
        bundle_propagated: seen.published.as_ref() == Some(&digest)
            && seen.delivered.is_none_or(|least| least >= sequence),
        propagation_seconds: seen.propagation_seconds,
    };
    let next = stored.next(&want, seen.now)?;
    let set = next.as_ref().unwrap_or(stored);
    let signer = set
        .signer()?
        .ok_or(AuthorityError::Crypto("no authority is active"))?;
    let bundle = set.bundle();
    let rotating = matches!(
        (set.active(), set.prepared()),
        (Some(active), Some(prepared)) if prepared.epoch > active.epoch
    );
    let distrusting = set
        .retired()
        .iter()
        .any(|it| it.state == countersign_authority::SlotState::Distrusted);
    let signing = Signing {
        signer,
        bundle_pem: bundle.pem().into(),
        bundle: Arc::new(bundle),
        set: Some(Arc::new(set.clone())),
        refresh: rotating || distrusting,
    };
    let (authorities, again) = (set.statuses(), set.next_change(&want));
    Ok((next, signing, authorities, again))
}

fn own(seen: Observed<'_>, domain: impl Fn(Result<Signing, Refusal>) -> Domain) -> Plan {
    let refused = |why, withdraw| Plan {
        store: None,
        domain: domain(Err(why)),
        authorities: Vec::new(),
        again: None,
        withdraw,
    };
    let signer = match seen.stored {
        Stored::Own(Ok(signer)) => signer,
        Stored::Own(Err(why)) => return refused(why, None),
        Stored::BuiltIn(_) => return refused(refusal(&AuthorityError::NoRoot), None),
    };
    if distrusted(seen.spec).contains(signer.id()) {
        let why = Refusal {
            reason: "AuthorityDistrusted",
            message: format!(
                "authority {} is named in spec.authority.distrusted: put another one into the Secret",
                signer.id()
            ),
        };
        let (digest, sequence) = &seen.last_own;
        let same = digest.as_ref() == Some(&Bundle::new(0, []).digest());
        return refused(why, Some(sequence.saturating_add(u64::from(!same))));
    }
    let (status, end) = (signer.status(), signer.not_after());
    let (digest, sequence) = &seen.last_own;
    let same = digest.as_ref() == Some(&signer.bundle(*sequence).digest());
    let bundle = signer.bundle(sequence.saturating_add(u64::from(!same)));
    let signing = Signing {
        signer: Arc::new(signer),
        bundle_pem: bundle.pem().into(),
        bundle: Arc::new(bundle),
        set: None,
        refresh: false,
    };
    Plan {
        store: None,
        domain: domain(Ok(signing)),
        authorities: vec![status],
        again: Some(end),
        withdraw: None,
    }
}

fn distrusted(spec: &api::TrustDomainSpec) -> BTreeSet<AuthorityId> {
    // The schema lets nothing else in.
    let ids = spec.authority.distrusted.iter();
    ids.filter_map(|id| AuthorityId::parse(id).ok()).collect()
}

pub(crate) fn refusal(why: &AuthorityError) -> Refusal {
    Refusal {
        reason: why.reason(),
        message: why.to_string(),
    }
}
