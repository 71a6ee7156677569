//! A key is shown to nobody by accident.

use super::fixture::TrustDomain;
use crate::sds::DebugOfSecrets;
use crate::workload::messages::{JwtSvid, X509Svid};

#[test]
fn debug_shows_no_key() {
    let (held, trust) = TrustDomain::new().held();
    let key = held.key.pkcs8().to_vec();
    // Debug of bytes is a list of numbers.
    let numbers = format!("{:?}", &key[key.len() - 32..]);
    let numbers = numbers.trim_matches(['[', ']']);
    let pem = held.key.to_pem();
    let line = pem.lines().nth(1).unwrap();
    let svid = X509Svid {
        x509_svid_key: key.clone(),
        ..X509Svid::default()
    };
    let token = JwtSvid {
        svid: "secret".to_owned(),
        ..JwtSvid::default()
    };
    let held_shown = format!("{held:?}");
    let shown = format!(
        "{held_shown} {svid:?} {token:?} {}",
        DebugOfSecrets::of(held, trust)
    );
    assert!(!shown.contains(numbers) && !shown.contains(line), "{shown}");
    assert!(!shown.contains("secret\""), "{shown}");
}
