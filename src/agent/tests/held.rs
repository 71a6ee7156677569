//! What is taken for a certificate.

use std::time::Duration;

use countersign_authority::{KeyAlgorithm, PrivateKey};
use jiff::SignedDuration;
use tokio::time::Instant;

use super::fixture::{AGENT, TrustDomain};
use crate::held::Held;
use crate::trust::Trust;

fn key() -> (PrivateKey, Vec<u8>) {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let request = key.certificate_request().unwrap();
    (key, request)
}

fn read(domain: &TrustDomain, off: SignedDuration) -> Held {
    let (key, request) = key();
    let trust = Trust::read(domain.trust(), "example.org").unwrap();
    let issued = domain.issue(AGENT, &request);
    Held::read(issued, key, &trust, domain.now + off, Instant::now()).unwrap()
}

#[test]
fn a_certificate_for_our_key_below_the_roots_is_taken() {
    let held = read(&TrustDomain::new(), SignedDuration::ZERO);
    assert_eq!(held.spiffe_id, AGENT);
    assert_eq!(held.clock_off, None);
    let left = held.renew.duration_since(Instant::now());
    assert!((148..=150).contains(&left.as_secs()), "{left:?}");
}

#[test]
fn a_node_whose_clock_is_off_takes_it_and_renews_in_time() {
    for minutes in [10, -10, 60 * 24] {
        let off = SignedDuration::from_mins(minutes);
        let held = read(&TrustDomain::new(), off);
        let left = held.renew.duration_since(Instant::now());
        assert!(left > Duration::from_secs(140) && left <= Duration::from_secs(151));
        let seen = held.clock_off.unwrap();
        assert!((seen - off).abs() < SignedDuration::from_secs(2), "{seen}");
    }
}

#[test]
fn what_is_for_another_key_or_of_other_roots_is_not_taken() {
    let (domain, other) = (TrustDomain::new(), TrustDomain::new());
    let (ours, request) = key();
    let (_, of_another) = key();
    let trust = Trust::read(domain.trust(), "example.org").unwrap();
    let take = |issued| Held::read(issued, ours.clone(), &trust, domain.now, Instant::now());
    let refused = take(domain.issue(AGENT, &of_another)).unwrap_err();
    assert_eq!(refused, "the certificate is for another key");
    assert!(take(other.issue(AGENT, &request)).is_err());
    assert!(take(domain.issue(AGENT, &request)).is_ok());
}

#[test]
fn roots_that_are_gone_are_noticed() {
    let (domain, other) = (TrustDomain::new(), TrustDomain::new());
    let (held, trust) = domain.held();
    assert!(held.is_trusted(&trust.bundle, domain.now));
    assert!(!held.is_trusted(&other.bundle(), domain.now));
}
