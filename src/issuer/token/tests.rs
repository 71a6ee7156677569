#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

const ISSUER: &str = "https://kubernetes.default.svc";
const NOW: i64 = 1_700_000_000;

/// An API server's key of each kind.
enum Signing {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl Signing {
    fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn alg(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
        }
    }

    fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                json!({
                    "kty": "RSA", "use": "sig", "kid": kid,
                    "n": encode(public.modulus().big_endian_without_leading_zero()),
                    "e": encode(public.exponent().big_endian_without_leading_zero()),
                })
            }
            Self::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({
                    "kty": "EC", "crv": "P-256", "use": "sig", "kid": kid,
                    "x": encode(&point[1..33]), "y": encode(&point[33..]),
                })
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
        }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let input = [header, claims].map(|it| encode(it.to_string().as_bytes()));
        let input = input.join(".");
        let signature = encode(self.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }

    fn good(&self, changes: &Value) -> String {
        let header = json!({"alg": self.alg(), "kid": "k"});
        self.token(&header, &claims(changes))
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER,
        "aud": ["countersign"],
        "sub": "system:serviceaccount:ns:agent",
        "exp": NOW + 600,
        "iat": NOW,
        "nbf": NOW,
        "kubernetes.io": {
            "namespace": "ns",
            "serviceaccount": {"name": "agent", "uid": "s"},
            "pod": {"name": "pod", "uid": "p"},
        },
    });
    for (key, value) in changes.as_object().unwrap() {
        claims[key] = value.clone();
    }
    claims
}

fn tokens(keys: &[Value]) -> Tokens {
    let keys = Keys::fixed(ISSUER, &json!({"keys": keys}).to_string());
    Tokens::new("countersign".to_owned(), Arc::new(keys))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[tokio::test]
async fn a_pods_token_says_which_pod_it_is_until_its_end() {
    for key in [Signing::rsa(), Signing::p256()] {
        let tokens = tokens(&[key.jwk("k")]);
        let token = key.good(&json!({}));
        for now in [NOW, NOW + 1, NOW + 599] {
            let asker = tokens.asker(&token, at(now)).await.unwrap();
            let pod = PodRef {
                namespace: "ns".to_owned(),
                name: "pod".to_owned(),
                uid: "p".to_owned(),
                service_account: "agent".to_owned(),
            };
            assert_eq!((asker.pod, asker.expires), (pod, at(NOW + 600)));
        }
        // It is known by now, and over all the same.
        let over = tokens.asker(&token, at(NOW + 600)).await;
        assert_eq!(over, Err(BadToken::Expired));
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_lets_nobody_in() {
    let key = Signing::p256();
    let tokens = tokens(&[key.jwk("k"), Signing::rsa().jwk("rsa")]);
    let table = [
        (json!({"aud": ["https://kubernetes"]}), "WrongAudience"),
        (json!({"aud": "other"}), "WrongAudience"),
        (json!({"aud": []}), "WrongAudience"),
        (json!({"exp": NOW}), "ExpiredToken"),
        (json!({"exp": NOW - 100}), "ExpiredToken"),
        (json!({"exp": "never"}), "BadToken"),
        (json!({"exp": i64::MAX}), "BadToken"),
        (json!({"nbf": NOW + 61}), "BadToken"),
        (json!({"iat": NOW + 61}), "BadToken"),
        (json!({"iss": "https://elsewhere"}), "BadToken"),
        (json!({"sub": "system:serviceaccount:ns:other"}), "BadToken"),
        (json!({"sub": "admin"}), "BadToken"),
        (json!({"kubernetes.io": null}), "UnboundToken"),
        (
            json!({"kubernetes.io": {"namespace": "ns", "serviceaccount": {"name": "agent", "uid": "s"}}}),
            "UnboundToken",
        ),
        (
            json!({"kubernetes.io": {"namespace": "ns", "serviceaccount": {"name": "agent", "uid": "s"}, "pod": {"name": "pod", "uid": ""}}}),
            "UnboundToken",
        ),
        (
            json!({"kubernetes.io": {"namespace": "ns", "pod": {"name": "pod", "uid": "p"}}}),
            "BadToken",
        ),
        (
            json!({"kubernetes.io": ["ns", {"name": "agent", "uid": "s"}, {"name": "pod", "uid": "p"}]}),
            "BadToken",
        ),
    ];
    for (changes, expected) in table {
        let refused = tokens.asker(&key.good(&changes), at(NOW)).await;
        assert_eq!(refused.unwrap_err().reason(), expected, "{changes}");
    }
}

#[tokio::test]
async fn a_token_is_only_as_good_as_its_signature() {
    let (key, rsa) = (Signing::p256(), Signing::rsa());
    let tokens = tokens(&[key.jwk("k"), rsa.jwk("rsa")]);
    let reason = async |token: &str| match tokens.asker(token, at(NOW)).await {
        Ok(it) => panic!("{it}"),
        Err(why) => why.reason(),
    };
    // Another cluster's key, under its own name and under ours.
    let other = Signing::p256();
    let header = json!({"alg": "ES256", "kid": "theirs"});
    let theirs = other.token(&header, &claims(&json!({})));
    assert_eq!(reason(&theirs).await, "UnknownKey");
    assert_eq!(reason(&other.good(&json!({}))).await, "BadToken");
    // A key is good for one algorithm.
    for header in [
        json!({"alg": "ES256", "kid": "rsa"}),
        json!({"alg": "RS256", "kid": "k"}),
        json!({"alg": "none", "kid": "k"}),
        json!({"alg": "HS256", "kid": "k"}),
    ] {
        let token = key.token(&header, &claims(&json!({})));
        assert_eq!(reason(&token).await, "BadToken", "{header}");
    }
    let token = key.good(&json!({}));
    let (head, _) = token.rsplit_once('.').unwrap();
    let huge = format!("{}.{}", encode(vec![b' '; 9000]), "a.b");
    let critical = json!({"alg": "ES256", "kid": "k", "crit": ["x"]});
    let critical = key.token(&critical, &claims(&json!({})));
    let unnamed = key.token(&json!({"alg": "ES256"}), &claims(&json!({})));
    for bad in [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        &format!("{head}."),
        &format!("{head}.AAAA"),
        &format!("{token}="),
        &format!("{token}.{token}"),
        &huge,
        &critical,
        &unnamed,
    ] {
        assert_eq!(reason(bad).await, "BadToken", "{bad}");
    }
    assert!(tokens.asker(&token, at(NOW)).await.is_ok());
}

#[test]
fn what_is_no_set_of_keys_is_refused() {
    let symmetric = json!({"keys": [{"kty": "oct", "kid": "k", "k": "AAAA"}]}).to_string();
    let mut for_encryption = Signing::p256().jwk("k");
    for_encryption["use"] = json!("enc");
    let for_encryption = json!({"keys": [for_encryption]}).to_string();
    let off_curve = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k",
        "x": encode([1; 32]), "y": encode([1; 32])}]})
    .to_string();
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"keys":[]}"#,
        &symmetric,
        &for_encryption,
        &off_curve,
    ] {
        assert!(jwks::KeySet::parse(bad).is_err(), "{bad}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(512))]

    /// Whoever reaches the endpoint may send anything.
    #[test]
    fn nothing_that_is_shown_makes_it_panic(
        text in "\\PC{0,200}",
        parts in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), 0..5),
        json in "\\{(\"(alg|kid|crit|iss|aud|exp|kubernetes.io)\":(1|\"x\"|null|\\[\\]|\\{\\}),?){0,6}\\}?",
    ) {
        drop(claims::Unverified::read(&text));
        let parts: Vec<_> = parts.iter().map(encode).collect();
        drop(claims::Unverified::read(&parts.join(".")));
        let claimed = format!("{}.{}.AA", encode(&json), encode(&json));
        drop(claims::Unverified::read(&claimed));
        drop(claims::judge(json.as_bytes(), ISSUER, "countersign", at(NOW)));
        drop(jwks::KeySet::parse(&json));
    }
}
