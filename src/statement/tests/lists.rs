//! Revocation lists and checkpoints.

use serde_json::json;

use super::fixture::*;
use crate::revocation::{List, partition_of};
use crate::{Digest, Purpose, checkpoint, jws};

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn list(digests: &[Digest], place: (u32, u32)) -> List {
    List::new(
        start(),
        plus(start(), 60),
        7,
        place,
        digests.iter().copied(),
    )
    .unwrap()
}

#[test]
fn a_list_says_what_is_revoked_until_the_next_one_is_due() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let signer = ring.signer(Purpose::Lists).unwrap();
    let written = list(&[digest(9), digest(3), digest(9)], (0, 1));
    let compact = written.sign(&signer).unwrap();
    let read = List::verify(&compact, &keys, plus(start(), 59)).unwrap();
    assert_eq!(read, written);
    assert_eq!(read.contains(&digest(3)), Some(true));
    assert_eq!(read.contains(&digest(4)), Some(false));
    let stale = List::verify(&compact, &keys, plus(start(), 60)).unwrap_err();
    assert_eq!(stale.category(), "stale");
}

#[test]
fn a_partition_knows_nothing_of_another() {
    let all: Vec<Digest> = (0..=255).map(digest).collect();
    for partition in 0..4 {
        let list = list(&all, (partition, 4));
        for digest in &all {
            let here = partition_of(digest, 4) == partition;
            assert_eq!(list.contains(digest), here.then_some(true));
        }
    }
    List::new(start(), plus(start(), 60), 7, (4, 4), []).unwrap_err();
    List::new(start(), start(), 7, (0, 4), []).unwrap_err();
}

#[test]
fn a_list_that_is_altered_unsorted_or_signed_for_something_else_is_refused() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let signer = ring.signer(Purpose::Lists).unwrap();
    let compact = list(&[digest(3), digest(9)], (0, 1)).sign(&signer).unwrap();
    let refused = |text: &str| List::verify(text, &keys, start()).unwrap_err().category();
    let body = payload(&compact);
    let altered = |name: &str, value| {
        let mut body = body.clone();
        body[name] = value;
        signer
            .sign(Purpose::Lists, body.to_string().as_bytes())
            .unwrap()
    };
    for (name, value) in [
        ("digests", json!([digest(9), digest(3)])),
        ("digests", json!([digest(3), digest(3)])),
        ("partition", json!(1)),
        ("partitions", json!(0)),
        ("partitions", json!(2)),
        ("extra", json!(1)),
    ] {
        assert_eq!(refused(&altered(name, value)), "bad-claims", "{name}");
    }
    assert_eq!(
        refused(&altered("iss", json!("spiffe://example.com"))),
        "other-trust-domain"
    );
    let names = "iss iat next_update seq partition partitions digests".split(' ');
    let unnamed = json!(names.map(|name| &body[name]).collect::<Vec<_>>());
    let unnamed = signer.sign(Purpose::Lists, unnamed.to_string().as_bytes());
    assert_eq!(refused(&unnamed.unwrap()), "bad-claims");
    let shorter = jws::encode(json!({"digests": []}).to_string().as_bytes());
    let parts: Vec<&str> = compact.split('.').collect();
    assert_eq!(
        refused(&format!("{}.{shorter}.{}", parts[0], parts[2])),
        "bad-signature"
    );
    let wrong = super::fixture::signer(&ring);
    assert_eq!(
        list(&[], (0, 1)).sign(&wrong).unwrap_err().category(),
        "other-purpose"
    );
}

#[test]
fn a_checkpoint_is_read_back_and_nothing_else_passes_for_one() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let signer = ring.signer(Purpose::Checkpoints).unwrap();
    let written = checkpoint::Checkpoint {
        issued_at: start(),
        chain: "operator-0".to_owned(),
        sequence: 12,
        hash: [0xab; 32],
    };
    let compact = checkpoint::sign(&written, &signer).unwrap();
    assert_eq!(checkpoint::verify(&compact, &keys).unwrap(), written);
    let refused = |text: &str| checkpoint::verify(text, &keys).unwrap_err().category();
    let mut body = payload(&compact);
    body["hash"] = json!("AB".repeat(32));
    let upper = signer.sign(Purpose::Checkpoints, body.to_string().as_bytes());
    assert_eq!(refused(&upper.unwrap()), "bad-claims");
    let body = payload(&compact);
    let names = ["iss", "iat", "chain", "seq", "hash"];
    let unnamed = json!(names.map(|name| &body[name])).to_string();
    let unnamed = signer.sign(Purpose::Checkpoints, unnamed.as_bytes());
    assert_eq!(refused(&unnamed.unwrap()), "bad-claims");
    let lists = ring.signer(Purpose::Lists).unwrap();
    assert_eq!(
        checkpoint::sign(&written, &lists).unwrap_err().category(),
        "other-purpose"
    );
    let list = list(&[], (0, 1)).sign(&lists).unwrap();
    assert_eq!(refused(&list), "type");
}
