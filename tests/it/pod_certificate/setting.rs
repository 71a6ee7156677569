//! A control plane with NodeRestriction and a node on it, the operator, and signers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use countersign_issuer::pod_certificate::{LEASE, PodCertificateMetrics, PodCertificates};
use countersign_runtime::{
    Candidate, Clients, Clock, Leadership, Supervisor, WatchMetrics, WatchProgress,
};
use countersign_testbed::Options;
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::sync::{OnceCell, oneshot};

use super::desk::StandIn;
use crate::harness::{DOMAIN, Operator, Space, World};
use crate::least_rights::kubeconfig;
use crate::support::{OPERATOR_NAMESPACE, create};

/// For how long these signers leave a request open that has no identity. The true one waits longer.
const PATIENCE: Duration = Duration::from_secs(8);
pub(crate) const NODE: &str = "n1";

pub(crate) struct Signing {
    pub(crate) world: World,
    operator: Operator,
}

/// A signer in a thread of its own, which ends with it.
pub(crate) struct Signer {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    signed: Arc<AtomicUsize>,
}

impl Signing {
    /// One that most tests share, with a signer that has the rights of `rights.yaml` and no others.
    pub(crate) async fn shared() -> &'static Self {
        static SHARED: OnceCell<(Signing, Signer)> = OnceCell::const_new();
        let (signing, _) = SHARED
            .get_or_init(|| async {
                let signing = Self::own().await;
                let pid = signing.operator.pid();
                // It ends with this process, which drops no statics.
                signing.world.plane().watch(Some(pid)).unwrap();
                let path = kubeconfig(&signing.world, "countersign-issue").await;
                let file = Kubeconfig::read_from(path).unwrap();
                let options = KubeConfigOptions::default();
                let config = kube::Config::from_custom_kubeconfig(file, &options);
                let signer = signing.signer(config.await.unwrap());
                (signing, signer)
            })
            .await;
        signing
    }

    /// One to break things in; no signer yet.
    pub(crate) async fn own() -> Self {
        let options = Options {
            // Beside RBAC, which is on already.
            api_server_args: vec![
                "--authorization-mode=Node".to_owned(),
                "--enable-admission-plugins=NodeRestriction".to_owned(),
            ],
            ..Options::default()
        };
        let world = World::own_with(options).await;
        let operator = world.operator("pods", &["--issuing"]);
        world.until_domain_ready(DOMAIN).await;
        for name in [NODE, "n2"] {
            let node = json!({"metadata": {"name": name}});
            create(&Api::<Node>::all(world.client().await), node)
                .await
                .unwrap();
        }
        let rights = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/pod_certificate/rights.yaml"
        );
        let apply = ["apply", "--server-side", "-f", rights];
        world.plane().kubectl(&apply).await.unwrap();
        // Others forge requests here, to see what the signer makes of them.
        let guarded =
            r#"{"spec":{"matchResources":{"namespaceSelector":{"matchLabels":{"nodes":"ask"}}}}}"#;
        let binding = "validatingadmissionpolicybinding/countersign-nodes-ask";
        let patch = ["patch", binding, "--type=merge", "-p", guarded];
        world.plane().kubectl(&patch).await.unwrap();
        Self { world, operator }
    }

    /// One that takes part in the election.
    pub(crate) fn signer(&self, config: kube::Config) -> Signer {
        self.start(config, Clock::system(), |writes| {
            Leadership::new(writes, Candidate::new(OPERATOR_NAMESPACE, LEASE))
        })
    }

    /// One that thinks it leads, whoever else does, with this clock.
    pub(crate) fn usurper(&self, config: kube::Config, clock: Clock) -> Signer {
        self.start(config, clock, |_| Leadership::always())
    }

    fn start(
        &self,
        config: kube::Config,
        clock: Clock,
        leadership: impl FnOnce(Client) -> Leadership + Send + 'static,
    ) -> Signer {
        let admin = self.world.plane().config().unwrap();
        Signer::start(config, admin, clock, leadership)
    }

    /// As the kubelet of a node.
    pub(crate) fn kubelet(&self, node: &str) -> Client {
        let mut config = self.world.plane().config().unwrap();
        config.auth_info.impersonate = Some(format!("system:node:{node}"));
        config.auth_info.impersonate_groups = Some(vec!["system:nodes".to_owned()]);
        Client::try_from(config).unwrap()
    }

    pub(crate) async fn space(&self) -> Space {
        self.world.space("pods").await
    }

    /// Has an owner's namespace take requests of nodes alone.
    pub(crate) async fn guard(&self, space: &Space) {
        let label = json!({"metadata": {"labels": {"nodes": "ask"}}});
        Api::<k8s_openapi::api::core::v1::Namespace>::all(space.client.clone())
            .patch(&space.name, &PatchParams::default(), &Patch::Merge(label))
            .await
            .unwrap();
    }
}

impl Signer {
    fn start(
        config: kube::Config,
        admin: kube::Config,
        clock: Clock,
        leadership: impl FnOnce(Client) -> Leadership + Send + 'static,
    ) -> Self {
        let signed = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&signed);
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let clients = Clients::connect(config, &WatchProgress::new()).unwrap();
                let admin = Client::try_from(admin).unwrap();
                let desk = Arc::new(StandIn::new(admin, clock.clone(), counted));
                let mut supervisor = Supervisor::new(Duration::from_secs(5));
                desk.follow(&mut supervisor);
                let (leadership, metrics) = (
                    leadership(clients.writes.clone()),
                    PodCertificateMetrics::default(),
                );
                PodCertificates::new(desk, clients, clock, leadership, metrics)
                    .with_patience(PATIENCE)
                    .start(&mut supervisor, 30, WatchMetrics::default());
                supervisor.run_until(stopped).await.unwrap();
            });
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
            signed,
        }
    }

    /// How many certificates were signed for it.
    pub(crate) fn signed(&self) -> usize {
        self.signed.load(Ordering::SeqCst)
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the signer fell");
        }
    }
}
