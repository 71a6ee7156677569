//! The profile of a leaf.

use std::collections::BTreeSet;

use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::fixture::*;
use crate::certificate::parse;
use crate::{AuthorityError, AuthoritySet, KeyAlgorithm, LeafKey, LeafRequest, Wanted};

const KEY_USAGE: &str = "2.5.29.15";
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const SUBJECT_KEY_ID: &str = "2.5.29.14";
const AUTHORITY_KEY_ID: &str = "2.5.29.35";
const SUBJECT_ALT_NAME: &str = "2.5.29.17";

fn leaf_of(pem: &str) -> Vec<u8> {
    ders(pem).swap_remove(0)
}

#[test]
fn a_leaf_has_the_six_extensions_of_the_profile_and_their_criticality() {
    let set = first(&want());
    let leaf = leaf_of(&issue(&set.signer().unwrap().unwrap(), start()).chain_pem);
    let parsed = parse(&leaf).unwrap();
    let extensions: BTreeSet<(String, bool)> = parsed
        .extensions()
        .iter()
        .map(|it| (it.oid.to_id_string(), it.critical))
        .collect();
    let expected = [
        (KEY_USAGE, true),
        (EXTENDED_KEY_USAGE, false),
        (BASIC_CONSTRAINTS, true),
        (SUBJECT_KEY_ID, false),
        (AUTHORITY_KEY_ID, false),
        (SUBJECT_ALT_NAME, true),
    ];
    assert_eq!(
        extensions,
        expected
            .map(|(oid, critical)| (oid.to_owned(), critical))
            .into()
    );
    assert_eq!(parsed.version().0, 2, "X.509 version 3");
}

#[test]
fn a_leaf_is_named_by_exactly_one_uri_and_by_no_subject() {
    let set = first(&want());
    let leaf = leaf_of(&issue(&set.signer().unwrap().unwrap(), start()).chain_pem);
    let parsed = parse(&leaf).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [GeneralName::URI(ID)]);
    assert_eq!(parsed.subject().as_raw(), [0x30, 0x00]);
}

#[test]
fn a_leaf_may_sign_handshakes_as_client_and_server_and_nothing_else() {
    let set = first(&want());
    let leaf = leaf_of(&issue(&set.signer().unwrap().unwrap(), start()).chain_pem);
    let parsed = parse(&leaf).unwrap();
    assert!(!parsed.basic_constraints().unwrap().unwrap().value.ca);
    let usage = parsed.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature());
    assert_eq!(usage.flags, 1);
    let extended = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.client_auth && extended.server_auth);
    assert!(!extended.any && extended.other.is_empty());
}

#[test]
fn key_identifiers_lead_from_the_leaf_to_its_authority() {
    let set = first(&want());
    let issued = issue(&set.signer().unwrap().unwrap(), start());
    let der = leaf_of(&issued.chain_pem);
    let parsed = parse(&der).unwrap();
    let authority = crate::verify::authority_key_id(&parsed).unwrap();
    assert_eq!(hex::encode(authority), set.active().unwrap().id().as_str());
    assert_eq!(&issued.authority_id, set.active().unwrap().id());
    let own = parsed
        .iter_extensions()
        .find_map(|it| match it.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
    let bits = parsed.public_key().subject_public_key.data.to_vec();
    assert_eq!(own.unwrap(), crate::encode::sha256(&bits)[..20]);
    let spki = parsed.public_key().raw;
    assert_eq!(
        issued.public_key_sha256,
        hex::encode(crate::encode::sha256(spki))
    );
}

#[test]
fn serial_numbers_are_127_random_bits_in_16_bytes() {
    let set = first(&want());
    let signer = set.signer().unwrap().unwrap();
    let mut seen = BTreeSet::new();
    let mut ones = [0_u32; 128];
    for _ in 0..200 {
        let issued = issue(&signer, start());
        let der = leaf_of(&issued.chain_pem);
        let serial: [u8; 16] = parse(&der).unwrap().raw_serial().try_into().unwrap();
        assert_eq!(issued.serial_number, hex::encode(serial));
        assert_eq!(serial[0] & 0xc0, 0x40, "positive, and never shorter");
        for (bit, count) in ones.iter_mut().enumerate() {
            *count += u32::from(serial[bit / 8] >> (7 - bit % 8) & 1);
        }
        assert!(seen.insert(serial));
    }
    // Ten standard deviations: every other bit takes both values.
    assert!(ones[2..].iter().all(|count| (30..=170).contains(count)));
}

#[test]
fn validity_begins_ten_seconds_back_and_lasts_as_long_as_asked() {
    let set = first(&want());
    let issued = issue(&set.signer().unwrap().unwrap(), plus(start(), 500));
    assert_eq!(issued.not_before, plus(start(), 490));
    assert_eq!(issued.not_after, plus(start(), 500 + TTL));
    let der = leaf_of(&issued.chain_pem);
    let parsed = parse(&der).unwrap();
    let validity = parsed.validity();
    assert_eq!(
        validity.not_before.timestamp(),
        issued.not_before.as_second()
    );
    assert_eq!(validity.not_after.timestamp(), issued.not_after.as_second());
}

#[test]
fn a_fraction_of_a_second_never_lengthens_a_leaf() {
    let set = first(&want());
    let now = "2026-11-24T12:00:05.999999999Z".parse().unwrap();
    let issued = issue(&set.signer().unwrap().unwrap(), now);
    assert_eq!(issued.not_before, minus(start(), 5));
    assert_eq!(issued.not_after, plus(start(), 5 + TTL));
    let mut capped = request(ID);
    capped.not_after_cap = Some("2026-11-24T12:00:30.7Z".parse().unwrap());
    let issued = set.signer().unwrap().unwrap().issue(&capped, now).unwrap();
    assert_eq!(issued.not_after, plus(start(), 30));
}

#[test]
fn a_leaf_ends_with_its_cap_its_authority_and_the_longest_that_is_allowed() {
    let set = first(&want());
    let signer = set.signer().unwrap().unwrap();
    let mut asked = request(ID);
    asked.not_after_cap = Some(plus(start(), 60));
    assert_eq!(
        signer.issue(&asked, start()).unwrap().not_after,
        plus(start(), 60)
    );

    asked.not_after_cap = None;
    asked.ttl_seconds = u64::MAX;
    assert_eq!(
        signer.issue(&asked, start()).unwrap().not_after,
        plus(start(), 3600)
    );

    let late = minus(signer.not_after(), 20);
    assert_eq!(
        signer.issue(&asked, late).unwrap().not_after,
        signer.not_after()
    );
}

#[test]
fn no_lifetime_left_is_refused() {
    let set = first(&want());
    let signer = set.signer().unwrap().unwrap();
    let mut asked = request(ID);
    asked.not_after_cap = Some(start());
    let refusal = signer.issue(&asked, start()).unwrap_err();
    assert!(
        matches!(refusal, AuthorityError::NoLifetimeLeft { .. }),
        "{refusal}"
    );

    asked.not_after_cap = None;
    asked.ttl_seconds = 0;
    assert_eq!(
        signer.issue(&asked, start()).unwrap_err().reason(),
        "NoLifetimeLeft"
    );
    let over = signer.issue(&request(ID), signer.not_after()).unwrap_err();
    assert_eq!(over.reason(), "NoLifetimeLeft");
}

#[test]
fn nothing_is_issued_before_the_authority_begins() {
    let set = first(&want());
    let refusal = set
        .signer()
        .unwrap()
        .unwrap()
        .issue(&request(ID), minus(start(), 11))
        .unwrap_err();
    assert_eq!(refusal.reason(), "NotYetValid");
}

#[test]
fn every_pair_of_key_algorithms_makes_a_leaf_that_verifies() {
    for authority in ALGORITHMS {
        let want = Wanted {
            key_algorithm: authority,
            ..want()
        };
        let set = first(&want);
        let signer = set.signer().unwrap().unwrap();
        for own in ALGORITHMS {
            let asked = LeafRequest {
                key: LeafKey::Generate(own),
                ..request(ID)
            };
            let issued = signer.issue(&asked, start()).unwrap();
            verifies(&issued.chain_pem, &set.bundle(), start()).unwrap();
            let key = issued.key_pem.unwrap();
            crate::inspect_leaf(issued.chain_pem.as_bytes(), Some(key.as_bytes())).unwrap();
        }
    }
}

#[test]
fn a_leaf_of_another_trust_domain_or_without_a_path_is_refused() {
    let set = first(&want());
    let signer = set.signer().unwrap().unwrap();
    let long = format!("spiffe://example.org/{}", "a".repeat(2048));
    for id in [
        "",
        "example.org/x",
        "https://example.org/x",
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org/a/",
        "spiffe://example.org//a",
        "spiffe://example.org/a/../b",
        "spiffe://example.org/a/./b",
        "spiffe://example.org/a b",
        "spiffe://example.org/a%2fb",
        "spiffe://example.org/a?b",
        "spiffe://example.org/a#b",
        "spiffe://example.org/ä",
        "spiffe://example.org/a\0",
        "spiffe://example.org:443/a",
        "spiffe://user@example.org/a",
        "spiffe://EXAMPLE.org/a",
        "spiffe://example.com/a",
        "spiffe://sub.example.org/a",
        "spiffe:///a",
        &long,
    ] {
        let refusal = signer.issue(&request(id), start()).unwrap_err();
        assert_eq!(refusal.reason(), "BadSPIFFEID", "{id:?}");
    }
}

#[test]
fn a_leaf_beyond_2049_has_times_that_verifiers_read() {
    let now = "2060-01-01T00:00:00Z".parse().unwrap();
    let set = step(&AuthoritySet::default(), &want(), now);
    let issued = issue(&set.signer().unwrap().unwrap(), now);
    verifies(&issued.chain_pem, &set.bundle(), now).unwrap();
    OpenSsl::new()
        .verify(&set.bundle().pem(), &issued.chain_pem, now)
        .unwrap();
}

#[test]
fn the_authority_itself_follows_the_standard() {
    for key_algorithm in ALGORITHMS {
        let want = Wanted {
            key_algorithm,
            ..want()
        };
        let set = first(&want);
        let der = set.active().unwrap().certificate.der().to_vec();
        let parsed = parse(&der).unwrap();
        let constraints = parsed.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(0));
        let usage = parsed.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
        assert!(!usage.value.digital_signature());
        assert_eq!(
            crate::certificate::only_uri(&parsed).unwrap(),
            "spiffe://example.org"
        );
        assert!(parsed.verify_signature(None).is_ok());
    }
}

#[test]
fn a_trust_domain_of_255_characters_works() {
    let trust_domain = "a".repeat(255);
    let want = Wanted {
        trust_domain: trust_domain.clone(),
        ..want()
    };
    let set = first(&want);
    let id = format!("spiffe://{trust_domain}/agent");
    let signer = set.signer().unwrap().unwrap();
    let issued = signer.issue(&request(&id), start()).unwrap();
    OpenSsl::new()
        .verify(&set.bundle().pem(), &issued.chain_pem, start())
        .unwrap();
}

#[test]
fn words_of_the_api_are_read_and_written() {
    for algorithm in ALGORITHMS {
        assert_eq!(KeyAlgorithm::parse(algorithm.as_str()).unwrap(), algorithm);
        assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.as_str());
    }
    assert_eq!(
        KeyAlgorithm::parse("RSA2048").unwrap_err().reason(),
        "BadKey"
    );
}
