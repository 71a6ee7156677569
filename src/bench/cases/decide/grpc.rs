//! Envoy's question over gRPC, as Envoy puts it: one call at a time over one HTTP/2 connection.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use countersign_extauthz::CHECK;
use countersign_extauthz::envoy::{
    AttributeContext, CheckRequest, CheckResponse, HttpRequest, Peer, Request,
};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use serde_json::Value;

use super::measure::{BLOCK, Latency, WARM_UP};
use super::point::TOKEN;
use super::scene::Credential;
use super::wire::Door;

/// Before each message: not compressed, and its length (gRPC over HTTP/2, length-prefixed message).
const PREFIX: usize = 5;

/// So many blocks of [`BLOCK`] calls to the decision point.
pub(super) async fn latency(door: &Door, body: &Bytes, blocks: usize) -> Result<Latency> {
    let stream = TokioIo::new(door.connect().await?);
    let (mut send, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
    let connection = tokio::task::spawn_local(connection);
    for _ in 0..WARM_UP {
        check(&mut send, body).await?;
    }
    let mut took = Vec::with_capacity(blocks * BLOCK);
    for _ in 0..blocks * BLOCK {
        let started = Instant::now();
        check(&mut send, body).await?;
        took.push(started.elapsed().as_secs_f64() * 1e6);
    }
    connection.abort();
    Ok(Latency::of(took))
}

/// The question as Envoy puts it for an agent that showed its certificate.
pub(super) fn body(question: &Value, agent: &Credential) -> Result<Bytes> {
    let text = |pointer: &str| {
        let text = question.pointer(pointer).and_then(Value::as_str);
        text.with_context(|| format!("no {pointer} in a question"))
    };
    let delegation = text("/context/delegation")?.as_bytes().to_vec();
    let request = CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer {
                principal: text("/subject/id")?.to_owned(),
                certificate: encoded(&agent.chain_pem)?,
                ..Peer::default()
            }),
            request: Some(Request {
                http: Some(HttpRequest {
                    method: b"GET".to_vec(),
                    path: format!("/{}", text("/resource/id")?).into_bytes(),
                    headers: HashMap::from([(DELEGATION.to_owned(), delegation)]),
                    ..HttpRequest::default()
                }),
            }),
            ..AttributeContext::default()
        }),
    };
    let message = request.encode_to_vec();
    let mut body = vec![0];
    body.extend(u32::try_from(message.len())?.to_be_bytes());
    body.extend(message);
    Ok(body.into())
}

/// The header by which a chain is named.
pub(super) const DELEGATION: &str = "x-countersign-delegation";

async fn check(send: &mut SendRequest<Full<Bytes>>, body: &Bytes) -> Result<()> {
    send.ready().await?;
    let request = http::Request::post(format!("http://127.0.0.1{CHECK}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Full::new(body.clone()))?;
    let response = send.send_request(request).await?;
    let headers = response.headers().clone();
    let body = response.into_body().collect().await?.to_bytes();
    let message = body.slice(PREFIX.min(body.len())..);
    let answer = CheckResponse::decode(message)?;
    let code = answer.status.as_ref().map(|it| it.code);
    ensure!(
        code == Some(0) && !body.is_empty(),
        "not allowed: {answer:?}, {headers:?}"
    );
    Ok(())
}

/// The leaf in PEM, URL-encoded, as Envoy does it.
fn encoded(chain_pem: &str) -> Result<String> {
    let leaf = pem::parse_many(chain_pem)?.into_iter().next();
    let pem = pem::encode(&leaf.context("no certificate")?);
    let mut encoded = String::new();
    for byte in pem.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(encoded)
}
