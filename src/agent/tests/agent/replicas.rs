//! Several endpoints behind one address.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;
use tonic::Code;

use crate::fake_issuer::FakeIssuer;
use crate::pod::{Pod, until};

#[tokio::test]
async fn a_replica_that_cannot_answer_is_left_for_another() {
    let issuer = FakeIssuer::start().await;
    issuer.inner.refuse(Some((Code::Unavailable, "Stale")));
    let pod = Pod::start(&issuer).await;
    // Behind one address there may be several.
    until(|| issuer.inner.connections.load(Ordering::Relaxed) >= 3).await;
    issuer.inner.refuse(None);
    pod.client().await.fetch_x509_svid().await.unwrap();
    let made = issuer.inner.connections.load(Ordering::Relaxed);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(issuer.inner.connections.load(Ordering::Relaxed), made);
}
