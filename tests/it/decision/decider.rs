//! A decision point, and questions to it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::connection::Connection;
use crate::harness::{PATIENCE, World, eventually};
use crate::scraper::pages;

/// What it lets everybody in by who asks here.
pub(super) const TOKEN: &str = "a-token-for-tests-long-enough";

/// A running `countersign decide`; killed when dropped.
pub(crate) struct Decider {
    child: Child,
    pub(crate) address: String,
    health: String,
    /// Where metrics are: at `health`, unless it was told `--metrics-secure`.
    pub(crate) metrics: String,
    log: PathBuf,
    pub(crate) audit: String,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) allowed: bool,
    pub(crate) reason: String,
    pub(crate) id: String,
    pub(crate) whole: Value,
}

impl Decider {
    /// Starts one that answers vouching, authoritative callers with a token; not ready yet.
    pub(crate) fn start(world: &World, name: &str, arguments: &[&str]) -> Self {
        Self::by(
            &world.plane().kubeconfig(),
            world.plane().dir(),
            name,
            arguments,
        )
    }

    pub(crate) fn by(kubeconfig: &Path, dir: &Path, name: &str, arguments: &[&str]) -> Self {
        let log = dir.join(format!("decide-{name}.log"));
        let token_file = dir.join(format!("decide-{name}.token"));
        std::fs::write(&token_file, TOKEN).unwrap();
        let audit = format!("sqlite:{}", dir.join(format!("decide-{name}.db")).display());
        let given = arguments.iter().position(|it| *it == "--listen");
        let address = given.map_or_else(free_address, |at| arguments[at + 1].to_owned());
        let (health, pages, metrics) = pages(arguments);
        let token = format!(
            "tests={},vouches,authoritative,reports",
            token_file.display()
        );
        let defaults = [
            ("--listen", address.as_str()),
            ("--audit", audit.as_str()),
            ("--audit-writer", name),
            ("--token", token.as_str()),
        ];
        let defaults = (defaults.into_iter())
            .filter(|(flag, _)| *flag == "--token" || !arguments.contains(flag))
            .flat_map(|(flag, value)| [flag, value]);
        let child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .arg("decide")
            .args(pages)
            .args(defaults)
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_LOG", "info,countersign_pdp=debug")
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

    /// Where health and metrics are.
    pub(super) fn health(&self) -> &str {
        &self.health
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Until it says that it is ready.
    pub(crate) async fn ready(&self) {
        eventually("the decision point", async || {
            let log = self.log();
            let over = log.lines().any(|it| it.starts_with("error:"));
            assert!(!over, "{log}");
            let mut health = Connection::open(&self.health, "").await.ok()?;
            let reply = health.get("/readyz").await.ok()?;
            (reply.status == 200).then_some(())
        })
        .await;
    }

    /// The sum of what it counts under this name.
    pub(super) async fn metric(&self, name: &str) -> f64 {
        let mut open = Connection::open(&self.health, "").await.unwrap();
        let page = open.get("/metrics").await.unwrap().body;
        let page = String::from_utf8(page).unwrap();
        let lines = page.lines().filter_map(|it| it.strip_prefix(name));
        let values = lines.filter(|it| it.starts_with([' ', '{']));
        let values = values.filter_map(|it| it.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    /// Does it say that it is ready?
    pub(super) async fn is_ready(&self) -> bool {
        let mut health = Connection::open(&self.health, "").await.unwrap();
        health.get("/readyz").await.unwrap().status == 200
    }

    pub(super) async fn connect(&self) -> Connection {
        Connection::open(&self.address, TOKEN).await.unwrap()
    }

    /// Asks on a connection of its own.
    pub(crate) async fn ask(&self, question: &Value) -> Told {
        ask(&mut self.connect().await, question).await
    }

    /// Tells what was noticed.
    pub(crate) async fn tell(&self, signal: &Value) {
        let body = signal.to_string();
        let mut open = self.connect().await;
        let reply = open.post("/signals/v1", body.as_bytes()).await.unwrap();
        assert_eq!(reply.status, 200, "{signal}");
    }

    /// Asks until the answer is this, and returns it.
    pub(crate) async fn until(&self, question: &Value, reason: &str) -> Told {
        let mut last = None;
        let started = std::time::Instant::now();
        while started.elapsed() < PATIENCE {
            let told = self.ask(question).await;
            if told.reason == reason {
                return told;
            }
            last = Some(told);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{reason} never came, but {last:?}\n{}", self.log());
    }

    /// Asks on the one connection until it is denied.
    pub(super) async fn until_denied(&self, open: &mut Connection, question: &Value) -> Told {
        let started = std::time::Instant::now();
        loop {
            let told = ask(open, question).await;
            if !told.allowed {
                return told;
            }
            assert!(started.elapsed() < PATIENCE, "still allowed: {told:?}");
        }
    }
}

impl Drop for Decider {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::KILL).ok();
        }
        self.child.wait().ok();
    }
}

/// May `agent` do `action` on `path`? By its own grants.
pub(crate) fn question(agent: &str, action: &str, path: &str) -> Value {
    json!({
        "subject": {"type": "agent", "id": agent},
        "action": {"name": action},
        "resource": {"type": "document", "id": path},
        "context": {},
    })
}

/// The same by the authority of a chain.
pub(crate) fn delegated(agent: &str, action: &str, path: &str, digest: &str) -> Value {
    let mut question = question(agent, action, path);
    question["context"]["delegation"] = json!(digest);
    question
}

pub(super) async fn ask(connection: &mut Connection, question: &Value) -> Told {
    let body = question.to_string();
    let reply = connection
        .post("/access/v1/evaluation", body.as_bytes())
        .await
        .unwrap();
    assert_eq!(
        reply.status,
        200,
        "{:?}",
        String::from_utf8_lossy(&reply.body)
    );
    told(reply.json())
}

/// An answer from its JSON.
pub(super) fn told(whole: Value) -> Told {
    let text = |name: &str| {
        whole["context"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    Told {
        allowed: whole["decision"].as_bool().unwrap(),
        reason: text("reason"),
        id: text("id"),
        whole,
    }
}

pub(super) fn free_address() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().to_string()
}
