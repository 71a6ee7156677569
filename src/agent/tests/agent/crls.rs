//! Revocation lists, as a client reads them that makes something of them: the public ones leave them.

use std::time::Duration;

use axum::http::uri::PathAndQuery;
use countersign_issuing::{Bytes, State};
use futures::StreamExt as _;
use prost::Message;
use tokio::time::timeout;
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

use crate::fake_issuer::FakeIssuer;
use crate::pod::{Pod, SOON};

/// Of `X509SVIDResponse`.
#[derive(Clone, PartialEq, Message)]
struct Svids {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    crl: Vec<Bytes>,
}

/// Of `X509BundlesResponse`.
#[derive(Clone, PartialEq, Message)]
struct Bundles {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    crl: Vec<Bytes>,
}

impl Pod {
    async fn stream<T: Message + Default + 'static>(&self, method: &str) -> Streaming<T> {
        let mut grpc = self.channel().await;
        let path: PathAndQuery = format!("/SpiffeWorkloadAPI/{method}").parse().unwrap();
        let mut request = Request::new(());
        let header = "true".parse().unwrap();
        request.metadata_mut().insert("workload.spiffe.io", header);
        let codec = ProstCodec::<(), T>::default();
        let answer = grpc.server_streaming(request, path, codec).await;
        answer.unwrap().into_inner()
    }
}

async fn next<T: 'static>(stream: &mut Streaming<T>) -> T {
    timeout(SOON, stream.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

/// The endpoint hands out these from now on.
fn give(issuer: &FakeIssuer, crls: Vec<Bytes>) {
    issuer.inner.crls(crls);
    issuer.inner.tell(State::Active, "Issuable");
}

#[tokio::test]
async fn a_list_that_changes_reaches_programs_and_a_forged_one_does_not() {
    let issuer = FakeIssuer::start().await;
    let pod = Pod::start(&issuer).await;
    let mut svids = pod.stream::<Svids>("FetchX509SVID").await;
    let mut bundles = pod.stream::<Bundles>("FetchX509Bundles").await;
    assert!(next(&mut svids).await.crl.is_empty());
    assert!(next(&mut bundles).await.crl.is_empty());
    let first = issuer.inner.crl("0a", 1);
    give(&issuer, vec![first.clone()]);
    assert_eq!(next(&mut svids).await.crl, vec![first.clone()]);
    assert_eq!(next(&mut bundles).await.crl, vec![first.clone()]);

    // Forged, torn, older, and none at all: what was there stays, and nobody is woken.
    let other = FakeIssuer::start().await;
    let second = issuer.inner.crl("0b", 2);
    for bad in [
        vec![other.inner.crl("0b", 9)],
        vec![second.slice(..second.len() - 1)],
        vec![issuer.inner.crl("0b", 0)],
        Vec::new(),
    ] {
        give(&issuer, bad);
        let silence = timeout(Duration::from_millis(300), svids.message()).await;
        assert!(silence.is_err(), "{silence:?}");
    }
    give(&issuer, vec![other.inner.crl("0b", 9), second.clone()]);
    assert_eq!(next(&mut svids).await.crl, vec![second.clone()]);
    assert_eq!(next(&mut bundles).await.crl, vec![second.clone()]);

    // Who comes later has it with the first answer.
    let mut later = pod.stream::<Svids>("FetchX509SVID").await;
    assert_eq!(next(&mut later).await.crl, [second]);

    // What a distrusted authority signed goes with it.
    issuer.inner.rotate(false);
    give(&issuer, Vec::new());
    assert!(next(&mut bundles).await.crl.is_empty());
}

#[tokio::test]
async fn who_asks_for_keys_of_tokens_is_not_woken_by_a_list() {
    let issuer = FakeIssuer::start().await;
    let pod = Pod::start(&issuer).await;
    let mut svids = pod.stream::<Svids>("FetchX509SVID").await;
    next(&mut svids).await;
    let client = pod.client().await;
    let mut keys = client.stream_jwt_bundles().await.unwrap();
    timeout(SOON, keys.next()).await.unwrap().unwrap().unwrap();
    give(&issuer, vec![issuer.inner.crl("0a", 1)]);
    assert_eq!(next(&mut svids).await.crl.len(), 1);
    let silence = timeout(Duration::from_millis(300), keys.next()).await;
    assert!(silence.is_err());
}
