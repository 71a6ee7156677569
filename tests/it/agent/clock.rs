//! A node's clock that is wrong, and a real endpoint.

use std::time::Duration;

use countersign_agent::{Settings, run};
use countersign_authority::Bundle;
use countersign_runtime::Clock;
use jiff::SignedDuration;
use spiffe::WorkloadApiClient;
use tokio::task::JoinSet;

use super::setting;
use crate::harness::{DOMAIN, eventually};
use crate::issuer::program::{Issuer, roots};

/// In this process: nothing here can give another one a clock of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_node_whose_clock_is_ten_minutes_ahead_a_pod_has_its_certificate_all_the_same() {
    let (world, issuer) = Issuer::shared().await;
    let (space, pod, id) = setting(world).await;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let bundle = Bundle::from_spiffe_json(&roots(world, DOMAIN).await).unwrap();
    std::fs::write(path("ca.crt"), bundle.pem()).unwrap();
    std::fs::write(path("token"), space.token(&pod).await).unwrap();
    let settings = Settings {
        issuer: format!("https://{}", issuer.address),
        trust_domain: DOMAIN.to_owned(),
        trust_bundle: path("ca.crt"),
        token: path("token"),
        identity: None,
        socket: path("agent.sock"),
        files: None,
        health_listen: None,
        // By it the pod's certificate of a minute was over before it came.
        clock: Clock::shifted(SignedDuration::from_mins(10)),
    };
    let mut sidecar = JoinSet::new();
    sidecar.spawn(run(settings, std::future::pending::<()>()));
    eventually("its socket", async || {
        path("agent.sock").exists().then_some(())
    })
    .await;
    let endpoint = format!("unix://{}", path("agent.sock").display());
    let client = WorkloadApiClient::connect_to(endpoint).await.unwrap();
    let first = client.fetch_x509_svid().await.unwrap();
    assert_eq!(first.spiffe_id().to_string(), id);
    // It renews when a node whose clock is right would, and not in a loop.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(client.fetch_x509_svid().await.unwrap(), first);
    let second = eventually("a renewal", async || {
        let svid = client.fetch_x509_svid().await.unwrap();
        (svid != first).then_some(svid)
    })
    .await;
    assert_eq!(second.spiffe_id().to_string(), id);
}
