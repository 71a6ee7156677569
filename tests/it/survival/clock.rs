//! The operator's clock and the API server's disagree.

use countersign_api::TrustDomain;
use countersign_controller::{AuditSettings, OperatorError, Settings, run};
use countersign_runtime::{Clock, PageSettings};
use jiff::SignedDuration;
use kube::api::Api;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::crowd::is_ready;
use crate::harness::{DOMAIN, PATIENCE, World, condition, eventually};

pub(super) const APART: SignedDuration = SignedDuration::from_mins(5);

#[tokio::test]
async fn an_operator_whose_clock_is_ahead_issues_nothing_and_still_retires() {
    are_apart(APART).await;
}

#[tokio::test]
async fn an_operator_whose_clock_is_behind_issues_nothing_and_still_retires() {
    are_apart(-APART).await;
}

async fn are_apart(by: SignedDuration) {
    let world = World::own().await;
    let space = world.space("clock").await;
    let right = Running::start(&world, SignedDuration::ZERO);
    space.create_agent("ends").await;
    space.create_agent("stays").await;
    space.until_count(PATIENCE, 2, "Ready", is_ready).await;
    until_synchronized(&world, "True").await;
    let before = space.assert_in_order().await;
    right.stop().await;

    let wrong = Running::start(&world, by);
    until_synchronized(&world, "False").await;
    space.create_agent("new").await;
    assert_eq!(space.until_stalled("new").await, "ClockSkew");
    space.finish_pod("ends", "Succeeded").await;
    assert_eq!(space.until_completed("ends").await, "TaskSucceeded");
    space.until_no_secret("ends-identity").await;
    let stays = space.get("stays").await;
    assert!(is_ready(&stays), "{:#?}", stays.status);
    let stalled = condition(&stays, "Stalled").map(|(_, reason)| reason);
    assert_eq!(stalled.as_deref(), Some("ClockSkew"));
    let during = space.assert_in_order().await;
    assert_eq!(during.len(), 1, "{during:?}");
    assert_eq!(during["stays"], before["stays"]);
    wrong.stop().await;

    let right = Running::start(&world, SignedDuration::ZERO);
    until_synchronized(&world, "True").await;
    space.until_ready("new").await;
    space
        .until("stays", "in order again", |it| {
            is_ready(it) && condition(it, "Stalled").is_none()
        })
        .await;
    let after = space.assert_in_order().await;
    assert_eq!(after.len(), 2);
    assert_eq!(after["stays"], before["stays"], "issued once more");
    right.stop().await;
}

/// What the trust domain says of the clocks.
pub(super) async fn until_synchronized(world: &World, status: &str) {
    let domains: Api<TrustDomain> = Api::all(world.client().await);
    eventually("a word on the clocks", async || {
        let domain = domains.get(DOMAIN).await.unwrap();
        let conditions = domain.status?.conditions;
        let said = conditions
            .iter()
            .find(|it| it.type_ == "ClockSynchronized")?;
        (said.status == status).then_some(())
    })
    .await;
}

/// The operator within this process, with a clock of its own.
pub(super) struct Running {
    task: JoinHandle<Result<(), OperatorError>>,
    stop: oneshot::Sender<()>,
}

impl Running {
    pub(super) fn start(world: &World, by: SignedDuration) -> Self {
        let settings = Settings {
            namespace: "countersign-system".to_owned(),
            secret_namespaces: None,
            issuing: false,
            workers: 8,
            pages: PageSettings::default(),
            propagation_seconds: 120,
            watch_seconds: 60,
            audit: AuditSettings {
                url: "sqlite::memory:".to_owned(),
                writer: "clock".to_owned(),
                retention: None,
            },
            publish: None,
            revocation_seconds: 60,
            clock: Clock::shifted(by),
        };
        let config = world.plane().config().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(config, settings, stopped));
        Self { task, stop }
    }

    pub(super) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}
