//! An agent on the other side of Envoy.

use std::net::SocketAddr;
use std::sync::Arc;

use countersign_authority::Leaf;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::tls;

/// Its one connection, HTTP/2 over TLS.
pub(crate) struct Agent {
    send: SendRequest<Empty<Bytes>>,
    _connection: JoinSet<()>,
}

/// What it got; `body` is null if it isn't JSON.
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// It didn't get in. With TLS 1.3 a client may only learn it with its first request.
#[derive(Debug)]
pub(crate) struct NotIn;

impl Agent {
    /// Connects and shows `leaf`, if any; the server's certificate must be of `roots`.
    pub(crate) async fn connect(
        address: SocketAddr,
        roots: &str,
        leaf: Option<&Leaf>,
    ) -> Result<Self, NotIn> {
        let connector = TlsConnector::from(Arc::new(tls::client(leaf, roots)));
        let stream = TcpStream::connect(address).await.unwrap();
        let name = "127.0.0.1".try_into().unwrap();
        let stream = connector.connect(name, stream).await.map_err(|_| NotIn)?;
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (send, connection) = handshake.await.map_err(|_| NotIn)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _gone = connection.await;
        });
        Ok(Self {
            send,
            _connection: tasks,
        })
    }

    pub(crate) async fn get(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Seen, NotIn> {
        let request = Request::get(format!("https://ledger{path}"));
        let with =
            |it: http::request::Builder, (name, value): &(&str, &str)| it.header(*name, *value);
        let request = headers.iter().fold(request, with);
        self.send.ready().await.map_err(|_| NotIn)?;
        let response = self.send.send_request(request.body(Empty::new()).unwrap());
        let (parts, body) = response.await.map_err(|_| NotIn)?.into_parts();
        let body = body.collect().await.map_err(|_| NotIn)?.to_bytes();
        Ok(Seen {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        })
    }
}
