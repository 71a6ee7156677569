//! Headers that are none of ours.

use serde_json::json;

use crate::keys::{CHECKPOINTS, FOREIGN, Key, LISTS, STATEMENTS, encode};
use crate::story::chain;
use crate::vector::Vector;

pub(crate) fn vectors() -> Vec<Vector> {
    let ours = STATEMENTS.header();
    // The usual header, with something behind its last member.
    let with = |more: &str| ours.replace("\"}", &format!("\",{more}}}"));
    let of_typ = |typ: &str| STATEMENTS.header_of(typ);
    let jwk = FOREIGN.jwk().to_string();
    let of_key = |key: Key| key.header_of("countersign-delegation+jwt");
    let cases = [
        (
            "alg-none",
            "not signed at all",
            r#"{"alg":"none"}"#.to_owned(),
            "algorithm",
        ),
        (
            "alg-hs256",
            "the public key as a shared secret",
            ours.replace("EdDSA", "HS256"),
            "algorithm",
        ),
        (
            "alg-es256",
            "another algorithm than the key's",
            ours.replace("EdDSA", "ES256"),
            "algorithm",
        ),
        (
            "alg-missing",
            "no algorithm",
            ours.replace(r#""alg":"EdDSA","#, ""),
            "algorithm",
        ),
        ("typ-jwt", "any JWT", of_typ("JWT"), "type"),
        (
            "typ-of-a-list",
            "a list's",
            of_typ("countersign-revocations+jwt"),
            "type",
        ),
        (
            "typ-of-an-agent",
            "an agent's own",
            of_typ("countersign-agent-delegation+jwt"),
            "type",
        ),
        (
            "typ-missing",
            "no type",
            ours.replace(r#""typ":"countersign-delegation+jwt","#, ""),
            "type",
        ),
        (
            "jwk",
            "brings its own key",
            with(&format!(r#""jwk":{jwk}"#)),
            "forbidden-header",
        ),
        (
            "jku",
            "says where its keys are",
            with(r#""jku":"https://keys.example.com""#),
            "forbidden-header",
        ),
        (
            "x5u",
            "says where its certificate is",
            with(r#""x5u":"https://keys.example.com""#),
            "forbidden-header",
        ),
        (
            "x5c",
            "brings a certificate",
            with(r#""x5c":["AA=="]"#),
            "forbidden-header",
        ),
        (
            "crit-unknown",
            "an extension that nobody knows",
            with(r#""crit":["exp"],"exp":1"#),
            "bad-header",
        ),
        (
            "crit",
            "an extension that is known to nobody here",
            with(r#""crit":["b64"]"#),
            "forbidden-header",
        ),
        (
            "crit-null",
            "whatever its value, it is there",
            with(r#""crit":null"#),
            "forbidden-header",
        ),
        (
            "header-as-array",
            "a header's members without their names",
            format!(
                r#"["none","countersign-delegation+jwt","{}",[],null,null,null,null,null]"#,
                STATEMENTS.kid()
            ),
            "bad-header",
        ),
        (
            "x5c-null",
            "null is no array",
            with(r#""x5c":null"#),
            "bad-header",
        ),
        (
            "b64",
            "a payload that isn't encoded (RFC 7797)",
            with(r#""b64":false"#),
            "forbidden-header",
        ),
        (
            "unknown-member",
            "a member that isn't known",
            with(r#""cty":"JWT""#),
            "bad-header",
        ),
        (
            "member-twice",
            "two algorithms",
            ours.replacen('{', r#"{"alg":"none","#, 1),
            "bad-header",
        ),
        (
            "number-for-kid",
            "a kid that is a number",
            of_key(STATEMENTS).replace(&format!("\"{}\"", STATEMENTS.kid()), "1"),
            "bad-header",
        ),
        (
            "other-order",
            "the right members in another order",
            format!(
                r#"{{"typ":"countersign-delegation+jwt","alg":"EdDSA","kid":"{}"}}"#,
                STATEMENTS.kid()
            ),
            "bad-header",
        ),
        (
            "white-space",
            "the right members and a space",
            ours.replacen(':', ": ", 1),
            "bad-header",
        ),
        ("no-json", "not JSON", "EdDSA".to_owned(), "bad-header"),
        (
            "other-trust-domain-s-key",
            "signed by another trust domain's key",
            of_key(FOREIGN),
            "unknown-key",
        ),
        (
            "kid-in-capitals",
            "kids are compared byte for byte",
            ours.replace(&STATEMENTS.kid(), &STATEMENTS.kid().to_uppercase()),
            "unknown-key",
        ),
        (
            "kid-missing",
            "no key is tried out",
            r#"{"alg":"EdDSA","typ":"countersign-delegation+jwt"}"#.to_owned(),
            "unknown-key",
        ),
        (
            "key-for-lists",
            "signed by the key for lists",
            of_key(LISTS),
            "other-purpose",
        ),
        (
            "key-for-checkpoints",
            "signed by the key for checkpoints",
            of_key(CHECKPOINTS),
            "other-purpose",
        ),
    ];
    let mut all: Vec<Vector> = cases
        .into_iter()
        .map(|(name, description, header, category)| {
            let key = match name {
                "jwk" | "other-trust-domain-s-key" => FOREIGN,
                "key-for-lists" => LISTS,
                "key-for-checkpoints" => CHECKPOINTS,
                _ => STATEMENTS,
            };
            let statements = chain(3, |hop, draft| {
                if hop == 1 {
                    draft.key = key;
                    draft.header = Some(header.clone());
                }
            });
            Vector::broken(name, description, statements, 1, category)
        })
        .collect();
    all.push(unsigned());
    all.push(checkpoint());
    all
}

/// As `alg-none` is sent usually.
fn unsigned() -> Vector {
    let mut statements = chain(3, |_, _| {});
    let payload = statements[2].split('.').nth(1).unwrap().to_owned();
    let header = json!({"alg": "none"}).to_string();
    statements[2] = format!("{}.{payload}.", encode(header.as_bytes()));
    Vector::broken(
        "alg-none-unsigned",
        "without a signature: the header is looked at first",
        statements,
        2,
        "algorithm",
    )
}

/// A real checkpoint, as if it were a hop.
fn checkpoint() -> Vector {
    let payload =
        r#"{"chain":"operator","hash":"00","iat":1794816000,"iss":"spiffe://example.org","seq":1}"#;
    let mut statements = chain(2, |_, _| {});
    statements.push(CHECKPOINTS.sign(&CHECKPOINTS.header(), payload.as_bytes()));
    Vector::broken(
        "a-checkpoint",
        "something else that the trust domain signed",
        statements,
        2,
        "type",
    )
}
