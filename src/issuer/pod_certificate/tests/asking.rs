//! What is read of a request.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::certificates::v1::PodCertificateRequestStatus;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
};

use super::fixture::{pending, request, start, stub};
use crate::pod_certificate::answer::condition;
use crate::pod_certificate::asked::Pending;

fn annotated(pairs: &[(&str, &str)]) -> Pending {
    let mut pending = pending(stub(&KeyPair::generate().unwrap()));
    let pairs = pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    pending.spec.unverified_user_annotations = Some(pairs.collect::<BTreeMap<_, _>>());
    pending
}

#[test]
fn keys_that_a_kubelet_makes_are_taken_but_p521() {
    for algorithm in [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ED25519,
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let asked = pending(stub(&key)).read().unwrap();
        assert_eq!(asked.bounds.at_least, Duration::from_secs(3600));
        assert_eq!(asked.bounds.at_most, Duration::from_secs(86_400));
        assert_eq!(asked.which, None);
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    let denial = pending(stub(&key)).read().unwrap_err();
    assert_eq!(denial.reason, "UnsupportedKeyType");
    assert!(denial.message.contains("ECDSAP256"), "{}", denial.message);
}

#[test]
fn a_request_that_proves_nothing_is_denied_by_us_too() {
    let key = KeyPair::generate().unwrap();
    let mut forged = stub(&key);
    *forged.last_mut().unwrap() ^= 1;
    let mut longer = stub(&key);
    longer.push(0);
    for (der, words) in [
        (forged, "signature"),
        (longer, "behind its end"),
        (vec![0x30; 20_000], "16 KiB"),
        (b"open sesame".to_vec(), "not a PKCS#10 request"),
        (Vec::new(), "older than 1.37"),
    ] {
        let denial = pending(der).read().unwrap_err();
        assert_eq!(denial.reason, "BadRequest");
        assert!(denial.message.contains(words), "{}", denial.message);
    }
}

#[test]
fn the_identity_may_be_named_and_nothing_else() {
    let named = annotated(&[("countersign.dev/identity", "report-writer.v2")]);
    assert_eq!(
        named.read().unwrap().which.as_deref(),
        Some("report-writer.v2")
    );
    let long = "a".repeat(254);
    for bad in [
        [("example.com/identity", "reader")],
        [("countersign.dev/identity", "")],
        [("countersign.dev/identity", "../reader")],
        [("countersign.dev/identity", "Reader")],
        [("countersign.dev/identity", "-reader")],
        [("countersign.dev/identity", long.as_str())],
    ] {
        let denial = annotated(&bad).read().unwrap_err();
        assert_eq!(denial.reason, "InvalidUnverifiedUserAnnotations", "{bad:?}");
    }
}

#[test]
fn the_most_that_is_asked_for_bounds_the_certificate() {
    let mut pending = pending(stub(&KeyPair::generate().unwrap()));
    for (asked, at_most) in [(Some(3600), 3600), (Some(7200), 7200), (None, 86_400)] {
        pending.spec.max_expiration_seconds = asked;
        let bounds = pending.read().unwrap().bounds;
        assert_eq!(bounds.at_most, Duration::from_secs(at_most));
    }
    for short in [3599, 0, -1] {
        pending.spec.max_expiration_seconds = Some(short);
        assert_eq!(pending.read().unwrap_err().reason, "BadRequest");
    }
}

#[test]
fn what_has_its_answer_is_not_seen() {
    for kind in ["Issued", "Denied", "Failed"] {
        let mut answered = request(Vec::new());
        answered.status = Some(PodCertificateRequestStatus {
            conditions: Some(vec![condition(kind, "Why", "", start())]),
            ..PodCertificateRequestStatus::default()
        });
        assert_eq!(Pending::of(answered), None);
    }
    let mut open = request(Vec::new());
    open.status = Some(PodCertificateRequestStatus::default());
    assert!(Pending::of(open).is_some());
}

#[test]
fn what_the_cleaner_takes_is_left_to_it() {
    let pending = pending(Vec::new());
    let minute = SignedDuration::from_mins(1);
    assert!(!pending.is_forgotten(start() + minute * 29));
    assert!(pending.is_forgotten(start() + minute * 30));
    // A clock that is behind the API server's.
    assert_eq!(pending.age(start() - minute), SignedDuration::ZERO);
}
