//! Authorities that change, and endpoints that aren't the issuer.

use std::time::Duration;

use countersign_issuing::State;
use spiffe::{TrustDomain, X509Svid};
use tokio::time::{sleep, timeout};

use crate::fake_issuer::FakeIssuer;
use crate::pod::{Pod, SOON};

async fn another(pod: &Pod, than: &X509Svid) -> X509Svid {
    let client = pod.client().await;
    let look = async {
        loop {
            match client.fetch_x509_svid().await {
                Ok(svid) if svid != *than => return svid,
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(SOON, look).await.unwrap()
}

#[tokio::test]
async fn a_rotation_brings_a_new_certificate_and_both_roots() {
    let mut issuer = FakeIssuer::start().await;
    let pod = Pod::start(&issuer).await;
    let first = pod.client().await.fetch_x509_svid().await.unwrap();
    issuer.inner.rotate(true);
    issuer.inner.reissue();
    let second = another(&pod, &first).await;
    let domain = TrustDomain::try_from("example.org").unwrap();
    let bundles = pod.client().await.fetch_x509_bundles().await.unwrap();
    assert_eq!(bundles.get(&domain).unwrap().authorities().len(), 2);
    // The endpoint itself shows one of the new authority by now, which the pod's file doesn't have.
    issuer.inner.tell(State::Active, "Issuable");
    issuer.go_away().await;
    issuer.come_back().await;
    issuer.inner.reissue();
    another(&pod, &second).await;
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_is_trusted_no_more_is_replaced_unasked() {
    let issuer = FakeIssuer::start().await;
    let pod = Pod::start(&issuer).await;
    let first = pod.client().await.fetch_x509_svid().await.unwrap();
    issuer.inner.rotate(false);
    issuer.inner.tell(State::Active, "Issuable");
    another(&pod, &first).await;
}

#[tokio::test]
async fn an_endpoint_that_is_not_the_issuer_is_shown_no_token() {
    let issuer = FakeIssuer::start().await;
    issuer
        .inner
        .show("spiffe://example.org/ns/evil/agent/issuer/task/1");
    let pod = Pod::start(&issuer).await;
    sleep(Duration::from_secs(2)).await;
    assert!(issuer.inner.asked.lock().is_empty());
    drop(pod);
    // Nor one of other roots.
    issuer.inner.show(crate::fake_issuer::ISSUER);
    let pod = Pod::start_with(&issuer, |it| {
        issuer.inner.rotate(false);
        assert!(it.trust_bundle.exists());
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    assert!(issuer.inner.asked.lock().is_empty());
    drop(pod);
}
