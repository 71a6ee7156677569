//! A real Envoy between an agent and a service, with and without a decision for each request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use countersign_testbed::{Envoy, EnvoyConfig, EnvoyDecisions, EnvoyDecisionsTls, SanType};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::certificates::{Certificates, client};
use super::grpc::DELEGATION;
use super::measure::{Latency, Side, latency};
use super::scene::Credential;
use super::wire::{Door, get};

/// Of a request without a decision, and of one with.
pub(super) struct Passing {
    pub(super) without: Latency,
    pub(super) with: Latency,
}

/// An agent's requests over one mTLS connection to each of two Envoys, in turns; one of them asks the
/// decision point at `decisions`, by mTLS.
pub(super) async fn measure(
    certificates: &Certificates,
    agent: &Credential,
    question: &Value,
    decisions: SocketAddr,
    blocks: usize,
) -> Result<Passing> {
    let (upstream, _service) = service().await?;
    let config = EnvoyConfig::new(
        &certificates.server_pem,
        &certificates.server_key_pem,
        &agent.ca_pem,
        upstream,
    );
    let plain = Envoy::start(&config).await?;
    let asking = EnvoyConfig {
        decisions: Some(EnvoyDecisions {
            addresses: vec![decisions],
            tls: Some(EnvoyDecisionsTls {
                certificate_pem: certificates.client_pem.clone(),
                key_pem: certificates.client_key_pem.clone(),
                roots_pem: certificates.ca_pem.clone(),
                peer: (SanType::IpAddress, "127.0.0.1".to_owned()),
            }),
            token: None,
            timeout: Duration::from_millis(200),
        }),
        ..config
    };
    let asking = Envoy::start(&asking).await?;
    let tls = client(&certificates.ca_pem, &agent.chain_pem, &agent.key_pem)?;
    let tls = Arc::new(tls);
    let path = question.pointer("/resource/id").and_then(Value::as_str);
    let digest = question
        .pointer("/context/delegation")
        .and_then(Value::as_str);
    let path = format!("/{}", path.context("no resource")?);
    let header = format!("{DELEGATION}: {}\r\n", digest.context("no delegation")?);
    let side = |name, envoy: &Envoy| Side {
        name,
        door: Door {
            address: envoy.address(),
            tls: Some(Arc::clone(&tls)),
        },
        requests: vec![get(&path, &header)],
        allow: "here",
    };
    let sides = [side("Envoy", &plain), side("Envoy that asks", &asking)];
    let all = latency(&[&sides[0], &sides[1]], blocks).await?;
    match all[..] {
        [without, with] => Ok(Passing { without, with }),
        _ => anyhow::bail!("two sides have two latencies"),
    }
}

/// A service that says the same to everything.
async fn service() -> Result<(SocketAddr, JoinSet<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut tasks = JoinSet::new();
    tasks.spawn_local(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn_local(async move {
                let _gone = serve(stream).await;
            });
        }
    });
    Ok((address, tasks))
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    stream.set_nodelay(true)?;
    loop {
        request.clear();
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhere")
            .await?;
    }
}
