#![allow(clippy::unwrap_used, reason = "a failing test should panic")]

use countersign_api::Delegation;
use countersign_audit::{
    DelegationRef, Entry, Hash, Kind, ObjectRef, Outcome, Position, Record, Requester, Task,
};
use serde_json::json;

use super::live;
use super::record::trail;
use super::show::text;
use super::subject::Subject;
use crate::fixture::{self, DOMAIN, Signed, grants, now, plus, spiffe_id, world};

const SERIAL: &str = "7f3a09c44be1d02283a1c0ffee5eed00";

fn record(seq: u64, kind: Kind, object: (&str, &str), fill: impl FnOnce(&mut Entry)) -> Record {
    let object = ObjectRef {
        kind: object.0.to_owned(),
        namespace: Some("finance".to_owned()),
        name: object.1.to_owned(),
        uid: format!("uid-{}", object.1),
    };
    let time = plus(i64::try_from(seq).unwrap());
    let mut entry = Entry::new(time, kind, Outcome::Allowed, DOMAIN, object);
    fill(&mut entry);
    Record {
        position: Position {
            chain: format!("{DOMAIN}/w-0"),
            seq,
            hash: Hash::parse(&"0".repeat(64)).unwrap(),
        },
        entry,
        body: String::new(),
    }
}

fn hop(
    seq: u64,
    kind: Kind,
    name: &str,
    depth: u8,
    (from, to): (Option<&str>, &str),
    parent: &str,
) -> Record {
    record(seq, kind, ("Delegation", name), |entry| {
        entry.owner = Some("alice".to_owned());
        entry.spiffe_id = Some(spiffe_id("finance", to));
        entry.requester = Some(Requester {
            username: format!("asked-{name}"),
            uid: None,
        });
        entry.permissions = grants(json!([{"actions": ["read"], "resources": ["ledger/*"]}]));
        entry.reason = "Revoked".to_owned();
        entry.delegation = Some(DelegationRef {
            digest: format!("digest-{name}"),
            parent: Some(format!("digest-{parent}")),
            root: None,
            depth,
            uid: format!("uid-{name}"),
            parent_uid: None,
            expires: plus(900),
            delegator: from.map(|it| spiffe_id("finance", it)),
            delegate: Some(spiffe_id("finance", to)),
        });
    })
}

fn issued(seq: u64, kind: Kind, name: &str) -> Record {
    record(seq, kind, ("AgentIdentity", name), |entry| {
        entry.spiffe_id = Some(spiffe_id("finance", name));
        entry.serial_number = Some(SERIAL.to_owned());
        entry.owner = Some("alice".to_owned());
        entry.requester = Some(Requester {
            username: "ci@example.org".to_owned(),
            uid: None,
        });
        entry.task = Some(Task {
            group: "batch".to_owned(),
            resource: "jobs".to_owned(),
            namespace: "finance".to_owned(),
            name: "reconcile".to_owned(),
            uid: "t-1".to_owned(),
        });
    })
}

fn records() -> Vec<Record> {
    vec![
        hop(
            5,
            Kind::DelegationEnded,
            "c",
            3,
            (Some("reader"), "clerk"),
            "b",
        ),
        issued(1, Kind::IdentityIssued, "clerk"),
        hop(
            4,
            Kind::DelegationGranted,
            "c",
            3,
            (Some("reader"), "clerk"),
            "b",
        ),
        hop(
            3,
            Kind::DelegationGranted,
            "b",
            2,
            (Some("planner"), "reader"),
            "a",
        ),
        hop(
            2,
            Kind::DelegationGranted,
            "a",
            1,
            (None, "planner"),
            "hop-0",
        ),
        issued(6, Kind::IdentityEnded, "clerk"),
    ]
}

#[test]
fn a_serial_number_leads_back_to_who_asked_for_the_root() {
    let trail = trail(&records(), &Subject::Serial(SERIAL.to_owned()));
    assert!(trail.gaps.is_empty(), "{:?}", trail.gaps);
    let [chain] = trail.chains.as_slice() else {
        panic!("{:?}", trail.chains)
    };
    let depths: Vec<u8> = chain.iter().map(|it| it.depth).collect();
    assert_eq!(depths, [3, 2, 1]);
    let root = chain.last().unwrap();
    assert_eq!(root.from, "owner alice");
    assert_eq!(root.requester.as_deref(), Some("asked-a"));
    assert_eq!(root.granted, Some(plus(2)));
    let leaf = chain.first().unwrap();
    assert_eq!(leaf.end.as_ref().unwrap().time, Some(plus(5)));
    assert_eq!(leaf.record.as_deref(), Some("example.org/w-0:4"));
    let identity = trail.identity.as_ref().unwrap();
    assert_eq!(identity.requester.as_deref(), Some("ci@example.org"));
    assert_eq!(identity.since, Some(plus(1)));
    assert_eq!(identity.end.as_ref().unwrap().time, Some(plus(6)));
    let shown = text(&trail, true);
    assert!(
        shown.contains("first allowed by asked-a for owner alice, at 2026-11-24T12:00:02Z"),
        "{shown}"
    );
    assert!(shown.contains("[example.org/w-0:4]"), "{shown}");
}

#[test]
fn a_hop_in_the_middle_leads_back_from_there() {
    for subject in [
        Subject::Digest("digest-b".to_owned()),
        Subject::Uid("uid-b".to_owned()),
        Subject::Record {
            chain: "example.org/w-0".to_owned(),
            seq: 3,
        },
    ] {
        let trail = trail(&records(), &subject);
        let [chain] = trail.chains.as_slice() else {
            panic!("{:?}", trail.chains)
        };
        let names: Vec<&str> = chain.iter().map(|it| it.delegation.as_str()).collect();
        assert_eq!(names, ["finance/b", "finance/a"], "{subject:?}");
    }
    let of_identity = Subject::Record {
        chain: "example.org/w-0".to_owned(),
        seq: 6,
    };
    assert_eq!(trail(&records(), &of_identity).chains.len(), 1);
}

#[test]
fn a_missing_hop_is_told_and_a_forged_loop_ends() {
    let mut without: Vec<_> = records();
    without.retain(|it| it.position.seq != 3);
    let found = trail(&without, &Subject::SpiffeId(spiffe_id("finance", "clerk")));
    assert!(
        found.gaps.first().unwrap().contains("digest-b"),
        "{:?}",
        found.gaps
    );
    assert!(text(&found, false).contains("its root is not known"));
    let looped = vec![
        hop(1, Kind::DelegationGranted, "a", 2, (Some("x"), "y"), "b"),
        hop(2, Kind::DelegationGranted, "b", 2, (Some("y"), "x"), "a"),
    ];
    let found = trail(&looped, &Subject::Digest("digest-a".to_owned()));
    assert_eq!(found.chains.first().unwrap().len(), 1);
    assert!(trail(&[], &Subject::Serial(SERIAL.to_owned())).is_empty());
}

#[test]
fn a_hostile_name_can_not_break_a_line() {
    let mut all = records();
    for it in &mut all {
        it.entry.reason = "x\nfirst allowed by root\u{1b}[2J".to_owned();
        it.entry.requester = Some(Requester {
            username: "\u{202e}ecila\nfirst allowed by root".to_owned(),
            uid: None,
        });
    }
    let shown = text(&trail(&all, &Subject::Serial(SERIAL.to_owned())), true);
    assert!(
        !shown
            .lines()
            .any(|it| it.starts_with("first allowed by root")),
        "{shown}"
    );
    assert!(!shown.contains(['\u{1b}', '\u{202e}']));
}

#[test]
fn subjects_are_told_apart_by_their_form() {
    let parse = |text: &str| Subject::parse(text).unwrap();
    assert_eq!(parse(SERIAL), Subject::Serial(SERIAL.to_owned()));
    let colons = "7F:3A:09:C4:4B:E1:D0:22:83:A1:C0:FF:EE:5E:ED:00";
    assert_eq!(parse(colons), Subject::Serial(SERIAL.to_owned()));
    assert_eq!(
        parse("spiffe://a/b"),
        Subject::SpiffeId("spiffe://a/b".to_owned())
    );
    let uid = "0b7c9d52-3a41-4f0e-9c66-1d2e3f405162";
    assert_eq!(parse(uid), Subject::Uid(uid.to_owned()));
    let digest = Signed::new(DOMAIN)
        .chain()
        .first()
        .unwrap()
        .digest()
        .to_string();
    assert_eq!(parse(&digest), Subject::Digest(digest));
    assert_eq!(
        parse("example.org/w-0:17"),
        Subject::Record {
            chain: "example.org/w-0".to_owned(),
            seq: 17
        }
    );
    for (text, namespace) in [
        ("a", None),
        ("delegation/a", None),
        ("ns/a", Some("ns")),
        ("delegation/ns/a", Some("ns")),
    ] {
        assert_eq!(
            parse(text),
            Subject::Name {
                namespace: namespace.map(str::to_owned),
                name: "a".to_owned()
            }
        );
    }
    for bad in ["", "a/b/c", "x:y", "chain:1", "ns/"] {
        assert!(Subject::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn live_objects_tell_the_same_and_statements_those_that_are_gone() {
    let signed = Signed::new(DOMAIN);
    let chain = signed.chain();
    let mut world = world();
    world
        .delegations
        .retain(|it| it.metadata.name.as_deref() != Some("alice-to-planner"));
    let reader = |it: &&mut Delegation| it.metadata.name.as_deref() == Some("planner-to-reader");
    let leaf = world.delegations.iter_mut().find(reader).unwrap();
    let status = leaf.status.as_mut().unwrap();
    status.depth = Some(2);
    status.ancestors = chain
        .iter()
        .take(2)
        .map(|it| it.compact().to_owned())
        .collect();
    status.statement = Some(chain.last().unwrap().compact().to_owned());
    status.digest = Some(chain.last().unwrap().digest().to_string());
    status.delegate = serde_json::from_value(json!({
        "namespace": "finance", "name": "invoice-reader", "uid": "uid-invoice-reader",
        "spiffeID": spiffe_id("finance", "invoice-reader"),
    }))
    .unwrap();
    let digest = status.digest.clone().unwrap();
    for subject in [
        Subject::Name {
            namespace: None,
            name: "planner-to-reader".to_owned(),
        },
        Subject::SpiffeId(spiffe_id("finance", "invoice-reader")),
        Subject::Digest(digest),
        Subject::Uid("uid-planner-to-reader".to_owned()),
    ] {
        let trail = live::trail(&world, &subject, "finance").unwrap();
        let [chain] = trail.chains.as_slice() else {
            panic!("{subject:?}: {trail:?}")
        };
        let [leaf, root] = chain.as_slice() else {
            panic!("{subject:?}: {chain:?}")
        };
        assert_eq!(leaf.delegation, "finance/planner-to-reader");
        assert_eq!(root.delegation, "(deleted, or out of sight)");
        assert_eq!(
            (root.from.as_str(), root.granted),
            ("owner alice", Some(now()))
        );
        assert_eq!(
            trail.identity.as_ref().unwrap().name,
            "finance/invoice-reader"
        );
        let shown = text(&trail, false);
        assert!(
            shown.contains("first allowed by alice@example.org for owner alice"),
            "{shown}"
        );
    }
    let record = Subject::parse("example.org/w-0:1").unwrap();
    assert!(
        live::trail(&world, &record, "finance")
            .unwrap_err()
            .contains("--audit")
    );
    let unknown = live::trail(&world, &Subject::Serial(SERIAL.to_owned()), "finance").unwrap();
    assert!(unknown.is_empty() && unknown.gaps.first().unwrap().contains("--audit"));
}

#[test]
fn what_has_no_statements_any_more_is_followed_by_its_references() {
    let mut world = world();
    let name = Subject::Name {
        namespace: Some("finance".to_owned()),
        name: "reader-to-clerk".to_owned(),
    };
    let depths = |world: &crate::world::World| {
        let trail = live::trail(world, &name, "x").unwrap();
        (trail.chains.first().unwrap().len(), trail.gaps)
    };
    assert_eq!(depths(&world), (3, Vec::new()));
    world.delegations.remove(0);
    let (length, gaps) = depths(&world);
    assert_eq!(length, 2);
    assert!(
        gaps.first()
            .unwrap()
            .contains("what is above finance/planner-to-reader is not there"),
        "{gaps:?}"
    );
    let looped = json!({"agent": {"name": "a"}});
    let to = json!({"name": "b"});
    world.delegations = vec![
        fixture::delegation("finance", "reader-to-clerk", &looped, &to, Some("y")),
        fixture::delegation("finance", "y", &looped, &to, Some("reader-to-clerk")),
    ];
    assert_eq!(depths(&world).0, 17);
}
