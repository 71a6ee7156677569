//! What relying parties read.

use serde_json::{Value, json};

use super::fixture::*;
use crate::{IssuerUrl, discovery};

#[test]
fn the_discovery_document_says_where_the_keys_are_and_how_they_sign() {
    let issuer = IssuerUrl::parse("https://id.example.org/agents").unwrap();
    let document: Value = serde_json::from_str(&discovery(&issuer)).unwrap();
    assert_eq!(
        document,
        json!({
            "issuer": "https://id.example.org/agents",
            "jwks_uri": "https://id.example.org/agents/keys",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    );
}

#[test]
fn the_keys_are_a_plain_set_of_jwks() {
    let authority = authority();
    let document: Value = serde_json::from_str(&authority.keys.jwks()).unwrap();
    let [key] = document["keys"].as_array().unwrap().as_slice() else {
        panic!("{document}");
    };
    let mut expected = jwk(authority_key(&authority));
    expected["use"] = json!("sig");
    assert_eq!(key, &expected);
    assert_eq!(document.as_object().unwrap().len(), 1);
}

fn authority_key(authority: &Authority) -> &countersign_authority::Es256Key {
    authority.keys.find(authority.signer.kid()).unwrap()
}

#[test]
fn an_issuer_url_has_one_spelling() {
    for (url, authority, path) in [
        ("https://id.example.org", "id.example.org", ""),
        ("https://id.example.org:8443", "id.example.org:8443", ""),
        ("https://localhost/a/b~c.d_e-F", "localhost", "/a/b~c.d_e-F"),
    ] {
        let read = IssuerUrl::parse(url).unwrap();
        assert_eq!((read.authority(), read.path()), (authority, path));
        assert_eq!(read.as_str(), url);
    }
    for url in [
        "",
        "https://",
        "http://id.example.org",
        "https://Id.example.org",
        "https://id.example.org/",
        "https://id.example.org/a/",
        "https://id.example.org//a",
        "https://id.example.org/a?b",
        "https://id.example.org/a#b",
        "https://id.example.org/../a",
        "https://id.example.org/%61",
        "https://user@id.example.org",
        "https://id.example.org:443",
        "https://id.example.org:",
        "https://id.example.org:0",
        "https://id.example.org:99999",
        "https://-id.example.org",
        "https://id..example.org",
        "https://[::1]",
        &format!("https://id.example.org/{}", "a".repeat(500)),
    ] {
        assert!(IssuerUrl::parse(url).is_err(), "{url}");
    }
}
