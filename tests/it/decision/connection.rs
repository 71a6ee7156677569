//! One HTTP/1.1 connection that stays open.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
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
    /// By names in lower case.
    pub(super) headers: Vec<(String, String)>,
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
        Self::as_client(address, client_config(agent))
            .await
            .unwrap()
    }

    /// As whoever this makes of it; with TLS 1.3, the first answer tells whether it was let in.
    pub(super) async fn as_client(
        address: SocketAddr,
        client: ClientConfig,
    ) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let connector = TlsConnector::from(Arc::new(client));
        let name = ServerName::try_from("envoy").unwrap();
        let stream = connector.connect(name, stream).await?;
        Ok(Self {
            stream: BufReader::new(Box::new(stream)),
            token: String::new(),
        })
    }

    pub(super) async fn post(&mut self, path: &str, body: &[u8]) -> std::io::Result<Reply> {
        self.request("POST", path, body).await
    }

    pub(super) async fn get(&mut self, path: &str) -> std::io::Result<Reply> {
        self.request("GET", path, b"").await
    }

    async fn request(&mut self, method: &str, path: &str, body: &[u8]) -> std::io::Result<Reply> {
        self.send(method, path, &[], body).await
    }

    /// With more headers, whatever their values are.
    pub(super) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &[u8])],
        body: &[u8],
    ) -> std::io::Result<Reply> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: decide\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n",
            self.token,
            body.len(),
        );
        let mut head = head.into_bytes();
        for (name, value) in headers {
            head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        // In one piece: the second of two small ones would wait for the first's acknowledgement.
        head.extend(body);
        let out = self.stream.get_mut();
        out.write_all(&head).await?;
        out.flush().await?;
        self.reply().await
    }

    async fn reply(&mut self) -> std::io::Result<Reply> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let status = line.split(' ').nth(1).and_then(|it| it.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other(format!("no status: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            self.stream.read_line(&mut header).await?;
            let Some((name, value)) = header.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut reply = Reply {
            status,
            headers,
            body: Vec::new(),
        };
        let length = reply.header("content-length");
        let length = length.map_or(0, |it| it.parse().unwrap());
        reply.body.resize(length, 0);
        self.stream.read_exact(&mut reply.body).await?;
        Ok(reply)
    }
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {:?}", String::from_utf8_lossy(&self.body)))
    }
}
