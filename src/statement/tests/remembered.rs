//! A verifier that remembers.

use super::fixture::*;
use crate::{Chain, ChainError, Claims, Digest, Options, Statement, Verifier};
use std::sync::Arc;

fn ask(verifier: &Verifier, texts: &[String], seconds: i64) -> Result<Arc<Chain>, ChainError> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    verifier.verify(&texts, plus(start(), seconds), &Options::default())
}

#[test]
fn a_known_leaf_counts_with_the_chain_that_it_was_verified_with() {
    let ring = ring();
    let verifier = Verifier::new(ring.trusted().unwrap(), 100);
    let all = texts(&chain(&signer(&ring), 3));
    let first = ask(&verifier, &all, 0).unwrap();
    let second = ask(&verifier, &all, 1).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let mut garbled = all.clone();
    garbled[0] = "nonsense".to_owned();
    assert_eq!(ask(&verifier, &garbled, 1).unwrap(), first);
    // With fewer or more above it, it is another claim.
    ask(&verifier, &all[1..], 1).unwrap_err();
}

#[test]
fn expiry_and_revocation_are_looked_at_each_time() {
    let ring = ring();
    let verifier = Verifier::new(ring.trusted().unwrap(), 100);
    let statements = chain(&signer(&ring), 2);
    let all = texts(&statements);
    ask(&verifier, &all, 0).unwrap();
    assert_eq!(
        ask(&verifier, &all, HOUR).unwrap_err().category(),
        "expired"
    );
    let revoked = |digest: &Digest| digest == statements[1].digest();
    let options = Options {
        revoked: Some(&revoked),
        ..Options::default()
    };
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let error = verifier.verify(&all, start(), &options).unwrap_err();
    assert_eq!((error.hop, error.category()), (Some(1), "revoked"));
}

#[test]
fn below_a_known_part_only_what_is_new_is_verified_and_it_is_verified() {
    let ring = ring();
    let signer = signer(&ring);
    let verifier = Verifier::new(ring.trusted().unwrap(), 100);
    let statements = chain(&signer, 4);
    ask(&verifier, &texts(&statements)[..3], 0).unwrap();
    let whole = ask(&verifier, &texts(&statements), 0).unwrap();
    assert!(whole.hops().eq(statements.iter()));
    // The hops between are known, too.
    assert_eq!(
        ask(&verifier, &texts(&statements)[..4], 0)
            .unwrap()
            .hops()
            .len(),
        4
    );
    let wider = Claims {
        max_depth: 16,
        expires_at: plus(start(), 2 * HOUR),
        ..below(&statements[4])
    };
    let sibling = |claims: &Claims| {
        let mut all: Vec<Statement> = statements.clone();
        all.push(signer.countersign(claims).unwrap());
        texts(&all)
    };
    let error = ask(&verifier, &sibling(&wider), 0).unwrap_err();
    assert_eq!((error.hop, error.category()), (Some(5), "widens-expiry"));
    let mut broken = sibling(&below(&statements[4]));
    ask(&verifier, &broken, 0).unwrap();
    let last = broken[5].pop().unwrap();
    broken[5].push(if last == 'A' { 'Q' } else { 'A' });
    ask(&verifier, &broken, 0).unwrap_err();
}

#[test]
fn other_keys_forget_everything() {
    let ring = ring();
    let verifier = Verifier::new(ring.trusted().unwrap(), 100);
    let all = texts(&chain(&signer(&ring), 2));
    ask(&verifier, &all, 0).unwrap();
    let mut distrusting = want();
    distrusting
        .distrusted
        .insert(signer(&ring).kid().to_owned());
    let without = step(&ring, &distrusting, start());
    verifier.trust(without.trusted().unwrap());
    assert_eq!(
        ask(&verifier, &all, 0).unwrap_err().category(),
        "unknown-key"
    );
}

#[test]
fn no_more_is_kept_than_was_allowed() {
    let ring = ring();
    let signer = signer(&ring);
    let verifier = Verifier::new(ring.trusted().unwrap(), 8);
    for round in 0..40 {
        let all = chain_of(&signer, 1, |claims| {
            claims.requester = Some(format!("user-{round}"));
        });
        ask(&verifier, &texts(&all), 0).unwrap();
        assert!(verifier.remembered() <= 8);
    }
}
