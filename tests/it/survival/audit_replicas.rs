//! Two replicas, one database: each has a chain of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use countersign_audit::Kind;
use countersign_testbed::Postgres;
use kube::ResourceExt as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use webpki::{CertRevocationList, OwnedCertRevocationList};

use super::crowd::{is_ready, name, serial};
use super::hops::{Hops, Showings, digest, hop, root};
use super::record::Book;
use crate::harness::{DOMAIN, PATIENCE, World, within};
use crate::support::uid;

const AGENTS: usize = 12;
/// Who is deleted, and who ends, while nobody leads.
const DELETED: usize = 3;
const ENDED: usize = 3;

#[tokio::test]
async fn a_leader_killed_is_followed_by_another_chain_and_what_vanished_meanwhile_is_revoked() {
    let Some(server) = Postgres::start().unwrap() else {
        return;
    };
    let world = World::own().await;
    let url = server.url();
    let address = format!("127.0.0.1:{}", free_port());
    let replica = |writer, listen| {
        let arguments = [
            ["--secret-namespaces", "*", "--audit", url.as_str()],
            ["--audit-writer", writer, "--publish-listen", listen],
        ];
        world.operator(writer, &arguments.concat())
    };
    let mut first = replica("a", "none");
    first.until_leading().await;
    let second = replica("b", &address);
    let space = world.space("replicas").await;
    let hops = Hops::of(&space);
    space.create_agents(0..AGENTS).await;
    space.until_count(PATIENCE, AGENTS, "Ready", is_ready).await;
    let book = Book::open(&world, &url).await;
    let showings = Showings::begin(&space, Some(book.reader.clone())).await;
    for n in 0..AGENTS - 1 {
        hops.create(root(&format!("root-{n}"), &name(n))).await;
        hops.until_ready(&format!("root-{n}")).await;
        let (hop_name, parent) = (format!("hop-{n}"), format!("root-{n}"));
        let object = hop(&hop_name, &parent, &name(n), &name(AGENTS - 1));
        hops.create(object).await;
        hops.until_ready(&hop_name).await;
    }
    let before = space.assert_in_order().await;

    first.kill();
    let mut lost = Vec::new();
    for n in 0..DELETED {
        lost.push(serial(&space.get(&name(n)).await));
        space.delete(&name(n)).await;
    }
    for n in DELETED..DELETED + ENDED {
        lost.push(serial(&space.get(&name(n)).await));
        space.finish_pod(&name(n), "Succeeded").await;
    }
    space.create_agent("after").await;
    hops.create(root("after", "after")).await;
    second.until_leading().await;

    space.until_ready("after").await;
    hops.until_ready("after").await;
    for n in 0..DELETED + ENDED {
        let five = Duration::from_secs(5);
        hops.until_ended(five, &format!("root-{n}")).await;
        hops.until_ended(five, &format!("hop-{n}")).await;
        space
            .until_no_secret(&format!("{}-identity", name(n)))
            .await;
    }
    let mut after = space.assert_in_order().await;
    assert!(after.remove("after").is_some());
    assert_eq!(after.len(), AGENTS - DELETED - ENDED);
    for (name, serial) in &after {
        assert_eq!(serial, &before[name], "{name} was issued once more");
    }
    world.assert_written(&space, 1).await;
    for (_, shown) in showings.end().await {
        assert_eq!(shown.digests.len(), 1, "{shown:?}");
    }

    let revoked = within(PATIENCE, "the lost ones' revocation", async || {
        let revoked = revoked(&address, &lost).await;
        (revoked.len() == lost.len()).then_some(revoked)
    })
    .await;
    assert_eq!(revoked, lost.iter().cloned().collect());
    let alive: Vec<String> = after.into_values().collect();
    assert!(self::revoked(&address, &alive).await.is_empty());

    let lengths = book.assert_intact().await;
    let chain = |writer| lengths.get(&format!("{DOMAIN}/{writer}"));
    assert!(chain("a").is_some() && chain("b").is_some(), "{lengths:?}");
    book.assert_covers(&space).await;
    for it in space.all().await.unwrap() {
        let issued = book.count(&uid(&it), Kind::IdentityIssued).await;
        assert_eq!(issued, 1, "{}", it.name_any());
    }
    for it in hops.all().await {
        let granted = book.count(&uid(&it), Kind::DelegationGranted).await;
        assert_eq!(granted, 1, "{}", it.name_any());
        assert!(digest(&it).is_some());
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Which of these serial numbers the published lists of certificates have.
async fn revoked(address: &str, serials: &[String]) -> BTreeSet<String> {
    let index = get(address, &format!("/revocations/{DOMAIN}")).await;
    let index: Value = serde_json::from_slice(&index).unwrap();
    let mut found = BTreeSet::new();
    for list in index["certificates"].as_array().unwrap() {
        let der = get(address, list["path"].as_str().unwrap()).await;
        let list = OwnedCertRevocationList::from_der(&der).unwrap();
        let list = CertRevocationList::from(list);
        for serial in serials {
            if list.find_serial(&bytes(serial)).unwrap().is_some() {
                found.insert(serial.clone());
            }
        }
    }
    found
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
    let bytes = digits.map(|it| u8::from_str_radix(it, 16).unwrap());
    bytes.collect()
}

/// The body of a page that is there, or will be: who has just begun to lead reads the log first.
async fn get(address: &str, path: &str) -> Vec<u8> {
    within(PATIENCE, path, async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let head = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
        let said = String::from_utf8_lossy(&answer[..head]);
        assert!(
            said.contains(" 200 ") || said.contains(" 503 "),
            "{path}: {said}"
        );
        said.contains(" 200 ").then(|| answer.split_off(head + 4))
    })
    .await
}
