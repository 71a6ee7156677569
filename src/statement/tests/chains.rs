//! What a good chain shows, and what each rule between two hops refuses.

use serde_json::json;

use super::fixture::*;
use crate::{Broken, Claims, Digest, MAX_DEPTH, Options, TrustedKeys, verify_chain};

#[test]
fn chains_of_every_length_verify_from_the_bundle_alone() {
    let ring = ring();
    let keys = TrustedKeys::from_bundle_json(DOMAIN, &bundle_json(&ring)).unwrap();
    for hops in 0..=usize::from(MAX_DEPTH) {
        let statements = chain(&signer(&ring), hops);
        let verified = verify(&texts(&statements), &keys, start()).unwrap();
        assert_eq!(verified.hops().len(), hops + 1);
        assert_eq!(verified.leaf(), statements.last().unwrap());
        assert_eq!(verified.root(), &statements[0]);
        assert!(
            verified
                .digests()
                .eq(statements.iter().map(|it| it.digest()))
        );
        assert_eq!(verified.grants(), statements[hops].claims().grants);
    }
}

#[test]
fn a_chain_has_at_most_seventeen_statements() {
    let ring = ring();
    let mut statements = chain(&signer(&ring), 16);
    let deeper = Claims {
        max_depth: 17,
        ..below(statements.last().unwrap())
    };
    let refused = signer(&ring).countersign(&deeper).unwrap_err();
    assert_eq!(refused.category(), "too-deep");
    statements.push(statements[16].clone());
    let keys = ring.trusted().unwrap();
    assert_eq!(
        refusal(&texts(&statements), &keys, start()),
        (None, "too-long")
    );
    assert_eq!(refusal(&[""; 0], &keys, start()), (None, "empty"));
}

#[test]
fn each_dimension_that_widens_is_named_with_its_hop() {
    let ring = ring();
    let signer = signer(&ring);
    let keys = ring.trusted().unwrap();
    let statements = chain_of(&signer, 2, |claims| claims.max_depth = 8);
    let grant = |constraints| {
        grants(
            json!([{"actions": ["read"], "resources": ["ledger/a"], "constraints": constraints}]),
        )
    };
    let full = json!({"maxDataClass": "Confidential", "audiences": ["bank"],
                      "notAfter": "2026-12-01T00:00:00Z", "maxCalls": 100});
    let with = |name: &str, value| {
        let mut constraints = full.clone();
        constraints[name] = value;
        grant(constraints)
    };
    let widened = |expected: &str, alter: &dyn Fn(&mut Claims)| {
        let mut claims = below(&statements[2]);
        alter(&mut claims);
        let mut all = texts(&statements);
        all.push(signer.countersign(&claims).unwrap().compact().to_owned());
        assert_eq!(refusal(&all, &keys, start()), (Some(3), expected));
        verify(&all, &keys, start()).unwrap_err().to_string()
    };
    let mut narrower = below(&statements[2]);
    narrower.grants = grant(full.clone());
    let mut all = texts(&statements);
    all.push(signer.countersign(&narrower).unwrap().compact().to_owned());
    verify(&all, &keys, start()).unwrap();

    for grants in [
        grants(json!([{"actions": ["write"], "resources": ["ledger/a"], "constraints": full}])),
        grants(json!([{"actions": ["read"], "resources": ["other"], "constraints": full}])),
        with("maxDataClass", json!("Restricted")),
        with("audiences", json!(["bank", "press"])),
        with("notAfter", json!("2026-12-01T00:00:01Z")),
        with("maxCalls", json!(101)),
        grant(json!({})),
    ] {
        let message = widened("widens-grants", &|claims| claims.grants = grants.clone());
        assert!(
            message.starts_with("hop 3: grants[0] widens: "),
            "{message}"
        );
    }
    widened("widens-depth", &|claims| claims.max_depth = 9);
    widened("widens-expiry", &|claims| {
        claims.expires_at = plus(claims.expires_at, 1)
    });
    widened("before-parent", &|claims| {
        claims.issued_at = plus(start(), -1)
    });
}

#[test]
fn a_hop_that_links_to_something_else_is_refused() {
    let ring = ring();
    let signer = signer(&ring);
    let keys = ring.trusted().unwrap();
    let statements = chain(&signer, 3);
    let other = chain_of(&signer, 3, |claims| claims.requester = None);
    let refused = |alter: &dyn Fn(&mut Claims)| {
        let mut claims = below(&statements[3]);
        alter(&mut claims);
        let mut all = texts(&statements);
        all.push(signer.countersign(&claims).unwrap().compact().to_owned());
        let (hop, category) = refusal(&all, &keys, start());
        assert_eq!(hop, Some(4));
        category
    };
    assert_eq!(
        refused(&|it| it.parent = Some(*other[3].digest())),
        "parent-hash"
    );
    assert_eq!(
        refused(&|it| it.parent = Some(*statements[2].digest())),
        "parent-hash"
    );
    assert_eq!(refused(&|it| it.delegator = Some(agent(2))), "delegator");
    assert_eq!(refused(&|it| it.owner = "bob".to_owned()), "other-owner");
    assert_eq!(refused(&|it| (it.depth, it.max_depth) = (5, 16)), "depth");
    assert_eq!(refused(&|it| it.id = "uid-3".to_owned()), "reused-id");
    assert_eq!(refused(&|it| it.id = "uid-1".to_owned()), "reused-id");
    for ancestor in 1..=3 {
        assert_eq!(refused(&|it| it.subject = agent(ancestor)), "cycle");
    }
}

#[test]
fn nothing_follows_a_hop_that_allows_no_more() {
    let ring = ring();
    let signer = signer(&ring);
    let mut statements = chain_of(&signer, 2, |claims| claims.max_depth = 2);
    let claims = Claims {
        max_depth: 3,
        ..below(&statements[2])
    };
    statements.push(signer.countersign(&claims).unwrap());
    let keys = ring.trusted().unwrap();
    assert_eq!(
        refusal(&texts(&statements), &keys, start()),
        (Some(3), "too-deep")
    );
}

#[test]
fn a_chain_has_all_its_hops_in_their_order() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let all = texts(&chain(&signer(&ring), 3));
    let picked = |places: &[usize]| {
        let some: Vec<_> = places.iter().map(|&place| all[place].clone()).collect();
        refusal(&some, &keys, start())
    };
    assert_eq!(picked(&[1, 2, 3]), (Some(0), "no-root"));
    assert_eq!(picked(&[0, 2, 3]), (Some(1), "parent-hash"));
    assert_eq!(picked(&[0, 1, 3, 2]), (Some(2), "parent-hash"));
    assert_eq!(picked(&[0, 0]), (Some(1), "parent-hash"));
}

#[test]
fn time_is_looked_at_to_the_second_and_a_clock_may_be_a_minute_ahead() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let all = texts(&chain_of(&signer(&ring), 2, |claims| {
        if claims.depth == 2 {
            claims.expires_at = plus(start(), 600);
        }
    }));
    verify(&all, &keys, plus(start(), 599)).unwrap();
    assert_eq!(
        refusal(&all, &keys, plus(start(), 600)),
        (Some(2), "expired")
    );
    assert_eq!(
        refusal(&all, &keys, plus(start(), HOUR)),
        (Some(0), "expired")
    );
    verify(&all, &keys, plus(start(), -60)).unwrap();
    assert_eq!(
        refusal(&all, &keys, plus(start(), -61)),
        (Some(0), "not-yet-valid")
    );
}

#[test]
fn one_revoked_ancestor_breaks_the_chain() {
    let ring = ring();
    let keys = ring.trusted().unwrap();
    let statements = chain(&signer(&ring), 4);
    let all = texts(&statements);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for (hop, statement) in statements.iter().enumerate() {
        let revoked = |digest: &Digest| digest == statement.digest();
        let options = Options {
            revoked: Some(&revoked),
            ..Options::default()
        };
        let error = verify_chain(&all, &keys, start(), &options).unwrap_err();
        assert_eq!(error.hop, Some(hop));
        assert_eq!(error.broken, Broken::Revoked(*statement.digest()));
    }
}

#[test]
fn what_contradicts_itself_is_not_signed() {
    let ring = ring();
    let signer = signer(&ring);
    let hop = below(&chain(&signer, 0)[0]);
    let refused = |claims: Claims| signer.countersign(&claims).unwrap_err().category();
    let cases = [
        Claims {
            id: String::new(),
            ..hop.clone()
        },
        Claims {
            parent: None,
            ..hop.clone()
        },
        Claims {
            delegator: None,
            ..hop.clone()
        },
        Claims {
            task: None,
            ..hop.clone()
        },
        Claims {
            subject: crate::owner_subject(&domain(), "bob").unwrap(),
            ..hop.clone()
        },
        Claims {
            task: hop.task.clone(),
            ..root_claims()
        },
        Claims {
            parent: hop.parent,
            ..root_claims()
        },
        Claims {
            owner: "bob".to_owned(),
            ..root_claims()
        },
        Claims {
            subject: "spiffe://example.org.evil/a".parse_id(),
            ..hop.clone()
        },
        Claims {
            grants: vec![hop.grants[0].clone(); 65],
            ..hop.clone()
        },
    ];
    for claims in cases {
        assert_eq!(refused(claims.clone()), "bad-claims", "{claims:?}");
    }
    let never = Claims {
        expires_at: hop.issued_at,
        ..hop.clone()
    };
    assert_eq!(refused(never), "no-lifetime");
    let large = Claims {
        agent_statement: Some("a".repeat(32 * 1024)),
        ..hop
    };
    assert_eq!(refused(large), "too-large");
    crate::owner_subject(&domain(), "alice/admin").unwrap_err();
}

trait ParseId {
    fn parse_id(&self) -> countersign_core::SpiffeId;
}

impl ParseId for str {
    fn parse_id(&self) -> countersign_core::SpiffeId {
        countersign_core::SpiffeId::parse(self).unwrap()
    }
}
