//! Serves routers on loopback, over HTTP/1.1 and HTTP/2 in the clear.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::{Extension, Router};
use countersign_decision::Caller;
use countersign_extauthz::{Client, Settings, service};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

use crate::fake_point::FakePoint;

/// A server; it ends, with all connections, with the value.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Serving {
    pub(crate) async fn router(router: Router) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let router = TowerToHyperService::new(router.clone());
                connections.spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _gone = server.serve_connection(TokioIo::new(stream), router).await;
                });
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }

    /// The service over `point`, for a caller that was authenticated as `gateway`.
    pub(crate) async fn point(point: &Arc<FakePoint>, settings: Settings) -> Self {
        let caller = Caller {
            name: "gateway".to_owned(),
            vouches: false,
            authoritative: false,
        };
        let router = service(Arc::clone(point) as _, settings).layer(Extension(caller));
        Self::router(router).await
    }

    pub(crate) async fn client(&self) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        Client::new(endpoint.connect().await.unwrap())
    }
}

/// The service over `point`, with default settings, and a client.
pub(crate) async fn serve(point: &Arc<FakePoint>) -> (Serving, Client) {
    let serving = Serving::point(point, Settings::default()).await;
    let client = serving.client().await;
    (serving, client)
}
