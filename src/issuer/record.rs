//! What the audit log keeps of what is issued.

use countersign_audit::{Entry, Kind, ObjectRef, Outcome};
use countersign_authority::Leaf;
use jiff::Timestamp;

use crate::PodRef;
use crate::feed::Seen;

/// A certificate is about to be handed to a pod.
pub(crate) fn issued(it: &Seen, pod: &PodRef, leaf: &Leaf, now: Timestamp) -> Entry {
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
    entry.serial_number = Some(leaf.serial_number.clone());
    entry.not_after = Some(leaf.not_after);
    entry.authority_id = Some(leaf.authority_id.to_string());
    entry.owner = Some(it.record.owner.clone());
    entry.requester.clone_from(&it.record.requester);
    entry.task = Some(it.record.task.clone());
    entry.permissions.clone_from(&it.record.grants);
    "Issued".clone_into(&mut entry.reason);
    entry.message = format!(
        "to pod {} ({}), service account {}",
        pod.name, pod.uid, pod.service_account
    );
    entry
}
