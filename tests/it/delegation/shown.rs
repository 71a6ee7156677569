//! What people and their tools see of a delegation.

use countersign_api::Delegation;
use serde_json::json;

use super::setting::{bundle_json, but, digest, hop, root, status, verified};
use crate::harness::{OWNER, World};
use crate::support::{find, is};

/// What Flux and Helm go by (kstatus): one true condition that says where it stands.
#[tokio::test]
async fn its_conditions_say_one_thing_at_a_time_at_the_generation_that_was_looked_at() {
    let world = World::shared().await;
    let space = world.space("conditions").await;
    space.agents(&["planner", "clerk"]).await;
    let fresh = space.delegate(root("alice", "planner")).await;
    let pending = find(&fresh, "Ready").unwrap();
    assert_eq!(
        (pending.status.as_str(), pending.reason.as_str()),
        ("Unknown", "Pending"),
        "nobody has looked at it yet"
    );
    let said = |it: &Delegation| {
        let conditions = status(it).conditions.iter();
        for condition in conditions.clone() {
            assert_eq!(condition.observed_generation, it.metadata.generation);
            assert!(!condition.reason.is_empty() && !condition.message.is_empty());
        }
        conditions
            .map(|it| format!("{}={}", it.type_, it.status))
            .collect::<Vec<_>>()
    };
    assert_eq!(said(&space.until_in_force("alice").await), ["Ready=True"]);

    let wider = json!({"grants": [{"actions": ["write"], "resources": ["ledger/*"]}]});
    space
        .delegate(but(hop("wide", "alice", "planner", "clerk"), wider))
        .await;
    space
        .until_reason("wide", "Stalled", &["GrantsWiden"])
        .await;
    let wide = space.delegations().get("wide").await.unwrap();
    assert_eq!(said(&wide), ["Ready=False", "Stalled=True"]);

    space
        .delegate(hop("waits", "later", "planner", "clerk"))
        .await;
    space
        .until_reason("waits", "Reconciling", &["ParentNotFound"])
        .await;
    let waits = space.delegations().get("waits").await.unwrap();
    assert_eq!(said(&waits), ["Ready=False", "Reconciling=True"]);

    space.revoke_delegation("alice").await;
    let over = space.until_ended("alice", &["Revoked"]).await;
    assert_eq!(over.metadata.generation, Some(2));
    assert_eq!(said(&over), ["Completed=True"]);
    assert_eq!(status(&over).observed_generation, Some(2));
}

#[tokio::test]
async fn get_shows_a_delegation_in_a_line_and_wide_shows_more() {
    let world = World::shared().await;
    let space = world.space("columns").await;
    space.agents(&["planner", "clerk"]).await;
    let chain = space.chain(&["planner", "clerk"]).await;
    let get = async |more: &[&str]| {
        let get = ["get", "deleg", "-n", &space.name];
        let arguments: Vec<&str> = get.iter().chain(more).copied().collect();
        world.plane().kubectl(&arguments).await.unwrap()
    };
    let table = get(&[]).await;
    let line = |at: usize| {
        let line = table.lines().nth(at).unwrap();
        line.split_whitespace().collect::<Vec<_>>()
    };
    let columns = [
        "NAME", "FROM", "TO", "DEPTH", "READY", "STATE", "EXPIRES", "ROOT", "AGE",
    ];
    assert_eq!(line(0), columns);
    let end = status(&chain[1])
        .expiration_time
        .as_ref()
        .unwrap()
        .0
        .to_string();
    assert_eq!(
        line(1)[..8],
        [
            "to-clerk", "planner", "clerk", "2", "True", "Ready", &end, OWNER
        ]
    );
    assert_eq!(line(2)[..4], ["to-planner", OWNER, "planner", "1"]);
    let wide = get(&["-o", "wide"]).await;
    for words in [
        "REASON",
        "PARENT",
        "REQUESTER",
        "DIGEST",
        "Countersigned",
        "admin",
        &digest(&chain[1]),
    ] {
        assert!(wide.contains(words), "{words}:\n{wide}");
    }
    for (selector, found) in [
        ("spec.from.owner.name=alice", "to-planner"),
        ("spec.from.agent.name=planner", "to-clerk"),
        ("spec.parentRef.name=to-planner", "to-clerk"),
        ("spec.to.name=planner", "to-planner"),
    ] {
        let names = get(&["-o", "name", "--field-selector", selector]).await;
        assert_eq!(
            names.trim(),
            format!("delegation.countersign.dev/{found}"),
            "{selector}"
        );
    }
}

#[tokio::test]
async fn a_status_that_somebody_wrote_is_corrected_and_what_was_forged_counts_for_nothing() {
    let world = World::shared().await;
    let space = world.space("lie").await;
    space.agents(&["planner", "clerk"]).await;
    let chain = space.chain(&["planner"]).await;
    // An admin may write it; nobody else is given the right.
    let mut forged = serde_json::to_value(status(&chain[0])).unwrap();
    let statement = forged["statement"].as_str().unwrap().to_owned();
    let (signed, _) = statement.rsplit_once('.').unwrap();
    forged["statement"] = json!(format!("{signed}.{}", "A".repeat(86)));
    crate::support::put_status(&space.untyped_delegations(), "to-planner", forged).await;
    let bundle = bundle_json(&space.client).await;
    let it = space
        .until_delegation("to-planner", "countersigned anew", |it| {
            is(it, "Ready")
                && !status(it)
                    .statement
                    .as_ref()
                    .unwrap()
                    .ends_with("AAAAAAAAA")
        })
        .await;
    verified(&it, &bundle);
    space
        .delegate(hop("to-clerk", "to-planner", "planner", "clerk"))
        .await;
    verified(&space.until_in_force("to-clerk").await, &bundle);
}
