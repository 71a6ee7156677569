//! Certificates that are shown.

use std::sync::Arc;

use countersign_authority::{AuthorityCertificate, Bundle, LeafKey, LeafRequest, Signer};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::fixture::*;
use crate::*;

fn showing(bed: &Bed, certificate: PresentedCertificate) -> Question {
    Question {
        certificate: Some(certificate),
        ..bed.question(1)
    }
}

#[test]
fn a_certificate_counts_in_its_time() {
    let bed = Bed::new();
    let question = bed.question(1);
    // Twice each: the second look is at what was remembered.
    for _ in 0..2 {
        assert_eq!(bed.ask_at(&question, after(3599)).reason, Reason::Permitted);
        assert_eq!(bed.ask_at(&question, after(-10)).reason, Reason::Permitted);
        assert_eq!(
            bed.ask_at(&question, after(-11)).reason,
            Reason::BadCertificate
        );
    }
    let answer = bed.ask_at(&question, after(3600));
    assert_eq!(answer.reason, Reason::BadCertificate);
    assert!(
        answer.explanation.contains("expired"),
        "{}",
        answer.explanation
    );
}

#[test]
fn another_agents_certificate_is_refused() {
    let bed = Bed::new();
    for certificate in [
        bed.certificate(2),
        bed.issue(
            "spiffe://example.org/ns/finance/agent/agent-1/task/t-1/i-0",
            start(),
            60,
        ),
    ] {
        let question = showing(&bed, certificate);
        for _ in 0..2 {
            assert_eq!(bed.ask(&question).reason, Reason::BadCertificate);
        }
    }
}

#[test]
fn another_trust_domains_certificate_is_refused() {
    let bed = Bed::new();
    let other = authority("other.example");
    let certificate = issue(
        &other,
        "spiffe://other.example/ns/a/agent/b/task/c/d",
        start(),
        60,
    );
    assert_eq!(
        bed.ask(&showing(&bed, certificate)).reason,
        Reason::BadCertificate
    );
    // The same name and another authority.
    let certificate = issue(&authority(DOMAIN), &agent(1), start(), 60);
    assert_eq!(
        bed.ask(&showing(&bed, certificate)).reason,
        Reason::BadCertificate
    );
    // A bundle that is put under another trust domain's name doesn't vouch for its agents.
    bed.world().put_trust_domain(TrustDomainFacts {
        name: "other.example".to_owned(),
        ..bed.trust_domain()
    });
    bed.world().put_identity(IdentityFacts {
        trust_domain: "other.example".to_owned(),
        ..identity(1)
    });
    assert_eq!(bed.own(), Reason::BadCertificate);
}

#[test]
fn junk_is_no_certificate() {
    let bed = Bed::new();
    let good = bed.certificate(1).der;
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    for der in [
        Vec::new(),
        vec![0; 100],
        good[..good.len() - 1].to_vec(),
        [good.clone(), vec![0]].concat(),
        changed,
        vec![0x30; 10_000_000],
    ] {
        let question = showing(&bed, PresentedCertificate { der });
        assert_eq!(bed.ask(&question).reason, Reason::BadCertificate);
    }
}

#[test]
fn a_revoked_certificate_is_refused_and_a_newer_one_is_not() {
    let bed = Bed::new();
    let serial_number = bed.ask(&bed.question(1)).agent.unwrap().serial_number;
    let serial_number = serial_number.unwrap();
    bed.world().revoke_serial(&serial_number, after(3600));
    let answer = bed.ask(&bed.question(1));
    assert_eq!(answer.reason, Reason::CertificateRevoked);
    assert_eq!(answer.agent.unwrap().serial_number, Some(serial_number));
    let newer = showing(&bed, bed.issue(&agent(1), start(), 60));
    assert_eq!(bed.ask(&newer).reason, Reason::Permitted);
    // It is forgotten when the certificate is over, not before.
    bed.engine.prune(after(3599));
    assert_eq!(bed.own(), Reason::CertificateRevoked);
    bed.engine.prune(after(3600));
    assert_eq!(bed.own(), Reason::Permitted);
}

#[test]
fn what_was_remembered_is_verified_anew_when_the_roots_change() {
    let bed = Bed::new();
    assert_eq!(bed.own(), Reason::Permitted);
    let domain = bed.trust_domain();
    bed.world().put_trust_domain(TrustDomainFacts {
        bundle: Arc::new(Bundle::new(2, [])),
        ..domain.clone()
    });
    assert_eq!(bed.own(), Reason::BadCertificate);
    bed.world().put_trust_domain(domain);
    assert_eq!(bed.own(), Reason::Permitted);
}

/// Made with openssl: one URI, two URIs, and their root; good until the year 2125.
fn made_elsewhere() -> [Vec<u8>; 3] {
    let blocks = pem::parse_many(include_str!("uris.pem")).unwrap();
    let ders: Vec<_> = blocks.into_iter().map(pem::Pem::into_contents).collect();
    ders.try_into().unwrap()
}

#[test]
fn two_uris_are_nobodys() {
    let bed = Bed::new();
    let [one, two, root] = made_elsewhere();
    let root = AuthorityCertificate::from_der(&root).unwrap();
    bed.world().put_trust_domain(TrustDomainFacts {
        bundle: Arc::new(Bundle::new(1, [root])),
        ..bed.trust_domain()
    });
    let late: jiff::Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    bed.world().put_identity(IdentityFacts {
        deadline: None,
        ..identity(1)
    });
    let reason = |der| {
        let question = showing(&bed, PresentedCertificate { der });
        bed.ask_at(&question, late).reason
    };
    assert_eq!(reason(one), Reason::Permitted);
    assert_eq!(reason(two), Reason::BadCertificate);
}

#[test]
fn a_root_that_ended_since_vouches_for_nobody() {
    let bed = Bed::new();
    // Its authority ends 30 days after it began; the leaf is capped to that.
    let end = bed.authority.bundle().roots()[0].not_after();
    let question = showing(&bed, bed.issue(&agent(1), start(), 86_400));
    assert_eq!(bed.ask(&question).reason, Reason::Permitted);
    assert!(end > after(86_400));
    assert_eq!(bed.ask_at(&question, end).reason, Reason::AgentEnded);
    bed.world().put_identity(IdentityFacts {
        deadline: None,
        ..identity(1)
    });
    assert_eq!(bed.ask_at(&question, end).reason, Reason::BadCertificate);
}

/// An issuing authority below a root of one's own.
fn below_a_root() -> Signer {
    let params = |name: &str| {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        params
    };
    let root_key = KeyPair::generate().unwrap();
    let root = params("root").self_signed(&root_key).unwrap().pem();
    let issuer = Issuer::new(params("root"), root_key);
    let key = KeyPair::generate().unwrap();
    let chain = params("issuing").signed_by(&key, &issuer).unwrap().pem();
    let key = key.serialize_pem();
    Signer::from_pem(&chain, &key, Some(&root), DOMAIN, start()).unwrap()
}

#[test]
fn a_leaf_below_an_intermediate_counts_while_the_bundle_has_it() {
    let bed = Bed::new();
    let signer = below_a_root();
    let request = LeafRequest {
        spiffe_id: &agent(1),
        key: LeafKey::Generate(countersign_authority::KeyAlgorithm::EcdsaP256),
        ttl_seconds: 3600,
        not_after_cap: None,
    };
    let leaf = signer.issue(&request, start()).unwrap();
    let der = pem::parse_many(&leaf.chain_pem).unwrap()[0]
        .contents()
        .to_vec();
    let question = showing(&bed, PresentedCertificate { der });
    let with = |bundle: Bundle| {
        bed.world().put_trust_domain(TrustDomainFacts {
            bundle: Arc::new(bundle),
            ..bed.trust_domain()
        });
        bed.ask(&question).reason
    };
    assert_eq!(with(signer.bundle(1)), Reason::Permitted);
    // Its root stays, and so does what was remembered: by the bundle that was.
    let root = || Bundle::new(1, signer.roots().to_vec());
    assert_eq!(with(root()), Reason::BadCertificate);
    let other = below_a_root();
    let foreign = other.certificate().der();
    assert_eq!(
        with(root().with_intermediates([foreign])),
        Reason::BadCertificate
    );
    assert_eq!(with(other.bundle(1)), Reason::BadCertificate);
    assert_eq!(with(signer.bundle(1)), Reason::Permitted);
}

#[test]
fn of_what_pods_hold_any_good_certificate_counts_that_is_of_after_a_suspension() {
    let bed = Bed::new();
    let in_pods = |issuable, issued_since| IdentityFacts {
        certificate: None,
        in_pods: Some(InPods {
            issuable,
            issued_since,
        }),
        ..identity(1)
    };
    bed.world().put_identity(in_pods(true, None));
    let vouched = Question {
        certificate: None,
        ..bed.question(1)
    };
    let ask = |certificate, now| {
        let question = Question {
            certificate,
            ..bed.question(1)
        };
        bed.engine.decide(&trusted(), &question, now).reason
    };
    let first = bed.issue(&agent(1), after(0), 600);
    assert_eq!(ask(Some(first.clone()), after(1)), Reason::Permitted);
    assert_eq!(
        bed.engine.decide(&trusted(), &vouched, after(1)).reason,
        Reason::Permitted
    );
    // Another one at the same time: two pods, or a renewal.
    let second = bed.issue(&agent(1), after(5), 600);
    assert_eq!(ask(Some(second), after(6)), Reason::Permitted);
    // It was suspended, and came back eleven seconds in.
    bed.world().put_identity(in_pods(true, Some(after(11))));
    assert_eq!(ask(Some(first), after(11)), Reason::CertificateRevoked);
    let third = bed.issue(&agent(1), after(11), 600);
    assert_eq!(ask(Some(third.clone()), after(12)), Reason::Permitted);
    // While nothing is issued, what is out there counts until it ends, and nobody can vouch for more.
    bed.world().put_identity(in_pods(false, Some(after(11))));
    assert_eq!(ask(Some(third), after(12)), Reason::Permitted);
    assert_eq!(ask(None, after(12)), Reason::AgentNotReady);
    bed.world().put_identity(in_pods(true, Some(after(11))));
    // With old facts only what is shown can be told to be good.
    bed.world().set_rules(Rules {
        stale_until_expiry: true,
        ..rules()
    });
    bed.world()
        .set_freshness(Freshness::Stale(jiff::SignedDuration::from_secs(60)));
    let fourth = bed.issue(&agent(1), after(12), 600);
    assert_eq!(ask(Some(fourth), after(13)), Reason::Permitted);
    assert_eq!(ask(None, after(13)), Reason::NotReady);
}
