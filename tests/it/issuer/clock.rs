//! The issuer's clock and the API server's disagree.

use std::net::TcpListener;
use std::time::Duration;

use countersign_issuer::{Settings, run};
use countersign_runtime::{Clock, PageSettings};
use jiff::SignedDuration;
use tokio::sync::oneshot;

use super::client::Sidecar;
use super::program::roots;
use crate::harness::{DOMAIN, World, eventually};
use crate::support::{OPERATOR_NAMESPACE, unique};

/// More than what is noise, and little enough that TLS and tokens still work.
const AHEAD: SignedDuration = SignedDuration::from_secs(45);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_whose_clock_is_off_issues_nothing() {
    let world = World::shared().await;
    let space = world.space("clock").await;
    let pod = space.working_for("reader", "work").await;
    let token = space.token(&pod).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = listener.local_addr().unwrap();
    drop(listener);
    let audit = world.plane().dir().join(format!("{}.db", unique("clock")));
    let settings = Settings {
        namespace: OPERATOR_NAMESPACE.to_owned(),
        listen,
        audience: "countersign".to_owned(),
        pages: PageSettings::default(),
        oidc_listen: None,
        lists: Vec::new(),
        pod_certificates: false,
        stale_after: Duration::from_secs(30),
        max_concurrent: 16,
        max_per_pod: 60,
        max_connections: 16,
        audit_url: format!("sqlite:{}", audit.display()),
        audit_writer: "clock".to_owned(),
        retention: None,
        watch_seconds: 20,
        clock: Clock::shifted(AHEAD),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let config = world.plane().config().unwrap();
    let running = tokio::spawn(run(config, settings, stopped));
    let bundle = roots(world, DOMAIN).await;
    let sidecar = eventually("the issuer", async || {
        let to = listen.to_string();
        // A sidecar with the right clock doesn't even take its certificate.
        let clock = Clock::shifted(AHEAD);
        Sidecar::connect_at(&to, DOMAIN, DOMAIN, &bundle, &clock)
            .await
            .ok()
    })
    .await;
    let refused = eventually("a refusal by the clock", async || {
        let mut client = sidecar.client.clone();
        let asked = super::client::request(&rcgen::KeyPair::generate().unwrap());
        let refused = client.issue_x509(&token, asked).await.unwrap_err();
        refused.message().contains("clock").then_some(refused)
    })
    .await;
    assert_eq!(countersign_issuing::reason_of(&refused), Some("Stale"));
    drop(stop);
    running.await.unwrap().unwrap();
}
