//! A service that remembers what reached it.

use std::net::SocketAddr;
use std::sync::Arc;

use std::sync::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Answers every request without a body with 200.
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Backend {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::default();
        let mut serving = JoinSet::new();
        let remembered = Arc::clone(&seen);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&remembered)));
            }
        });
        Self {
            address,
            seen,
            _serving: serving,
        }
    }

    /// The heads of the requests that came since the last call.
    pub(super) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while stream.read_line(&mut line).await.is_ok_and(|it| it > 0) {
        if line == "\r\n" {
            seen.lock().unwrap().push(std::mem::take(&mut head));
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.get_mut().write_all(answer).await.ok();
        }
        head.push_str(&line);
        line.clear();
    }
}
