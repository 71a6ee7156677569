//! PKCS#10: a public key, and nothing else.

use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, RsaKeySize, SanType};

use super::fixture::*;
use crate::certificate::{only_uri, parse};
use crate::{AuthorityError, LeafKey, LeafRequest, RequestedKey};

/// A request by `key` that asks for everything that it must not get.
fn greedy(key: &KeyPair) -> String {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "cluster-admin");
    params.subject_alt_names = vec![
        SanType::URI(
            "spiffe://example.org/ns/kube-system/agent/root"
                .try_into()
                .unwrap(),
        ),
        SanType::DnsName("kubernetes.default.svc".try_into().unwrap()),
    ];
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.custom_extensions = vec![CustomExtension::from_oid_content(
        &[1, 3, 6, 1, 4, 1, 99_999, 1],
        vec![4, 1, 0],
    )];
    params.serialize_request(key).unwrap().pem().unwrap()
}

fn refusal(pem: &str) -> AuthorityError {
    RequestedKey::from_pkcs10_pem(pem).unwrap_err()
}

/// A request made by the openssl program.
fn by_openssl(key: &[&str], more: &[&str]) -> String {
    let openssl = OpenSsl::new();
    let mut generate = vec!["genpkey", "-out", "key.pem", "-algorithm"];
    generate.extend(key);
    openssl.run(&generate).unwrap();
    let mut request = vec![
        "req", "-new", "-key", "key.pem", "-subj", "/CN=x", "-out", "csr.pem",
    ];
    request.extend(more);
    openssl.run(&request).unwrap();
    openssl.read("csr.pem")
}

#[test]
fn a_request_gives_its_key_and_nothing_else() {
    let key = KeyPair::generate().unwrap();
    let requested = RequestedKey::from_pkcs10_pem(&greedy(&key)).unwrap();
    let set = first(&want());
    let asked = LeafRequest {
        key: LeafKey::Public(&requested),
        ..request(ID)
    };
    let issued = set
        .signer()
        .unwrap()
        .unwrap()
        .issue(&asked, start())
        .unwrap();
    assert!(issued.key_pem.is_none());
    assert_eq!(issued.public_key_sha256, requested.public_key_sha256());
    let der = ders(&issued.chain_pem).swap_remove(0);
    let parsed = parse(&der).unwrap();
    assert_eq!(only_uri(&parsed).unwrap(), ID);
    assert_eq!(parsed.extensions().len(), 6);
    assert_eq!(parsed.key_usage().unwrap().unwrap().value.flags, 1);
    assert_eq!(parsed.subject().as_raw(), [0x30, 0x00]);
    assert_eq!(
        parsed.public_key().subject_public_key.data,
        key.public_key_raw()
    );
}

#[test]
fn requests_with_every_kind_of_key_that_is_accepted_are_certified() {
    let set = first(&want());
    let signer = set.signer().unwrap().unwrap();
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut keys = vec![rsa];
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
    ] {
        keys.push(KeyPair::generate_for(algorithm).unwrap());
    }
    for key in &keys {
        let requested = RequestedKey::from_pkcs10_pem(&greedy(key)).unwrap();
        let asked = LeafRequest {
            key: LeafKey::Public(&requested),
            ..request(ID)
        };
        let issued = signer.issue(&asked, start()).unwrap();
        OpenSsl::new()
            .verify(&set.bundle().pem(), &issued.chain_pem, start())
            .unwrap();
    }
}

#[test]
fn requests_of_the_openssl_program_are_read() {
    for key in [
        ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"].as_slice(),
        &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["ED25519"],
        &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    ] {
        RequestedKey::from_pkcs10_pem(&by_openssl(key, &[])).unwrap();
    }
    let pss = [
        "-sigopt",
        "rsa_padding_mode:pss",
        "-sigopt",
        "rsa_pss_saltlen:-1",
    ];
    let rsa = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    RequestedKey::from_pkcs10_pem(&by_openssl(&rsa, &pss)).unwrap();
}

#[test]
fn weak_and_unusual_keys_are_refused() {
    for key in [
        ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"].as_slice(),
        &["RSA", "-pkeyopt", "rsa_keygen_bits:2040"],
        &[
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-pkeyopt",
            "rsa_keygen_pubexp:3",
        ],
        &["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        &["EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
        &["EC", "-pkeyopt", "ec_paramgen_curve:P-224"],
        &["ED448"],
    ] {
        let why = refusal(&by_openssl(key, &[]));
        assert!(matches!(why, AuthorityError::WeakKey(_)), "{key:?}: {why}");
    }
}

#[test]
fn a_curve_with_its_parameters_written_out_is_refused() {
    let key = [
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-pkeyopt",
        "ec_param_enc:explicit",
    ];
    assert_eq!(refusal(&by_openssl(&key, &[])).reason(), "WeakKey");
}

#[test]
fn a_signature_with_sha1_proves_nothing() {
    let rsa = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let why = refusal(&by_openssl(&rsa, &["-sha1"]));
    assert!(why.to_string().contains("too weak"), "{why}");
    let curve = ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let why = refusal(&by_openssl(&curve, &["-sha1"]));
    assert!(why.to_string().contains("too weak"), "{why}");
}

#[test]
fn a_signature_of_another_key_is_refused() {
    let pem = greedy(&KeyPair::generate().unwrap());
    let mut der = ders(&pem).swap_remove(0);
    let other = ders(&greedy(&KeyPair::generate().unwrap())).swap_remove(0);
    // The last bytes are the signature's; its length varies by a byte or two.
    let last = der.len() - 8;
    der[last..].copy_from_slice(&other[other.len() - 8..]);
    let forged = crate::pem_text::encode("CERTIFICATE REQUEST", &der);
    assert_eq!(refusal(&forged).reason(), "BadCertificateRequest");
}

#[test]
fn a_change_of_any_byte_is_refused_or_leaves_the_key_as_it_is() {
    let pem = greedy(&KeyPair::generate().unwrap());
    let good = RequestedKey::from_pkcs10_pem(&pem).unwrap();
    let der = ders(&pem).swap_remove(0);
    for index in 0..der.len() {
        let mut changed = der.clone();
        changed[index] ^= 1;
        let text = crate::pem_text::encode("CERTIFICATE REQUEST", &changed);
        if let Ok(read) = RequestedKey::from_pkcs10_pem(&text) {
            assert_eq!(read, good, "byte {index}");
        }
    }
}

#[test]
fn garbage_and_anything_beside_one_block_is_refused() {
    let good = greedy(&KeyPair::generate().unwrap());
    let der = ders(&good).swap_remove(0);
    let with_tail = [der.as_slice(), &[0]].concat();
    let huge = format!("{good}{}", " ".repeat(16 * 1024));
    for bad in [
        String::new(),
        "hello".to_owned(),
        good.repeat(2),
        format!("{good}trailing"),
        format!("leading\n{good}"),
        good.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
        good.replace("CERTIFICATE REQUEST", "PRIVATE KEY"),
        good.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n", 1),
        crate::pem_text::encode("CERTIFICATE REQUEST", b"\x30\x82\xff\xff"),
        crate::pem_text::encode("CERTIFICATE REQUEST", &with_tail),
        crate::pem_text::encode("CERTIFICATE REQUEST", &der[..der.len() - 1]),
        huge,
    ] {
        assert_eq!(refusal(&bad).reason(), "BadCertificateRequest", "{bad:.60}");
    }
}

#[test]
fn the_label_of_older_windows_tools_is_read() {
    let pem = greedy(&KeyPair::generate().unwrap());
    let old = pem.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
    RequestedKey::from_pkcs10_pem(&old).unwrap();
}
