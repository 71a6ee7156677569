//! Good and forged tokens.

use countersign_signals::{KeySet, MAX_AGE, MAX_SKEW, SetErrorCode};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::table::start;
use crate::transmitter::{AUDIENCE, ISSUER, RISK, Transmitter, claims, encode, verifier, with};

fn refused(token: &str, keys: &KeySet) -> SetErrorCode {
    match verifier().verify(token, keys, start()) {
        Ok(token) => panic!("it is taken: {token:?}"),
        Err(why) => why.code,
    }
}

#[test]
fn a_token_of_each_algorithm_verifies_with_its_key_and_no_other() {
    let all = Transmitter::of_each();
    for one in &all {
        let token = one.token(&claims("1"));
        for other in &all {
            let verified = verifier().verify(&token, &other.keys(), start());
            assert_eq!(
                verified.is_ok(),
                one.kid == other.kid,
                "{} {}",
                one.kid,
                other.kid
            );
        }
        let jwks = json!({"keys": all.iter().map(Transmitter::jwk).collect::<Vec<_>>()});
        let keys = KeySet::parse(jwks.to_string().as_bytes()).unwrap();
        let verified = verifier().verify(&token, &keys, start()).unwrap();
        assert_eq!((verified.id.as_str(), verified.event.as_str()), ("1", RISK));
        assert_eq!(verified.issuer, ISSUER);
    }
}

#[test]
fn the_algorithm_is_the_keys_and_never_the_headers() {
    for one in Transmitter::of_each() {
        for alg in [
            "none", "HS256", "RS256", "PS256", "ES256", "ES384", "EdDSA", "RS512", "",
        ] {
            let mut header = one.header();
            header["alg"] = json!(alg);
            let token = one.sign(&header.to_string(), claims("1").to_string().as_bytes());
            let verified = verifier().verify(&token, &one.keys(), start());
            assert_eq!(verified.is_ok(), alg == one.alg(), "{alg} by {}", one.alg());
        }
    }
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let one = Transmitter::new("k");
    let header = json!({"alg": "none", "typ": "secevent+jwt", "kid": "k"}).to_string();
    let unsigned = format!(
        "{}.{}.",
        encode(header.as_bytes()),
        encode(claims("1").to_string().as_bytes())
    );
    assert_eq!(refused(&unsigned, &one.keys()), SetErrorCode::InvalidKey);
    let signed = one.token(&claims("1"));
    let (input, _) = signed.rsplit_once('.').unwrap();
    assert_eq!(
        refused(&format!("{input}."), &one.keys()),
        SetErrorCode::InvalidKey
    );
}

#[test]
fn a_token_by_another_key_is_refused_whatever_name_it_gives() {
    let (one, thief) = (Transmitter::new("k"), Transmitter::new("k"));
    assert_eq!(
        refused(&thief.token(&claims("1")), &one.keys()),
        SetErrorCode::InvalidKey
    );
    let other = Transmitter::new("other");
    assert_eq!(
        refused(&other.token(&claims("1")), &one.keys()),
        SetErrorCode::InvalidKey
    );
    let good = one.token(&claims("1"));
    let parts: Vec<&str> = good.split('.').collect();
    let payload = encode(claims("2").to_string().as_bytes());
    let changed = [parts[0], &payload, parts[2]].join(".");
    assert_eq!(refused(&changed, &one.keys()), SetErrorCode::InvalidKey);
}

#[test]
fn a_header_can_bring_no_key_and_no_extension() {
    let one = Transmitter::new("k");
    for (name, value) in [
        ("jwk", one.jwk()),
        ("jku", json!("https://evil.example.com/jwks")),
        ("x5u", json!("https://evil.example.com/x5u")),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("enc", json!("A128GCM")),
        ("jwk", Value::Null),
    ] {
        let mut header = one.header();
        header[name] = value;
        let token = one.sign(&header.to_string(), claims("1").to_string().as_bytes());
        assert_eq!(
            refused(&token, &one.keys()),
            SetErrorCode::InvalidKey,
            "{name}"
        );
    }
}

#[test]
fn another_kind_of_jwt_is_refused() {
    let one = Transmitter::new("k");
    for typ in [
        json!("JWT"),
        json!("at+jwt"),
        json!(""),
        json!(7),
        Value::Null,
    ] {
        let mut header = one.header();
        header["typ"] = typ.clone();
        let token = one.sign(&header.to_string(), claims("1").to_string().as_bytes());
        assert_eq!(
            refused(&token, &one.keys()),
            SetErrorCode::InvalidRequest,
            "{typ}"
        );
    }
    let mut header = one.header();
    header["typ"] = json!("application/SecEvent+JWT");
    let token = one.sign(&header.to_string(), claims("1").to_string().as_bytes());
    assert!(verifier().verify(&token, &one.keys(), start()).is_ok());
}

#[test]
fn each_claim_is_held_to_its_rule() {
    use SetErrorCode::{InvalidAudience, InvalidIssuer, InvalidRequest};
    let one = Transmitter::new("k");
    let now = start().as_second();
    let old = now - MAX_AGE.as_secs() - 1;
    let early = now + MAX_SKEW.as_secs() + 1;
    let cases = [
        (
            "iss",
            json!("https://idp.example.com/realms/agents/"),
            InvalidIssuer,
        ),
        ("iss", json!("https://evil.example.com"), InvalidIssuer),
        ("iss", json!(7), InvalidRequest),
        ("iss", Value::Null, InvalidRequest),
        ("aud", json!("https://other.example.org"), InvalidAudience),
        ("aud", json!([]), InvalidAudience),
        ("aud", Value::Null, InvalidRequest),
        ("aud", json!([[AUDIENCE]]), InvalidRequest),
        ("aud", json!(vec![AUDIENCE; 33]), InvalidRequest),
        ("exp", json!(now + 60), InvalidRequest),
        ("exp", json!("null"), InvalidRequest),
        ("sub", json!("alice"), InvalidRequest),
        ("iat", json!(old), InvalidRequest),
        ("iat", json!(early), InvalidRequest),
        ("iat", json!("1796212800"), InvalidRequest),
        ("iat", json!(1e300), InvalidRequest),
        ("iat", json!(-1e18), InvalidRequest),
        ("iat", Value::Null, InvalidRequest),
        ("jti", json!(""), InvalidRequest),
        ("jti", json!("x".repeat(257)), InvalidRequest),
        ("jti", json!(1), InvalidRequest),
        ("jti", Value::Null, InvalidRequest),
        ("events", json!({}), InvalidRequest),
        ("events", json!([RISK]), InvalidRequest),
        (
            "events",
            json!({RISK: {}, "https://example.com/other": {}}),
            InvalidRequest,
        ),
        ("events", Value::Null, InvalidRequest),
    ];
    for (member, value, code) in cases {
        let token = one.token(&with("1", member, value.clone()));
        assert_eq!(refused(&token, &one.keys()), code, "{member} {value}");
    }
    for (member, value) in [
        ("iat", json!(old + 1)),
        ("iat", json!(early - 1)),
        ("iat", json!(now as f64 + 0.5)),
        ("aud", json!(["https://other.example.org", AUDIENCE])),
    ] {
        let token = one.token(&with("1", member, value.clone()));
        let verified = verifier().verify(&token, &one.keys(), start());
        assert!(verified.is_ok(), "{member} {value}: {verified:?}");
    }
}

#[test]
fn what_a_map_would_hide_is_refused() {
    let one = Transmitter::new("k");
    let honest = claims("1").to_string();
    let null = |name: &str| honest.replacen('{', &format!(r#"{{"{name}":null,"#), 1);
    let cases = [
        honest.replacen('{', &format!(r#"{{"iss":"{ISSUER}","#), 1),
        honest.replace(
            &format!(r#""events":{{"{RISK}":"#),
            &format!(r#""events":{{"{RISK}":{{}},"{RISK}":"#),
        ),
        null("exp"),
        null("sub"),
        r#"["https://idp.example.com"]"#.to_owned(),
    ];
    for payload in cases {
        assert_ne!(payload, honest);
        let token = one.sign(&one.header().to_string(), payload.as_bytes());
        assert_eq!(
            refused(&token, &one.keys()),
            SetErrorCode::InvalidRequest,
            "{payload}"
        );
    }
}

#[test]
fn bytes_of_any_kind_are_refused_and_cost_little() {
    let one = Transmitter::new("k");
    let header = one.header().to_string();
    let mut skipped = with("1", "x", json!("~")).to_string().into_bytes();
    let place = skipped.iter().position(|it| *it == b'~').unwrap();
    skipped[place] = 0xff; // somewhere that isn't read
    let deep = format!(
        r#"{{"events":{}1{}}}"#,
        "[".repeat(20_000),
        "]".repeat(20_000)
    );
    let long = one.token(&with("1", "txn", json!("x".repeat(1024 * 1024))));
    let cases = [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        "a.b.c".to_owned(),
        "ä.ö.ü".to_owned(),
        one.token(&claims("1")) + "=",
        one.token(&claims("1")).replace('.', ".."),
        format!(" {}", one.token(&claims("1"))),
        one.sign(&header, deep.as_bytes()),
        one.sign(&header, b"\xff\xfe{}"),
        one.sign(&header, &skipped),
        one.sign(&header, b""),
        one.sign("", b"{}"),
        one.sign(&"[".repeat(5000), b"{}"),
        one.sign(
            &header.replacen('{', &format!("{{\"x\":\"{}\",", "y".repeat(8192)), 1),
            b"{}",
        ),
        long,
    ];
    for token in cases {
        let shown: String = token.chars().take(80).collect();
        let code = refused(&token, &one.keys());
        assert_eq!(code, SetErrorCode::InvalidRequest, "{shown}");
    }
}

#[test]
fn without_a_name_the_only_key_counts_and_of_several_none() {
    let (one, two) = (Transmitter::new("1"), Transmitter::new("2"));
    let mut header = one.header();
    header.as_object_mut().unwrap().remove("kid");
    let token = one.sign(&header.to_string(), claims("1").to_string().as_bytes());
    assert!(verifier().verify(&token, &one.keys(), start()).is_ok());
    let jwks = json!({"keys": [one.jwk(), two.jwk()]});
    let both = KeySet::parse(jwks.to_string().as_bytes()).unwrap();
    assert_eq!(refused(&token, &both), SetErrorCode::InvalidKey);
}

#[test]
fn keys_that_must_not_sign_tokens_are_left_out() {
    let one = Transmitter::new("k");
    let parse = |key: Value| KeySet::parse(json!({"keys": [key]}).to_string().as_bytes());
    let changed = |member: &str, value: Value| {
        let mut key = one.jwk();
        key[member] = value;
        parse(key)
    };
    assert!(parse(one.jwk()).is_ok());
    assert!(changed("use", json!("enc")).is_err());
    assert!(changed("key_ops", json!(["encrypt"])).is_err());
    assert!(changed("alg", json!("HS256")).is_err());
    assert!(changed("x", json!("AAAA")).is_err());
    assert!(parse(json!({"kty": "oct", "k": "c2VjcmV0", "kid": "k"})).is_err());
    // The example of RFC 7517, appendix A.1, cut to a short modulus.
    let short = encode(&[0xc5; 128]);
    assert!(parse(json!({"kty": "RSA", "n": short, "e": "AQAB"})).is_err());
    assert!(parse(json!({"kty": "RSA", "n": encode(&[0; 256]), "e": "AQAB"})).is_err());
    assert!(parse(json!({"kty": "RSA", "n": encode(&[0xc5; 2048]), "e": "AQAB"})).is_err());
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[]}"#,
        r#"{"keys":[7]}"#,
    ] {
        assert!(KeySet::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let many = json!({"keys": vec![one.jwk(); 65]});
    assert!(KeySet::parse(many.to_string().as_bytes()).is_err());
}

#[test]
fn a_token_counts_until_it_is_a_day_old() {
    let one = Transmitter::new("k");
    let token = one.token(&claims("1"));
    let second = SignedDuration::from_secs(1);
    let at = |time| verifier().verify(&token, &one.keys(), time).is_ok();
    assert!(at(start() + MAX_AGE));
    assert!(!at(start() + MAX_AGE + second));
    assert!(at(start() - MAX_SKEW));
    assert!(!at(start() - MAX_SKEW - second));
}
