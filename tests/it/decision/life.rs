//! What is allowed, and what each part of an answer rests on.

use countersign_audit::{Outcome, Reader};
use serde_json::json;

use super::decider::{delegated, question};
use super::setting::{permit, shared, spiffe_id};

#[tokio::test]
async fn an_agent_may_do_what_policy_permits_within_its_grants() {
    let (world, decider) = shared().await;
    let space = world.space("decide").await;
    let agents = space.agents(&["reader"]).await;
    let agent = spiffe_id(&agents[0]);
    let asked = question(&agent, "read", "ledger/invoices/7");
    decider.until(&asked, "NoPolicyPermits").await;
    space.set_policy("granted", &permit()).await;
    let told = decider.until(&asked, "Permitted").await;
    assert!(told.allowed);
    let policy = format!("{}/granted/granted", space.name);
    assert_eq!(told.whole["context"]["policies"], json!([policy]));
    let beyond = decider
        .ask(&question(&agent, "delete", "ledger/invoices/7"))
        .await;
    assert_eq!(beyond.reason, "NotGranted");
    let elsewhere = decider.ask(&question(&agent, "read", "payroll/7")).await;
    assert_eq!(elsewhere.reason, "NotGranted");
    let nobody = decider
        .ask(&question("spiffe://example.org/nobody", "read", "ledger/7"))
        .await;
    assert_eq!(nobody.reason, "UnknownAgent");
}

#[tokio::test]
async fn a_policy_of_another_namespace_permits_nothing_here() {
    let (world, decider) = shared().await;
    let (mine, theirs) = (world.space("decide").await, world.space("decide").await);
    let agent = spiffe_id(&mine.agents(&["reader"]).await[0]);
    theirs.set_policy("granted", &permit()).await;
    let other = spiffe_id(&theirs.agents(&["reader"]).await[0]);
    let path = "ledger/invoices/7";
    decider
        .until(&question(&other, "read", path), "Permitted")
        .await;
    let told = decider.ask(&question(&agent, "read", path)).await;
    assert_eq!(told.reason, "NoPolicyPermits");
}

#[tokio::test]
async fn a_chain_allows_what_each_hop_allows_and_no_more() {
    let (world, decider) = shared().await;
    let space = world.space("decide").await;
    space.set_policy("granted", &permit()).await;
    let agents = space.agents(&["planner", "reader"]).await;
    let chain = space.chain(&["planner", "reader"]).await;
    let digest = chain[1].status.as_ref().unwrap().digest.clone().unwrap();
    let reader = spiffe_id(&agents[1]);
    let told = decider
        .until(
            &delegated(&reader, "read", "ledger/invoices/7", &digest),
            "Permitted",
        )
        .await;
    assert!(told.allowed);
    // The hop is about invoices, though the agent itself may read the whole ledger.
    let beyond = decider
        .ask(&delegated(&reader, "read", "ledger/orders/7", &digest))
        .await;
    assert_eq!(beyond.reason, "NotGranted");
    let planner = spiffe_id(&agents[0]);
    let stolen = decider
        .ask(&delegated(&planner, "read", "ledger/invoices/7", &digest))
        .await;
    assert_eq!(stolen.reason, "NotTheDelegate");
    let unknown = "A".repeat(43);
    let unknown = decider
        .ask(&delegated(&reader, "read", "ledger/invoices/7", &unknown))
        .await;
    assert_eq!(unknown.reason, "UnknownDelegation");
}

#[tokio::test]
async fn a_bad_policy_leaves_the_good_one_in_force() {
    let (world, decider) = shared().await;
    let space = world.space("decide").await;
    let agent = spiffe_id(&space.agents(&["reader"]).await[0]);
    space.set_policy("granted", &permit()).await;
    let asked = question(&agent, "read", "ledger/invoices/7");
    decider.until(&asked, "Permitted").await;
    let bad = json!({"policies": [{"id": "granted", "cedar": "permit (principal, action, resource) when { resource.sensitvity < 2 };"}]});
    space.set_policy("granted", &bad).await;
    crate::harness::eventually("it is Stalled", async || {
        let policy = space.policies().get("granted").await.ok()?;
        let conditions = policy.status?.conditions;
        let stalled = conditions
            .iter()
            .find(|it| it.type_ == "Stalled" && it.status == "True")?;
        assert!(stalled.message.contains("line 1"), "{}", stalled.message);
        Some(())
    })
    .await;
    assert!(decider.ask(&asked).await.allowed);
    // And in a decision point that was not there when it was good.
    let other = super::decider::Decider::start(world, "late", &[]);
    other.ready().await;
    assert!(other.ask(&asked).await.allowed, "{}", other.log());
}

#[tokio::test]
async fn each_decision_is_on_record_and_leads_to_the_requester_of_the_root() {
    let (world, decider) = shared().await;
    let space = world.space("decide").await;
    space.set_policy("granted", &permit()).await;
    let agents = space.agents(&["planner", "reader"]).await;
    let chain = space.chain(&["planner", "reader"]).await;
    let digest = chain[1].status.as_ref().unwrap().digest.clone().unwrap();
    let reader = spiffe_id(&agents[1]);
    let ask = |path: &str| delegated(&reader, "read", path, &digest);
    let allowed = decider.until(&ask("ledger/invoices/7"), "Permitted").await;
    let denied = decider.ask(&ask("ledger/orders/7")).await;
    let log = Reader::open(&decider.audit).await.unwrap();
    for (told, outcome) in [(&allowed, Outcome::Allowed), (&denied, Outcome::Refused)] {
        let entry = crate::harness::eventually("the record", async || {
            let found = log.by_object_uid(&told.id).await.ok()?;
            found.into_iter().next().map(|it| it.entry)
        })
        .await;
        assert_eq!(entry.outcome, outcome);
        assert_eq!(entry.reason, told.reason);
        assert_eq!(entry.requester.unwrap().username, "admin");
        assert_eq!(entry.delegation.unwrap().digest, digest);
    }
}
