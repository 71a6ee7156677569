#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

use std::net::SocketAddr;

use axum::Extension;
use axum::routing::get;
use countersign_decision::{Caller, Engine};
use countersign_runtime::Clock;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::*;
use crate::metrics::Metrics;
use crate::settings::{Rights, TokenFile};

const TOKEN: &str = "a-token-for-tests-long-enough";
const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n";
/// The preface of HTTP/2 and empty settings (RFC 9113, sections 3.4 and 6.5).
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

async fn answer(caller: Option<Extension<Caller>>) -> StatusCode {
    match caller {
        Some(_) => StatusCode::OK,
        None => StatusCode::UNAUTHORIZED,
    }
}

/// A server with places for so many.
async fn start(places: usize) -> (SocketAddr, JoinSet<Infallible>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let token = TokenFile {
        name: "tests".to_owned(),
        file,
        rights: Rights::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server {
        listener,
        tls: None,
        door: Door {
            callers: Arc::new(Callers::new(Vec::new(), vec![token], None)),
            engine: Arc::new(Engine::new(Arc::default(), Arc::default())),
            clock: Clock::system(),
            metrics: Metrics::register(&mut Registry::default()),
        },
        max_connections: places,
        patience: Patience {
            unknown: millis(300),
            ping: millis(200),
            pong: millis(200),
            ..Patience::default()
        },
    };
    let mut serving = JoinSet::new();
    serving.spawn(server.serve(Router::new().route("/", get(answer))));
    (address, serving, dir)
}

async fn open(address: SocketAddr, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(first).await.unwrap();
    stream
}

/// Reads to the end.
async fn until_closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    let read = timeout(Duration::from_secs(20), read).await;
    // With a reset, where something was still on its way.
    drop(read.expect("it is never closed"));
}

async fn ask(stream: &mut TcpStream, token: &str) -> String {
    let text = format!("{GET}authorization: Bearer {token}\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test]
async fn whoever_shows_nothing_loses_the_place() {
    let (address, _serving, _dir) = start(64).await;
    let endless = format!("{GET}x: {}", "a".repeat(100));
    let nobody = format!("{GET}\r\n");
    for first in [
        &b""[..],
        b"P",
        GET.as_bytes(),
        endless.as_bytes(),
        nobody.as_bytes(),
        HTTP2,
    ] {
        until_closed(open(address, first).await).await;
    }
}

#[tokio::test]
async fn who_asks_again_and_again_with_a_wrong_token_is_nobody() {
    let (address, _serving, _dir) = start(64).await;
    let mut stream = open(address, b"").await;
    let asking = async {
        loop {
            let wrong = format!("{GET}authorization: Bearer wrong\r\n\r\n");
            if stream.write_all(wrong.as_bytes()).await.is_err() {
                return;
            }
            let mut answer = [0; 1024];
            match stream.read(&mut answer).await {
                Ok(read) if read > 0 => assert!(answer.starts_with(b"HTTP/1.1 401")),
                _ => return,
            }
            sleep(millis(50)).await;
        }
    };
    timeout(Duration::from_secs(20), asking).await.unwrap();
}

#[tokio::test]
async fn a_caller_keeps_its_connection_and_gets_a_place_when_nobodies_hold_all() {
    let (address, _serving, _dir) = start(4).await;
    let mut nobodies = Vec::new();
    for _ in 0..4 {
        nobodies.push(open(address, b"").await);
    }
    let mut stream = open(address, b"").await;
    for _ in 0..3 {
        let told = timeout(Duration::from_secs(20), ask(&mut stream, TOKEN)).await;
        assert!(told.unwrap().starts_with("HTTP/1.1 200"));
        sleep(millis(400)).await; // longer than a stranger has
    }
}
