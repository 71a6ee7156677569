//! Which refusals are for good.

use std::time::Duration;

use jiff::SignedDuration;

use super::fixture::start;
use crate::pod_certificate::answer::{Denial, Judged, judge};
use crate::{Reason, Refused};

const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a refusal is denied at once, and whether it is after a while.
const TABLE: [(Reason, bool, bool); 13] = [
    (Reason::TaskOver, true, true),
    (Reason::IdentityEnded, true, true),
    (Reason::BadRequest, true, true),
    (Reason::TtlOutOfBounds, true, true),
    (Reason::NoIdentity, false, true),
    (Reason::SeveralIdentities, false, true),
    (Reason::UnknownPod, false, true),
    (Reason::IdentitySuspended, false, false),
    (Reason::NotReady, false, false),
    (Reason::Stale, false, false),
    (Reason::AuditUnavailable, false, false),
    (Reason::NoAuthority, false, false),
    (Reason::Overloaded, false, false),
];

#[test]
fn what_may_mend_itself_stays_open() {
    for (reason, at_once, in_the_end) in TABLE {
        for (seconds, denied) in [
            (0, at_once),
            (59, at_once),
            (60, in_the_end),
            (1700, in_the_end),
        ] {
            let refused = Refused {
                reason,
                message: "why".to_owned(),
            };
            let judged = judge(refused, SignedDuration::from_secs(seconds), PATIENCE);
            let expected = if denied {
                Judged::Deny(Denial::new(reason.as_str(), "why".to_owned()))
            } else {
                Judged::Later
            };
            assert_eq!(judged, expected, "{reason} after {seconds} s");
        }
    }
}

#[test]
fn a_denial_is_one_condition_and_says_that_it_is_for_good() {
    let status = Denial::new("NoIdentity", "no identity is for it".to_owned()).status(start());
    let conditions = status.conditions.as_ref().unwrap();
    assert_eq!(conditions.len(), 1);
    let condition = &conditions[0];
    assert_eq!(
        (
            condition.type_.as_str(),
            condition.status.as_str(),
            condition.reason.as_str()
        ),
        ("Denied", "True", "NoIdentity")
    );
    assert_eq!(condition.last_transition_time.0, start());
    assert!(
        condition.message.contains("make the pod anew"),
        "{}",
        condition.message
    );
    assert!(status.certificate_chain.is_none() && status.begin_refresh_at.is_none());
    assert!(status.not_before.is_none() && status.not_after.is_none());
}

#[test]
fn a_message_has_its_bound_wherever_its_letters_end() {
    let status = Denial::new("BadRequest", "ü".repeat(5000)).status(start());
    let message = &status.conditions.unwrap()[0].message;
    assert!(message.chars().count() < 1200, "{}", message.len());
}
