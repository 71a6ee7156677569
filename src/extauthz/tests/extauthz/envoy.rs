//! A real Envoy with real mTLS, certificates of the operator's authority, and a decision point that
//! does as it is told.

use std::time::Duration;

use countersign_decision::Reason;
use countersign_extauthz::Settings;
use countersign_statement::Digest;
use countersign_testbed::{Envoy, EnvoyConfig, EnvoyDecisionsTls, SanType};
use http::StatusCode;
use serde_json::json;

use crate::agent::Agent;
use crate::fake_point::{FakePoint, allow, deny};
use crate::pki::{self, AGENT, TrustDomain};
use crate::serving::Serving;
use crate::upstream;

const GATEWAY: &str = "spiffe://example.org/gateway";
const POINT: &str = "spiffe://example.org/decision-point";

/// An Envoy's configuration, and what its certificate verifies against.
fn config(domain: &TrustDomain, behind: &Serving, point: &Serving) -> (EnvoyConfig, String) {
    let (certificate, key) = pki::server();
    let roots = domain.bundle().pem();
    let mut config = EnvoyConfig::new(&certificate, key, roots, behind.address)
        .asking(point.address)
        .route(
            "/tools/",
            &[("action", "invoke"), ("resourcePrefix", "prod")],
        );
    // A busy machine is slow, and this is no test of speed.
    config.decisions.as_mut().unwrap().timeout = Duration::from_secs(10);
    (config, certificate)
}

#[tokio::test]
async fn through_a_real_envoy_each_request_is_decided_and_nothing_goes_by() {
    let domain = TrustDomain::new();
    let point = FakePoint::allowing();
    let serving = Serving::point(&point, Settings::default()).await;
    let behind = upstream::start().await;
    let (config, roots) = config(&domain, &behind, &serving);
    let envoy = Envoy::start(&config).await.unwrap();
    let leaf = domain.issue(AGENT);
    let mut agent = Agent::connect(envoy.address(), &roots, Some(&leaf))
        .await
        .unwrap();

    // Allowed: the service behind is told who it is, and not what the client made up.
    let forged = [
        ("x-countersign-agent", "spiffe://example.org/admin"),
        ("x-countersign-agent", "spiffe://example.org/root"),
        ("x-countersign-role", "admin"),
        ("x_countersign_agent", "spiffe://example.org/admin"),
    ];
    let seen = agent
        .get("/ledger/invoices/7?page=2", &forged)
        .await
        .unwrap();
    assert_eq!(seen.status, StatusCode::OK);
    assert_eq!(seen.body["x-countersign-agent"], json!([AGENT]));
    assert_eq!(seen.body["x-countersign-owner"], json!(["ada"]));
    assert_eq!(seen.body["x-countersign-requester"], json!(["alice"]));
    let decision = &seen.body["x-countersign-decision"][0];
    assert_eq!(decision.as_str().unwrap().len(), 32);
    for removed in ["x-countersign-role", "x_countersign_agent"] {
        assert_eq!(seen.body.get(removed), None, "{}", seen.body);
    }
    let asked = point.last();
    assert_eq!(asked.agent, AGENT);
    assert_eq!(asked.action, "read");
    assert_eq!(asked.resource.path, "ledger/invoices/7");
    let der = pem::parse(&leaf.chain_pem).unwrap().into_contents();
    assert_eq!(asked.certificate.unwrap().der, der);
    assert_eq!(asked.call.source_ip, "127.0.0.1".parse().ok());
    assert_eq!(asked.call.bytes, 0);
    assert!(asked.call.request_id.is_some());

    // The route's own words.
    let seen = agent.get("/tools/post_entry", &[]).await.unwrap();
    assert_eq!(seen.status, StatusCode::OK);
    assert_eq!(point.last().action, "invoke");
    assert_eq!(point.last().resource.path, "prod/tools/post_entry");

    // What can't be decided doesn't get through; not even a request with two chains.
    let digest = Digest::from_bytes([9; 32]).to_string();
    let chain = ("x-countersign-delegation", digest.as_str());
    let seen = agent.get("/ledger", &[chain]).await.unwrap();
    assert_eq!(seen.status, StatusCode::OK);
    assert_eq!(seen.body.get("x-countersign-delegation"), None); // the point knows of no chain
    assert!(point.last().authority.is_some());
    let asked = point.asked();
    for (path, headers) in [
        ("/ledger", &[chain, chain][..]),
        ("/ledger/%2e%2e/admin", &[]),
        ("/ledger%2fadmin", &[]),
        ("/ledger//admin", &[]),
        ("/tools/..;/admin", &[]),
    ] {
        let seen = agent.get(path, headers).await.unwrap();
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(seen.headers["x-countersign-reason"], "BadRequest");
    }
    assert_eq!(point.asked(), asked);

    // The answer changes, the connection is the same: the next request is denied.
    point.answer(deny(Reason::RiskTooHigh));
    let seen = agent.get("/ledger/invoices/7", &[]).await.unwrap();
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    assert_eq!(seen.headers["x-countersign-reason"], "RiskTooHigh");
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(seen.body["reason"], "RiskTooHigh");
    let decision = seen.body["decision"].as_str().unwrap();
    assert_eq!(seen.headers["x-countersign-decision"], *decision);
    logged(
        &envoy,
        &format!("GET /ledger/invoices/7 403 RiskTooHigh {decision}"),
    )
    .await;
    point.answer(deny(Reason::NotReady));
    let seen = agent.get("/ledger/invoices/7", &[]).await.unwrap();
    assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(seen.headers["x-countersign-reason"], "NotReady");

    // Without a decision point nobody gets in, by this connection or another.
    point.answer(allow);
    assert_eq!(
        agent.get("/ledger", &[]).await.unwrap().status,
        StatusCode::OK
    );
    drop(serving);
    let mut another = Agent::connect(envoy.address(), &roots, Some(&leaf))
        .await
        .unwrap();
    for agent in [&mut agent, &mut another] {
        let seen = agent.get("/ledger", &[]).await.unwrap();
        assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[tokio::test]
async fn who_shows_no_certificate_of_the_trust_domain_is_not_even_asked_about() {
    let domain = TrustDomain::new();
    let point = FakePoint::allowing();
    let serving = Serving::point(&point, Settings::default()).await;
    let behind = upstream::start().await;
    let (config, roots) = config(&domain, &behind, &serving);
    let envoy = Envoy::start(&config).await.unwrap();
    let of_another = TrustDomain::new().issue(AGENT);
    for leaf in [None, Some(&of_another)] {
        if let Ok(mut agent) = Agent::connect(envoy.address(), &roots, leaf).await {
            assert!(agent.get("/ledger", &[]).await.is_err());
        }
    }
    assert_eq!(point.asked(), 0);
}

#[tokio::test]
async fn envoy_and_the_decision_point_know_each_other_by_mtls() {
    let domain = TrustDomain::new();
    let point = FakePoint::allowing();
    let own = domain.issue(POINT);
    let serving = Serving::point_over_tls(&point, &own, &domain).await;
    let behind = upstream::start().await;
    let (mut config, roots) = config(&domain, &behind, &serving);
    let gateway = domain.issue(GATEWAY);
    for (peer, status) in [
        (POINT, StatusCode::OK),
        (
            "spiffe://example.org/impostor",
            StatusCode::SERVICE_UNAVAILABLE,
        ),
    ] {
        config.decisions.as_mut().unwrap().tls = Some(EnvoyDecisionsTls {
            certificate_pem: gateway.chain_pem.clone(),
            key_pem: gateway.key_pem.as_ref().unwrap().to_string(),
            roots_pem: domain.bundle().pem(),
            peer: (SanType::Uri, peer.to_owned()),
        });
        let envoy = Envoy::start(&config).await.unwrap();
        let leaf = domain.issue(AGENT);
        let mut agent = Agent::connect(envoy.address(), &roots, Some(&leaf))
            .await
            .unwrap();
        assert_eq!(agent.get("/ledger", &[]).await.unwrap().status, status);
    }
    assert_eq!(point.asked(), 1);
}

async fn logged(envoy: &Envoy, line: &str) {
    const TRIES: usize = 200;
    for _ in 0..TRIES {
        if std::fs::read_to_string(envoy.access_log())
            .unwrap()
            .contains(line)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("Envoy's access log has no {line}");
}
