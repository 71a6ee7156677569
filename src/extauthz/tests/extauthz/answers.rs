//! From an answer to what Envoy does, over a socket.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use countersign_decision::{Obligation, Reason};
use countersign_extauthz::envoy::{CheckRequest, CheckResponse, HeaderMap, HeaderValue, OVERWRITE};
use countersign_extauthz::{CHECK, Settings};
use countersign_statement::Digest;
use http::uri::PathAndQuery;
use prost::Message;
use tonic::Code;
use tonic::transport::Endpoint;

use crate::fake_point::{FakePoint, allow, deny};
use crate::pki::AGENT;
use crate::questions::{With as _, code, reason, request};
use crate::serving::{Serving, serve};

fn told(response: &CheckResponse) -> BTreeMap<&str, &str> {
    let ok = response.ok_response.as_ref().unwrap();
    assert!(ok.headers.iter().all(|it| it.append_action == OVERWRITE));
    let headers = ok.headers.iter().filter_map(|it| it.header.as_ref());
    let told: BTreeMap<_, _> = headers
        .map(|it| (it.key.as_str(), it.value.as_str()))
        .collect();
    assert_eq!(told.len(), ok.headers.len());
    assert!(
        ok.headers_to_remove
            .iter()
            .all(|it| !told.contains_key(it.as_str()))
    );
    told
}

fn removed(response: &CheckResponse) -> BTreeSet<&str> {
    let ok = response.ok_response.as_ref().unwrap();
    ok.headers_to_remove.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn the_service_behind_is_told_who_it_is() {
    let digest = Digest::from_bytes([9; 32]);
    let point = FakePoint::answering(move |question| {
        let mut answer = allow(question);
        let agent = answer.agent.as_mut().unwrap();
        agent.delegation = Some(digest);
        agent.depth = 2;
        answer
    });
    let (_serving, mut client) = serve(&point).await;
    let response = client.check(request()).await.unwrap();
    assert_eq!(code(&response), Code::Ok);
    assert_eq!(response.denied_response, None);
    let told = told(&response);
    let decision = told["x-countersign-decision"];
    assert_eq!(decision.len(), 32);
    assert_eq!(
        told,
        BTreeMap::from([
            ("x-countersign-agent", AGENT),
            ("x-countersign-owner", "ada"),
            ("x-countersign-requester", "alice"),
            ("x-countersign-decision", decision),
            ("x-countersign-delegation", digest.to_string().as_str()),
            ("x-countersign-delegation-depth", "2"),
        ])
    );
    assert_eq!(removed(&response), BTreeSet::new());
    let metadata = &response.dynamic_metadata.as_ref().unwrap().fields;
    assert_eq!(metadata["decision"].string_value, decision);
    assert_eq!(metadata["reason"].string_value, "Permitted");
}

#[tokio::test]
async fn what_a_client_claims_in_our_name_is_removed() {
    let point = FakePoint::answering(|question| {
        let mut answer = allow(question);
        answer.agent.as_mut().unwrap().requester = None;
        answer
    });
    let (_serving, mut client) = serve(&point).await;
    let forged = [
        "x-countersign-agent",
        "x-countersign-requester",
        "x-countersign-role",
        "x_countersign_agent",
        "x-countersign_owner",
        "x-countersign-",
        "x-countersignature",
    ];
    let mut joined = request();
    for name in forged {
        joined = joined.header(name, "mallory");
    }
    let raw = joined.clone().with(|_, http, _| {
        let headers = http.headers.drain().map(|(key, raw_value)| HeaderValue {
            key,
            value: String::new(),
            raw_value,
        });
        http.header_map = Some(HeaderMap {
            headers: headers.collect(),
        });
    });
    for request in [joined, raw] {
        let response = client.check(request).await.unwrap();
        assert_eq!(told(&response)["x-countersign-agent"], AGENT);
        let expected = [
            "x-countersign-requester",
            "x-countersign-delegation",
            "x-countersign-role",
            "x_countersign_agent",
            "x-countersign_owner",
            "x-countersign-",
        ];
        assert_eq!(removed(&response), BTreeSet::from(expected));
    }
}

#[tokio::test]
async fn an_allow_without_a_known_agent_claims_none() {
    let point = FakePoint::answering(|question| {
        let mut answer = allow(question);
        answer.agent = None;
        answer
    });
    let (_serving, mut client) = serve(&point).await;
    let response = client.check(request()).await.unwrap();
    assert_eq!(
        told(&response).into_keys().collect::<Vec<_>>(),
        ["x-countersign-decision"]
    );
    assert!(removed(&response).contains("x-countersign-agent"));
}

#[tokio::test]
async fn names_in_headers_are_visible_ascii() {
    let point = FakePoint::answering(|question| {
        let mut answer = allow(question);
        let agent = answer.agent.as_mut().unwrap();
        agent.requester = Some("Jörg\r\nx-admin: 1 100%".to_owned());
        answer
    });
    let (_serving, mut client) = serve(&point).await;
    let response = client.check(request()).await.unwrap();
    assert_eq!(
        told(&response)["x-countersign-requester"],
        "J%C3%B6rg%0D%0Ax-admin:%201%20100%25"
    );
}

#[tokio::test]
async fn a_deny_says_why_to_the_client() {
    let point = FakePoint::answering(deny(Reason::RiskTooHigh));
    let (_serving, mut client) = serve(&point).await;
    for (why, status) in [
        (Reason::RiskTooHigh, 403),
        (Reason::BadCertificate, 403),
        (Reason::NotReady, 503),
        (Reason::Overloaded, 503),
    ] {
        point.answer(deny(why));
        let response = client.check(request()).await.unwrap();
        assert_ne!(code(&response), Code::Ok);
        assert_eq!(response.ok_response, None);
        assert_eq!(reason(&response), why.as_str());
        let denied = response.denied_response.as_ref().unwrap();
        assert_eq!(denied.status.as_ref().unwrap().code, status);
        let body: serde_json::Value = serde_json::from_str(&denied.body).unwrap();
        assert_eq!(body["reason"], why.as_str());
        assert_eq!(body["explanation"], format!("because it is \"{why}\""));
        let metadata = &response.dynamic_metadata.as_ref().unwrap().fields;
        assert_eq!(body["decision"], *metadata["decision"].string_value);
        assert_eq!(metadata["reason"].string_value, why.as_str());
    }
}

#[tokio::test]
async fn an_allow_with_an_obligation_that_is_not_known_is_a_deny() {
    let obliged = |kinds: &'static [&str]| {
        FakePoint::answering(move |question| {
            let mut answer = allow(question);
            answer
                .obligations
                .extend(kinds.iter().map(|kind| Obligation {
                    kind: (*kind).to_owned(),
                    properties: "{}".to_owned(),
                }));
            answer
        })
    };
    let known = obliged(&["notification"]);
    let (_serving, mut client) = serve(&known).await;
    assert_eq!(code(&client.check(request()).await.unwrap()), Code::Ok);

    let unknown = obliged(&["notification", "step-up"]);
    let (_serving, mut client) = serve(&unknown).await;
    let response = client.check(request()).await.unwrap();
    assert_eq!(code(&response), Code::PermissionDenied);
    assert_eq!(reason(&response), "UnknownObligation");

    let known_obligations = BTreeSet::from(["notification", "step-up"].map(str::to_owned));
    let known_obligations = Arc::new(known_obligations);
    let settings = Settings {
        known_obligations,
        ..Settings::default()
    };
    let serving = Serving::point(&unknown, settings).await;
    let response = serving.client().await.check(request()).await.unwrap();
    assert_eq!(code(&response), Code::Ok);
}

/// As a `CheckRequest`, its first field is no message.
#[derive(Clone, PartialEq, Message)]
struct Nonsense {
    #[prost(bytes = "vec", tag = "1")]
    bytes: Vec<u8>,
}

#[tokio::test]
async fn what_is_no_message_is_denied_rather_than_answered_with_an_error() {
    let point = FakePoint::allowing();
    let serving = Serving::point(&point, Settings::default()).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", serving.address)).unwrap();
    let mut grpc = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    let mut not_utf8 = request().peer("aaaa", "").encode_to_vec();
    let at = not_utf8.windows(4).position(|it| it == b"aaaa").unwrap();
    not_utf8[at] = 0xff;
    let attributes = &not_utf8[not_utf8.len() - attributes_length(&not_utf8)..];
    for bytes in [vec![0xff; 50], attributes.to_vec()] {
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<Nonsense, CheckResponse>::default();
        let path = PathAndQuery::from_static(CHECK);
        let request = tonic::Request::new(Nonsense { bytes });
        let response = grpc.unary(request, path, codec).await.unwrap().into_inner();
        assert_eq!(code(&response), Code::PermissionDenied);
        assert_eq!(reason(&response), "BadRequest");
    }
    assert_eq!(point.asked(), 0);
}

/// The bytes of the one field of a `CheckRequest` that has more than 127 of them.
fn attributes_length(request: &[u8]) -> usize {
    let length = prost::encoding::decode_varint(&mut &request[1..]).unwrap();
    usize::try_from(length).unwrap()
}

#[tokio::test]
async fn many_headers_in_our_name_are_as_quick_as_few() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    let mut many: CheckRequest = request();
    for number in 0..10_000 {
        many = many.header(&format!("x-countersign-{number}"), "x");
    }
    let started = tokio::time::Instant::now();
    let response = client.check(many).await.unwrap();
    assert_eq!(removed(&response).len(), 10_001);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}
