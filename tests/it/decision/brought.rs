//! Chains of delegations that a request brings along in a header, through a real Envoy: somebody else's,
//! cut, empty, too long, or none at all.

use countersign_api::Delegation;

use super::decider::delegated;
use super::gate::{Gate, RESOURCE};
use crate::pki::{Credential, client_config};

const DELEGATION: &str = "x-countersign-delegation";

/// All statements of a chain, from the root's on.
fn statements(delegation: &Delegation) -> Vec<String> {
    let status = delegation.status.as_ref().unwrap();
    let last = status.statement.clone().unwrap();
    status.ancestors.iter().cloned().chain([last]).collect()
}

fn digest(delegation: &Delegation) -> String {
    delegation.status.as_ref().unwrap().digest.clone().unwrap()
}

/// One character of the signature is another.
fn altered(statement: &str) -> String {
    let place = statement.rfind('.').unwrap() + 10;
    let (before, after) = statement.split_at(place);
    let other = if after.starts_with('A') { 'B' } else { 'A' };
    format!("{before}{other}{}", &after[1..])
}

#[tokio::test]
async fn a_chain_that_is_anothers_or_cut_or_no_chain_at_all_opens_nothing() {
    let gate = Gate::new("brought", &["planner", "reader"]).await;
    let chain = gate.space.chain(&["planner", "reader"]).await;
    let far = gate.world.space("brought").await;
    far.agents(&["reader"]).await;
    let far = far.chain(&["reader"]).await;
    let asked = delegated(&gate.agents[1], "read", RESOURCE, &digest(&chain[1]));
    gate.decider.until(&asked, "Permitted").await;
    let asked = delegated(&gate.agents[0], "read", RESOURCE, &digest(&chain[0]));
    gate.decider.until(&asked, "Permitted").await;

    let [planner, reader] = ["planner", "reader"].map(async |it| gate.credential(it).await);
    let (planner, reader) = (planner.await, reader.await);
    let hops = statements(&chain[1]);
    let whole = hops.join("~");
    for good in [&digest(&chain[1]), &whole] {
        let header = [(DELEGATION, good.as_bytes())];
        let reply = gate.get(client_config(&reader), &header).await;
        gate.passed("its own", &reply);
    }

    let without = |place: usize| {
        let mut rest = hops.clone();
        rest.remove(place);
        rest.join("~")
    };
    let last = hops.len() - 1;
    let with_last = |last: &str| {
        let above = hops[..hops.len() - 1].iter().map(String::as_str);
        above.chain([last]).collect::<Vec<_>>().join("~")
    };
    let (not_hers, broken, bad) = ("NotTheDelegate", "BadChain", "BadRequest");
    let cases: Vec<(&str, &Credential, Vec<u8>, &str)> = vec![
        (
            "the digest of the one above",
            &reader,
            digest(&chain[0]).into(),
            not_hers,
        ),
        (
            "the chain of the one above",
            &reader,
            statements(&chain[0]).join("~").into(),
            not_hers,
        ),
        (
            "the digest of the one below",
            &planner,
            digest(&chain[1]).into(),
            not_hers,
        ),
        (
            "the chain of the one below",
            &planner,
            whole.clone().into(),
            not_hers,
        ),
        (
            "the digest of a namesake",
            &reader,
            digest(&far[0]).into(),
            not_hers,
        ),
        (
            "the chain of a namesake",
            &reader,
            statements(&far[0]).join("~").into(),
            not_hers,
        ),
        (
            "a digest of nothing",
            &reader,
            vec![b'A'; 43],
            "UnknownDelegation",
        ),
        (
            "without its last hop",
            &reader,
            without(last).into(),
            not_hers,
        ),
        ("without its root", &reader, without(0).into(), broken),
        ("without the middle", &reader, without(1).into(), broken),
        (
            "backwards",
            &reader,
            hops.iter()
                .rev()
                .cloned()
                .collect::<Vec<_>>()
                .join("~")
                .into(),
            broken,
        ),
        (
            "the last hop alone",
            &reader,
            hops[last].clone().into(),
            broken,
        ),
        (
            "a signature that is another",
            &reader,
            with_last(&altered(&hops[last])).into(),
            broken,
        ),
        (
            "cut in the middle of a hop",
            &reader,
            whole[..whole.len() - 10].into(),
            broken,
        ),
        (
            "cut at a hop's end",
            &reader,
            format!("{}~", without(last)).into(),
            bad,
        ),
        ("empty", &reader, Vec::new(), bad),
        (
            "a digest and more",
            &reader,
            format!("{}=", digest(&chain[1])).into(),
            bad,
        ),
        (
            "two digests",
            &reader,
            format!("{0},{0}", digest(&chain[1])).into(),
            bad,
        ),
        ("20 kB", &reader, vec![b'A'; 20_000], bad),
        ("not ASCII", &reader, "é".repeat(20).into(), bad),
        ("not UTF-8", &reader, b"\xff\xfe\xfd".to_vec(), bad),
    ];
    for (what, agent, header, reason) in cases {
        let reply = gate
            .get(client_config(agent), &[(DELEGATION, &header)])
            .await;
        gate.refused(what, &reply, reason).await;
    }
    let mine = digest(&chain[1]);
    let twice = [(DELEGATION, mine.as_bytes()), (DELEGATION, mine.as_bytes())];
    let reply = gate.get(client_config(&reader), &twice).await;
    gate.refused("twice", &reply, bad).await;

    // Envoy itself takes 60 KiB of headers, and none with a NUL.
    let long = vec![b'A'; 100_000];
    for (what, header, status) in [("100 kB", &*long, 431), ("a NUL", &b"a\0b"[..], 400)] {
        let reply = gate
            .get(client_config(&reader), &[(DELEGATION, header)])
            .await;
        assert_eq!(reply.status, status, "{what}: {reply:?}");
        assert_eq!(gate.backend.seen(), [""; 0], "{what}");
    }
    let reply = gate.get(client_config(&reader), &[]).await;
    gate.passed("without a chain", &reply);

    // A hop names what is above it by hash: where it was verified before, that counts, and nothing of
    // what came along.
    let on_anothers = [statements(&far[0]), vec![hops[last].clone()]].concat();
    let header = on_anothers.join("~");
    let header = [(DELEGATION, header.as_bytes())];
    let reply = gate.get(client_config(&reader), &header).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let seen = gate.backend.seen().concat();
    let told = format!("x-countersign-delegation: {}\r\n", digest(&chain[1]));
    assert!(seen.contains(&told), "{seen}");
}
