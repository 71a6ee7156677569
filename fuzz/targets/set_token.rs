//! Security event tokens, their keys, and alerts of Falco from anybody: no panic, nothing is accepted
//! that the issuer didn't sign, and whatever is made of them keeps to its bounds.
//!
//! The first byte of an input says what the rest is.

#![no_main]

use std::sync::LazyLock;

use countersign_decision::{Signal, SignalSubject};
use countersign_fuzz::events::{AUDIENCE, ISSUER, Transmitter};
use countersign_fuzz::start;
use countersign_signals::{
    KeySet, MAX_AGE, MAX_LIFETIME, MAX_SKEW, Meaning, Token, Verifier, falco, meaning,
};
use libfuzzer_sys::fuzz_target;

static TRANSMITTER: LazyLock<Transmitter> = LazyLock::new(Transmitter::new);
static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let jwks = TRANSMITTER.jwks();
    KeySet::parse(jwks.as_bytes()).expect("it has a key")
});
static HONEST: LazyLock<String> = LazyLock::new(|| TRANSMITTER.token(&Transmitter::claims()));

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 5 {
        0 => any_token(rest),
        1 => any_claims(rest),
        2 => any_header(rest),
        3 => any_keys(rest),
        _ => any_alert(rest),
    }
});

fn verifier() -> Verifier {
    Verifier {
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
    }
}

/// Text that nobody signed.
fn any_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if verifier().verify(&text, &KEYS, start()).is_ok() {
        assert_eq!(text, HONEST.as_str(), "another token is accepted");
    }
}

/// Claims that were never checked, but are signed.
fn any_claims(claims: &[u8]) {
    let token = TRANSMITTER.token(claims);
    let Ok(token) = verifier().verify(&token, &KEYS, start()) else {
        return;
    };
    check(&token);
}

fn check(token: &Token) {
    assert_eq!(token.issuer, ISSUER);
    assert!(!token.id.is_empty() && token.id.len() <= 256);
    let age = start().duration_since(token.issued);
    assert!(age <= MAX_AGE && -age <= MAX_SKEW);
    let Ok(Meaning::Signals(signals)) = meaning(token, start()) else {
        return;
    };
    assert!((1..=2).contains(&signals.len()));
    for signal in &signals {
        assert_eq!(signal.source, ISSUER);
        assert!(signal.id.starts_with(&token.id));
        bounded(signal);
        let read = serde_json::to_vec(signal).expect("it can be written");
        let read: Signal = serde_json::from_slice(&read).expect("and read by a replica");
        assert_eq!(&read, signal);
    }
}

fn bounded(signal: &Signal) {
    assert!(signal.severity <= 100);
    assert!(signal.lifetime.is_positive() && signal.lifetime <= MAX_LIFETIME);
    assert!(signal.observed <= start());
    assert!(!signal.kind.is_empty() && !signal.id.is_empty());
    if let SignalSubject::Owner(name) = &signal.subject {
        assert!(!name.is_empty() && !name.chars().any(char::is_control));
    }
}

/// A header that was never checked, over an honest payload, signed.
fn any_header(header: &[u8]) {
    let token = TRANSMITTER.sign(header, &Transmitter::claims());
    if verifier().verify(&token, &KEYS, start()).is_err() {
        return;
    }
    let header: serde_json::Value = serde_json::from_slice(header).expect("it was read");
    assert_eq!(header["alg"], "EdDSA");
    for forbidden in ["crit", "b64", "jwk", "jku", "x5u", "enc"] {
        assert!(header.get(forbidden).is_none(), "{forbidden} is accepted");
    }
}

/// Keys of anybody: the honest token verifies with them only if they have the honest key.
fn any_keys(json: &[u8]) {
    let Ok(keys) = KeySet::parse(json) else {
        return;
    };
    if verifier().verify(&HONEST, &keys, start()).is_ok() {
        let json = String::from_utf8_lossy(json);
        // However it is escaped, its key is there.
        assert!(json.contains(&TRANSMITTER.x()) || json.contains('\\'));
    }
}

fn any_alert(json: &[u8]) {
    if let Ok(Some(signal)) = falco::read(json, start()) {
        assert_eq!(signal.source, falco::SOURCE);
        bounded(&signal);
        let read = falco::read(json, start()).expect("again");
        assert_eq!(read, Some(signal), "the same alert is the same signal");
    }
}
