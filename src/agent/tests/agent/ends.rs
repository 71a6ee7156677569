//! Suspended, over, and silent.

use std::time::Duration;

use countersign_issuing::State;
use futures::StreamExt as _;
use jiff::SignedDuration;
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use crate::fake_issuer::{AGENT, FakeIssuer};
use crate::pod::{Pod, SOON, until};

#[tokio::test]
async fn a_suspension_ends_streams_at_once_and_its_end_brings_another_certificate() {
    let issuer = FakeIssuer::start().await;
    let pod = Pod::start_with(&issuer, |it| {
        it.files = Some(it.socket.with_file_name("tls"));
    })
    .await;
    let key = pod.dir.path().join("tls").join("tls.key");
    let client = pod.client().await;
    let mut svids = client.stream_x509_svids().await.unwrap();
    let first = timeout(SOON, svids.next()).await.unwrap().unwrap().unwrap();
    until(|| key.exists()).await;

    issuer.inner.tell(State::Suspended, "RiskTooHigh");
    let start = Instant::now();
    let ended = timeout(SOON, svids.next()).await.unwrap().unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let error = ended.unwrap_err().to_string();
    assert!(
        error.contains("ermission") || error.contains("RiskTooHigh"),
        "{error}"
    );
    eprintln!("from the endpoint's word to the end of a stream: {took:?}");
    until(|| !key.exists()).await;
    assert!(client.fetch_x509_svid().await.is_err());
    assert!(client.fetch_jwt_svid(["a"], None).await.is_err());
    assert!(client.fetch_x509_bundles().await.is_err());

    issuer.inner.tell(State::Active, "Issuable");
    let again = async {
        loop {
            if let Ok(svid) = client.fetch_x509_svid().await {
                return svid;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let second = timeout(SOON, again).await.unwrap();
    assert_eq!(second.spiffe_id().to_string(), AGENT);
    assert_ne!(first, second);
    until(|| key.exists()).await;
}

#[tokio::test]
async fn a_sidecar_that_outlives_its_task_asks_for_nothing_more() {
    let issuer = FakeIssuer::start().await;
    issuer.inner.terms(60, 1);
    let pod = Pod::start(&issuer).await;
    let client = pod.client().await;
    client.fetch_x509_svid().await.unwrap();
    issuer.inner.tell(State::Ended, "TaskOver");
    let over = async { while client.fetch_x509_svid().await.is_ok() {} };
    timeout(Duration::from_secs(1), over).await.unwrap();
    // What was asked for in that moment may still be counted.
    sleep(Duration::from_millis(200)).await;
    let asked = issuer.inner.asked.lock().len();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(issuer.inner.asked.lock().len(), asked);
    assert!(client.fetch_x509_svid().await.is_err());
}

#[tokio::test]
async fn a_refusal_that_says_it_is_over_closes_too() {
    let issuer = FakeIssuer::start().await;
    issuer.inner.terms(60, 1);
    let pod = Pod::start(&issuer).await;
    let client = pod.client().await;
    let mut svids = client.stream_x509_svids().await.unwrap();
    timeout(SOON, svids.next()).await.unwrap().unwrap().unwrap();
    issuer
        .inner
        .refuse(Some((Code::PermissionDenied, "IdentityEnded")));
    let ended = async {
        loop {
            match svids.next().await {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    };
    timeout(SOON, ended).await.unwrap();
}

#[tokio::test]
async fn an_identity_that_is_gone_is_served_no_more() {
    let issuer = FakeIssuer::start().await;
    let pod = Pod::start(&issuer).await;
    let client = pod.client().await;
    let mut svids = client.stream_x509_svids().await.unwrap();
    timeout(SOON, svids.next()).await.unwrap().unwrap().unwrap();
    // Not ready is no end.
    issuer.inner.tell(State::Waiting, "NotReady");
    assert!(
        timeout(Duration::from_millis(500), svids.next())
            .await
            .is_err()
    );
    issuer.inner.tell(State::Waiting, "NoIdentity");
    let ended = timeout(Duration::from_secs(1), svids.next()).await.unwrap();
    assert!(ended.unwrap().is_err());
}

#[tokio::test]
async fn while_the_endpoint_is_away_the_certificate_is_served_until_its_end() {
    let mut issuer = FakeIssuer::start().await;
    issuer.inner.terms(4, 2);
    let pod = Pod::start(&issuer).await;
    let client = pod.client().await;
    let mut svids = client.stream_x509_svids().await.unwrap();
    timeout(SOON, svids.next()).await.unwrap().unwrap().unwrap();
    let had = Instant::now();
    issuer.go_away().await;
    let ended = timeout(SOON, svids.next()).await.unwrap().unwrap();
    assert!(ended.is_err());
    let served = had.elapsed();
    let span = Duration::from_secs(2)..Duration::from_secs(6);
    assert!(span.contains(&served), "{served:?}");
    issuer.come_back().await;
    let again = timeout(SOON, client.fetch_x509_svid()).await.unwrap();
    again.unwrap();
}

#[tokio::test]
async fn a_node_whose_clock_is_ten_minutes_ahead_has_a_certificate_and_asks_no_more_often() {
    let issuer = FakeIssuer::start().await;
    // By this node's clock both the endpoint's certificate and the pod's are over.
    issuer.inner.own_ttl(60);
    let pod = Pod::start_with(&issuer, |it| {
        it.clock = countersign_runtime::Clock::shifted(SignedDuration::from_mins(10));
    })
    .await;
    let svid = pod.client().await.fetch_x509_svid().await.unwrap();
    assert_eq!(svid.spiffe_id().to_string(), AGENT);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(issuer.inner.asked.lock().len(), 1);
}

#[tokio::test]
async fn an_endpoint_whose_certificate_was_over_long_ago_is_shown_no_token() {
    let issuer = FakeIssuer::start().await;
    issuer.inner.own_ttl(60);
    for minutes in [20, -20] {
        let pod = Pod::start_with(&issuer, |it| {
            it.clock = countersign_runtime::Clock::shifted(SignedDuration::from_mins(minutes));
        })
        .await;
        sleep(Duration::from_millis(1500)).await;
        assert!(issuer.inner.asked.lock().is_empty(), "{minutes}");
        drop(pod);
    }
}
