//! Serves routers on loopback, over HTTP/1.1 and HTTP/2, in the clear or with mTLS.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::{Extension, Router};
use countersign_authority::Leaf;
use countersign_decision::Caller;
use countersign_extauthz::{Client, Settings, service};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tonic::transport::Endpoint;

use crate::fake_point::FakePoint;
use crate::pki::TrustDomain;
use crate::tls;

/// A server; it ends, with all connections, with the value.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Serving {
    pub(crate) async fn router(router: Router) -> Self {
        Self::start(router, None).await
    }

    async fn start(router: Router, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let router = TowerToHyperService::new(router.clone());
                let tls = tls.clone();
                connections.spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _gone = match tls {
                        None => server.serve_connection(TokioIo::new(stream), router).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => {
                                let stream = TokioIo::new(stream);
                                server.serve_connection(stream, router).await
                            }
                            Err(_) => return,
                        },
                    };
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
        Self::router(for_gateway(point, settings)).await
    }

    /// The same over mTLS: it shows `own`, and takes connections from those that `domain` certified.
    pub(crate) async fn point_over_tls(
        point: &Arc<FakePoint>,
        own: &Leaf,
        domain: &TrustDomain,
    ) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(tls::server(own, &domain.bundle().pem())));
        Self::start(for_gateway(point, Settings::default()), Some(acceptor)).await
    }

    pub(crate) async fn client(&self) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        Client::new(endpoint.connect().await.unwrap())
    }
}

fn for_gateway(point: &Arc<FakePoint>, settings: Settings) -> Router {
    let caller = Caller {
        name: "gateway".to_owned(),
        vouches: false,
        authoritative: false,
    };
    service(Arc::clone(point) as _, settings).layer(Extension(caller))
}

/// The service over `point`, with default settings, and a client.
pub(crate) async fn serve(point: &Arc<FakePoint>) -> (Serving, Client) {
    let serving = Serving::point(point, Settings::default()).await;
    let client = serving.client().await;
    (serving, client)
}
