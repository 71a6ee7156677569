//! Agents whose certificates were issued into their pods, through an Envoy that has its own so too.

use std::time::Instant;

use countersign_testbed::{Envoy, EnvoyConfig};
use serde_json::json;

use super::connection::Connection;
use super::decider::{TOKEN, question};
use super::envoy::service;
use super::setting::{permit, shared, spiffe_id};
use crate::agent::program::Agent;
use crate::harness::eventually;
use crate::issuer::program::Issuer;
use crate::issuer::workload;

#[tokio::test]
async fn two_pods_talk_through_an_envoy_until_the_task_is_over() {
    let (world, decider) = shared().await;
    let (_, issuer) = Issuer::shared().await;
    let space = world.space("pods").await;
    space.set_policy("granted", &permit()).await;
    let mut sidecars = Vec::new();
    let mut ids = Vec::new();
    for (name, job) in [("gateway", "serve"), ("reader", "work")] {
        let pod = space.working(job).await;
        let task = format!("jobs.batch/{job}");
        space
            .create_identity(&workload(name, &task, &json!({})))
            .await;
        ids.push(spiffe_id(&space.until_ready(name).await));
        let token = space.token(&pod).await;
        sidecars.push(Agent::start(world, issuer, &token).await);
    }
    let (address, _service) = service().await;
    let config = EnvoyConfig::by_sds(sidecars[0].socket(), address)
        .asking(decider.address.parse().unwrap())
        .with_token(TOKEN)
        .route("/", &[("resourcePrefix", "ledger")]);
    let envoy = Envoy::start(&config).await.unwrap();
    let asked = question(&ids[1], "read", "ledger/invoices/7");
    decider.until(&asked, "Permitted").await;
    let reader = sidecars[1].credential().await;
    let mut open = Connection::as_agent(envoy.address(), &reader).await;
    let reply = open.get("/invoices/7").await.unwrap();
    assert_eq!(
        reply.status,
        200,
        "{:?}",
        String::from_utf8_lossy(&reply.body)
    );
    let other = open.get("/secrets/7").await.unwrap();
    assert_eq!(other.status, 403, "it isn't granted");

    let done = Instant::now();
    space.finish_job("work", "Succeeded").await;
    let denied = eventually("a deny", async || {
        let reply = open.get("/invoices/7").await.unwrap();
        (reply.status == 403).then_some(reply)
    })
    .await;
    let took = done.elapsed();
    eprintln!("from the Job's end to a deny on an open connection: {took:?}");
    eprintln!("with {}", denied.json()["reason"]);
    let files = sidecars[1].key_file();
    eventually("no files", async || (!files.exists()).then_some(())).await;
    // The gateway's own task goes on.
    assert!(sidecars[0].key_file().exists());
}
