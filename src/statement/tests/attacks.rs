//! What somebody may try who has no key, or the wrong one.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::fixture::*;
use crate::{KeyRing, Purpose, TrustedKeys, WantedKeys, jws, revocation};

const STATEMENTS: Purpose = Purpose::Statements;

/// A chain of three statements, the last signed again under an altered header.
fn with_header(ring: &KeyRing, alter: impl Fn(&mut Value)) -> Vec<String> {
    let mut all = texts(&chain(&signer(ring), 2));
    let mut header = header(&all[2]);
    alter(&mut header);
    let body = payload(&all[2]).to_string();
    all[2] = forge(ring, STATEMENTS, &header.to_string(), body.as_bytes());
    all
}

/// A chain of three statements, the last with altered claims.
fn with_claims(ring: &KeyRing, alter: impl Fn(&mut Value)) -> Vec<String> {
    let mut all = texts(&chain(&signer(ring), 2));
    let mut body = payload(&all[2]);
    alter(&mut body);
    let header = header_of(ring, STATEMENTS, STATEMENTS.typ());
    all[2] = forge(ring, STATEMENTS, &header, body.to_string().as_bytes());
    all
}

#[test]
fn a_header_that_brings_its_own_rules_is_refused() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let refused = |alter: &dyn Fn(&mut Value)| {
        let (hop, category) = refusal(&with_header(&ring, alter), &keys, start());
        assert_eq!(hop, Some(2));
        category
    };
    for (name, value) in [
        ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"})),
        ("jku", json!("https://example.com/keys")),
        ("x5u", json!("https://example.com/chain")),
        ("x5c", json!(["AA=="])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(null)),
        ("jwk", json!(null)),
        ("b64", json!(false)),
    ] {
        assert_eq!(
            refused(&|it| it[name] = value.clone()),
            "forbidden-header",
            "{name}"
        );
    }
    for alg in [
        "none", "None", "HS256", "RS256", "ES256", "eddsa", "Ed25519", "",
    ] {
        assert_eq!(refused(&|it| it["alg"] = json!(alg)), "algorithm", "{alg}");
    }
    for typ in [
        "JWT",
        "",
        "countersign-revocations+jwt",
        "application/countersign-delegation+jwt",
    ] {
        assert_eq!(refused(&|it| it["typ"] = json!(typ)), "type", "{typ}");
    }
    assert_eq!(
        refused(&|it| it["kid"] = json!("0".repeat(64))),
        "unknown-key"
    );
    assert_eq!(refused(&|it| it["cty"] = json!("x")), "bad-header");
    let no_kid = |it: &mut Value| drop(it.as_object_mut().unwrap().remove("kid"));
    assert_eq!(refused(&no_kid), "unknown-key");
}

#[test]
fn a_header_has_one_spelling() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let mut all = texts(&chain(&signer(&ring), 1));
    let kid = signer(&ring).kid().to_owned();
    let typ = STATEMENTS.typ();
    let body = payload(&all[1]).to_string();
    for header in [
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{typ}"}}"#),
        format!(r#"{{"alg": "EdDSA","typ":"{typ}","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"Ed\u0044SA","typ":"{typ}","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"none","alg":"EdDSA","typ":"{typ}","kid":"{kid}"}}"#),
    ] {
        all[1] = forge(&ring, STATEMENTS, &header, body.as_bytes());
        assert_eq!(
            refusal(&all, &keys, start()),
            (Some(1), "bad-header"),
            "{header}"
        );
    }
}

#[test]
fn claims_that_are_unknown_repeated_or_of_another_type_are_refused() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let refused = |alter: &dyn Fn(&mut Value)| refusal(&with_claims(&ring, alter), &keys, start());
    let bad = (Some(2), "bad-claims");
    let detail = |it: &mut Value, name: &str, value: Value| {
        it["authorization_details"][0][name] = value;
    };
    for (name, value) in [
        ("aud", json!("x")),
        ("nbf", json!(0)),
        ("exp", json!(1.5)),
        ("exp", json!("1764000000")),
        ("exp", json!(i64::MAX)),
        ("iat", json!(-1)),
        ("iat", json!(null)),
        ("del_depth", json!(256)),
        ("del_depth", json!(-1)),
        ("par_hash", json!(null)),
        ("requester", json!(null)),
        ("par_hash", json!("AA")),
        ("iss", json!("https://example.org")),
        ("sub", json!("spiffe://example.org/a/../b")),
    ] {
        assert_eq!(
            refused(&|it| it[name] = value.clone()),
            bad,
            "{name} {value}"
        );
    }
    for (name, value) in [
        ("type", json!("payment_initiation")),
        ("locations", json!(["x"])),
        ("constraints", json!({"unknownLimit": 1})),
        ("constraints", json!({"maxDataClass": "Secret"})),
    ] {
        assert_eq!(
            refused(&|it| detail(it, name, value.clone())),
            bad,
            "{name} {value}"
        );
    }

    let mut all = texts(&chain(&signer(&ring), 1));
    let text = payload(&all[1]).to_string();
    let header = header_of(&ring, STATEMENTS, STATEMENTS.typ());
    for repeated in [
        text.replacen('{', r#"{"exp":9999999999,"#, 1),
        text.replace(r#""actions""#, r#""actions":["*"],"actions""#),
        text.replace(r#""maxCalls""#, r#""maxCalls":1,"maxCalls""#),
        format!("{text}{{}}"),
    ] {
        assert_ne!(repeated, text);
        all[1] = forge(&ring, STATEMENTS, &header, repeated.as_bytes());
        assert_eq!(
            refusal(&all, &keys, start()),
            (Some(1), "bad-claims"),
            "{repeated}"
        );
    }
    all[1] = forge(&ring, STATEMENTS, &header, text.as_bytes());
    verify(&all, &keys, start()).unwrap();
}

#[test]
fn members_without_their_names_are_refused_and_words_that_are_objects() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let refused = |alter: &dyn Fn(&mut Value)| refusal(&with_claims(&ring, alter), &keys, start());
    let bad = (Some(2), "bad-claims");
    let unnamed =
        |of: &Value, names: &[&str]| json!(names.iter().map(|&name| &of[name]).collect::<Vec<_>>());
    let claims = "iss sub delegator jti iat exp del_depth del_max_depth par_hash authorization_details owner task requester";
    for last in [json!("statement"), json!(null)] {
        let alter = |it: &mut Value| {
            let names: Vec<&str> = claims.split(' ').collect();
            *it = unnamed(it, &names);
            it.as_array_mut().unwrap().push(last.clone());
        };
        assert_eq!(refused(&alter), bad);
    }
    let task = |it: &mut Value| {
        let names = ["group", "resource", "namespace", "name", "uid"];
        it["task"] = unnamed(&it["task"], &names);
    };
    assert_eq!(refused(&task), bad);
    let grant = |it: &mut Value| {
        let names = ["type", "actions", "resources", "constraints"];
        it["authorization_details"][0] = unnamed(&it["authorization_details"][0], &names);
    };
    assert_eq!(refused(&grant), bad);
    let kind = |it: &mut Value| {
        it["authorization_details"][0]["type"] = json!({"countersign_grant": null});
    };
    assert_eq!(refused(&kind), bad);
    let class = |it: &mut Value| {
        let constraints = &mut it["authorization_details"][0]["constraints"];
        constraints["maxDataClass"] = json!({"Public": null});
    };
    assert_eq!(refused(&class), bad);
    let header = |it: &mut Value| {
        let kid = &it["kid"];
        *it = json!(["none", it["typ"], kid, [], null, null, null, null, null]);
    };
    let statements = with_header(&ring, header);
    assert_eq!(
        refusal(&statements, &keys, start()),
        (Some(2), "bad-header")
    );
}

#[test]
fn a_key_of_another_trust_domain_or_of_nobody_signs_nothing() {
    let ring = ring();
    let other = ring_of("example.com");
    let mut all = texts(&chain(&signer(&ring), 2));
    let keys = ring.trusted().unwrap();
    let others = other.trusted().unwrap();
    assert_eq!(refusal(&all, &others, start()), (Some(0), "unknown-key"));
    // Under our header, with another key.
    let body = payload(&all[2]).to_string();
    let header = header_of(&ring, STATEMENTS, STATEMENTS.typ());
    all[2] = forge(&other, STATEMENTS, &header, body.as_bytes());
    assert_eq!(refusal(&all, &keys, start()), (Some(2), "bad-signature"));
    // A trusted key that speaks for another trust domain.
    let json = bundle_json(&ring);
    let mistaken = TrustedKeys::from_bundle_json("example.com", &json).unwrap();
    let good = texts(&chain(&signer(&ring), 2));
    assert_eq!(
        refusal(&good, &mistaken, start()),
        (Some(0), "other-trust-domain")
    );
    let claims = crate::Claims {
        issuer: countersign_core::TrustDomainName::parse("example.com").unwrap(),
        ..root_claims()
    };
    let refused = signer(&ring).countersign(&claims).unwrap_err();
    assert_eq!(refused.category(), "other-trust-domain");
}

#[test]
fn a_key_signs_for_its_purpose_only() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let mut all = texts(&chain(&signer(&ring), 1));
    let body = payload(&all[1]).to_string();
    for purpose in [Purpose::Lists, Purpose::Checkpoints] {
        let other = ring.signer(purpose).unwrap();
        let refused = other.countersign(&root_claims()).unwrap_err();
        assert_eq!(refused.category(), "other-purpose");
        for (typ, expected) in [(purpose.typ(), "type"), (STATEMENTS.typ(), "other-purpose")] {
            let header = header_of(&ring, purpose, typ);
            all[1] = forge(&ring, purpose, &header, body.as_bytes());
            assert_eq!(refusal(&all, &keys, start()), (Some(1), expected));
        }
    }
    let statement = &texts(&chain(&signer(&ring), 0))[0];
    let refused = revocation::List::verify(statement, &keys, start()).unwrap_err();
    assert_eq!(refused.category(), "type");
}

#[test]
fn a_retired_key_counts_for_what_it_signed_before() {
    let ring = ring();
    let old = signer(&ring);
    let raised = WantedKeys { epoch: 2, ..want() };
    let prepared = step(&ring, &raised, plus(start(), 10));
    let rotated = step(&prepared, &raised, plus(start(), 70));
    assert_ne!(signer(&rotated).kid(), old.kid());
    let keys = TrustedKeys::from_bundle_json(DOMAIN, &bundle_json(&rotated)).unwrap();
    let at = |seconds| chain_of(&old, 1, |claims| claims.issued_at = plus(start(), seconds));
    verify(&texts(&at(70)), &keys, plus(start(), 80)).unwrap();
    assert_eq!(
        refusal(&texts(&at(71)), &keys, plus(start(), 80)),
        (Some(0), "retired-key")
    );
    // A chain may go over from one key to the next.
    let mut mixed = at(60);
    let next = below(&mixed[1]);
    mixed.push(signer(&rotated).countersign(&next).unwrap());
    verify(&texts(&mixed), &keys, plus(start(), 80)).unwrap();
}

#[test]
fn a_moved_expiry_breaks_the_signature_and_the_hash_below() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let all = texts(&chain(&signer(&ring), 2));
    for hop in 0..3 {
        let mut moved = all.clone();
        let parts: Vec<&str> = all[hop].split('.').collect();
        let mut body = payload(&all[hop]);
        body["exp"] = json!(body["exp"].as_i64().unwrap() + DAY);
        let body = jws::encode(body.to_string().as_bytes());
        moved[hop] = format!("{}.{body}.{}", parts[0], parts[2]);
        assert_eq!(
            refusal(&moved, &keys, start()),
            (Some(hop), "bad-signature")
        );
    }
}

#[test]
fn a_megabyte_is_refused_before_it_is_read() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let mut all = texts(&chain(&signer(&ring), 1));
    all[1] = forge(&ring, STATEMENTS, "{}", &vec![b'['; 1024 * 1024]);
    assert_eq!(refusal(&all, &keys, start()), (Some(1), "too-large"));
    // As deep as the bound allows, signed by the right key.
    let header = header_of(&ring, STATEMENTS, STATEMENTS.typ());
    all[1] = forge(&ring, STATEMENTS, &header, &vec![b'['; 20 * 1024]);
    assert_eq!(refusal(&all, &keys, start()), (Some(1), "bad-claims"));
}

#[test]
fn what_is_no_compact_jws_is_refused() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let good = texts(&chain(&signer(&ring), 0)).swap_remove(0);
    for text in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        good.replacen('.', "", 1),
        format!("{good}."),
        format!("{good}=="),
        format!("{good} "),
        format!(" {good}"),
        good.trim_end_matches(|_: char| true).to_owned(),
        good[..good.len() - 1].to_owned(),
    ] {
        let error = verify(&[&text], &keys, start()).unwrap_err();
        assert_eq!(error.hop, Some(0), "{text:?} {error}");
    }
}

#[test]
fn special_keys_are_refused_in_a_bundle() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let good: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
    let mut small = [0; 32];
    small[0] = 1;
    let mut not_canonical = [0xff; 32];
    not_canonical[0] = 0xee;
    not_canonical[31] = 0x7f;
    let document = |bytes: &[u8; 32]| {
        json!({"keys": [{"use": "countersign-statement", "kty": "OKP", "crv": "Ed25519",
            "kid": crate::trusted_keys::thumbprint(bytes), "x": jws::encode(bytes)}]})
    };
    let read = |value: &Value| TrustedKeys::from_bundle_json(DOMAIN, &value.to_string());
    read(&document(&good)).unwrap();
    for weak in [[0; 32], small, not_canonical] {
        read(&document(&weak)).unwrap_err();
    }
    for (name, value) in [
        ("kid", json!("0".repeat(64))),
        ("crv", json!("Ed448")),
        ("kty", json!("EC")),
        ("alg", json!("ES256")),
        ("d", json!("AAAA")),
        ("x", json!("AA")),
        ("countersign_retired_at", json!("soon")),
        ("countersign_retired_at", json!(null)),
        ("countersign_not_before", json!(null)),
        ("alg", json!(null)),
    ] {
        let mut altered = document(&good);
        altered["keys"][0][name] = value;
        read(&altered).unwrap_err();
    }
    read(&json!([document(&good)["keys"]])).unwrap_err();
    let mut twice = document(&good);
    let mut again = twice["keys"][0].clone();
    again["use"] = json!("countersign-list");
    twice["keys"].as_array_mut().unwrap().push(again);
    read(&twice).unwrap_err();
    let mut foreign = document(&good);
    foreign["keys"][0]["use"] = json!("jwt-svid");
    foreign["keys"][0]["kid"] = json!(7);
    assert!(read(&foreign).unwrap().keys().is_empty());
}
