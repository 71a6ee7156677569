//! Records are found, trails lead to the root, and exports are what was stored.

use super::fixture::{Place, at, entry, hop, issued, settings, spiffe_id};
use crate::{
    Cursor, DelegationRef, Entry, Filter, Format, Kind, Outcome, Reader, TrailStart, export, ocsf,
};

async fn story() -> (Place, Reader) {
    let place = Place::new();
    let running = place.log().await;
    for entry in [
        Entry {
            delegation: hop(1, 5, 0, 0).delegation,
            ..entry(1, Kind::DelegationGranted)
        },
        hop(2, 5, 1, 12),
        hop(3, 5, 2, 11),
        hop(4, 5, 3, 10),
        issued(10),
        Entry {
            kind: Kind::IdentityRenewed,
            time: at(11),
            serial_number: Some("a1".to_owned()),
            ..issued(10)
        },
        hop(12, 6, 1, 99),
        issued(13),
        Entry {
            outcome: Outcome::Refused,
            reason: "Widens".to_owned(),
            kind: Kind::DelegationRefused,
            ..hop(14, 7, 4, 98)
        },
    ] {
        running.log.append(entry).await.unwrap();
    }
    running.log.close().await;
    let reader = Reader::open(&place.url()).await.unwrap();
    (place, reader)
}

#[tokio::test]
async fn a_trail_leads_from_anything_to_the_root() {
    let (_place, reader) = story().await;
    for start in [
        TrailStart::Serial("a1".to_owned()),
        TrailStart::Serial("a".to_owned()),
        TrailStart::SpiffeId(spiffe_id(10)),
        TrailStart::DelegationUid("deleg-5-3".to_owned()),
        TrailStart::Digest("5-3".to_owned()),
        TrailStart::Position {
            chain: "example.org/a".to_owned(),
            seq: 4,
        },
        TrailStart::Position {
            chain: "example.org/a".to_owned(),
            seq: 6,
        },
    ] {
        let trail = reader.trail(&start).await.unwrap();
        let mut places: Vec<u64> = trail.iter().map(|it| it.position.seq).collect();
        let root = places.last().copied();
        places.sort_unstable();
        assert_eq!(
            (places, root),
            (vec![1, 2, 3, 4, 5, 6], Some(1)),
            "{start:?}"
        );
    }
    assert!(
        reader
            .trail(&TrailStart::Serial("none".to_owned()))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn records_are_found_by_what_they_are_about() {
    let (_place, reader) = story().await;
    assert_eq!(reader.by_serial("d").await.unwrap()[0].entry, issued(13));
    assert_eq!(reader.by_spiffe_id(&spiffe_id(10)).await.unwrap().len(), 3);
    assert_eq!(
        reader.by_delegation_uid("deleg-6-1").await.unwrap().len(),
        1
    );
    assert_eq!(reader.by_digest("5-2").await.unwrap().len(), 1);
    assert_eq!(reader.by_object_uid("uid-13").await.unwrap().len(), 1);
    assert!(
        reader
            .by_position("example.org/a", 99)
            .await
            .unwrap()
            .is_none()
    );
    let unexpired = reader.unexpired(at(312)).await.unwrap();
    let kinds: Vec<_> = unexpired
        .iter()
        .map(|it| (it.entry.kind, it.position.seq))
        .collect();
    assert_eq!(kinds[0], (Kind::IdentityIssued, 8));
    assert_eq!(
        kinds.len(),
        6,
        "one certificate and five delegations: {kinds:?}"
    );
}

#[tokio::test]
async fn a_decision_is_found_by_its_id_and_leads_to_the_root_and_hides_no_grant() {
    let place = Place::new();
    let running = place.log().await;
    for entry in [hop(1, 5, 1, 11), hop(2, 5, 2, 10), issued(10)] {
        running.log.append(entry).await.unwrap();
    }
    for number in 20..23 {
        let decided = Entry {
            kind: Kind::ActionDecided,
            object: crate::ObjectRef {
                kind: "Decision".to_owned(),
                namespace: Some("finance".to_owned()),
                name: "read".to_owned(),
                uid: format!("{number:032x}"),
            },
            serial_number: Some("a".to_owned()),
            not_after: Some(at(9_000)),
            delegation: hop(number, 5, 2, 10)
                .delegation
                .map(|it| DelegationRef { parent: None, ..it }),
            ..issued(10)
        };
        running.log.append(decided).await.unwrap();
    }
    running.log.close().await;
    let reader = Reader::open(&place.url()).await.unwrap();
    let found = reader.by_object_uid(&format!("{:032x}", 21)).await.unwrap();
    let [decided] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(decided.entry.kind, Kind::ActionDecided);
    let start = TrailStart::Position {
        chain: decided.position.chain.clone(),
        seq: decided.position.seq,
    };
    let trail = reader.trail(&start).await.unwrap();
    let mut places: Vec<u64> = trail.iter().map(|it| it.position.seq).collect();
    places.sort_unstable();
    assert_eq!(places, [1, 2, 3, 5], "its own, and what was granted");
    for (what, found) in [
        ("serial", reader.by_serial("a").await),
        ("SPIFFE ID", reader.by_spiffe_id(&spiffe_id(10)).await),
        ("UID", reader.by_delegation_uid("deleg-5-2").await),
        ("digest", reader.by_digest("5-2").await),
        ("unexpired", reader.unexpired(at(100)).await),
    ] {
        let found = found.unwrap();
        let none = found.iter().all(|it| it.entry.kind != Kind::ActionDecided);
        assert!(none && !found.is_empty(), "{what}: {found:?}");
    }
    let report = super::fixture::verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
}

#[tokio::test]
async fn records_are_paged_and_filtered() {
    let (_place, reader) = story().await;
    let mut cursor = Cursor::default();
    let mut seen = Vec::new();
    loop {
        let page = reader
            .records(&cursor, &Filter::default(), 2)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        cursor = Cursor {
            chain: last.position.chain.clone(),
            seq: last.position.seq,
        };
        seen.extend(page.iter().map(|it| it.position.seq));
    }
    assert_eq!(seen, (1..=9).collect::<Vec<u64>>());
    let filter = Filter {
        kind: Some(Kind::DelegationGranted),
        owner: Some("alice".to_owned()),
        from: Some(at(3)),
        until: Some(at(12)),
        chain: Some("example.org/a".to_owned()),
    };
    let found = reader
        .records(&Cursor::default(), &filter, 100)
        .await
        .unwrap();
    assert_eq!(
        found.iter().map(|it| it.position.seq).collect::<Vec<_>>(),
        [3, 4]
    );
}

#[tokio::test]
async fn json_lines_have_the_exact_text_that_was_hashed() {
    let (_place, reader) = story().await;
    let mut out = Vec::new();
    let count = export(&reader, &Filter::default(), Format::JsonLines, &mut out)
        .await
        .unwrap();
    assert_eq!(count, 9);
    let text = String::from_utf8(out).unwrap();
    let mut previous = crate::chain::GENESIS;
    for (index, line) in text.lines().enumerate() {
        let line: crate::export::Line<'_> = serde_json::from_str(line).unwrap();
        let seq = u64::try_from(index).unwrap() + 1;
        previous = crate::chain::hash_of("example.org/a", seq, &previous, line.body.get());
        assert_eq!((line.seq, line.hash), (seq, previous));
    }
}

#[tokio::test]
async fn ocsf_events_have_what_their_class_requires() {
    let (_place, reader) = story().await;
    let mut out = Vec::new();
    export(&reader, &Filter::default(), Format::Ocsf, &mut out)
        .await
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    let events: Vec<serde_json::Value> = text
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    for event in &events {
        assert_eq!(event["class_uid"], 3004);
        let type_uid = 300_400 + event["activity_id"].as_u64().unwrap();
        assert_eq!(event["type_uid"], type_uid);
        for field in [
            "/metadata/version",
            "/metadata/product/name",
            "/actor",
            "/entity/uid",
            "/severity_id",
            "/time",
        ] {
            assert!(event.pointer(field).is_some(), "{field} in {event}");
        }
    }
    let hop = &events[3];
    assert_eq!(hop["delegation"]["uid"], "deleg-5-3");
    assert_eq!(hop["delegation"]["parent_uid"], "deleg-5-2");
    assert_eq!(hop["delegation"]["scopes"][0], "read:ledger/invoices/*");
    assert_eq!(hop["time"], 4000);
    assert_eq!(events[4]["actor"]["user"]["name"], "alice@example.com");
    assert_eq!(
        (&events[8]["status_id"], &events[8]["status_detail"]),
        (&2.into(), &"Widens".into())
    );
}

#[tokio::test]
async fn a_decision_is_api_activity() {
    let place = Place::new();
    let running = super::fixture::Running::start(settings(&place.url(), "a")).await;
    let decision = Entry {
        outcome: Outcome::Refused,
        action: Some("read".to_owned()),
        resource: Some("ledger/1".to_owned()),
        ..entry(1, Kind::ActionDecided)
    };
    running.log.append(decision).await.unwrap();
    let record = running
        .log
        .reader()
        .by_position("example.org/a", 1)
        .await
        .unwrap()
        .unwrap();
    let event = ocsf(&record);
    assert_eq!(
        (&event["class_uid"], &event["type_uid"]),
        (&6003.into(), &600_399.into())
    );
    assert_eq!(
        (&event["action_id"], &event["api"]["operation"]),
        (&2.into(), &"read".into())
    );
}
