//! `countersign decide` as a process.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::certificates::{Certificates, GATEWAY};
use super::leash::Leashed;
use super::measure::Side;
use super::opa::door;
use super::wire::{Door, get, post};
use crate::bed::{Bed, Programs};
use crate::published::free_address;

/// What the harness shows where it shows no certificate.
pub(super) const TOKEN: &str = "of-the-benchmark-and-of-nobody-else";

/// What replicas show each other.
const PEER_TOKEN: &str = "of-the-replicas-and-of-nobody-else";

pub(crate) const EVALUATION: &str = "/access/v1/evaluation";

/// A header that lets in, where nothing else does.
pub(crate) const AUTHORIZATION: &str =
    "authorization: Bearer of-the-benchmark-and-of-nobody-else\r\n";

/// How one runs.
pub(crate) struct How<'a> {
    /// The name of its log and its place in the audit log.
    pub(crate) name: &'a str,
    /// With certificates instead of a token.
    pub(crate) tls: Option<&'a Certificates>,
    /// Which allows are recorded: `all` or `sensitive`.
    pub(crate) record: &'a str,
    pub(crate) listen: SocketAddr,
    /// The others.
    pub(crate) peers: &'a [SocketAddr],
}

/// A running decision point. Ends with the value.
pub(crate) struct Point {
    process: Leashed,
    pub(crate) door: Door,
    health: SocketAddr,
    with_token: bool,
}

impl How<'_> {
    /// Alone, at a free address.
    pub(crate) fn new(name: &str) -> Result<How<'_>> {
        Ok(How {
            name,
            tls: None,
            record: "sensitive",
            listen: free_address()?,
            peers: &[],
        })
    }
}

impl Point {
    /// Starts one; `dir` is for its files.
    pub(crate) fn start(programs: &Programs, bed: &Bed, dir: &Path, how: &How<'_>) -> Result<Self> {
        let health = free_address()?;
        let file = |name: &str| dir.join(name);
        let (token, peer_token) = (file("gateway.token"), file("peer.token"));
        std::fs::write(&token, TOKEN)?;
        std::fs::write(&peer_token, PEER_TOKEN)?;
        let audit = file(&format!("{}.db", how.name));
        let mut arguments = vec![
            "decide".to_owned(),
            format!("--listen={}", how.listen),
            format!("--metrics-listen={health}"),
            format!("--audit=sqlite:{}", audit.display()),
            format!("--audit-writer={}", how.name),
            format!("--record={}", how.record),
        ];
        match how.tls {
            Some(tls) => arguments.extend([
                format!("--tls-cert={}", tls.server().display()),
                format!("--tls-key={}", tls.server_key().display()),
                format!("--caller-ca={}", tls.ca().display()),
                format!("--caller={GATEWAY},vouches,authoritative"),
            ]),
            None => arguments.push(format!(
                "--token=bench={},vouches,authoritative,reports",
                token.display()
            )),
        }
        if !how.peers.is_empty() {
            arguments.push(format!("--peer-token={}", peer_token.display()));
            arguments.extend(how.peers.iter().map(|it| format!("--peer=http://{it}")));
        }
        let log = file(&format!("{}.log", how.name));
        let kubeconfig = bed.kubeconfig();
        let environment = [("KUBECONFIG", kubeconfig.as_path())];
        Ok(Self {
            process: Leashed::start(programs.operator(), &arguments, &environment, &log)?,
            door: door(how.listen, how.tls)?,
            health,
            with_token: how.tls.is_none(),
        })
    }

    /// Waits until it knows everything, and allows this.
    pub(crate) async fn until_allows(&self, question: &Value) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(120);
        let started = Instant::now();
        let request = self.request(question);
        let mut said = String::new();
        while started.elapsed() < PATIENCE {
            self.process.check()?;
            if self.is_ready().await {
                let mut open = self.door.open().await?;
                let reply = open.ask(&request).await?;
                if reply.has(r#""decision":true"#) {
                    return Ok(());
                }
                said = reply.text();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!(
            "the decision point doesn't allow: {said}\n{}",
            self.process.log_end()
        )
    }

    /// A whole request of it.
    pub(crate) fn request(&self, question: &Value) -> Vec<u8> {
        let headers = if self.with_token { AUTHORIZATION } else { "" };
        post(EVALUATION, headers, &question.to_string())
    }

    /// The questions, as it is asked them.
    pub(crate) fn side(&self, name: &'static str, questions: &[Value]) -> Side {
        Side {
            name,
            door: self.door.clone(),
            requests: questions.iter().map(|it| self.request(it)).collect(),
            allow: r#""decision":true"#,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.process.check()
    }

    pub(crate) fn resident(&self) -> Result<u64> {
        self.process.resident()
    }

    /// A number that it counts.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let mut open = Door::plain(self.health).open().await?;
        let reply = open.ask(&get("/metrics", "")).await?;
        let text = reply.text();
        let lines = text.lines().filter(|it| it.starts_with(name));
        let values = lines.filter_map(|it| it.rsplit(' ').next()?.parse::<f64>().ok());
        values
            .reduce(|one, other| one + other)
            .with_context(|| format!("it doesn't count {name}"))
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut open) = Door::plain(self.health).open().await else {
            return false;
        };
        let reply = open.ask(&get("/readyz", "")).await;
        reply.is_ok_and(|it| it.status == 200)
    }
}
