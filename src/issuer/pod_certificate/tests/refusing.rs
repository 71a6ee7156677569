//! Which refusals are for good.

use std::time::Duration;

use jiff::SignedDuration;

use super::fixture::start;
use crate::pod_certificate::answer::{Denial, Judged, judge};
use crate::{Reason, Refused};

const PATIENCE: Duration = Duration::from_secs(60);

const DENIED: Option<Judged> = None;
const RETRY: Option<Judged> = Some(Judged::Retry);

fn wait(seconds: u64) -> Option<Judged> {
    Some(Judged::Wait(Duration::from_secs(seconds)))
}

#[test]
fn what_may_mend_itself_stays_open() {
    let order = [wait(30), wait(1), DENIED];
    let state = [wait(30), wait(30), wait(30)];
    for (reason, judged) in [
        (Reason::TaskOver, [DENIED, DENIED, DENIED]),
        (Reason::IdentityEnded, [DENIED, DENIED, DENIED]),
        (Reason::BadRequest, [DENIED, DENIED, DENIED]),
        (Reason::TtlOutOfBounds, [DENIED, DENIED, DENIED]),
        (Reason::NoIdentity, order.clone()),
        (Reason::SeveralIdentities, order),
        (Reason::UnknownPod, [RETRY, RETRY, DENIED]),
        (Reason::IdentitySuspended, state.clone()),
        (Reason::NotReady, state),
        (Reason::Stale, [RETRY, RETRY, RETRY]),
        (Reason::AuditUnavailable, [RETRY, RETRY, RETRY]),
        (Reason::NoAuthority, [RETRY, RETRY, RETRY]),
        (Reason::Overloaded, [RETRY, RETRY, RETRY]),
    ] {
        for (seconds, expected) in [0, 59, 60].into_iter().zip(judged) {
            let refused = Refused {
                reason,
                message: "why".to_owned(),
            };
            let denial = Denial::new(reason.as_str(), "why".to_owned());
            let expected = expected.unwrap_or(Judged::Deny(denial));
            let judged = judge(refused, SignedDuration::from_secs(seconds), PATIENCE);
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
