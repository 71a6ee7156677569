//! What is noticed of an agent counts for the next answer, and lasts by the operator's hand.

use countersign_api::{AgentIdentity, RiskState};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::connection::Connection;
use super::decider::{Decider, ask, question};
use super::setting::{FALCO_TOKEN, permit, shared, spiffe_id};
use crate::harness::{Space, eventually};

pub(crate) fn signal(agent: &str, severity: u8, effect: &str) -> Value {
    let now = Timestamp::now();
    json!({
        "id": format!("{now}/{agent}/{effect}"),
        "source": "tests",
        "subject": {"agent": agent},
        "kind": "tests/odd",
        "severity": severity,
        "observed": now.to_string(),
        "lifetime": "PT1H",
        "effect": effect,
        "why": "it is odd",
    })
}

async fn allowed(space: &Space, decider: &Decider) -> (String, Value) {
    space.set_policy("granted", &permit()).await;
    let agent = spiffe_id(&space.agents(&["reader"]).await[0]);
    let asked = question(&agent, "read", "ledger/invoices/7");
    decider.until(&asked, "Permitted").await;
    (agent, asked)
}

fn risk_of(identity: &AgentIdentity) -> Option<RiskState> {
    Some(identity.status.as_ref()?.risk.as_ref()?.state)
}

#[tokio::test]
async fn a_risk_over_the_threshold_denies_at_once_and_takes_the_certificate_until_it_is_taken_back()
{
    let (world, decider) = shared().await;
    let space = world.space("decide").await;
    let (agent, asked) = allowed(&space, decider).await;
    let mut open = decider.connect().await;
    decider.tell(&signal(&agent, 90, "risk")).await;
    let told = ask(&mut open, &asked).await;
    assert_eq!(told.reason, "RiskTooHigh");
    assert_eq!(told.whole["context"]["risk"]["risk"], json!(90));
    decider.until(&asked, "AgentSuspended").await;
    eventually("the Secret is gone", async || {
        let secret = space.secrets().get_opt("reader-identity").await.ok()?;
        secret.is_none().then_some(())
    })
    .await;
    decider.tell(&signal(&agent, 0, "clear")).await;
    decider.until(&asked, "Permitted").await;
    let identity = space.identities().get("reader").await.unwrap();
    assert_eq!(risk_of(&identity), Some(RiskState::Normal));
}

#[tokio::test]
async fn a_person_brings_back_whom_risk_has_suspended() {
    let (world, decider) = shared().await;
    let space = world.space("decide").await;
    let (agent, asked) = allowed(&space, decider).await;
    decider.tell(&signal(&agent, 95, "risk")).await;
    decider.until(&asked, "AgentSuspended").await;
    super::revocation::patch_identity(&space, "reader", "Suspended").await;
    eventually("the risk is taken over", async || {
        let identity = space.identities().get("reader").await.ok()?;
        (risk_of(&identity) == Some(RiskState::Normal)).then_some(())
    })
    .await;
    super::revocation::patch_identity(&space, "reader", "Active").await;
    decider.until(&asked, "Permitted").await;
}

#[tokio::test]
async fn what_falco_says_of_a_pod_counts_for_its_agents() {
    let (world, decider) = shared().await;
    let space = world.space("decide").await;
    let (_, asked) = allowed(&space, decider).await;
    let pod = space.pod_of("work").await;
    let alert = json!({
        "uuid": "0f5d6d4e-6a4b-4b7f-8f60-5d6f1a2b3c4d",
        "rule": "Terminal shell in container",
        "priority": "Critical",
        "time": Timestamp::now().to_string(),
        "output": "A shell was spawned",
        "output_fields": {"k8s.ns.name": space.name, "k8s.pod.name": pod},
    });
    eventually("the pod is known, and the alert counts", async || {
        let mut falco = Connection::open(&decider.address, FALCO_TOKEN).await.ok()?;
        let body = alert.to_string();
        let reply = falco.post("/signals/falco", body.as_bytes()).await.ok()?;
        assert_eq!(
            reply.status,
            200,
            "{}",
            String::from_utf8_lossy(&reply.body)
        );
        let told = decider.ask(&asked).await;
        let risk = told.whole["context"]["risk"]["risk"].as_u64()?;
        (risk > 0 || !told.allowed).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_has_heard_nothing_brings_nobody_back() {
    let (world, decider) = shared().await;
    let space = world.space("decide").await;
    let (agent, asked) = allowed(&space, decider).await;
    decider.tell(&signal(&agent, 90, "risk")).await;
    decider.until(&asked, "AgentSuspended").await;
    let other = Decider::start(world, "unheard", &[]);
    other.ready().await;
    // As long as it takes to look at all agents several times.
    for _ in 0..30 {
        let identity = space.identities().get("reader").await.unwrap();
        assert_eq!(risk_of(&identity), Some(RiskState::Suspended));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(other.ask(&asked).await.reason, "AgentSuspended");
}
