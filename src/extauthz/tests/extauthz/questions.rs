//! From a request to a question, over a socket.

use std::collections::HashMap;

use countersign_decision::Authority;
use countersign_extauthz::Client;
use countersign_extauthz::envoy::{
    Address, AttributeContext, CheckRequest, CheckResponse, HeaderMap, HeaderValue, HttpRequest,
    Peer, Request, SocketAddress,
};
use countersign_statement::Digest;
use tonic::Code;

use crate::fake_point::FakePoint;
use crate::pki::{AGENT, OTHER, TrustDomain, self_signed, url_encoded};
use crate::serving::{Serving, serve};

/// A request that Envoy could send: `GET /ledger/invoices/7`, without a certificate.
pub(crate) fn request() -> CheckRequest {
    let http = HttpRequest {
        method: b"GET".to_vec(),
        headers: HashMap::from([(":authority".to_owned(), b"ledger".to_vec())]),
        path: b"/ledger/invoices/7?page=2".to_vec(),
        header_map: None,
    };
    let address = SocketAddress {
        address: "10.1.2.3".to_owned(),
    };
    let source = Peer {
        address: Some(Address {
            socket_address: Some(address),
        }),
        principal: AGENT.to_owned(),
        certificate: String::new(),
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(source),
            request: Some(Request { http: Some(http) }),
            context_extensions: HashMap::new(),
        }),
    }
}

/// Changes of it.
pub(crate) trait With: Sized {
    fn with(
        self,
        change: impl FnOnce(&mut Peer, &mut HttpRequest, &mut HashMap<String, String>),
    ) -> Self;

    fn method(self, method: &str) -> Self {
        self.with(|_, http, _| http.method = method.into())
    }

    fn path(self, path: &[u8]) -> Self {
        self.with(|_, http, _| http.path = path.to_vec())
    }

    fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref().to_vec();
        self.with(|_, http, _| drop(http.headers.insert(name.to_owned(), value)))
    }

    fn extension(self, name: &str, value: &str) -> Self {
        self.with(|_, _, it| drop(it.insert(name.to_owned(), value.to_owned())))
    }

    fn peer(self, principal: &str, certificate: &str) -> Self {
        self.with(|peer, _, _| {
            peer.principal = principal.to_owned();
            peer.certificate = certificate.to_owned();
        })
    }
}

impl With for CheckRequest {
    fn with(
        mut self,
        change: impl FnOnce(&mut Peer, &mut HttpRequest, &mut HashMap<String, String>),
    ) -> Self {
        let attributes = self.attributes.as_mut().unwrap();
        let http = attributes.request.as_mut().unwrap().http.as_mut().unwrap();
        let peer = attributes.source.as_mut().unwrap();
        change(peer, http, &mut attributes.context_extensions);
        self
    }
}

pub(crate) fn code(response: &CheckResponse) -> Code {
    Code::from_i32(response.status.as_ref().unwrap().code)
}

pub(crate) fn reason(response: &CheckResponse) -> &str {
    let denied = response.denied_response.as_ref().unwrap();
    let headers = denied.headers.iter().filter_map(|it| it.header.as_ref());
    let mut reasons = headers.filter(|it| it.key == "x-countersign-reason");
    &reasons.next().unwrap().value
}

async fn refused(client: &mut Client, request: CheckRequest, why: &str) {
    let response = client.check(request.clone()).await.unwrap();
    assert_eq!(code(&response), Code::PermissionDenied, "{request:?}");
    assert_eq!(reason(&response), why, "{request:?}");
    assert_eq!(response.ok_response, None);
}

#[tokio::test]
async fn method_and_path_are_action_and_resource() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    for (method, action, destructive) in [
        ("GET", "read", false),
        ("HEAD", "read", false),
        ("POST", "create", false),
        ("PUT", "write", false),
        ("PATCH", "update", false),
        ("DELETE", "delete", true),
        ("OPTIONS", "options", false),
        ("PROPFIND", "propfind", false),
    ] {
        client.check(request().method(method)).await.unwrap();
        let question = point.last();
        assert_eq!(question.action, action);
        assert_eq!(question.call.destructive, destructive);
        assert_eq!(question.resource.path, "ledger/invoices/7");
        assert_eq!(question.resource.kind, "");
        assert_eq!(question.agent, AGENT);
        assert_eq!(question.certificate, None);
        assert_eq!(question.authority, None);
        assert_eq!(question.call.source_ip, "10.1.2.3".parse().ok());
    }
    assert_eq!(point.last_caller().name, "gateway");
}

#[tokio::test]
async fn a_method_that_looks_like_an_action_is_refused() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    for method in [
        "", "READ", "WRITE", "get", "delete", "*", "GET ", "G\u{e9}T",
    ] {
        refused(&mut client, request().method(method), "BadRequest").await;
    }
    assert_eq!(point.asked(), 0);
}

#[tokio::test]
async fn a_route_names_action_resource_and_call() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    let route = request()
        .extension("action", "invoke")
        .extension("resource", "tools/ledger")
        .extension("resourceType", "tool")
        .extension("tool", "post_entry")
        .extension("audience", "auditors")
        .extension("destructive", "true")
        .extension("somebody-elses", "");
    client.check(route).await.unwrap();
    let question = point.last();
    assert_eq!(question.action, "invoke");
    assert_eq!(question.resource.path, "tools/ledger");
    assert_eq!(question.resource.kind, "tool");
    assert_eq!(question.call.tool.as_deref(), Some("post_entry"));
    assert_eq!(question.call.audience.as_deref(), Some("auditors"));
    assert!(question.call.destructive);

    let harmless = request().method("DELETE").extension("destructive", "false");
    client.check(harmless).await.unwrap();
    assert!(!point.last().call.destructive);
}

#[tokio::test]
async fn a_prefix_stands_before_the_path() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    for (prefix, path, resource) in [
        ("prod", "/ledger/7", "prod/ledger/7"),
        ("prod/eu/", "/ledger", "prod/eu/ledger"),
        ("prod", "/?x", "prod"),
    ] {
        let request = request().path(path.as_bytes());
        client
            .check(request.extension("resourcePrefix", prefix))
            .await
            .unwrap();
        assert_eq!(point.last().resource.path, resource);
    }
}

#[tokio::test]
async fn a_route_that_contradicts_itself_is_refused() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    for request in [
        request().extension("action", ""),
        request().extension("resource", ""),
        request().extension("destructive", "yes"),
        request()
            .extension("resource", "a")
            .extension("resourcePrefix", "b"),
        request().path(b"/"),
    ] {
        refused(&mut client, request, "BadRequest").await;
    }
}

#[tokio::test]
async fn a_path_that_services_read_in_several_ways_is_refused_even_for_a_named_resource() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    for path in [
        &b"/a/../b"[..],
        b"/a%2fb",
        b"//",
        b"/a\\b",
        b"/a%0a",
        b"/a;b",
        b"*",
        b"",
        b"/\xff",
    ] {
        refused(&mut client, request().path(path), "BadRequest").await;
        let named = request().path(path).extension("resource", "a");
        refused(&mut client, named, "BadRequest").await;
    }
    let other_method = request().header("x-http-method-override", "DELETE");
    refused(&mut client, other_method, "BadRequest").await;
    let other_path = request().header("x_original_url", "/admin");
    refused(&mut client, other_path, "BadRequest").await;
}

#[tokio::test]
async fn a_chain_comes_by_its_digest_or_whole() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    let digest = Digest::from_bytes([9; 32]);
    let by_digest = request().header("x-countersign-delegation", digest.to_string());
    client.check(by_digest).await.unwrap();
    assert_eq!(point.last().authority, Some(Authority::Digest(digest)));

    let whole = request().header("x-countersign-delegation", "aa.bb.cc~dd.ee.ff");
    client.check(whole).await.unwrap();
    let statements = vec!["aa.bb.cc".to_owned(), "dd.ee.ff".to_owned()];
    assert_eq!(
        point.last().authority,
        Some(Authority::Statements(statements))
    );
}

#[tokio::test]
async fn two_chains_or_none_that_can_be_read_are_refused() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    let digest = Digest::from_bytes([9; 32]).to_string();
    for value in [
        String::new(),
        "nonsense".to_owned(),
        format!("{digest},{digest}"),
        "a.b.c~".to_owned(),
        format!("a.b.{}", "c".repeat(9000)),
    ] {
        let request = request().header("x-countersign-delegation", value);
        refused(&mut client, request, "BadRequest").await;
    }
    let underscored = request()
        .header("x-countersign-delegation", &digest)
        .header("x_countersign_delegation", &digest);
    refused(&mut client, underscored, "BadRequest").await;

    let raw = |name: &str| HeaderValue {
        key: name.to_owned(),
        value: String::new(),
        raw_value: digest.clone().into_bytes(),
    };
    let twice = request().with(|_, http, _| {
        http.headers.clear();
        http.header_map = Some(HeaderMap {
            headers: vec![
                raw("x-countersign-delegation"),
                raw("x-countersign-delegation"),
            ],
        });
    });
    refused(&mut client, twice.clone(), "BadRequest").await;
    let once = twice.with(|_, http, _| drop(http.header_map.as_mut().unwrap().headers.pop()));
    client.check(once).await.unwrap();
    assert!(point.last().authority.is_some());
}

#[tokio::test]
async fn the_length_of_a_body_is_what_the_headers_say_and_too_much_if_they_say_nothing() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    let unknown = u64::try_from(i64::MAX).unwrap();
    for (request, bytes) in [
        (request(), 0),
        (request().header("content-length", "12"), 12),
        (request().method("POST").header("content-length", "0"), 0),
        (request().method("POST"), unknown),
        (request().header("transfer-encoding", "chunked"), unknown),
    ] {
        client.check(request).await.unwrap();
        assert_eq!(point.last().call.bytes, bytes);
    }
    for length in ["", "-1", "1,1", "0x10", "99999999999999999999"] {
        let request = request().header("content-length", length);
        refused(&mut client, request, "BadRequest").await;
    }
}

#[tokio::test]
async fn a_request_id_is_passed_on_unless_it_is_odd() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    client
        .check(request().header("x-request-id", "7f-3"))
        .await
        .unwrap();
    assert_eq!(point.last().call.request_id.as_deref(), Some("7f-3"));
    for odd in [
        b"".to_vec(),
        b"a b".to_vec(),
        b"\xff".to_vec(),
        vec![b'a'; 129],
    ] {
        client
            .check(request().header("x-request-id", odd))
            .await
            .unwrap();
        assert_eq!(point.last().call.request_id, None);
    }
}

#[tokio::test]
async fn the_leaf_of_the_peers_certificate_is_presented() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    let domain = TrustDomain::new();
    let leaf = domain.issue(AGENT).chain_pem;
    let chain = format!("{leaf}{}", domain.bundle().pem());
    for pem in [&leaf, &chain] {
        let response = client
            .check(request().peer(AGENT, &url_encoded(pem)))
            .await
            .unwrap();
        assert_eq!(code(&response), Code::Ok);
        let der = point.last().certificate.unwrap().der;
        assert_eq!(der, pem::parse(&leaf).unwrap().contents());
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_prove_the_agent_is_asked_about_and_denied_whatever_is_answered()
 {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    let others = url_encoded(&TrustDomain::new().issue(OTHER).chain_pem);
    let good = url_encoded(&self_signed(&[AGENT]));
    for (asked, (principal, certificate)) in [
        (AGENT, others.clone()),
        (AGENT, url_encoded(&self_signed(&[AGENT, OTHER]))),
        (AGENT, url_encoded(&self_signed(&[]))),
        (AGENT, good.replace("CERTIFICATE", "PUBLIC%20KEY")),
        (AGENT, good.replace("%0A", "%")),
        (AGENT, "%00".to_owned()),
        (
            AGENT,
            url_encoded(&pem::encode(&pem::Pem::new("CERTIFICATE", *b"nonsense"))),
        ),
        (AGENT, "A".repeat(100_000)),
        ("", String::new()),
        ("", good.clone()),
        ("CN=reader", String::new()),
        ("spiffe://example.org", String::new()),
    ]
    .into_iter()
    .enumerate()
    {
        let request = request().peer(principal, &certificate);
        refused(&mut client, request, "BadCertificate").await;
        assert_eq!(point.asked(), asked + 1); // so that it is on record
        assert!(point.last().call.doubt.is_some());
        let question = point.last();
        assert_eq!(question.certificate.is_some(), !certificate.is_empty());
    }
    let without_source = CheckRequest {
        attributes: request()
            .attributes
            .map(|it| AttributeContext { source: None, ..it }),
    };
    refused(&mut client, without_source, "BadCertificate").await;
}

#[tokio::test]
async fn what_is_no_http_request_is_refused() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    refused(&mut client, CheckRequest::default(), "BadRequest").await;
    let empty = CheckRequest {
        attributes: Some(AttributeContext::default()),
    };
    refused(&mut client, empty, "BadRequest").await;
    assert_eq!(point.asked(), 0);
}

#[tokio::test]
async fn what_cannot_be_asked_is_told_as_it_was_sent() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    let odd = request()
        .path(b"/a/%2e%2e/b?access_token=secret")
        .header("x-request-id", "7f-3");
    refused(&mut client, odd, "BadRequest").await;
    let sent = point.refused();
    assert_eq!(sent.agent, AGENT);
    assert_eq!(
        (sent.action.as_str(), sent.resource.path.as_str()),
        ("GET", "/a/%2e%2e/b")
    );
    assert_eq!(sent.call.request_id.as_deref(), Some("7f-3"));
    assert_eq!(point.asked(), 0);
}

#[tokio::test]
async fn who_was_not_authenticated_gets_no_answer() {
    let point = FakePoint::allowing();
    let router = countersign_extauthz::service(point.clone(), Default::default());
    let serving = Serving::router(router).await;
    let mut client = serving.client().await;
    let error = client.check(request()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
    let error = client.watch(Default::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
    assert_eq!(point.asked(), 0);
}

#[tokio::test]
async fn a_request_that_is_too_large_is_an_error_and_no_allow() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    let large = request().header("x-large", vec![b'a'; 600 * 1024]);
    let error = client.check(large).await.unwrap_err();
    assert_eq!(error.code(), Code::OutOfRange);
    assert_eq!(point.asked(), 0);
    assert_eq!(code(&client.check(request()).await.unwrap()), Code::Ok);
}
