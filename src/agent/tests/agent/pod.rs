//! A sidecar in a pod's place: its folder, its socket, and what asks there.

use std::path::PathBuf;
use std::time::Duration;

use countersign_agent::{Settings, run};
use countersign_runtime::Clock;
use hyper_util::rt::TokioIo;
use spiffe::WorkloadApiClient;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};

use crate::fake_issuer::{FakeIssuer, TOKEN};

/// A test that waits for longer has failed.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// The sidecar runs until this is dropped.
pub(crate) struct Pod {
    pub(crate) dir: TempDir,
    _running: JoinSet<()>,
}

impl Pod {
    pub(crate) async fn start(issuer: &FakeIssuer) -> Self {
        Self::start_with(issuer, |_| {}).await
    }

    pub(crate) async fn start_with(
        issuer: &FakeIssuer,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("ca.crt"), issuer.inner.roots_pem()).unwrap();
        std::fs::write(path("token"), format!("{TOKEN}\n")).unwrap();
        let mut settings = Settings {
            issuer: format!("https://{}", issuer.address),
            trust_domain: "example.org".to_owned(),
            trust_bundle: path("ca.crt"),
            token: path("token"),
            identity: None,
            socket: path("agent.sock"),
            files: None,
            health_listen: None,
            clock: Clock::system(),
        };
        change(&mut settings);
        let mut running = JoinSet::new();
        running.spawn(async move {
            run(settings, std::future::pending::<()>()).await.unwrap();
        });
        let pod = Self {
            dir,
            _running: running,
        };
        until(|| pod.socket().exists()).await;
        pod
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("agent.sock")
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The `spiffe` crate's.
    pub(crate) async fn client(&self) -> WorkloadApiClient {
        WorkloadApiClient::connect_to(self.endpoint())
            .await
            .unwrap()
    }

    /// Anybody's.
    pub(crate) async fn channel(&self) -> Grpc<Channel> {
        let socket = self.socket();
        let connect = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        let mut grpc = Grpc::new(endpoint.connect_with_connector_lazy(connect));
        grpc.ready().await.unwrap();
        grpc
    }
}

/// Looks until it is so.
pub(crate) async fn until(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, wait).await.expect("in time");
}
