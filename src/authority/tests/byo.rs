//! An issuing authority of one's own.

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints,
    RsaKeySize, date_time_ymd,
};

use super::fixture::*;
use crate::{AuthorityError, Signer, SlotState};

/// A root, an intermediate and an issuing authority below it.
struct Pki {
    root: Ca,
    middle: Ca,
    issuing: Ca,
}

impl Pki {
    fn new() -> Self {
        Self::with(|_| {}, |_| {}, |_| {})
    }

    fn with(
        root: impl FnOnce(&mut CertificateParams),
        middle: impl FnOnce(&mut CertificateParams),
        issuing: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let changed = |name: &str, change: &mut dyn FnMut(&mut CertificateParams)| {
            let mut params = ca_params(name);
            change(&mut params);
            params
        };
        let (mut r, mut m, mut i) = (Some(root), Some(middle), Some(issuing));
        let root = changed("root", &mut |it| r.take().unwrap()(it));
        let middle = changed("middle", &mut |it| m.take().unwrap()(it));
        let issuing = changed("issuing", &mut |it| i.take().unwrap()(it));
        let root = Ca::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let middle = ca_below(&root, middle);
        let issuing = ca_below(&middle, issuing);
        Self {
            root,
            middle,
            issuing,
        }
    }

    fn chain(&self) -> String {
        self.issuing.pem() + &self.middle.pem()
    }

    fn signer_at(&self, now: Timestamp) -> Result<Signer, AuthorityError> {
        let key = self.issuing.key().serialize_pem();
        Signer::from_pem(&self.chain(), &key, Some(&self.root.pem()), DOMAIN, now)
    }

    fn signer(&self) -> Result<Signer, AuthorityError> {
        self.signer_at(start())
    }
}

fn assert_issues(signer: &Signer) {
    let issued = issue(signer, start());
    verifies(&issued.chain_pem, &signer.bundle(1), start()).unwrap();
    OpenSsl::new()
        .verify(&signer.bundle(1).pem(), &issued.chain_pem, start())
        .unwrap();
    assert_eq!(&issued.authority_id, signer.id());
}

#[test]
fn a_root_two_intermediates_and_leaves_that_verify() {
    let pki = Pki::new();
    let signer = pki.signer().unwrap();
    assert_issues(&signer);
    let issued = issue(&signer, start());
    assert_eq!(
        ders(&issued.chain_pem)[1..],
        [pki.issuing.der().to_vec(), pki.middle.der().to_vec()],
        "the leaf, then upwards, without the root"
    );
    assert_eq!(signer.roots().len(), 1);
    assert_eq!(signer.status().slot, SlotState::Active);
    assert_eq!(signer.status().id, *signer.id());
    assert_eq!(signer.trust_domain(), DOMAIN);
}

#[test]
fn the_root_may_come_at_the_end_of_the_chain() {
    let pki = Pki::new();
    let chain = pki.chain() + &pki.root.pem();
    let key = pki.issuing.key().serialize_pem();
    for roots in [None, Some(pki.root.pem())] {
        let signer = Signer::from_pem(&chain, &key, roots.as_deref(), DOMAIN, start()).unwrap();
        assert_eq!(signer.roots().len(), 1);
        assert_eq!(ders(&issue(&signer, start()).chain_pem).len(), 3);
        assert_issues(&signer);
    }
}

#[test]
fn a_root_may_issue_by_itself() {
    let root = root_ca("root");
    let key = root.key().serialize_pem();
    let signer = Signer::from_pem(&root.pem(), &key, None, DOMAIN, start()).unwrap();
    assert_eq!(ders(&issue(&signer, start()).chain_pem).len(), 1);
    assert_issues(&signer);
}

#[test]
fn an_old_root_beside_the_new_one_stays_in_the_bundle() {
    let pki = Pki::new();
    let old = root_ca("old");
    let roots = old.pem() + &pki.root.pem();
    let key = pki.issuing.key().serialize_pem();
    let signer = Signer::from_pem(&pki.chain(), &key, Some(&roots), DOMAIN, start()).unwrap();
    assert_eq!(signer.bundle(1).roots().len(), 2);
    assert_issues(&signer);
}

#[test]
fn an_issuer_with_repeated_parts_in_its_name_is_copied_byte_for_byte() {
    let openssl = OpenSsl::new();
    let subject = "/DC=org/DC=example/O=One/O=Two/CN=root";
    openssl
        .run(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "root.pem",
            "-subj",
            subject,
            "-days",
            "3650",
            "-addext",
            "keyUsage=critical,keyCertSign",
        ])
        .unwrap();
    // It is valid from the moment of this test on.
    let (root, key) = (openssl.read("root.pem"), openssl.read("key.pem"));
    let der = ders(&root).swap_remove(0);
    let parsed = crate::certificate::parse(&der).unwrap();
    let now = plus(crate::certificate::validity_start(&parsed), 60);
    let signer = Signer::from_pem(&root, &key, None, DOMAIN, now).unwrap();
    let issued = issue(&signer, now);
    openssl.verify(&root, &issued.chain_pem, now).unwrap();
}

#[test]
fn keys_of_every_kind_that_openssl_writes_are_read() {
    let openssl = OpenSsl::new();
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let rsa = Ca::self_signed(ca_params("rsa"), rsa).unwrap();
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let p384 = Ca::self_signed(ca_params("p384"), p384).unwrap();
    let ed = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let ed = Ca::self_signed(ca_params("ed"), ed).unwrap();
    let signer = |ca: &Ca, key: &str| Signer::from_pem(&ca.pem(), key, None, DOMAIN, start());
    for ca in [&rsa, &p384, &root_ca("p256")] {
        openssl.write("key.pem", ca.key().serialize_pem());
        let traditional = openssl
            .run(&["pkey", "-in", "key.pem", "-traditional"])
            .unwrap();
        assert!(traditional.contains("RSA PRIVATE KEY") || traditional.contains("EC PRIVATE KEY"));
        assert_issues(&signer(ca, &ca.key().serialize_pem()).unwrap());
        assert_issues(&signer(ca, &traditional).unwrap());
    }
    // rcgen writes version 2 of PKCS#8 (RFC 5958), which OpenSSL 3.0 does not read.
    assert_issues(&signer(&ed, &ed.key().serialize_pem()).unwrap());
}

#[test]
fn leaves_end_with_the_first_certificate_of_the_chain() {
    let pki = Pki::with(
        |_| {},
        |middle| middle.not_after = date_time_ymd(2026, 11, 25),
        |_| {},
    );
    let signer = pki.signer().unwrap();
    assert_eq!(signer.not_after(), plus(start(), DAY / 2));
    let mut long = request(ID);
    long.ttl_seconds = 10 * DAY;
    let issued = signer.issue(&long, start()).unwrap();
    assert_eq!(issued.not_after, signer.not_after());
}

#[test]
fn a_certificate_that_is_not_an_authority_is_refused() {
    let leaf = Pki::with(|_| {}, |_| {}, |issuing| issuing.is_ca = IsCa::ExplicitNoCa);
    assert_eq!(leaf.signer().unwrap_err().reason(), "NotAnAuthority");
    let silent = Pki::with(|_| {}, |_| {}, |issuing| issuing.is_ca = IsCa::NoCa);
    assert_eq!(silent.signer().unwrap_err().reason(), "NotAnAuthority");
    let above = Pki::with(|_| {}, |middle| middle.is_ca = IsCa::ExplicitNoCa, |_| {});
    assert_eq!(above.signer().unwrap_err().reason(), "NotAnAuthority");
}

#[test]
fn an_authority_that_may_not_sign_certificates_is_refused() {
    for usages in [vec![], vec![KeyUsagePurpose::DigitalSignature]] {
        let pki = Pki::with(|_| {}, |_| {}, |issuing| issuing.key_usages = usages);
        assert_eq!(pki.signer().unwrap_err().reason(), "NoCertSign");
    }
    let above = Pki::with(
        |root| root.key_usages = vec![KeyUsagePurpose::CrlSign],
        |_| {},
        |_| {},
    );
    assert_eq!(above.signer().unwrap_err().reason(), "NoCertSign");
}

#[test]
fn a_path_length_that_is_too_short_is_refused() {
    let limited = |allowed| {
        Pki::with(
            |_| {},
            move |middle| middle.is_ca = IsCa::Ca(BasicConstraints::Constrained(allowed)),
            |issuing| issuing.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)),
        )
    };
    let refusal = limited(0).signer().unwrap_err();
    let AuthorityError::PathLength {
        subject,
        allowed,
        needed,
    } = refusal
    else {
        panic!("{refusal}")
    };
    assert_eq!((subject.as_str(), allowed, needed), ("CN=middle", 0, 1));
    assert_issues(&limited(1).signer().unwrap());
}

#[test]
fn a_chain_that_is_over_or_has_not_begun_is_refused_whichever_part_it_is() {
    let over = |params: &mut CertificateParams| params.not_after = date_time_ymd(2026, 11, 24);
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(2026, 11, 25);
    let none = |_: &mut CertificateParams| {};
    for pki in [
        Pki::with(over, none, none),
        Pki::with(none, over, none),
        Pki::with(none, none, over),
    ] {
        assert_eq!(pki.signer().unwrap_err().reason(), "Expired");
    }
    for pki in [
        Pki::with(early, none, none),
        Pki::with(none, early, none),
        Pki::with(none, none, early),
    ] {
        assert_eq!(pki.signer().unwrap_err().reason(), "NotYetValid");
        pki.signer_at(plus(start(), DAY)).unwrap();
    }
}

/// A critical name constraint on URIs, which rcgen does not write.
fn uri_constraint(tag: u64, host: &str) -> CustomExtension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer
                .next()
                .write_tagged_implicit(yasna::Tag::context(tag), |writer| {
                    writer.write_sequence(|writer| {
                        writer.next().write_sequence(|writer| {
                            writer
                                .next()
                                .write_tagged_implicit(yasna::Tag::context(6), |writer| {
                                    writer.write_ia5_string(host);
                                });
                        });
                    });
                });
        });
    });
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], content);
    extension.set_criticality(true);
    extension
}

#[test]
fn a_name_constraint_that_leaves_cant_satisfy_is_refused() {
    for (tag, host, why) in [
        (0, "example.com", "permits only"),
        (0, "example.org", "rustls"),
        (1, "example.org", "excludes"),
        (1, "example.com", "rustls"),
    ] {
        let constrain = |it: &mut CertificateParams| {
            it.custom_extensions = vec![uri_constraint(tag, host)];
        };
        for pki in [
            Pki::with(constrain, |_| {}, |_| {}),
            Pki::with(|_| {}, |_| {}, constrain),
        ] {
            let refusal = pki.signer().unwrap_err();
            assert_eq!(refusal.reason(), "NameConstraintExcludes");
            assert!(refusal.to_string().contains(why), "{refusal}");
        }
    }
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Example");
    let directory = Pki::with(
        |_| {},
        |middle| {
            middle.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::DirectoryName(name)],
                excluded_subtrees: vec![],
            });
        },
        |_| {},
    );
    assert_eq!(
        directory.signer().unwrap_err().reason(),
        "NameConstraintExcludes"
    );
}

#[test]
fn a_name_constraint_on_other_kinds_of_names_is_no_hindrance() {
    let pki = Pki::with(
        |_| {},
        |middle| {
            middle.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
                excluded_subtrees: vec![GeneralSubtree::Rfc822Name("example.org".to_owned())],
            });
        },
        |_| {},
    );
    assert_issues(&pki.signer().unwrap());
}

#[test]
fn extended_key_usages_without_both_sides_of_tls_are_refused() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, ServerAuth};
    for usages in [
        vec![ServerAuth],
        vec![ClientAuth],
        vec![CodeSigning],
        vec![Any],
    ] {
        let pki = Pki::with(|_| {}, |middle| middle.extended_key_usages = usages, |_| {});
        assert_eq!(
            pki.signer().unwrap_err().reason(),
            "ExtendedKeyUsageExcludes"
        );
    }
    let both = Pki::with(
        |_| {},
        |middle| middle.extended_key_usages = vec![ServerAuth, ClientAuth],
        |_| {},
    );
    assert_issues(&both.signer().unwrap());
}

#[test]
fn a_chain_with_a_gap_in_another_order_or_with_a_stranger_is_refused() {
    let pki = Pki::new();
    let stranger = Pki::new();
    let key = pki.issuing.key().serialize_pem();
    let root = pki.root.pem();
    for (chain, roots) in [
        (pki.issuing.pem(), root.clone()),
        (pki.issuing.pem() + &stranger.middle.pem(), root.clone()),
        (pki.chain() + &pki.middle.pem(), root.clone()),
        (pki.issuing.pem() + &root + &pki.middle.pem(), root.clone()),
        (pki.chain(), stranger.root.pem()),
        (pki.chain(), pki.middle.pem()),
    ] {
        let refusal = Signer::from_pem(&chain, &key, Some(&roots), DOMAIN, start()).unwrap_err();
        assert_eq!(refusal.reason(), "ChainBroken", "{refusal}");
    }
}

#[test]
fn a_chain_without_a_root_is_refused() {
    let pki = Pki::new();
    let key = pki.issuing.key().serialize_pem();
    let refusal = Signer::from_pem(&pki.chain(), &key, None, DOMAIN, start()).unwrap_err();
    assert_eq!(refusal, AuthorityError::NoRoot);
}

#[test]
fn a_root_that_is_not_an_authority_is_refused() {
    let pki = Pki::new();
    let mut params = ca_params("leaf");
    params.is_ca = IsCa::ExplicitNoCa;
    let leaf = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let roots = pki.root.pem() + &leaf.pem();
    let key = pki.issuing.key().serialize_pem();
    let refusal = Signer::from_pem(&pki.chain(), &key, Some(&roots), DOMAIN, start());
    assert_eq!(refusal.unwrap_err().reason(), "NotAnAuthority");
}

#[test]
fn the_key_of_another_certificate_is_refused() {
    let pki = Pki::new();
    let root = pki.root.pem();
    for other in [&pki.middle, &pki.root] {
        let key = other.key().serialize_pem();
        let refusal = Signer::from_pem(&pki.chain(), &key, Some(&root), DOMAIN, start());
        assert_eq!(
            refusal.unwrap_err(),
            AuthorityError::KeyMismatch("CN=issuing".to_owned())
        );
    }
}

#[test]
fn keys_that_are_encrypted_weak_or_no_keys_are_refused() {
    let openssl = OpenSsl::new();
    let root = root_ca("root");
    openssl.write("key.pem", root.key().serialize_pem());
    let encrypted = openssl
        .run(&["pkcs8", "-topk8", "-in", "key.pem", "-passout", "pass:x"])
        .unwrap();
    for (key, reason) in [
        (encrypted, "BadKey"),
        (String::new(), "BadKey"),
        (root.pem(), "BadKey"),
        (root.key().public_key_pem(), "BadKey"),
    ] {
        let refusal = Signer::from_pem(&root.pem(), &key, None, DOMAIN, start()).unwrap_err();
        assert_eq!(refusal.reason(), reason, "{refusal}");
    }
}

#[test]
fn an_authority_with_a_weak_key_or_a_weak_signature_is_refused() {
    let openssl = OpenSsl::new();
    for (key, digest, reason) in [
        ("rsa:1024", "-sha256", "WeakKey"),
        ("rsa:2048", "-sha1", "ChainBroken"),
    ] {
        openssl
            .run(&[
                "req",
                "-x509",
                "-newkey",
                key,
                "-nodes",
                "-keyout",
                "root.key",
                "-out",
                "root.pem",
                "-subj",
                "/CN=root",
                "-days",
                "3650",
                "-addext",
                "keyUsage=critical,keyCertSign",
            ])
            .unwrap();
        openssl
            .run(&[
                "req",
                "-new",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                "below.key",
                "-out",
                "below.csr",
                "-subj",
                "/CN=below",
            ])
            .unwrap();
        openssl.write(
            "below.ext",
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n",
        );
        openssl
            .run(&[
                "x509",
                "-req",
                "-in",
                "below.csr",
                "-CA",
                "root.pem",
                "-CAkey",
                "root.key",
                "-CAcreateserial",
                "-days",
                "3000",
                "-extfile",
                "below.ext",
                digest,
                "-out",
                "below.pem",
            ])
            .unwrap();
        let (chain, key) = (openssl.read("below.pem"), openssl.read("below.key"));
        let der = ders(&chain).swap_remove(0);
        let parsed = crate::certificate::parse(&der).unwrap();
        let now = plus(crate::certificate::validity_start(&parsed), 60);
        let roots = openssl.read("root.pem");
        let refusal = Signer::from_pem(&chain, &key, Some(&roots), DOMAIN, now).unwrap_err();
        assert_eq!(refusal.reason(), reason, "{refusal}");
    }
}

#[test]
fn a_weak_root_is_refused_even_beside_the_path() {
    let openssl = OpenSsl::new();
    let pki = Pki::new();
    let key = pki.issuing.key().serialize_pem();
    for (kind, option) in [
        ("rsa:1024", "rsa_keygen_bits:1024"),
        ("ec", "ec_paramgen_curve:P-521"),
    ] {
        openssl
            .run(&[
                "req", "-x509", "-newkey", kind, "-pkeyopt", option, "-nodes", "-keyout",
                "root.key", "-out", "root.pem", "-subj", "/CN=weak",
            ])
            .unwrap();
        let roots = pki.root.pem() + &openssl.read("root.pem");
        let refusal = Signer::from_pem(&pki.chain(), &key, Some(&roots), DOMAIN, start());
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal.reason(), "WeakKey", "{refusal}");
        assert!(refusal.to_string().contains("CN=weak"), "{refusal}");
    }
}

#[test]
fn an_authority_without_a_key_identifier_is_refused_with_advice() {
    let openssl = OpenSsl::new();
    openssl
        .run(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "root.pem",
            "-subj",
            "/CN=root",
            "-days",
            "3650",
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-addext",
            "subjectKeyIdentifier=none",
            "-addext",
            "authorityKeyIdentifier=none",
        ])
        .unwrap();
    let (root, key) = (openssl.read("root.pem"), openssl.read("key.pem"));
    let der = ders(&root).swap_remove(0);
    let parsed = crate::certificate::parse(&der).unwrap();
    let now = plus(crate::certificate::validity_start(&parsed), 60);
    let refusal = Signer::from_pem(&root, &key, None, DOMAIN, now).unwrap_err();
    assert!(
        refusal.to_string().contains("subject key identifier"),
        "{refusal}"
    );
}

#[test]
fn an_unknown_critical_extension_is_refused() {
    let pki = Pki::with(
        |_| {},
        |middle| {
            let mut extension =
                CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
            extension.set_criticality(true);
            middle.custom_extensions = vec![extension];
        },
        |_| {},
    );
    assert_eq!(pki.signer().unwrap_err().reason(), "ChainBroken");
}

#[test]
fn garbage_is_refused() {
    let root = root_ca("root");
    let key = root.key().serialize_pem();
    let junk = crate::pem_text::encode("CERTIFICATE", b"junk");
    for chain in ["", "hello", &junk, &key] {
        let refusal = Signer::from_pem(chain, &key, None, DOMAIN, start()).unwrap_err();
        assert_eq!(refusal.reason(), "BadCertificate");
    }
    let refusal = Signer::from_pem(&root.pem(), &key, Some("junk"), DOMAIN, start());
    assert_eq!(refusal.unwrap_err().reason(), "BadCertificate");
    let refusal = Signer::from_pem(&root.pem(), &key, None, "not a domain", start());
    assert_eq!(refusal.unwrap_err().reason(), "BadTrustDomain");
}
