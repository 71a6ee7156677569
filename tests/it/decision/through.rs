//! A service behind an Envoy, and what comes back through both.

use std::net::SocketAddr;
use std::time::Duration;

use countersign_api::AgentIdentity;
use countersign_testbed::{Envoy, EnvoyConfig};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::{Connection, Reply};
use super::decider::{TOKEN, Told, told};
use crate::harness::{Space, identity, job};
use crate::pki::Credential;
use crate::support::with;

/// The Job that all agents of [`lasting`] live for.
const WORK: &str = "work";
/// No answer takes this long.
const ANSWER: Duration = Duration::from_secs(20);

/// What came of a request through Envoy.
#[derive(Debug)]
pub(super) enum Came {
    /// It got to the service, with the name of the decision.
    Through(String),
    /// It was denied by a decision point.
    Refused { reason: String, decision: String },
    /// Envoy let nothing through, for want of an answer, or by itself.
    Stopped(u16),
}

impl Came {
    pub(super) fn of(reply: &Reply) -> Self {
        let said = serde_json::from_slice::<Value>(&reply.body).unwrap_or_default();
        match said["reason"].as_str() {
            _ if reply.status == 200 => {
                Self::Through(String::from_utf8_lossy(&reply.body).into_owned())
            }
            Some(reason) => Self::Refused {
                reason: reason.to_owned(),
                decision: said["decision"].as_str().unwrap_or_default().to_owned(),
            },
            None => Self::Stopped(reply.status),
        }
    }
}

/// A service that answers with the name of the decision that let the request through.
pub(super) async fn service() -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            while connections.try_join_next().is_some() {}
            connections.spawn(async move {
                // It ends with Envoy's side.
                let _ended = serve(stream).await;
            });
        }
    });
    (address, tasks)
}

async fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut decision, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            match line.trim_end().split_once(": ") {
                None if line.trim_end().is_empty() => break,
                Some(("x-countersign-decision", value)) => decision = value.to_owned(),
                Some(("content-length", value)) => length = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        stream.read_exact(&mut vec![0; length]).await?;
        let length = decision.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{decision}");
        stream.get_mut().write_all(answer.as_bytes()).await?;
    }
}

/// Issued identities for one Job, which may do all that their owner may, with certificates that are
/// good for so long.
pub(super) async fn lasting(space: &Space, names: &[&str], seconds: u32) -> Vec<AgentIdentity> {
    // Others may be making it.
    let (jobs, params) = (space.jobs(), PostParams::default());
    drop(jobs.create(&params, &job(WORK)).await);
    for name in names {
        let object = identity(name, &format!("jobs.batch/{WORK}"));
        space.create_identity(&with(&object, &wide(seconds))).await;
    }
    let mut issued = Vec::new();
    for name in names {
        issued.push(space.until_ready(name).await);
    }
    issued
}

/// Over the usual identity: all that the owner may, and certificates that are good for so long.
pub(super) fn wide(seconds: u32) -> Value {
    json!({"spec": {
        "grants": [{"actions": ["read", "list"], "resources": ["ledger/*"]}],
        "credential": {"certificateTTLSeconds": seconds},
    }})
}

/// In front of `service`, as the agent `gateway` of this space; it waits for each answer so long.
pub(super) async fn envoy(
    space: &Space,
    service: SocketAddr,
    replicas: &[String],
    wait: Duration,
) -> Envoy {
    let gateway = credential(&space.secrets(), "gateway").await.unwrap();
    let replicas: Vec<SocketAddr> = replicas.iter().map(|it| it.parse().unwrap()).collect();
    let mut config = EnvoyConfig::new(gateway.chain, gateway.key, gateway.roots, service)
        .asking(replicas[0])
        .with_token(TOKEN)
        .route("/", &[("resourcePrefix", "ledger")]);
    let decisions = config.decisions.as_mut().unwrap();
    decisions.addresses = replicas;
    decisions.timeout = wait;
    Envoy::start(&config).await.unwrap()
}

/// What an agent finds in its Secret, if it has one.
pub(super) async fn credential(secrets: &Api<Secret>, name: &str) -> Option<Credential> {
    let secret = secrets.get_opt(&format!("{name}-identity")).await.unwrap();
    secret.map(|it| Credential::of(&it))
}

/// Asks a replica that may be gone.
///
/// # Errors
/// It is, or it went meanwhile.
pub(super) async fn try_ask(address: &str, question: &Value) -> std::io::Result<Told> {
    let whole = async {
        let mut open = Connection::open(address, TOKEN).await?;
        let body = question.to_string();
        let reply = open.post("/access/v1/evaluation", body.as_bytes()).await?;
        assert_eq!(reply.status, 200, "{reply:?}");
        Ok(told(reply.json()))
    };
    timeout(ANSWER, whole).await.unwrap_or_else(|_| {
        let why = "no answer in time";
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, why))
    })
}
