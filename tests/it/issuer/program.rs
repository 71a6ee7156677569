//! A running `countersign issue`.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use super::client::Sidecar;
use crate::harness::{DOMAIN, World, eventually};
use crate::scraper::pages;
use crate::support::OPERATOR_NAMESPACE;

/// A running `countersign issue`; killed when dropped.
pub(crate) struct Issuer {
    child: Child,
    pub(crate) address: String,
    health: String,
    /// Where metrics are: at `health`, unless it was told `--metrics-secure`.
    pub(crate) metrics: String,
    log: PathBuf,
    pub(crate) audit: String,
}

impl Issuer {
    /// The one that most tests share, of the shared world.
    pub(crate) async fn shared() -> (&'static World, &'static Self) {
        static SHARED: OnceCell<Issuer> = OnceCell::const_new();
        let world = World::shared().await;
        let issuer = SHARED
            .get_or_init(|| async {
                let issuer = Self::start(world, "shared", &[]);
                // It ends with this process, which drops no statics.
                world.plane().watch(Some(issuer.pid())).unwrap();
                issuer.ready().await;
                issuer
            })
            .await;
        (world, issuer)
    }

    /// Starts one as the admin; not ready yet.
    pub(crate) fn start(world: &World, name: &str, arguments: &[&str]) -> Self {
        let plane = world.plane();
        Self::by(&plane.kubeconfig(), plane.dir(), name, arguments)
    }

    pub(crate) fn by(kubeconfig: &Path, dir: &Path, name: &str, arguments: &[&str]) -> Self {
        let log = dir.join(format!("issue-{name}.log"));
        let given = |flag: &str| {
            let at = arguments.iter().position(|it| *it == flag)?;
            Some(arguments[at + 1].to_owned())
        };
        let own = format!("sqlite:{}", dir.join(format!("issue-{name}.db")).display());
        let audit = given("--audit").unwrap_or(own);
        let address = given("--listen").unwrap_or_else(free_address);
        let (health, pages, metrics) = pages(arguments);
        let defaults = [
            ("--listen", address.as_str()),
            ("--audit", audit.as_str()),
            ("--audit-writer", name),
        ];
        let defaults = defaults.into_iter();
        let defaults = defaults.filter(|(flag, _)| !arguments.contains(flag));
        let child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .arg("issue")
            .args(pages)
            .args(defaults.flat_map(|(flag, value)| [flag, value]))
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_LOG", "info,countersign_issuer=debug")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            address,
            health,
            metrics,
            log,
            audit,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            kill_process(pid, signal).ok();
        }
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(mut self) -> std::process::ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Until it says that it is ready.
    pub(crate) async fn ready(&self) {
        eventually("the issuing endpoint", async || {
            let log = self.log();
            let over = log.lines().any(|it| it.starts_with("error:"));
            assert!(!over, "{log}");
            let page = self.page("/readyz").await.ok()?;
            page.starts_with("HTTP/1.0 200").then_some(())
        })
        .await;
    }

    async fn page(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&self.health).await?;
        let asked = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(asked.as_bytes()).await?;
        let mut page = String::new();
        stream.read_to_string(&mut page).await?;
        Ok(page)
    }

    /// Is it ready?
    pub(crate) async fn is_ready(&self) -> bool {
        let page = self.page("/readyz").await;
        page.is_ok_and(|it| it.starts_with("HTTP/1.0 200"))
    }

    /// The sum of what it counts under this name, of lines with `label`.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> f64 {
        let page = self.page("/metrics").await.unwrap();
        let lines = page.lines().filter(|it| it.contains(label));
        let lines = lines.filter_map(|it| it.strip_prefix(name));
        let values = lines.filter(|it| it.starts_with([' ', '{']));
        let values = values.filter_map(|it| it.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    /// A connection as the sidecar of a pod opens it, which trusts the published roots.
    pub(crate) async fn sidecar(&self, world: &World) -> Sidecar {
        let roots = roots(world, DOMAIN).await;
        Sidecar::connect(&self.address, DOMAIN, DOMAIN, &roots)
            .await
            .unwrap()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("the issuer's log, newest first:\n{}", tail.join("\n"));
        }
    }
}

/// A trust domain's published bundle.
pub(crate) async fn roots(world: &World, domain: &str) -> String {
    let maps = Api::<ConfigMap>::namespaced(world.client().await, OPERATOR_NAMESPACE);
    let name = format!("{domain}-bundle");
    eventually("the bundle", async || {
        let map = maps.get_opt(&name).await.unwrap()?;
        map.data?.remove("bundle.json")
    })
    .await
}

pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().to_string()
}
