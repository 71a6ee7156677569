//! What a delegator signs itself.

use std::collections::BTreeSet;

use countersign_authority::{
    AuthoritySet, Bundle, KeyAlgorithm, LeafKey, LeafRequest, PrivateKey, Wanted,
};
use serde_json::json;

use super::fixture::*;
use crate::agent::{self, Request};
use crate::{Claims, Options, Statement, jws, verify_chain};

/// An agent with its SVID.
struct Agent {
    key: PrivateKey,
    chain: Vec<Vec<u8>>,
    bundle: Bundle,
}

fn authority() -> AuthoritySet {
    let want = Wanted {
        trust_domain: DOMAIN.to_owned(),
        ca_lifetime_seconds: 30 * 86_400,
        key_algorithm: KeyAlgorithm::EcdsaP256,
        epoch: 1,
        distrusted: BTreeSet::new(),
        max_leaf_ttl_seconds: 3600,
        bundle_propagated: true,
        propagation_seconds: 60,
    };
    AuthoritySet::default()
        .next(&want, start())
        .unwrap()
        .unwrap()
}

fn agent_of(set: &AuthoritySet, hop: usize, algorithm: KeyAlgorithm) -> Agent {
    let signer = set.signer().unwrap().unwrap();
    let leaf = signer
        .issue(
            &LeafRequest {
                spiffe_id: agent(hop).as_str(),
                not_after_cap: None,
                ttl_seconds: 600,
                key: LeafKey::Generate(algorithm),
            },
            start(),
        )
        .unwrap();
    let blocks = leaf.chain_pem.split("-----BEGIN CERTIFICATE-----");
    let chain = blocks.skip(1).map(|block| {
        use base64::Engine as _;
        let body = block.split("-----END").next().unwrap();
        let body: String = body.split_whitespace().collect();
        base64::engine::general_purpose::STANDARD
            .decode(body)
            .unwrap()
    });
    Agent {
        key: PrivateKey::from_pem(leaf.key_pem.as_ref().unwrap()).unwrap(),
        chain: chain.collect(),
        bundle: set.bundle(),
    }
}

fn request(parent: &Statement) -> Request {
    let hop = below(parent);
    Request {
        delegator: parent.claims().subject.clone(),
        delegate: hop.subject,
        id: "mine-1".to_owned(),
        issued_at: start(),
        expires_at: plus(start(), 900),
        max_depth: 3,
        parent: *parent.digest(),
        grants: hop.grants,
    }
}

fn signed(agent: &Agent, request: &Request) -> String {
    agent::sign(request, &agent.key, &agent.chain).unwrap()
}

#[test]
fn each_kind_of_key_signs_and_its_certificate_says_who() {
    let ring = ring();
    let set = authority();
    let parent = &chain(&signer(&ring), 1)[1];
    for algorithm in [
        KeyAlgorithm::EcdsaP256,
        KeyAlgorithm::EcdsaP384,
        KeyAlgorithm::Ed25519,
    ] {
        let agent = agent_of(&set, 1, algorithm);
        let request = request(parent);
        let read = agent::verify(&signed(&agent, &request), &agent.bundle, start()).unwrap();
        assert_eq!(read.request, request);
        assert!(!read.serial_number.is_empty());
    }
}

#[test]
fn a_request_is_refused_that_is_not_the_delegators() {
    let ring = ring();
    let set = authority();
    let parent = &chain(&signer(&ring), 1)[1];
    let good = request(parent);
    let agent = agent_of(&set, 1, KeyAlgorithm::EcdsaP256);
    let refused = |text: &str, seconds| {
        let refused = agent::verify(text, &agent.bundle, plus(start(), seconds));
        refused.unwrap_err().category()
    };
    let text = signed(&agent, &good);
    assert_eq!(
        refused(&text, 601),
        "agent-statement",
        "the certificate is over"
    );
    assert_eq!(refused(&text, -3600), "agent-statement", "not valid yet");
    let brief = Request {
        expires_at: plus(start(), 60),
        ..good.clone()
    };
    assert_eq!(refused(&signed(&agent, &brief), 60), "expired");
    let early = Request {
        issued_at: plus(start(), 61),
        ..good.clone()
    };
    assert_eq!(refused(&signed(&agent, &early), 0), "not-yet-valid");
    let mut other = agent_of(&set, 2, KeyAlgorithm::EcdsaP256);
    assert_eq!(
        refused(&signed(&other, &good), 0),
        "agent-statement",
        "another's name"
    );
    other.chain = agent.chain.clone();
    assert_eq!(
        refused(&signed(&other, &good), 0),
        "bad-signature",
        "another's key"
    );
    let strange = agent_of(&authority(), 1, KeyAlgorithm::EcdsaP256);
    assert_eq!(
        refused(&signed(&strange, &good), 0),
        "agent-statement",
        "another authority"
    );
    let countersigned = parent.compact();
    assert_eq!(refused(countersigned, 0), "type");
    let x5c = header(&text)["x5c"].clone();
    let with = |header: serde_json::Value| {
        let body = text.split('.').nth(1).unwrap();
        format!(
            "{}.{body}.{}",
            jws::encode(header.to_string().as_bytes()),
            "AAAA"
        )
    };
    let typ = agent::TYP;
    for (header, expected) in [
        (
            json!({"alg": "none", "typ": typ, "x5c": x5c}),
            "agent-statement",
        ),
        (
            json!({"alg": "ES384", "typ": typ, "x5c": x5c}),
            "agent-statement",
        ),
        (
            json!({"alg": "ES256", "typ": typ, "x5c": x5c}),
            "bad-signature",
        ),
        (json!({"alg": "ES256", "typ": "JWT", "x5c": x5c}), "type"),
        (json!({"alg": "ES256", "typ": typ}), "bad-header"),
        (
            json!({"alg": "ES256", "typ": typ, "x5c": []}),
            "agent-statement",
        ),
        (
            json!({"alg": "ES256", "typ": typ, "x5c": x5c, "kid": "a"}),
            "bad-header",
        ),
        (
            json!({"alg": "ES256", "typ": typ, "x5c": x5c, "kid": ""}),
            "bad-header",
        ),
        (
            json!({"alg": "ES256", "typ": typ, "x5c": x5c, "kid": null}),
            "bad-header",
        ),
        (
            json!({"alg": "ES256", "typ": typ, "x5c": null}),
            "bad-header",
        ),
        (
            json!(["ES256", typ, "", x5c, null, null, null, null, null]),
            "bad-header",
        ),
        (
            json!({"alg": "ES256", "typ": typ, "x5c": x5c, "jwk": {}}),
            "forbidden-header",
        ),
        (
            json!({"alg": "ES256", "typ": typ, "x5c": x5c, "jwk": null}),
            "forbidden-header",
        ),
        (
            json!({"alg": "ES256", "typ": typ, "x5c": x5c, "crit": null}),
            "forbidden-header",
        ),
        (
            json!({"alg": "ES256", "typ": typ, "x5c": x5c, "crit": ["a"]}),
            "forbidden-header",
        ),
    ] {
        assert_eq!(refused(&with(header.clone()), 0), expected, "{header}");
    }
}

#[test]
fn a_request_without_the_names_of_its_members_is_refused() {
    let ring = ring();
    let set = authority();
    let parent = &chain(&signer(&ring), 1)[1];
    let agent = agent_of(&set, 1, KeyAlgorithm::EcdsaP256);
    let text = signed(&agent, &request(parent));
    let refused = |body: serde_json::Value| {
        let header = text.split('.').next().unwrap();
        let text = jws::assemble(header, body.to_string().as_bytes(), |message| {
            agent.key.sign_jose(message).map(|(_, signature)| signature)
        });
        let refused = agent::verify(&text.unwrap(), &agent.bundle, start());
        refused.unwrap_err().category()
    };
    let body = payload(&text);
    let names = "iss sub jti iat exp del_max_depth par_hash authorization_details".split(' ');
    let unnamed = json!(names.map(|name| &body[name]).collect::<Vec<_>>());
    assert_eq!(refused(unnamed), "bad-claims");
    let mut grant = body;
    grant["authorization_details"] = json!([["countersign_grant", ["*"], ["ledger/*"], {}]]);
    assert_eq!(refused(grant), "bad-claims");
}

#[test]
fn a_countersigned_hop_stays_within_what_its_delegator_signed() {
    let ring = ring();
    let set = authority();
    let statements = chain(&signer(&ring), 1);
    let agent = agent_of(&set, 1, KeyAlgorithm::EcdsaP256);
    let text = signed(&agent, &request(&statements[1]));
    let hop = Claims {
        expires_at: plus(start(), 900),
        max_depth: 3,
        agent_statement: Some(text),
        ..below(&statements[1])
    };
    let verified = |claims: &Claims| {
        let leaf = signer(&ring).countersign(claims).unwrap();
        let mut all = texts(&statements);
        all.push(leaf.compact().to_owned());
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let keys = ring.trusted().unwrap();
        verify_chain(&all, &keys, start(), &Options::default()).unwrap();
        let options = Options {
            agent_signatures: Some(&agent.bundle),
            ..Options::default()
        };
        verify_chain(&all, &keys, start(), &options)
    };
    verified(&hop).unwrap();
    verified(&Claims {
        agent_statement: None,
        ..hop.clone()
    })
    .unwrap();
    for wider in [
        Claims {
            expires_at: plus(start(), 901),
            ..hop.clone()
        },
        Claims {
            max_depth: 4,
            ..hop.clone()
        },
        Claims {
            subject: agent_id(9),
            ..hop.clone()
        },
        Claims {
            agent_statement: Some("a.b.c".to_owned()),
            ..hop.clone()
        },
    ] {
        let error = verified(&wider).unwrap_err();
        assert_eq!((error.hop, error.category()), (Some(2), "agent-statement"));
    }
}

fn agent_id(hop: usize) -> countersign_core::SpiffeId {
    super::fixture::agent(hop)
}
