//! Through a real Envoy, with certificates that the operator issued.

use std::net::SocketAddr;

use countersign_testbed::{Envoy, EnvoyConfig};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::connection::Connection;
use super::decider::{Decider, TOKEN, free_address, question};
use super::revocation::patch_identity;
use super::setting::{permit, shared, spiffe_id};
use crate::harness::{Space, eventually};
use crate::pki::Credential;

const PATH: &str = "/invoices/7";

/// A service that knows nothing of all this.
pub(super) async fn service() -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|it| it > 0) {
                    if line == "\r\n" {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                        stream.get_mut().write_all(answer).await.ok();
                    }
                    line.clear();
                }
            });
        }
    });
    (address, tasks)
}

async fn credential(space: &Space, name: &str) -> Credential {
    let secret = space.secrets().get(&format!("{name}-identity")).await;
    Credential::of(&secret.unwrap())
}

/// In front of a service, as the agent `gateway`.
async fn envoy(space: &Space, service: SocketAddr, decider: &Decider) -> Envoy {
    let gateway = credential(space, "gateway").await;
    let (chain, key, roots) = (gateway.chain, gateway.key, gateway.roots);
    let config = EnvoyConfig::new(chain, key, roots, service)
        .asking(decider.address.parse().unwrap())
        .with_token(TOKEN)
        .route("/", &[("resourcePrefix", "ledger")]);
    Envoy::start(&config).await.unwrap()
}

async fn status(open: &mut Connection) -> u16 {
    open.get(PATH).await.unwrap().status
}

#[tokio::test]
async fn an_open_connection_is_decided_about_again_and_a_certificate_that_was_taken_away_stays_refused()
 {
    let (world, decider) = shared().await;
    let space = world.space("envoy").await;
    space.set_policy("granted", &permit()).await;
    let agents = space.agents(&["gateway", "reader"]).await;
    let asked = question(&spiffe_id(&agents[1]), "read", "ledger/invoices/7");
    decider.until(&asked, "Permitted").await;
    let (address, _service) = service().await;
    let envoy = envoy(&space, address, decider).await;
    let before = credential(&space, "reader").await;
    let mut open = Connection::as_agent(envoy.address(), &before).await;
    assert_eq!(status(&mut open).await, 200);
    patch_identity(&space, "reader", "Suspended").await;
    decider.until(&asked, "AgentSuspended").await;
    assert_eq!(status(&mut open).await, 403);
    patch_identity(&space, "reader", "Active").await;
    decider.until(&asked, "Permitted").await;
    let denied = open.get(PATH).await.unwrap();
    assert_eq!(denied.json()["reason"], "CertificateRevoked");
    let now = eventually("the new Secret", async || {
        let secret = space.secrets().get_opt("reader-identity").await.ok()??;
        Some(Credential::of(&secret))
    })
    .await;
    let mut open = Connection::as_agent(envoy.address(), &now).await;
    assert_eq!(status(&mut open).await, 200);
}

#[tokio::test]
async fn a_decision_point_that_is_killed_and_comes_back_lets_nobody_in_whom_it_should_not() {
    let (world, _) = shared().await;
    let space = world.space("envoy").await;
    space.set_policy("granted", &permit()).await;
    let agents = space.agents(&["gateway", "reader"]).await;
    let asked = question(&spiffe_id(&agents[1]), "read", "ledger/invoices/7");
    let listen = free_address();
    let first = Decider::start(world, "killed", &["--listen", &listen]);
    first.ready().await;
    first.until(&asked, "Permitted").await;
    let (address, _service) = service().await;
    let envoy = envoy(&space, address, &first).await;
    let reader = credential(&space, "reader").await;
    let mut open = Connection::as_agent(envoy.address(), &reader).await;
    assert_eq!(status(&mut open).await, 200);
    patch_identity(&space, "reader", "Revoked").await;
    first.until(&asked, "AgentEnded").await;
    drop(first); // SIGKILL
    assert_eq!(status(&mut open).await, 503);
    let second = Decider::start(world, "back", &["--listen", &listen]);
    let mut seen = Vec::new();
    while seen.last() != Some(&403) {
        let status = status(&mut open).await;
        assert_ne!(status, 200, "after {seen:?}");
        seen.push(status);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        assert!(seen.len() < 10_000, "{}", second.log());
    }
}
