//! A running `countersign agent`, in the place that it has in a pod.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use countersign_authority::Bundle;
use rustix::process::{Pid, Signal, kill_process};
use spiffe::WorkloadApiClient;
use tempfile::TempDir;

use crate::harness::{DOMAIN, World};
use crate::issuer::program::{Issuer, roots};

/// A running sidecar; killed when dropped.
pub(crate) struct Agent {
    child: Child,
    pub(crate) started: Instant,
    dir: TempDir,
}

impl Agent {
    /// With a pod's token, and the trust domain's roots as a ClusterTrustBundle has them.
    pub(crate) async fn start(world: &World, issuer: &Issuer, token: &str) -> Self {
        Self::start_at(world, &issuer.address, token).await
    }

    /// Of an endpoint at this address.
    pub(crate) async fn start_at(world: &World, address: &str, token: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let bundle = Bundle::from_spiffe_json(&roots(world, DOMAIN).await).unwrap();
        std::fs::write(path("ca.crt"), bundle.pem()).unwrap();
        std::fs::write(path("token"), token).unwrap();
        let started = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .arg("agent")
            .args(["--issuer", &format!("https://{address}")])
            .args(["--trust-domain", DOMAIN, "--health-listen", "none"])
            .arg("--trust-bundle")
            .arg(path("ca.crt"))
            .arg("--token")
            .arg(path("token"))
            .arg("--socket")
            .arg(path("agent.sock"))
            .arg("--files")
            .arg(path("tls"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        let agent = Self {
            child,
            started,
            dir,
        };
        while !agent.socket().exists() {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "{}",
                agent.log()
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        agent
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("agent.sock")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.dir.path().join("tls").join("tls.key")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// What a container of the pod speaks.
    pub(crate) async fn client(&self) -> WorkloadApiClient {
        let endpoint = format!("unix://{}", self.socket().display());
        WorkloadApiClient::connect_to(endpoint).await.unwrap()
    }

    /// Asks it to end.
    pub(crate) fn terminate(&mut self) -> std::process::ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().unwrap()
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, signal).ok();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("the sidecar's log:\n{}", self.log());
        }
    }
}
