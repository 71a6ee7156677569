//! The Workload API, as the Rust crate `spiffe` speaks it.

use std::time::Duration;

use axum::http::uri::PathAndQuery;
use spiffe::{BundleSource as _, TrustDomain, X509SourceBuilder};
use tokio::time::{Instant, timeout};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::fake_issuer::{AGENT, FakeIssuer};
use crate::pod::{Pod, SOON, until};

const AUDIENCE: &str = "https://ledger.example.org";

#[tokio::test]
async fn a_client_gets_its_certificate_and_whom_to_trust() {
    let issuer = FakeIssuer::start().await;
    let start = Instant::now();
    let pod = Pod::start(&issuer).await;
    let client = pod.client().await;
    let context = client.fetch_x509_context().await.unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    let svid = context.default_svid().unwrap();
    assert_eq!(svid.spiffe_id().to_string(), AGENT);
    let domain = TrustDomain::try_from("example.org").unwrap();
    let bundle = context.bundle_set().get(&domain).unwrap();
    assert_eq!(bundle.authorities().len(), 1);
    let bundles = client.fetch_x509_bundles().await.unwrap();
    assert_eq!(bundles.get(&domain).unwrap().authorities().len(), 1);
    eprintln!("from the sidecar's start to a certificate in a client's hands: {took:?}");
}

#[tokio::test]
async fn a_source_follows_renewals_and_each_has_another_key() {
    let issuer = FakeIssuer::start().await;
    issuer.inner.terms(60, 1);
    let pod = Pod::start(&issuer).await;
    let source = X509SourceBuilder::new().endpoint(pod.endpoint());
    let source = timeout(SOON, source.build()).await.unwrap().unwrap();
    let first = source.svid().unwrap();
    let other = async {
        while source.svid().unwrap() == first {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, other).await.unwrap();
    let second = source.svid().unwrap();
    assert_ne!(
        first.private_key().as_bytes(),
        second.private_key().as_bytes()
    );
    source.shutdown().await;
}

#[tokio::test]
async fn a_client_that_comes_before_there_is_an_identity_waits_for_it() {
    let issuer = FakeIssuer::start().await;
    issuer
        .inner
        .refuse(Some((Code::PermissionDenied, "NoIdentity")));
    issuer
        .inner
        .tell(countersign_issuing::State::Waiting, "NoIdentity");
    let pod = Pod::start(&issuer).await;
    let client = pod.client().await;
    let waiting = client.fetch_x509_svid();
    tokio::pin!(waiting);
    let early = timeout(Duration::from_millis(500), waiting.as_mut()).await;
    assert!(early.is_err(), "nothing is said yet");
    issuer.inner.refuse(None);
    issuer
        .inner
        .tell(countersign_issuing::State::Active, "Issuable");
    let svid = timeout(Duration::from_secs(2), waiting).await.unwrap();
    assert_eq!(svid.unwrap().spiffe_id().to_string(), AGENT);
}

#[tokio::test]
async fn tokens_are_had_for_an_audience_and_verified() {
    let issuer = FakeIssuer::start().await;
    let pod = Pod::start(&issuer).await;
    let client = pod.client().await;
    let svid = client.fetch_jwt_svid([AUDIENCE], None).await.unwrap();
    assert_eq!(svid.spiffe_id().to_string(), AGENT);
    assert_eq!(svid.audience(), [AUDIENCE]);
    let bundles = client.fetch_jwt_bundles().await.unwrap();
    let domain = TrustDomain::try_from("example.org").unwrap();
    let bundle = bundles.bundle_for_trust_domain(&domain).unwrap().unwrap();
    assert!(bundle.find_jwt_authority(svid.key_id()).is_some());

    let validated = client.validate_jwt_token(AUDIENCE, svid.token()).await;
    assert_eq!(validated.unwrap().spiffe_id().to_string(), AGENT);
    let other = client
        .validate_jwt_token("somebody else", svid.token())
        .await;
    assert!(other.is_err());
    let mut forged = svid.token().to_owned();
    let last = if forged.pop() == Some('A') { 'Q' } else { 'A' };
    forged.push(last);
    assert!(client.validate_jwt_token(AUDIENCE, &forged).await.is_err());

    issuer
        .inner
        .refuse(Some((Code::PermissionDenied, "TaskOver")));
    assert!(client.fetch_jwt_svid([AUDIENCE], None).await.is_err());
}

#[tokio::test]
async fn whoever_lacks_the_header_gets_nothing() {
    let issuer = FakeIssuer::start().await;
    let pod = Pod::start(&issuer).await;
    until(|| !issuer.inner.serials.lock().is_empty()).await;
    let mut grpc = pod.channel().await;
    for method in ["FetchX509SVID", "FetchX509Bundles", "FetchJWTBundles"] {
        let path = format!("/SpiffeWorkloadAPI/{method}");
        let path: PathAndQuery = path.parse().unwrap();
        for header in [None, Some("false")] {
            let mut request = Request::new(());
            if let Some(value) = header {
                let value = value.parse().unwrap();
                request.metadata_mut().insert("workload.spiffe.io", value);
            }
            grpc.ready().await.unwrap();
            let codec = ProstCodec::<(), ()>::default();
            let answer = grpc.server_streaming(request, path.clone(), codec).await;
            assert_eq!(
                answer.unwrap_err().code(),
                Code::InvalidArgument,
                "{method}"
            );
        }
    }
    for method in ["FetchJWTSVID", "ValidateJWTSVID"] {
        let path = format!("/SpiffeWorkloadAPI/{method}").parse().unwrap();
        grpc.ready().await.unwrap();
        let codec = ProstCodec::<(), ()>::default();
        let answer = grpc.unary(Request::new(()), path, codec).await;
        assert_eq!(
            answer.unwrap_err().code(),
            Code::InvalidArgument,
            "{method}"
        );
    }
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/SpiffeWorkloadAPI/Other");
    let codec = ProstCodec::<(), ()>::default();
    let answer = grpc.unary(Request::new(()), path, codec).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_socket_that_was_removed_is_there_again_with_the_same_certificate() {
    let issuer = FakeIssuer::start().await;
    let pod = Pod::start(&issuer).await;
    let first = pod.client().await.fetch_x509_svid().await.unwrap();
    std::fs::remove_file(pod.socket()).unwrap();
    until(|| pod.socket().exists()).await;
    let second = pod.client().await.fetch_x509_svid().await.unwrap();
    assert_eq!(first, second);
}
