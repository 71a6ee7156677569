//! A real Envoy with real mTLS, certificates of the operator's authority, and a decision point that
//! does as it is told.

use std::sync::Arc;
use std::time::Duration;

use countersign_authority::Leaf;
use countersign_decision::Reason;
use countersign_extauthz::Settings;
use countersign_testbed::{Envoy, EnvoyConfig};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::fake_point::{FakePoint, allow, deny};
use crate::pki::{self, AGENT, TrustDomain};
use crate::serving::Serving;
use crate::upstream;

/// An agent's connection to Envoy.
struct Agent {
    send: SendRequest<Empty<Bytes>>,
    _connection: JoinSet<()>,
}

impl Agent {
    async fn connect(envoy: &Envoy, roots: &str, leaf: &Leaf) -> Self {
        let mut store = RootCertStore::empty();
        store
            .add(CertificateDer::from_pem_slice(roots.as_bytes()).unwrap())
            .unwrap();
        let chain = CertificateDer::pem_slice_iter(leaf.chain_pem.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_ref().unwrap().as_bytes());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(store)
            .with_client_auth_cert(chain.map(Result::unwrap).collect(), key.unwrap())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(envoy.address()).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector
            .connect("127.0.0.1".try_into().unwrap(), stream)
            .await
            .unwrap();
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (send, connection) = handshake.await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _gone = connection.await;
        });
        Self {
            send,
            _connection: tasks,
        }
    }

    async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> (Response<()>, Value) {
        let uri = format!("https://ledger{path}");
        let request = headers.iter().fold(Request::get(uri), |it, (name, value)| {
            it.header(*name, *value)
        });
        self.send.ready().await.unwrap();
        let response = self
            .send
            .send_request(request.body(Empty::new()).unwrap())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        (Response::from_parts(parts, ()), json)
    }
}

#[tokio::test]
async fn through_a_real_envoy_each_request_is_decided_and_nothing_goes_by() {
    let domain = TrustDomain::new();
    let (server_pem, server_key) = pki::server();
    let point = FakePoint::allowing();
    let serving = Serving::point(&point, Settings::default()).await;
    let behind = upstream::start().await;
    let config = EnvoyConfig::new(
        &server_pem,
        server_key,
        domain.bundle().pem(),
        behind.address,
    )
    .asking(serving.address)
    .route(
        "/tools/",
        &[("action", "invoke"), ("resourcePrefix", "prod")],
    );
    let config = in_time(config);
    let envoy = Envoy::start(&config).await.unwrap();
    let leaf = domain.issue(AGENT);
    let mut agent = Agent::connect(&envoy, &server_pem, &leaf).await;

    // Allowed: the service behind is told who it is, and not what the client made up.
    let forged = [
        ("x-countersign-agent", "spiffe://example.org/admin"),
        ("x-countersign-agent", "spiffe://example.org/root"),
        ("x-countersign-role", "admin"),
        ("x_countersign_agent", "spiffe://example.org/admin"),
        ("x-request-id", "made-up"),
    ];
    let (response, seen) = agent.get("/ledger/invoices/7?page=2", &forged).await;
    assert_eq!(response.status(), StatusCode::OK, "{seen}");
    assert_eq!(seen["x-countersign-agent"], serde_json::json!([AGENT]));
    assert_eq!(seen["x-countersign-owner"], serde_json::json!(["ada"]));
    assert_eq!(
        seen["x-countersign-requester"],
        serde_json::json!(["alice"])
    );
    assert_eq!(
        seen["x-countersign-decision"][0].as_str().unwrap().len(),
        32
    );
    for removed in ["x-countersign-role", "x_countersign_agent"] {
        assert_eq!(seen.get(removed), None, "{seen}");
    }
    let asked = point.last();
    assert_eq!(asked.agent, AGENT);
    assert_eq!(
        (&*asked.action, &*asked.resource.path),
        ("read", "ledger/invoices/7")
    );
    let der = pem::parse(&leaf.chain_pem).unwrap().into_contents();
    assert_eq!(asked.certificate.unwrap().der, der);
    assert_eq!(asked.call.source_ip, "127.0.0.1".parse().ok());
    assert_eq!(asked.call.bytes, 0);
    assert!(asked.call.request_id.is_some());

    // The route's own words.
    let (response, _) = agent.get("/tools/post_entry", &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    let asked = point.last();
    assert_eq!(
        (&*asked.action, &*asked.resource.path),
        ("invoke", "prod/tools/post_entry")
    );

    // What can't be decided doesn't get through; not even a request with two chains.
    let digest = countersign_statement::Digest::from_bytes([9; 32]).to_string();
    let chain = ("x-countersign-delegation", digest.as_str());
    let (response, _) = agent.get("/ledger", &[chain]).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(point.last().authority.is_some());
    let asked = point.asked();
    for (path, headers) in [
        ("/ledger", &[chain, chain][..]),
        ("/ledger/%2e%2e/admin", &[]),
        ("/ledger%2fadmin", &[]),
        ("/ledger//admin", &[]),
        ("/tools/..;/admin", &[]),
    ] {
        let (response, _) = agent.get(path, headers).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        assert_eq!(response.headers()["x-countersign-reason"], "BadRequest");
    }
    assert_eq!(point.asked(), asked);

    // The answer changes, the connection is the same: the next request is denied.
    point.answer(deny(Reason::RiskTooHigh));
    let (response, body) = agent.get("/ledger/invoices/7", &[]).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(response.headers()["x-countersign-reason"], "RiskTooHigh");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(body["reason"], "RiskTooHigh");
    let decision = body["decision"].as_str().unwrap().to_owned();
    assert_eq!(response.headers()["x-countersign-decision"], *decision);
    point.answer(deny(Reason::NotReady));
    let (response, _) = agent.get("/ledger/invoices/7", &[]).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["x-countersign-reason"], "NotReady");

    // And the decision is in Envoy's own log.
    let line = format!("GET /ledger/invoices/7 403 RiskTooHigh {decision}");
    let mut tries = 0;
    while !std::fs::read_to_string(envoy.access_log())
        .unwrap()
        .contains(&line)
    {
        tries += 1;
        assert!(tries < 100, "no {line}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // Without a decision point nobody gets in, by this connection or another.
    point.answer(allow);
    assert_eq!(agent.get("/ledger", &[]).await.0.status(), StatusCode::OK);
    drop(serving);
    for _ in 0..3 {
        let (response, _) = agent.get("/ledger", &[]).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    let mut another = Agent::connect(&envoy, &server_pem, &leaf).await;
    let (response, _) = another.get("/ledger", &[]).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

/// A busy machine is slow, and this is no test of speed.
fn in_time(mut config: EnvoyConfig) -> EnvoyConfig {
    if let Some(decisions) = &mut config.decisions {
        decisions.timeout = Duration::from_secs(10);
    }
    config
}
