//! Nothing that arrives makes a reader panic, and no flipped bit passes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fixture::*;
use crate::revocation::List;
use crate::{KeyRing, Purpose, TrustedKeys, agent, checkpoint, read_unverified};

#[test]
fn no_flipped_bit_in_any_statement_passes() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let all = texts(&chain(&signer(&ring), 2));
    let flipped = |hop: usize, place: usize, bit: usize| {
        let mut bytes = all[hop].clone().into_bytes();
        bytes[place] ^= 1 << bit;
        String::from_utf8(bytes).unwrap()
    };
    // Each one of a statement alone …
    for place in 0..all[0].len() {
        for bit in 0..7 {
            let text = flipped(0, place, bit);
            assert!(
                verify(&[text], &keys, start()).is_err(),
                "byte {place}, bit {bit}"
            );
        }
    }
    // … and some of each in a chain, where signatures are verified together.
    for hop in 0..all.len() {
        for place in (hop..all[hop].len()).step_by(13) {
            let mut chain = all.clone();
            chain[hop] = flipped(hop, place, place % 7);
            let error = verify(&chain, &keys, start()).unwrap_err();
            assert_eq!(error.hop, Some(hop), "byte {place}: {error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn reading_never_panics(text in "\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let ring = ring();
        let keys = ring.trusted().unwrap();
        let lossy = String::from_utf8_lossy(&bytes).into_owned();
        for text in [&text, &lossy] {
            prop_assert!(verify(&[text], &keys, start()).is_err());
            prop_assert!(read_unverified(text).is_err());
            prop_assert!(List::verify(text, &keys, start()).is_err());
            prop_assert!(checkpoint::verify(text, &keys).is_err());
            prop_assert!(TrustedKeys::from_bundle_json(DOMAIN, text).is_err());
            let bundle = countersign_authority::Bundle::new(0, []);
            prop_assert!(agent::verify(text, &bundle, start()).is_err());
        }
        for name in ["state.json", "statements-00000000.key"] {
            let data = BTreeMap::from([(name.to_owned(), bytes.clone())]);
            prop_assert!(KeyRing::from_secret_data(&data).is_err());
        }
    }

    #[test]
    fn whatever_is_signed_in_place_of_claims_is_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        from in 0usize..600,
        len in 0usize..40,
    ) {
        let ring = ring();
        let keys = ring.trusted().unwrap();
        let signer = signer(&ring);
        let text = signer.sign(Purpose::Statements, &bytes).unwrap();
        prop_assert!(verify(&[text], &keys, start()).is_err());
        // Good claims with a piece replaced: no panic, whatever comes out.
        let mut body = root_claims().write().unwrap();
        let from = from.min(body.len());
        let to = (from + len).min(body.len());
        body.splice(from..to, bytes);
        let text = signer.sign(Purpose::Statements, &body).unwrap();
        drop(verify(&[text], &keys, start()));
    }
}
