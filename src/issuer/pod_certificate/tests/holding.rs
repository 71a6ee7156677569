//! What is kept of a request between its signature and its answer.

use std::time::Duration;

use k8s_openapi::api::certificates::v1::PodCertificateRequestStatus;
use tokio::time::advance;

use crate::pod_certificate::held::{Held, ToDo};

#[tokio::test(start_paused = true)]
async fn a_certificate_is_written_again_for_a_minute_and_then_asked_for_anew() {
    let held = Held::default();
    assert_eq!(held.to_do("u1"), ToDo::Everything);
    let status = PodCertificateRequestStatus {
        certificate_chain: Some("chain".to_owned()),
        ..PodCertificateRequestStatus::default()
    };
    held.signed("u1", status.clone());
    advance(Duration::from_secs(59)).await;
    assert_eq!(held.to_do("u1"), ToDo::Write(Box::new(status)));
    assert_eq!(held.to_do("u2"), ToDo::Everything);
    advance(Duration::from_secs(1)).await;
    assert_eq!(held.to_do("u1"), ToDo::Everything);
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_is_left_alone_until_it_is_gone() {
    let held = Held::default();
    held.answered("u1");
    advance(Duration::from_secs(3600)).await;
    assert_eq!(held.to_do("u1"), ToDo::Nothing);
    held.forget("u1");
    assert_eq!(held.to_do("u1"), ToDo::Everything);
    assert_eq!(held.len(), 0);
}
