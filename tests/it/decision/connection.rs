//! One HTTP/1.1 connection that stays open.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::pki::{Credential, client_config};

trait Both: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

/// Kept alive by both sides.
pub(super) struct Connection {
    stream: BufReader<Box<dyn Both>>,
    token: String,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: &str, token: &str) -> std::io::Result<Self> {
        Ok(Self {
            stream: BufReader::new(Box::new(TcpStream::connect(address).await?)),
            token: token.to_owned(),
        })
    }

    /// With an agent's certificate, to whoever has one of the trust domain.
    pub(super) async fn as_agent(address: SocketAddr, agent: &Credential) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let connector = TlsConnector::from(Arc::new(client_config(agent)));
        let name = ServerName::try_from("envoy").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        Self {
            stream: BufReader::new(Box::new(stream)),
            token: String::new(),
        }
    }

    pub(super) async fn post(&mut self, path: &str, body: &[u8]) -> std::io::Result<Reply> {
        self.request("POST", path, body).await
    }

    pub(super) async fn get(&mut self, path: &str) -> std::io::Result<Reply> {
        self.request("GET", path, b"").await
    }

    async fn request(&mut self, method: &str, path: &str, body: &[u8]) -> std::io::Result<Reply> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: decide\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.token,
            body.len(),
        );
        let out = self.stream.get_mut();
        out.write_all(head.as_bytes()).await?;
        out.write_all(body).await?;
        out.flush().await?;
        self.reply().await
    }

    async fn reply(&mut self) -> std::io::Result<Reply> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let status = line.split(' ').nth(1).and_then(|it| it.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other(format!("no status: {line:?}")))?;
        let mut length = 0;
        loop {
            let mut header = String::new();
            self.stream.read_line(&mut header).await?;
            let header = header.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(Reply { status, body })
    }
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {:?}", String::from_utf8_lossy(&self.body)))
    }
}
