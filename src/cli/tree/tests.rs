#![allow(clippy::unwrap_used, reason = "a failing test should panic")]

use super::draw::{dot, mermaid, text};
use super::forest::forest;
use super::node::{Node, NodeKind};
use super::prune::{Target, prune};
use crate::fixture::{self, delegation, now, plus, world};
use crate::standing::State;
use crate::world::World;
use serde_json::json;

fn trees() -> Vec<Node> {
    forest(&world(), now())
}

#[test]
fn an_owners_tree_has_delegations_agents_and_tasks() {
    let drawn = text(&trees(), now(), false);
    let expected = "\
owner alice  Active
├── delegation finance/alice-to-planner  Ready  ends in 14m  read on ledger/*
│   └── agent finance/planner  Ready  certificate ends in 5m
│       ├── task finance/jobs.batch/plan-1  Running
│       └── delegation finance/planner-to-reader  Ready  ends in 14m  read on ledger/*
│           └── agent finance/invoice-reader  Ready  certificate ends in 5m
│               ├── task finance/jobs.batch/reconcile  Running
│               └── delegation finance/reader-to-clerk  Ready  ends in 14m  read on ledger/*
│                   └── agent archive/clerk  Ready  of owner bob  certificate ends in 5m
│                       └── task archive/jobs.batch/file-it  Running
└── delegation finance/old  Over Revoked  read on ledger/*  (it was revoked)
    └── agent finance/planner  Ready  certificate ends in 5m
        └── task finance/jobs.batch/plan-1  Running
owner bob  Active
├── agent finance/stuck  Stalled GrantsWiden  certificate ends in 5m  (grants[0] widens: \"write\" on \"ledger/*\" is not granted above)
│   └── task finance/jobs.batch/other  Running
└── agent archive/clerk  Ready  certificate ends in 5m
    └── task archive/jobs.batch/file-it  Running
without a root delegations  Unknown ParentNotFound  (their parent is not in sight)
└── delegation finance/lost  Ready  ends in 14m  read on ledger/*
    └── agent finance/gone  Unknown NotFound  (there is no such AgentIdentity in sight)";
    assert_eq!(drawn, expected, "{drawn}");
}

#[test]
fn what_has_expired_is_over_even_if_no_operator_says_so() {
    let trees = forest(&world(), plus(3600));
    let first = trees.first().unwrap().children.first().unwrap();
    assert_eq!(
        (first.state, first.reason.as_str()),
        (State::Over, "Expired")
    );
}

#[test]
fn another_object_under_the_same_name_holds_nothing() {
    let mut world = world();
    let root = world.delegations.first_mut().unwrap();
    root.status.as_mut().unwrap().delegate = serde_json::from_value(
        json!({"namespace": "finance", "name": "planner", "uid": "uid-of-an-earlier-one"}),
    )
    .unwrap();
    let child = world.delegations.get_mut(2).unwrap();
    child.status.as_mut().unwrap().parent.as_mut().unwrap().uid =
        "uid-of-an-earlier-one".to_owned();
    let drawn = text(&forest(&world, now()), now(), false);
    assert!(
        drawn.contains("agent finance/planner  Unknown Replaced"),
        "{drawn}"
    );
    let rootless = drawn.split("without a root").nth(1).unwrap();
    assert!(rootless.contains("planner-to-reader"), "{drawn}");
}

#[test]
fn a_cycle_and_a_chain_beyond_all_depth_end() {
    let agent = json!({"agent": {"name": "a"}});
    let to = json!({"name": "b"});
    let mut delegations = vec![
        delegation("n", "x", &agent, &to, Some("y")),
        delegation("n", "y", &agent, &to, Some("x")),
        delegation("n", "d0", &json!({"owner": {"name": "o"}}), &to, None),
    ];
    for depth in 1..200 {
        let above = format!("d{}", depth - 1);
        delegations.push(delegation(
            "n",
            &format!("d{depth}"),
            &agent,
            &to,
            Some(&above),
        ));
    }
    let world = World {
        delegations,
        ..World::default()
    };
    let drawn = text(&forest(&world, now()), now(), false);
    assert!(
        drawn.contains("deeper than any chain that counts"),
        "{drawn}"
    );
    for name in ["delegation n/x ", "delegation n/y ", "delegation n/d199 "] {
        assert_eq!(drawn.matches(name).count(), 1, "{name}");
    }
}

#[test]
fn a_target_keeps_the_branches_that_lead_to_it_and_all_below() {
    let target = |text: &str| {
        let kept = prune(trees(), &Target::parse(text).unwrap());
        text_of(&kept)
    };
    let reader = target("agent/invoice-reader");
    assert!(reader.contains("alice-to-planner") && reader.contains("reader-to-clerk"));
    assert!(!reader.contains("plan-1") && !reader.contains("bob  Active"));
    assert!(target("bob").contains("stuck"));
    assert!(target("archive/clerk").contains("file-it"));
    assert_eq!(target("owner/planner"), "");
    assert!(target("delegation/finance/old").contains("Revoked"));
    for bad in ["", "a/b/c/d", "owner/", "job/a/b"] {
        assert!(Target::parse(bad).is_err(), "{bad}");
    }
}

fn text_of(trees: &[Node]) -> String {
    text(trees, now(), false)
}

#[test]
fn mermaid_has_each_object_once_and_a_class_for_each_state() {
    let drawn = mermaid(&trees());
    assert!(
        drawn.starts_with("flowchart TD\n  n0([\"owner alice<br/>Active\"]):::ready"),
        "{drawn}"
    );
    assert_eq!(drawn.matches("agent finance/planner").count(), 1);
    assert_eq!(drawn.matches("agent archive/clerk").count(), 1);
    assert!(drawn.contains(":::over") && drawn.contains(":::stalled"));
    assert!(drawn.contains("  n0 --> n1"));
}

#[test]
fn dot_has_each_object_once() {
    let drawn = dot(&trees());
    assert!(drawn.starts_with("digraph countersign {") && drawn.ends_with('}'));
    assert_eq!(drawn.matches("agent finance/planner").count(), 1);
    assert!(drawn.contains("n0 -> n1;"));
}

/// Names are DNS labels, but requesters, messages and what an older API server let through are not.
#[test]
fn hostile_text_stays_a_label() {
    let names = [
        "x\"]; n9[label=\"owned\"",
        "a\"]:::ready\n  click n0 \"javascript:alert(1)\"",
        "<script>alert(1)</script>&lt;#35;",
        "\u{202e}ecila\u{1b}[31m\u{0}",
        "back\\slash\\N \\\" ```{{x}}[[y]] %%c",
        "日本 Zoë 🐙",
    ];
    for name in names {
        let mut world = world();
        world.owners.push(fixture::owner(name));
        let mut agent = fixture::identity("finance", name, name, name);
        fixture::with_condition(
            &mut agent.status.as_mut().unwrap().conditions,
            "Stalled",
            name,
            name,
        );
        world.identities.push(agent);
        let trees = forest(&world, now());
        for drawn in [text_of(&trees), mermaid(&trees), dot(&trees)] {
            assert!(
                !drawn.chars().any(|it| it.is_control() && it != '\n'),
                "{drawn}"
            );
            assert!(!drawn.contains('\u{202e}'), "{drawn}");
        }
        for line in mermaid(&trees).lines().filter(|it| it.contains(":::")) {
            // One pair of quotes, and nothing in it that could end it or be HTML.
            assert_eq!(line.matches('"').count(), 2, "{line}");
            let label = line.split('"').nth(1).unwrap().replace("<br/>", "");
            assert!(
                !label.contains(['<', '>', '[', ']', '{', '}', '\\', '`']),
                "{line}"
            );
        }
        for line in dot(&trees).lines().filter(|it| it.contains("label=")) {
            let bare = line.replace("\\\\", "").replace("\\\"", "");
            assert_eq!(bare.matches('"').count(), 4, "{line}");
        }
        assert_eq!(
            text_of(&trees).lines().count(),
            text_of(&trees).split('\n').count()
        );
    }
}

#[test]
fn json_is_the_same_tree() {
    let value = serde_json::to_value(trees()).unwrap();
    let path = "/0/children/0/children/0/children/1/name";
    assert_eq!(value.pointer(path).unwrap(), "planner-to-reader");
    assert_eq!(
        value.pointer("/0/children/0/expires").unwrap(),
        "2026-11-24T12:14:00Z"
    );
    assert_eq!(value.pointer("/1/children/0/state").unwrap(), "Stalled");
    assert_eq!(value.pointer("/0/kind").unwrap(), "Owner");
}

#[test]
fn colours_are_only_where_they_are_asked_for() {
    let tree = trees();
    assert!(text(&tree, now(), true).contains("\u{1b}[31mStalled GrantsWiden\u{1b}[0m"));
    assert!(!text(&tree, now(), false).contains('\u{1b}'));
    assert!(tree.iter().any(|it| it.kind == NodeKind::Rootless));
}
