//! What is issued, and that it verifies.

use std::collections::BTreeSet;
use std::time::Duration;

use countersign_core::SpiffeId;
use countersign_statement::{KeyRing, WantedKeys};
use serde_json::json;

use super::fixture::*;
use crate::{Audience, IssuerUrl, Keys, NotIssued, Signer, lifetime};

const MINUTES: Duration = Duration::from_secs(300);

#[test]
fn a_token_says_who_for_whom_and_until_when_and_verifies() {
    let authority = authority();
    let issuer = IssuerUrl::parse("https://id.example.org/agents").unwrap();
    let audience = Audience::parse(&["a", "b", "a"]).unwrap();
    let signer = &authority.signer;
    let token = signer.issue(&subject(), &audience, Some(&issuer), start(), MINUTES);
    let token = token.unwrap();
    let end = start().as_second() + 300;
    assert_eq!(token.expires_at.as_second(), end);
    let svid = authority.keys.verify(&token.text, "b", start()).unwrap();
    assert_eq!(svid.subject, subject());
    assert_eq!(svid.expires_at, token.expires_at);
    assert_eq!(
        serde_json::Value::Object(svid.claims),
        json!({
            "iss": "https://id.example.org/agents", "sub": subject().as_str(),
            "aud": ["a", "b"], "exp": end, "iat": start().as_second(), "jti": token.id,
        })
    );
    let shown = format!("{token:?}{signer:?}");
    assert!(!shown.contains(token.text.rsplit('.').next().unwrap()));
}

#[test]
fn without_an_issuer_url_there_is_no_iss_and_no_two_tokens_have_one_id() {
    let authority = authority();
    let mut ids = BTreeSet::new();
    for _ in 0..100 {
        let svid = authority
            .keys
            .verify(&authority.token(), AUDIENCE, start())
            .unwrap();
        assert!(!svid.claims.contains_key("iss"));
        let id = svid.claims["jti"].as_str().unwrap().to_owned();
        assert_eq!(id.len(), 22);
        assert!(ids.insert(id));
    }
}

#[test]
fn what_makes_no_token_is_refused() {
    let authority = authority();
    let issue = |id: &str, seconds| {
        let id = SpiffeId::parse(id).unwrap();
        let life = Duration::from_secs(seconds);
        let token = authority
            .signer
            .issue(&id, &audience(), None, start(), life);
        token.map(|token| token.expires_at.as_second() - start().as_second())
    };
    let ours = subject();
    assert_eq!(issue(ours.as_str(), 3600).unwrap(), 3600);
    assert_eq!(issue(ours.as_str(), 0), Err(NotIssued::Lifetime(0)));
    assert_eq!(issue(ours.as_str(), 3601), Err(NotIssued::Lifetime(3601)));
    for other in ["spiffe://example.com/a", "spiffe://example.org.evil/a"] {
        let refused = issue(other, 300).unwrap_err();
        assert!(matches!(refused, NotIssued::OtherTrustDomain { .. }));
    }
    let longest = "x".repeat(2048);
    Audience::parse(&vec![longest.as_str(); 16]).unwrap();
    let too_long = format!("{longest}x");
    let none: [&str; 0] = [];
    for bad in [&none[..], &[""], &[&too_long], &["a\n"], &["a"; 17]] {
        Audience::parse(bad).unwrap_err();
    }
}

#[test]
fn a_token_never_outlives_the_deadline_or_what_a_certificate_may_live() {
    let seconds = |certificate: u64, deadline: i64| {
        let life = lifetime(start(), Duration::from_secs(certificate), plus(deadline));
        life.map(|it| it.as_secs())
    };
    assert_eq!(seconds(600, 86_400), Some(300));
    assert_eq!(seconds(60, 86_400), Some(60));
    assert_eq!(seconds(600, 7), Some(7));
    assert_eq!(seconds(600, 0), None);
    assert_eq!(seconds(600, -7), None);
}

#[test]
fn the_ring_of_a_trust_domain_signs_what_its_bundle_verifies() {
    let want = WantedKeys {
        trust_domain: DOMAIN.to_owned(),
        lifetime_seconds: 86_400,
        epoch: 1,
        distrusted: BTreeSet::new(),
        longest_statement_seconds: 3600,
        propagated: true,
        propagation_seconds: 60,
    };
    let ring = KeyRing::default().next(&want, start()).unwrap().unwrap();
    let keys = |ring: &KeyRing| {
        let bundle = json!({"keys": ring.jwks()}).to_string();
        Keys::from_bundle_json(DOMAIN, &bundle).unwrap()
    };
    let signer = Signer::of(&ring).unwrap();
    assert_eq!(keys(&ring).kids().collect::<Vec<_>>(), [signer.kid()]);
    let token = signer.issue(&subject(), &audience(), None, start(), MINUTES);
    let token = token.unwrap().text;
    keys(&ring).verify(&token, AUDIENCE, start()).unwrap();
    // Distrusted, it counts no more, and another signs.
    let mut distrusting = want;
    distrusting.distrusted.insert(signer.kid().to_owned());
    let next = ring.next(&distrusting, start()).unwrap().unwrap();
    let refused = keys(&next).verify(&token, AUDIENCE, start()).unwrap_err();
    assert_eq!(refused.category(), "unknown-key");
    assert_ne!(Signer::of(&next).unwrap().kid(), signer.kid());
    Signer::of(&KeyRing::default()).unwrap_err();
}
