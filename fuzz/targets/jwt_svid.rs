//! JWT-SVIDs and the keys for them from anybody: no panic, nothing is accepted that the trust domain
//! didn't sign, and what is accepted says what it must.
//!
//! The first byte of an input says what the rest is.

#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use countersign_core::SpiffeId;
use countersign_fuzz::tokens::{AUDIENCE, SUBJECT, Tokens};
use countersign_fuzz::{DOMAIN, start};
use countersign_jwtsvid::{Audience, IssuerUrl, JwtSvid, Keys, discovery};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static TOKENS: LazyLock<Tokens> = LazyLock::new(Tokens::new);

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 6 {
        0 => any_token(rest),
        1 => any_claims(rest),
        2 => any_header(rest),
        3 => any_bundle(rest),
        4 => any_audience(rest),
        _ => any_issuer(rest),
    }
});

/// Text that nobody signed.
fn any_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let verified = TOKENS.keys.verify(&text, AUDIENCE, start());
    assert!(verified.is_err(), "a token of nobody's is accepted");
}

/// Claims that were never checked, but are signed.
fn any_claims(claims: &[u8]) {
    let token = TOKENS.sign(TOKENS.header().as_bytes(), claims);
    if let Ok(svid) = TOKENS.keys.verify(&token, AUDIENCE, start()) {
        check(&svid);
    }
}

fn check(svid: &JwtSvid) {
    let ours = format!("spiffe://{DOMAIN}/");
    assert!(svid.subject.as_str().starts_with(&ours));
    assert!(svid.audience.iter().any(|it| it == AUDIENCE));
    assert!(svid.expires_at > start());
    assert_eq!(svid.claims["sub"].as_str(), Some(svid.subject.as_str()));
    assert_eq!(
        svid.claims["exp"].as_i64(),
        Some(svid.expires_at.as_second())
    );
}

/// A header that was never checked, in front of good claims.
fn any_header(header: &[u8]) {
    let token = TOKENS.sign(header, Tokens::claims().as_bytes());
    if TOKENS.keys.verify(&token, AUDIENCE, start()).is_err() {
        return;
    }
    let header: Value = serde_json::from_slice(header).expect("it was read");
    assert_eq!(header["alg"], "ES256");
    assert_eq!(header["kid"], TOKENS.kid());
    let names: BTreeSet<&str> = header
        .as_object()
        .expect("it is an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert!(names.is_subset(&["alg", "kid", "typ"].into()));
}

fn any_bundle(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(keys) = Keys::from_bundle_json(DOMAIN, &text) else {
        return;
    };
    let kids: Vec<&str> = keys.kids().collect();
    let different: BTreeSet<&str> = kids.iter().copied().collect();
    assert_eq!(kids.len(), different.len());
    let jwks: Value = serde_json::from_str(&keys.jwks()).expect("it is JSON");
    assert_eq!(jwks["keys"].as_array().map(Vec::len), Some(kids.len()));
    drop(keys.verify(&TOKENS.honest, AUDIENCE, start()));
}

/// A token is issued to whoever may have it, for whatever audience there can be.
fn any_audience(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.split('\n').collect();
    let Ok(audience) = Audience::parse(&lines) else {
        return;
    };
    let subject = SpiffeId::parse(SUBJECT).expect("it is one");
    let life = Duration::from_secs(300);
    let token = TOKENS
        .signer
        .issue(&subject, &audience, None, start(), life);
    let token = token.expect("it is good").text;
    for line in lines {
        let svid = TOKENS.keys.verify(&token, line, start());
        assert_eq!(svid.expect("it verifies").subject, subject);
    }
}

fn any_issuer(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(issuer) = IssuerUrl::parse(&text) else {
        return;
    };
    assert_eq!(
        issuer.as_str(),
        format!("https://{}{}", issuer.authority(), issuer.path())
    );
    let document: Value = serde_json::from_str(&discovery(&issuer)).expect("it is JSON");
    assert_eq!(document["issuer"], issuer.as_str());
}
