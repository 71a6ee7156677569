//! Callers that are agents themselves: their certificates are looked at with each request.

use serde_json::Value;

use super::connection::Connection;
use super::decider::{Decider, question};
use super::revocation::patch_identity;
use super::setting::{permit, shared, spiffe_id};
use super::shown::{leaf, showing};
use crate::harness::{PATIENCE, Space};
use crate::pki::Credential;

async fn credential(space: &Space, name: &str) -> Credential {
    let secret = space.secret(&format!("{name}-identity")).await;
    Credential::of(&secret.unwrap())
}

async fn status(open: &mut Connection, asked: &Value) -> u16 {
    let body = asked.to_string();
    let reply = open.post("/access/v1/evaluation", body.as_bytes()).await;
    reply.unwrap().status
}

#[tokio::test]
async fn a_caller_that_is_suspended_is_refused_on_its_open_connection() {
    let (world, _) = shared().await;
    let space = world.space("callers").await;
    space.set_policy("granted", &permit()).await;
    let names = ["server", "gateway", "reader"];
    let agents = space.agents(&names).await;
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let server = credential(&space, "server").await;
    let (cert, key) = (file("tls.crt", &server.chain), file("tls.key", &server.key));
    let roots = file("ca.crt", &server.roots);
    let gateway = spiffe_id(&agents[1]);
    let decider = Decider::start(
        world,
        "callers",
        &[
            "--tls-cert",
            &cert,
            "--tls-key",
            &key,
            "--caller-ca",
            &roots,
            "--caller",
            &gateway,
        ],
    );
    decider.ready().await;
    let address = decider.address.parse().unwrap();
    let reader = credential(&space, "reader").await;
    let asked = question(&spiffe_id(&agents[2]), "read", "ledger/invoices/7");
    let asked = showing(asked, &leaf(&reader.chain));
    let mut stranger = Connection::as_agent(address, &reader).await;
    assert_eq!(status(&mut stranger, &asked).await, 401, "it isn't listed");

    let before = credential(&space, "gateway").await;
    let mut open = Connection::as_agent(address, &before).await;
    assert_eq!(status(&mut open, &asked).await, 200);
    patch_identity(&space, "gateway", "Suspended").await;
    until_refused(&mut open, &asked).await;
    let mut again = Connection::as_agent(address, &before).await;
    assert_eq!(status(&mut again, &asked).await, 401);

    // Back, with another certificate; the one before stays refused. Not before it was taken away, or
    // it was never gone.
    space.until_no_secret("gateway-identity").await;
    patch_identity(&space, "gateway", "Active").await;
    let now = crate::harness::eventually("the new certificate", async || {
        let secret = space.secret("gateway-identity").await?;
        let now = Credential::of(&secret);
        let mut open = Connection::as_agent(address, &now).await;
        (status(&mut open, &asked).await == 200).then_some(now)
    })
    .await;
    assert_ne!(now.chain, before.chain);
    let mut again = Connection::as_agent(address, &before).await;
    assert_eq!(status(&mut again, &asked).await, 401);
}

async fn until_refused(open: &mut Connection, asked: &Value) {
    let started = std::time::Instant::now();
    loop {
        let body = asked.to_string();
        let reply = open.post("/access/v1/evaluation", body.as_bytes()).await;
        match reply.map(|it| it.status) {
            Ok(401) | Err(_) => return, // or it was closed just then
            Ok(200) => assert!(started.elapsed() < PATIENCE, "it may still ask"),
            Ok(other) => panic!("{other}"),
        }
    }
}
