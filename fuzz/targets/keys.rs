//! A Secret that anybody may have written: signing keys that fit together, or none.
//!
//! An input is the state, or with another first byte one key's file, or the data as a whole.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use countersign_fuzz::ring::{file, secret_data, wanted};
use countersign_fuzz::{DOMAIN, after, start};
use countersign_statement::{KeyRing, Purpose};
use libfuzzer_sys::arbitrary::{Arbitrary as _, Unstructured};
use libfuzzer_sys::fuzz_target;

type Data = BTreeMap<String, Vec<u8>>;

static HONEST: LazyLock<Data> = LazyLock::new(|| secret_data(DOMAIN));

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    let mut data = HONEST.clone();
    match kind % 6 {
        0..3 => drop(data.insert("state.json".to_owned(), rest.to_vec())),
        3..5 => drop(data.insert(file(DOMAIN, Purpose::Lists), rest.to_vec())),
        _ => match Data::arbitrary(&mut Unstructured::new(rest)) {
            Ok(any) => data = any,
            Err(_) => return,
        },
    }
    if let Ok(ring) = KeyRing::from_secret_data(&data) {
        check(&ring);
    }
});

fn check(ring: &KeyRing) {
    assert!(stored(ring) == *ring, "what was read is written otherwise");
    // A name that is none, or too many keys, may be found out here.
    drop(ring.trusted());
    drop(ring.jwks());
    drop(ring.statuses());
    for purpose in Purpose::ALL {
        if let Ok(signer) = ring.signer(purpose) {
            assert_eq!(signer.purpose(), purpose);
        }
    }
    for seconds in [0, 86_400, 40 * 86_400] {
        let now = after(seconds);
        assert!(now >= start());
        ring.next_change(&wanted());
        let Ok(Some(next)) = ring.next(&wanted(), now) else {
            continue;
        };
        assert!(stored(&next) == next, "what follows can't be stored");
        let again = next.next(&wanted(), now).expect("what follows is good");
        assert!(again.is_none(), "a second step at the same moment");
    }
}

fn stored(ring: &KeyRing) -> KeyRing {
    let data = ring.to_secret_data();
    let data = data.into_iter().map(|(name, it)| (name, it.to_vec()));
    KeyRing::from_secret_data(&data.collect()).expect("what was written can be read")
}
