//! Strangers, and what the server does with them. Who is let in is tried on a real API server, in
//! `tests/it/scrape.rs`.

use std::net::SocketAddr;

use kube::{Client, Config};
use prometheus_client::metrics::counter::Counter;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::clock::Clock;

const LONG: Duration = Duration::from_secs(30);

/// Takes any certificate, as a scraper with `insecureSkipVerify` does.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// A server with so many places whose API server isn't there.
async fn start(places: usize) -> (SocketAddr, JoinSet<Result<Infallible, rustls::Error>>) {
    // The provider of kube's client, which a program chooses for all of it.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let mut registry = Registry::with_prefix("test");
    registry.register("things", "Things", Counter::<u64>::default());
    let nobody = Config::new("http://127.0.0.1:1".parse().unwrap());
    let access = Access::new(Client::try_from(nobody).unwrap());
    let certificate = Certificate::load(None, Clock::system()).unwrap();
    let mut scrapes = Scrapes::new(Arc::new(certificate), access, Arc::new(registry));
    scrapes.places = places;
    scrapes.patience = Patience {
        handshake: Duration::from_millis(300),
        head: Duration::from_millis(300),
        whole: Duration::from_secs(10),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(scrapes.serve(listener));
    (address, serving)
}

async fn connect(
    address: SocketAddr,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// Everything that comes after this was sent, to the end.
async fn told(address: SocketAddr, sent: &str) -> String {
    let mut stream = connect(address, &rustls::version::TLS13).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(LONG, stream.read_to_end(&mut answer)).await;
    drop(read.expect("it is never closed"));
    String::from_utf8(answer).unwrap()
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n{more}\r\n")
}

#[tokio::test]
async fn who_is_silent_loses_the_place() {
    let (address, _serving) = start(64).await;
    for first in ["", "G", "GET /metrics HTTP/1.1\r\nhost: a\r\n"] {
        assert_eq!(told(address, first).await, "", "{first:?}");
    }
    for first in [&b""[..], b"\x16\x03\x01", b"GET /metrics HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(first).await.unwrap();
        let mut rest = Vec::new();
        let read = timeout(LONG, stream.read_to_end(&mut rest)).await;
        drop(read.expect("it is never closed"));
        let rest = String::from_utf8_lossy(&rest);
        assert!(!rest.contains("test_things"), "without TLS: {rest}");
    }
}

#[tokio::test]
async fn who_comes_when_silent_ones_hold_all_places_is_answered_all_the_same() {
    let (address, _serving) = start(2).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let answer = timeout(LONG, told(address, &get("/metrics", ""))).await;
    assert!(answer.unwrap().starts_with("HTTP/1.1 401 "));
}

#[tokio::test]
async fn without_a_token_nobody_is_asked_about() {
    let (address, _serving) = start(64).await;
    // The API server isn't there: whoever asked it would be told 503.
    for more in [
        "",
        "authorization: Basic YTpi\r\n",
        "authorization: Bearer\r\n",
    ] {
        let answer = told(address, &get("/metrics", more)).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert!(answer.contains("www-authenticate: Bearer\r\n"), "{answer}");
        assert!(!answer.contains("test_things"), "{answer}");
    }
}

#[tokio::test]
async fn while_the_api_server_cant_be_asked_nobody_is_let_in_and_why_is_told() {
    let (address, _serving) = start(64).await;
    for _ in 0..2 {
        let answer = told(address, &get("/metrics", "authorization: Bearer abc\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(
            answer.contains("the API server can't be reached"),
            "{answer}"
        );
        assert!(!answer.contains("test_things"), "{answer}");
    }
}

#[tokio::test]
async fn nothing_else_is_there_and_each_connection_is_one_request() {
    let (address, _serving) = start(64).await;
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/metrics/",
        "//metrics",
        "/METRICS",
        "*",
    ] {
        let answer = told(address, &get(path, "authorization: Bearer abc\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 401"), "{path}: {answer}");
    }
    let post = "POST /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
    let answer = told(address, post).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let twice = get("/metrics", "").repeat(2);
    let answer = told(address, &twice).await;
    assert_eq!(answer.matches("HTTP/1.1 401 ").count(), 1, "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let (address, _serving) = start(64).await;
    let answer = told(address, &get("/metrics", &"x: y\r\n".repeat(200))).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let token = format!("authorization: Bearer {}\r\n", "a".repeat(60_000));
    let answer = told(address, &get("/metrics", &token)).await;
    // What is still on its way when the connection is closed may take the answer with it.
    let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 431 ");
    assert!(refused, "{answer}");
}

#[tokio::test]
async fn old_tls_is_not_spoken() {
    let (address, _serving) = start(64).await;
    connect(address, &rustls::version::TLS12).await.unwrap_err();
    connect(address, &rustls::version::TLS13).await.unwrap();
}
