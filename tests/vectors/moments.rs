//! What depends on the time, on keys that came and went, and on what was revoked.

use serde_json::{Value, json};

use crate::keys::{
    CHECKPOINTS, FOREIGN, Key, LISTS, RETIRED, RETIRED_AT, STATEMENTS, bundle, decode, digest_of,
    encode,
};
use crate::story::{NOW, T0, chain, drafts, text};
use crate::vector::Vector;

pub(crate) fn vectors() -> Vec<Vector> {
    let good = || chain(3, |_, _| {});
    let mut all = vec![
        Vector::broken(
            "expired",
            "the moment at which hop 2 ends",
            good(),
            2,
            "expired",
        )
        .at(T0 + 1800),
        Vector::broken(
            "all-expired",
            "hop 0 is named, which is over too",
            good(),
            0,
            "expired",
        )
        .at(T0 + 3600),
        Vector::broken(
            "from-the-future",
            "hop 2 was issued 61 seconds after now",
            good(),
            2,
            "not-yet-valid",
        )
        .at(T0 - 1),
        Vector::broken(
            "retired-key",
            "hop 1 was issued a second after its key had been retired",
            chain(3, |hop, draft| {
                if hop == 1 {
                    draft.key = RETIRED;
                    draft.claims["iat"] = json!(RETIRED_AT + 1);
                }
            }),
            1,
            "retired-key",
        ),
        Vector::broken(
            "distrusted-key",
            "the bundle has its key no more",
            good(),
            0,
            "unknown-key",
        )
        .with_bundle(without(STATEMENTS)),
    ];
    all.extend(revoked());
    all.extend(lists());
    all
}

fn without(key: Key) -> Value {
    let mut bundle = bundle();
    let keys = bundle["keys"].as_array_mut().unwrap();
    keys.retain(|it| it["kid"] != json!(key.kid()));
    bundle
}

/// A list's claims, all of the partitions in one.
fn claims(digests: &[[u8; 32]]) -> Value {
    let mut digests = digests.to_vec();
    digests.sort_unstable();
    json!({
        "iss": "spiffe://example.org",
        "iat": NOW - 30,
        "next_update": NOW + 30,
        "seq": 41,
        "partition": 0,
        "partitions": 1,
        "digests": digests.iter().map(|it| encode(it)).collect::<Vec<_>>(),
    })
}

/// The claims of a list in the order of the page, without their names.
fn unnamed(claims: &Value) -> Value {
    let names = [
        "iss",
        "iat",
        "next_update",
        "seq",
        "partition",
        "partitions",
        "digests",
    ];
    json!(names.map(|name| &claims[name]))
}

fn sign(claims: &Value) -> String {
    LISTS.sign(&LISTS.header(), text(claims).as_bytes())
}

fn partition(digest: &[u8; 32], partitions: u32) -> u32 {
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % partitions
}

fn revoked() -> Vec<Vector> {
    let statements = chain(3, |_, _| {});
    let digests: Vec<[u8; 32]> = statements.iter().map(|it| digest_of(it)).collect();
    let leaf = &drafts(3)[2].claims;
    let others = [[0; 32], [7; 32], [255; 32]];
    let of = |name, description, digests: &[[u8; 32]], hop| {
        Vector::broken(name, description, statements.clone(), hop, "revoked")
            .with_lists(vec![sign(&claims(digests))])
    };
    // Each hop in a list of its own, among 4096 partitions, and others beside.
    let partitioned = |revoked: Option<usize>| -> Vec<String> {
        let list = |hop: usize| {
            let here = partition(&digests[hop], 4096);
            let revoked = revoked.filter(|&it| it == hop).map(|it| digests[it]);
            let others = others.into_iter().chain(revoked);
            let others: Vec<_> = others.filter(|it| partition(it, 4096) == here).collect();
            let mut claims = claims(&others);
            claims["partition"] = json!(here);
            claims["partitions"] = json!(4096);
            sign(&claims)
        };
        (0..digests.len()).map(list).collect()
    };
    vec![
        of(
            "revoked",
            "hop 2 is on the list",
            &[digests[2], others[1]],
            2,
        ),
        of(
            "revoked-ancestor",
            "hop 1 is on the list, and ends all below it",
            &[others[0], digests[1]],
            1,
        ),
        of("revoked-root", "hop 0 is on the list", &[digests[0]], 0),
        Vector::broken(
            "revoked-in-a-partition",
            "the list of hop 1's partition has it",
            statements.clone(),
            1,
            "revoked",
        )
        .with_lists(partitioned(Some(1))),
        Vector::valid(
            "not-revoked",
            "others are on the list",
            statements.clone(),
            leaf,
        )
        .with_lists(vec![sign(&claims(&others))]),
        Vector::valid(
            "not-revoked-in-partitions",
            "the lists of all three partitions",
            statements.clone(),
            leaf,
        )
        .with_lists(partitioned(None)),
        Vector::broken(
            "partition-missing",
            "no list for the partition of hop 2",
            statements.clone(),
            None,
            "stale",
        )
        .with_lists(partitioned(None)[..2].to_vec()),
    ]
}

/// Lists that count for nothing.
fn lists() -> Vec<Vector> {
    let with = |name: &str, description: &str, list: String, category: &str| {
        Vector::broken(name, description, chain(3, |_, _| {}), None, category)
            .with_lists(vec![list])
    };
    let edited = |member: &str, value: Value| {
        let mut claims = claims(&[[1; 32], [2; 32]]);
        claims[member] = value;
        sign(&claims)
    };
    let good = claims(&[[1; 32]]);
    let signed_by = |key: Key| {
        key.sign(
            &key.header_of("countersign-revocations+jwt"),
            text(&good).as_bytes(),
        )
    };
    let mut altered = sign(&good);
    let signature = altered.rsplit_once('.').unwrap().1;
    let mut bytes = decode(signature);
    bytes[0] ^= 1;
    altered = format!("{}.{}", altered.rsplit_once('.').unwrap().0, encode(&bytes));
    let twice = [encode(&[1; 32]), encode(&[1; 32])];
    let descending = [encode(&[2; 32]), encode(&[1; 32])];
    let mut elsewhere = claims(&[[0; 32]]);
    elsewhere["partition"] = json!(1);
    elsewhere["partitions"] = json!(2);
    vec![
        with(
            "list-stale",
            "the next list was due now",
            edited("next_update", json!(NOW)),
            "stale",
        ),
        with(
            "list-of-another-trust-domain",
            "another issuer",
            edited("iss", json!("spiffe://example.com")),
            "other-trust-domain",
        ),
        with(
            "list-by-the-key-for-statements",
            "signed by the key for statements",
            signed_by(STATEMENTS),
            "other-purpose",
        ),
        with(
            "list-by-the-key-for-checkpoints",
            "signed by the key for checkpoints",
            signed_by(CHECKPOINTS),
            "other-purpose",
        ),
        with(
            "list-by-another-trust-domain",
            "signed by another trust domain's key",
            signed_by(FOREIGN),
            "unknown-key",
        ),
        with(
            "list-altered",
            "its signature doesn't verify",
            altered,
            "bad-signature",
        ),
        with(
            "list-that-is-a-statement",
            "a statement",
            chain(1, |_, _| {}).remove(0),
            "type",
        ),
        with(
            "list-unordered",
            "digests descend",
            edited("digests", json!(descending)),
            "bad-claims",
        ),
        with(
            "list-twice",
            "a digest twice",
            edited("digests", json!(twice)),
            "bad-claims",
        ),
        with(
            "list-elsewhere",
            "a digest of another partition",
            sign(&elsewhere),
            "bad-claims",
        ),
        with(
            "list-beyond",
            "partition 1 of 1",
            edited("partition", json!(1)),
            "bad-claims",
        ),
        with(
            "list-of-none",
            "no partitions",
            edited("partitions", json!(0)),
            "bad-claims",
        ),
        with(
            "list-without-a-life",
            "next_update is not after iat",
            edited("iat", json!(NOW + 30)),
            "bad-claims",
        ),
        with(
            "list-as-array",
            "a list's claims without their names",
            LISTS.sign(&LISTS.header(), unnamed(&good).to_string().as_bytes()),
            "bad-claims",
        ),
        with(
            "list-with-more",
            "a claim that isn't known",
            edited("crl", json!("")),
            "bad-claims",
        ),
    ]
}
