//! Signatures as JOSE has them, against those of the RFCs and against forgers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::fixture::*;
use crate::key::SigningKey;
use crate::public_key::{PublicKey, PublicKeyKind};
use crate::{KeyAlgorithm, LeafKey, LeafRequest, PrivateKey, Svid, jose, verify_svid_pem};

const MESSAGE: &[u8] = b"eyJhbGciOiJFUzI1NiJ9.e30";

/// An agent: its certificate, verified, and its key.
fn agent(algorithm: KeyAlgorithm) -> (Svid, PrivateKey) {
    let set = first(&want());
    let asked = LeafRequest {
        key: LeafKey::Generate(algorithm),
        ..request(ID)
    };
    let issued = set
        .signer()
        .unwrap()
        .unwrap()
        .issue(&asked, start())
        .unwrap();
    let svid = verify_svid_pem(&issued.chain_pem, &set.bundle(), start()).unwrap();
    (
        svid,
        PrivateKey::from_pem(&issued.key_pem.unwrap()).unwrap(),
    )
}

fn assert_refused(svid: &Svid, message: &[u8], signature: &[u8]) {
    let refusal = svid.verify_signature(message, signature).unwrap_err();
    assert_eq!(refusal.reason(), "BadSignature");
}

#[test]
fn what_an_agent_signs_verifies_with_its_certificate() {
    for (algorithm, name, length) in [
        (ALGORITHMS[0], "ES256", 64),
        (ALGORITHMS[1], "ES384", 96),
        (ALGORITHMS[2], "EdDSA", 64),
    ] {
        let (svid, key) = agent(algorithm);
        assert_eq!(svid.jws_algorithm().unwrap(), name);
        for message in [MESSAGE, b"", &[7; 100_000]] {
            let (alg, signature) = key.sign_jose(message).unwrap();
            assert_eq!((alg, signature.len()), (name, length));
            svid.verify_signature(message, &signature).unwrap();
        }
    }
}

#[test]
fn the_signatures_of_the_rfcs_verify() {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    // RFC 7515, A.3.
    let point = [
        vec![4],
        decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
        decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
    ];
    let public = PublicKey::from_bits(PublicKeyKind::P256, &point.concat()).unwrap();
    let message = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = decode(
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    jose::verify(&public, message, &signature).unwrap();

    // RFC 8037, A.4.
    let bits = decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    let public = PublicKey::from_bits(PublicKeyKind::Ed25519, &bits).unwrap();
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = decode(
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    jose::verify(&public, message, &signature).unwrap();
}

#[test]
fn an_ecdsa_signature_as_der_is_refused() {
    for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384] {
        let (svid, key) = agent(algorithm);
        let der = SigningKey::load(&key).unwrap().sign(MESSAGE).unwrap();
        assert_refused(&svid, MESSAGE, &der);
    }
}

#[test]
fn a_signature_of_another_length_is_refused() {
    for algorithm in ALGORITHMS {
        let (svid, key) = agent(algorithm);
        let (_, signature) = key.sign_jose(MESSAGE).unwrap();
        for length in (0..200).filter(|length| *length != signature.len()) {
            let mut other = signature.clone();
            other.resize(length, 0);
            assert_refused(&svid, MESSAGE, &other);
        }
        assert_refused(&svid, MESSAGE, &[&[0], signature.as_slice()].concat());
        assert_refused(&svid, MESSAGE, &vec![0; 1 << 20]);
    }
}

#[test]
fn a_signature_of_zeros_of_ones_or_with_its_halves_exchanged_is_refused() {
    for algorithm in ALGORITHMS {
        let (svid, key) = agent(algorithm);
        let (_, signature) = key.sign_jose(MESSAGE).unwrap();
        let (r, s) = signature.split_at(signature.len() / 2);
        assert_refused(&svid, MESSAGE, &vec![0; signature.len()]);
        assert_refused(&svid, MESSAGE, &vec![0xff; signature.len()]);
        assert_refused(&svid, MESSAGE, &[s, r].concat());
        assert_refused(&svid, MESSAGE, &[r, vec![0; s.len()].as_slice()].concat());
    }
}

#[test]
fn another_message_another_key_and_every_changed_bit_are_refused() {
    for algorithm in ALGORITHMS {
        let (svid, key) = agent(algorithm);
        let (_, signature) = key.sign_jose(MESSAGE).unwrap();
        assert_refused(&svid, b"eyJhbGciOiJFUzI1NiJ9.e31", &signature);
        let (other, _) = agent(algorithm);
        assert_refused(&other, MESSAGE, &signature);
        for index in 0..signature.len() {
            let mut changed = signature.clone();
            changed[index] ^= 1;
            assert_refused(&svid, MESSAGE, &changed);
        }
    }
}

#[test]
fn an_rsa_key_signs_no_statement() {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
        .unwrap();
    let pkcs10 = rcgen::CertificateParams::default().serialize_request(&key);
    let pem = pkcs10.unwrap().pem().unwrap();
    let requested = crate::RequestedKey::from_pkcs10_pem(&pem).unwrap();
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
    // Its connections are as good as any.
    let svid = verify_svid_pem(&issued.chain_pem, &set.bundle(), start()).unwrap();
    assert_eq!(svid.jws_algorithm().unwrap_err().reason(), "BadKey");
    let key = PrivateKey::from_pem(&key.serialize_pem()).unwrap();
    assert_eq!(key.sign_jose(MESSAGE).unwrap_err().reason(), "BadKey");
    let signature = SigningKey::load(&key).unwrap().sign(MESSAGE).unwrap();
    let refusal = svid.verify_signature(MESSAGE, &signature).unwrap_err();
    assert_eq!(refusal.reason(), "BadKey");
}
