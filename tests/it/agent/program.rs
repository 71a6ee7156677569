//! A running `countersign agent`, in the place that it has in a pod.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use countersign_authority::Bundle;
use countersign_testbed::{Wanted, left_out};
use rustix::process::{Pid, Signal, kill_process};
use spiffe::{TrustDomain, WorkloadApiClient};
use tempfile::TempDir;

use crate::harness::{DOMAIN, World, eventually};
use crate::issuer::program::{Issuer, roots};
use crate::pki::Credential;

/// A running sidecar; killed when dropped.
pub(crate) struct Agent {
    child: Child,
    pub(crate) started: Instant,
    dir: TempDir,
}

impl Agent {
    /// With a pod's token, and the trust domain's roots as a ClusterTrustBundle has them.
    pub(crate) async fn start(world: &World, issuer: &Issuer, token: &str) -> Self {
        Self::start_at(&roots(world, DOMAIN).await, &issuer.address, token).await
    }

    /// That trusts this SPIFFE bundle, and asks at this address.
    pub(crate) async fn start_at(bundle: &str, issuer: &str, token: &str) -> Self {
        Self::start_by(bundle, issuer, token, Command::new).await
    }

    /// Whose files are on a disk without room for them; `None` where none can be made.
    pub(crate) async fn start_on_a_full_disk(
        world: &World,
        issuer: &Issuer,
        token: &str,
    ) -> Option<Self> {
        let unshare = || {
            let mut unshare = Command::new("unshare");
            unshare.args(["--map-root-user", "--mount"]);
            unshare
        };
        let may = unshare().arg("true").stderr(Stdio::null()).status();
        if !may.is_ok_and(|it| it.success()) {
            let why = "no full disk was tried, since unshare --map-root-user --mount fails";
            left_out(Wanted::Disk, why);
            return None;
        }
        // Two pages: not enough for three files.
        let script = "set -e; mkdir \"$0\"; mount -t tmpfs -o size=8k none \"$0\"; exec \"$@\"";
        let bundle = roots(world, DOMAIN).await;
        let agent = Self::start_by(&bundle, &issuer.address, token, |program| {
            let mut command = unshare();
            // Its folder is the working directory.
            command.args(["sh", "-c", script, "tls", program]);
            command
        });
        Some(agent.await)
    }

    async fn start_by(
        bundle: &str,
        issuer: &str,
        token: &str,
        command: impl FnOnce(&'static str) -> Command,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let bundle = Bundle::from_spiffe_json(bundle).unwrap();
        std::fs::write(path("ca.crt"), bundle.pem()).unwrap();
        std::fs::write(path("token"), token).unwrap();
        let started = Instant::now();
        let child = spawn(
            command(env!("CARGO_BIN_EXE_countersign")),
            dir.path(),
            issuer,
        );
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

    /// SIGKILL, after which nothing of it is tidied up, and another one in the same folder, as when the
    /// kubelet restarts a container.
    pub(crate) fn kill_and_restart(&mut self, issuer: &Issuer) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
        self.started = Instant::now();
        let command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        self.child = spawn(command, self.dir.path(), &issuer.address);
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("agent.sock")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.dir.path().join("tls").join("tls.key")
    }

    /// What a program gets by the Workload API, all of one moment; `None` while it gets nothing.
    pub(crate) async fn held(&self) -> Option<Credential> {
        let context = self.client().await.fetch_x509_context().await.ok()?;
        let svid = context.default_svid()?;
        let domain = TrustDomain::try_from(DOMAIN).unwrap();
        let bundle = context.bundle_set().get(&domain)?;
        let pem = |all: &[spiffe::cert::Certificate]| -> String {
            all.iter()
                .map(|it| block("CERTIFICATE", it.as_bytes()))
                .collect()
        };
        Some(Credential {
            chain: pem(svid.cert_chain()),
            key: block("PRIVATE KEY", svid.private_key().as_bytes()),
            roots: pem(bundle.authorities()),
        })
    }

    /// What a program reads of the files, once they are there.
    pub(crate) async fn credential(&self) -> Credential {
        let read = |name: &str| {
            let path = self.key_file().with_file_name(name);
            std::fs::read_to_string(path).ok()
        };
        eventually("the files", async || {
            Some(Credential {
                chain: read("tls.crt")?,
                key: read("tls.key")?,
                roots: read("ca.crt")?,
            })
        })
        .await
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

fn block(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn spawn(mut command: Command, dir: &Path, issuer: &str) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .unwrap();
    command
        .current_dir(dir)
        .arg("agent")
        .args(["--issuer", &format!("https://{issuer}")])
        .args(["--trust-domain", DOMAIN, "--health-listen", "none"])
        .args(["--trust-bundle", "ca.crt", "--token", "token"])
        .args(["--socket", "agent.sock", "--files", "tls"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
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
