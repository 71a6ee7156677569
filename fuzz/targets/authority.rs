//! Certificates and bundles from anybody: no panic, and nobody is believed whom the root didn't
//! certify.
//!
//! The first byte of an input says what the rest is.

#![no_main]

use std::sync::LazyLock;

use countersign_authority::{
    AuthorityCertificate, Bundle, PrivateKey, RequestedKey, Signer, Svid, inspect_leaf,
    verify_svid, verify_svid_pem,
};
use countersign_fuzz::certificates::{Authority, authority_key, certificate_of};
use countersign_fuzz::{DOMAIN, Key, chains::agent_of, start};
use libfuzzer_sys::fuzz_target;

struct World {
    root_key: Key,
    bundle: Bundle,
    leaf: Vec<u8>,
    svid: Svid,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let authority = Authority::new();
    let bundle = authority.bundle();
    let leaf = authority.svid(agent_of(1).as_str());
    let svid = verify_svid(std::slice::from_ref(&leaf), &bundle, start());
    World {
        root_key: authority_key(),
        bundle,
        leaf,
        svid: svid.expect("an honest SVID passes"),
    }
});

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 6 {
        0 => any_bundle(rest),
        1 => any_certificate(rest),
        2 => any_text(rest),
        3 => any_authority(rest),
        _ => any_signed_certificate(rest),
    }
});

/// A bundle that anybody published.
fn any_bundle(bytes: &[u8]) {
    let Ok(bundle) = Bundle::from_spiffe_json(&String::from_utf8_lossy(bytes)) else {
        return;
    };
    let again = Bundle::from_spiffe_json(&bundle.spiffe_json(60));
    assert_eq!(
        again.as_ref(),
        Ok(&bundle),
        "what was read is written otherwise"
    );
    assert_eq!(bundle.pem().matches("BEGIN").count(), bundle.roots().len());
    let known = bundle.roots().iter().any(|it| has_root_key(it.der()));
    let read = verify_svid(std::slice::from_ref(&WORLD.leaf), &bundle, start());
    assert!(known || read.is_err(), "without its root");
}

/// A leaf that nobody signed.
fn any_certificate(der: &[u8]) {
    let chain = [der.to_vec(), WORLD.leaf.clone()];
    for chain in [&chain[..1], &chain[..]] {
        if let Ok(svid) = verify_svid(chain, &WORLD.bundle, start()) {
            assert_eq!(svid, WORLD.svid, "another SVID is accepted");
        }
    }
    if let Ok(read) = AuthorityCertificate::from_der(der) {
        let bundle = Bundle::new(1, [read]);
        let read = verify_svid(std::slice::from_ref(&WORLD.leaf), &bundle, start());
        assert!(has_root_key(der) || read.is_err(), "another root");
    }
}

/// A root is a name and a key: its own signature proves nothing (RFC 5280, section 6.1).
fn has_root_key(der: &[u8]) -> bool {
    let key = WORLD.root_key.public();
    der.windows(key.len()).any(|it| it == key)
}

/// PEM, wherever it is read.
fn any_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(svid) = verify_svid_pem(&text, &WORLD.bundle, start()) {
        assert_eq!(svid, WORLD.svid, "another SVID is accepted");
    }
    drop(inspect_leaf(bytes, Some(bytes)));
    drop(RequestedKey::from_pkcs10_pem(&text));
    drop(PrivateKey::from_pem(&text));
    drop(Signer::from_pem(&text, &text, None, DOMAIN, start()));
}

/// An authority between root and leaf that nobody signed.
fn any_authority(der: &[u8]) {
    let chain = [WORLD.leaf.clone(), der.to_vec()];
    if let Ok(svid) = verify_svid(&chain, &WORLD.bundle, start()) {
        assert_eq!(svid, WORLD.svid, "another SVID is accepted");
    }
}

/// Signed by the root, whatever it says.
fn any_signed_certificate(tbs: &[u8]) {
    let der = certificate_of(tbs);
    let Ok(svid) = verify_svid(std::slice::from_ref(&der), &WORLD.bundle, start()) else {
        return;
    };
    assert!(svid.not_before <= start() && start() < svid.not_after);
    let path = svid.spiffe_id.strip_prefix("spiffe://");
    assert_eq!(
        path.and_then(|it| it.split('/').next()),
        Some(svid.trust_domain())
    );
    drop(svid.jws_algorithm());
    assert!(svid.verify_signature(tbs, &[0; 64]).is_err());
}
