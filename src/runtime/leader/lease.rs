//! The lease as a document.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;

use super::Candidate;

/// How long a lease holds after a change that was seen.
pub(super) const LEASE: Duration = Duration::from_secs(10);
const LEASE_SECONDS: i32 = 10;

/// On a lease whose holder hasn't looked at everything yet that is there.
const CATCHING_UP: &str = "countersign.dev/catching-up";

/// Who holds it; `None` if it is released or was never held.
pub(super) fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

/// How long it holds: what its holder promised, which may be another version of this program.
pub(super) fn duration(lease: &Lease) -> Duration {
    let seconds = lease
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_duration_seconds);
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(LEASE, Duration::from_secs)
}

/// The lease in the candidate's hands. With the resourceVersion of `before`, so that of two who
/// write the same the API server refuses one. Its times are for people: nothing is decided by
/// them.
pub(super) fn held(
    before: Option<&Lease>,
    candidate: &Candidate,
    caught_up: bool,
    now: Timestamp,
) -> Lease {
    let mut lease = before.cloned().unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(candidate.lease.clone()),
            namespace: Some(candidate.namespace.clone()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    let annotations = lease.metadata.annotations.get_or_insert_default();
    if caught_up {
        annotations.remove(CATCHING_UP);
    } else {
        annotations.insert(CATCHING_UP.to_owned(), "true".to_owned());
    }
    let ours = holder(&lease) == Some(candidate.identity.as_str());
    let old = lease.spec.take().unwrap_or_default();
    let transitions = old.lease_transitions.unwrap_or(0);
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(candidate.identity.clone()),
        lease_duration_seconds: Some(LEASE_SECONDS),
        renew_time: Some(MicroTime(now)),
        acquire_time: if ours {
            old.acquire_time.clone()
        } else {
            Some(MicroTime(now))
        },
        lease_transitions: Some(if ours {
            transitions
        } else {
            transitions.saturating_add(1)
        }),
        ..old
    });
    lease
}

/// Has its holder looked at everything that is there? So say those too who don't tell.
pub(crate) fn caught_up(lease: &Lease) -> bool {
    let annotations = lease.metadata.annotations.as_ref();
    annotations.is_none_or(|it| !it.contains_key(CATCHING_UP))
}

/// The lease in nobody's hands.
pub(super) fn released(before: &Lease, now: Timestamp) -> Lease {
    let mut lease = before.clone();
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = None;
    spec.lease_duration_seconds = Some(1); // other programs' way to say the same
    spec.renew_time = Some(MicroTime(now));
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_hands_is_counted_and_a_renewal_is_not() {
        let [ours, theirs] = [(); 2].map(|()| Candidate::new("ns", "lease"));
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = held(None, &ours, false, at(1));
        assert!(!caught_up(&first));
        let renewed = held(Some(&first), &ours, true, at(3));
        assert!(caught_up(&renewed));
        let renewed = renewed.spec.unwrap();
        assert_eq!(renewed.lease_transitions, Some(1));
        assert_eq!(renewed.acquire_time, Some(MicroTime(at(1))));
        assert_eq!(renewed.renew_time, Some(MicroTime(at(3))));
        let taken = held(Some(&first), &theirs, true, at(20));
        assert_eq!(holder(&taken), Some(theirs.identity.as_str()));
        assert_eq!(taken.spec.as_ref().unwrap().lease_transitions, Some(2));
        assert_eq!(duration(&taken), LEASE);
        assert_eq!(holder(&released(&taken, at(21))), None);
    }
}
