//! What must not verify.

use countersign_authority::{Es256Key, KeyAlgorithm, PrivateKey};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixture::*;
use crate::compact::encode;
use crate::{Keys, MAX_TOKEN_BYTES};

fn category(authority: &Authority, token: &str) -> &'static str {
    let verified = authority.keys.verify(token, AUDIENCE, start());
    verified.map_or_else(|why| why.category(), |_| "good")
}

fn with_header(alter: impl Fn(&mut Value)) -> &'static str {
    let authority = authority();
    let mut header = authority.header();
    alter(&mut header);
    let token = authority.sign(&header.to_string(), &authority.claims().to_string());
    category(&authority, &token)
}

fn with_claims(alter: impl Fn(&mut Value)) -> &'static str {
    let authority = authority();
    let mut claims = authority.claims();
    alter(&mut claims);
    let token = authority.sign(&authority.header().to_string(), &claims.to_string());
    category(&authority, &token)
}

#[test]
fn the_algorithm_is_that_of_the_key_whatever_the_header_says() {
    for alg in ["none", "None", "HS256", "ES384", "EdDSA", "RS256", ""] {
        assert_eq!(with_header(|it| it["alg"] = json!(alg)), "algorithm");
    }
    assert_eq!(with_header(|it| it["alg"] = json!(null)), "bad-header");
    let authority = authority();
    let unsigned = json!({"alg": "none", "kid": authority.signer.kid()});
    let claims = authority.claims().to_string();
    let token = format!(
        "{}.{}.",
        encode(unsigned.to_string().as_bytes()),
        encode(claims.as_bytes())
    );
    assert_eq!(category(&authority, &token), "algorithm");
}

#[test]
fn a_header_brings_no_key_and_nothing_that_is_not_understood() {
    for name in [
        "crit", "jwk", "jku", "x5u", "x5c", "b64", "cty", "zip", "x5t",
    ] {
        assert_eq!(
            with_header(|it| it[name] = json!(null)),
            "bad-header",
            "{name}"
        );
        assert_eq!(
            with_header(|it| it[name] = json!(["a"])),
            "bad-header",
            "{name}"
        );
    }
    assert_eq!(with_header(|it| it["typ"] = json!("at+jwt")), "bad-header");
    assert_eq!(with_header(|it| it["typ"] = json!("JOSE")), "good");
    let without =
        |name: &'static str| with_header(move |it| drop(it.as_object_mut().unwrap().remove(name)));
    assert_eq!(without("typ"), "good");
    assert_eq!(without("kid"), "bad-header");
    assert_eq!(without("alg"), "bad-header");
    assert_eq!(with_header(|it| it["kid"] = json!("other")), "unknown-key");
    assert_eq!(
        with_header(|it| *it = json!(["ES256", "kid"])),
        "bad-header"
    );
    let authority = authority();
    let kid = authority.signer.kid();
    let twice = format!(r#"{{"alg":"ES256","alg":"ES256","kid":"{kid}"}}"#);
    let token = authority.sign(&twice, &authority.claims().to_string());
    assert_eq!(category(&authority, &token), "bad-header");
}

#[test]
fn claims_are_refused_that_are_missing_of_another_type_or_there_twice() {
    for name in ["sub", "aud", "exp"] {
        let without = move |it: &mut Value| drop(it.as_object_mut().unwrap().remove(name));
        assert_eq!(with_claims(without), "bad-claims", "{name}");
    }
    assert_eq!(
        with_claims(|it| it["exp"] = json!("tomorrow")),
        "bad-claims"
    );
    assert_eq!(with_claims(|it| it["exp"] = json!(i64::MAX)), "bad-claims");
    assert_eq!(with_claims(|it| it["iat"] = json!(null)), "bad-claims");
    assert_eq!(with_claims(|it| *it = json!([])), "bad-claims");
    let authority = authority();
    let claims = authority.claims().to_string();
    let twice = claims.replacen('{', r#"{"exp":1,"#, 1);
    let token = authority.sign(&authority.header().to_string(), &twice);
    assert_eq!(category(&authority, &token), "bad-claims");
}

#[test]
fn it_must_be_for_the_audience_and_of_the_trust_domain() {
    assert_eq!(with_claims(|it| it["aud"] = json!(AUDIENCE)), "good");
    assert_eq!(with_claims(|it| it["aud"] = json!(["x", AUDIENCE])), "good");
    let slash = format!("{AUDIENCE}/");
    for other in [json!([]), json!("x"), json!([slash]), json!("")] {
        assert_eq!(with_claims(|it| it["aud"] = other.clone()), "audience");
    }
    for sub in [
        "spiffe://example.com/a",
        "spiffe://example.org.evil/a",
        "spiffe://example.org",
        "https://example.org/a",
        "spiffe://example.org/a/../b",
        "system:serviceaccount:finance:reader",
    ] {
        assert_eq!(with_claims(|it| it["sub"] = json!(sub)), "subject", "{sub}");
    }
}

#[test]
fn it_counts_until_its_second_and_clocks_may_differ_by_a_minute() {
    let authority = authority();
    let token = authority.token();
    let at = |seconds| {
        let verified = authority.keys.verify(&token, AUDIENCE, plus(seconds));
        verified.map_or_else(|why| why.category(), |_| "good")
    };
    assert_eq!(
        (at(299), at(300), at(100_000)),
        ("good", "expired", "expired")
    );
    assert_eq!((at(-60), at(-62)), ("good", "not-yet-valid"));
    assert_eq!(
        with_claims(|it| it["nbf"] = json!(plus(120).as_second())),
        "not-yet-valid"
    );
}

#[test]
fn what_is_too_large_or_of_another_form_is_refused() {
    let authority = authority();
    let good = authority.token();
    assert_eq!(
        category(&authority, &"a".repeat(MAX_TOKEN_BYTES + 1)),
        "too-large"
    );
    for text in [
        "",
        ".",
        "..",
        "a.b",
        &format!("{good}."),
        &format!(".{good}"),
    ] {
        assert!(["not-compact", "bad-header"].contains(&category(&authority, text)));
    }
    for text in [
        format!("{good}="),
        format!("{good}A"),
        good.replace('.', " ."),
    ] {
        assert_ne!(category(&authority, &text), "good");
    }
    let der = "MEUCIQ";
    let cut = good.rsplit_once('.').unwrap().0;
    assert_ne!(category(&authority, &format!("{cut}.{der}")), "good");
}

#[test]
fn keys_that_contradict_themselves_are_refused_and_others_are_skipped() {
    let key = jwk(&Es256Key::of(&authority().private).unwrap());
    let read = |keys: Value| {
        let bundle = json!({"keys": keys, "spiffe_sequence": 1}).to_string();
        Keys::from_bundle_json(DOMAIN, &bundle).map(|it| it.kids().count())
    };
    let with = |name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        key
    };
    assert_eq!(read(json!([key])), Ok(1));
    for skipped in [
        with("use", json!("x509-svid")),
        with("use", json!("countersign-statement")),
        with("crv", json!("P-384")),
        with("alg", json!("RS256")),
        json!({"use": "jwt-svid", "kty": "RSA", "n": "AQ", "e": "AQAB", "kid": "r"}),
    ] {
        assert_eq!(read(json!([skipped, key])), Ok(1), "{skipped}");
    }
    for bad in [
        with("d", json!("AQ")),
        with("x", json!("AQ")),
        with("x", key["y"].clone()),
        with("kid", json!("")),
        with("kid", json!(null)),
    ] {
        assert!(read(json!([bad])).is_err(), "{bad}");
    }
    assert!(read(json!([key, key])).is_err());
    assert!(Keys::from_bundle_json("Not A Domain", r#"{"keys":[]}"#).is_err());
    assert!(Keys::from_bundle_json(DOMAIN, "[]").is_err());
}

#[test]
fn another_key_signs_nothing_here() {
    let (ours, theirs) = (authority(), authority());
    assert_eq!(category(&ours, &theirs.token()), "unknown-key");
    let token = theirs.sign(&ours.header().to_string(), &ours.claims().to_string());
    assert_eq!(category(&ours, &token), "bad-signature");
    let other = PrivateKey::generate(KeyAlgorithm::EcdsaP384).unwrap();
    assert!(crate::Signer::load(&other, ours.keys.trust_domain().clone()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_token_with_one_other_character_does_not_verify(place in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let authority = authority();
        let token = authority.token();
        let place = place.index(token.len());
        let mut altered = token.clone();
        altered.replace_range(place..=place, &to);
        prop_assume!(altered != token);
        prop_assert!(authority.keys.verify(&altered, AUDIENCE, start()).is_err());
    }

    #[test]
    fn anything_at_all_is_refused_without_a_panic(header in "\\PC{0,60}", claims in "\\PC{0,60}", text in "\\PC{0,80}") {
        let authority = authority();
        let token = authority.sign(&header, &claims);
        prop_assert!(authority.keys.verify(&token, AUDIENCE, start()).is_err());
        prop_assert!(authority.keys.verify(&text, AUDIENCE, start()).is_err());
        let token = authority.sign(&authority.header().to_string(), &claims);
        prop_assert!(authority.keys.verify(&token, AUDIENCE, start()).is_err());
    }
}
