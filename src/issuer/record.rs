//! What the audit log keeps of what is issued.

use countersign_audit::{Entry, Kind, ObjectRef, Outcome};
use countersign_authority::Leaf;
use countersign_jwtsvid::{Audience, Token};
use jiff::Timestamp;

use crate::PodRef;
use crate::feed::Seen;

/// So many characters of a token's audiences are kept: they may have 32 KiB.
const AUDIENCES: usize = 512;

/// A certificate is about to be handed to a pod.
pub(crate) fn issued(it: &Seen, pod: &PodRef, leaf: &Leaf, now: Timestamp) -> Entry {
    let mut entry = for_identity(it, now);
    entry.serial_number = Some(leaf.serial_number.clone());
    entry.not_after = Some(leaf.not_after);
    entry.authority_id = Some(leaf.authority_id.to_string());
    "Issued".clone_into(&mut entry.reason);
    entry.message = to(pod);
    entry
}

/// A token is about to be handed to a pod. Without a serial number: nobody can revoke it. The key's
/// id is where an authority's would be.
pub(crate) fn token(
    it: &Seen,
    pod: &PodRef,
    kid: &str,
    token: &Token,
    audience: &Audience,
    now: Timestamp,
) -> Entry {
    let mut entry = for_identity(it, now);
    entry.not_after = Some(token.expires_at);
    entry.authority_id = Some(kid.to_owned());
    "TokenIssued".clone_into(&mut entry.reason);
    let for_whom: String = audience
        .as_slice()
        .join(", ")
        .chars()
        .take(AUDIENCES)
        .collect();
    entry.message = format!("JWT-SVID {} for {for_whom} {}", token.id, to(pod));
    entry
}

fn to(pod: &PodRef) -> String {
    format!(
        "to pod {} ({}), service account {}",
        pod.name, pod.uid, pod.service_account
    )
}

fn for_identity(it: &Seen, now: Timestamp) -> Entry {
    let object = ObjectRef {
        kind: "AgentIdentity".to_owned(),
        namespace: Some(it.namespace.clone()),
        name: it.name.clone(),
        uid: it.uid.clone(),
    };
    let mut entry = Entry::new(
        now,
        Kind::IdentityIssued,
        Outcome::Allowed,
        it.trust_domain.as_str(),
        object,
    );
    entry.spiffe_id = Some(it.spiffe_id.clone());
    entry.owner = Some(it.record.owner.clone());
    entry.requester.clone_from(&it.record.requester);
    entry.task = Some(it.record.task.clone());
    entry.permissions.clone_from(&it.record.grants);
    entry
}
