//! Asks for a certificate: the other side of [`crate::RequestedKey`].

use rcgen::{CertificateParams, DistinguishedName};

use crate::key::SigningKey;
use crate::{AuthorityError, PrivateKey};

impl PrivateKey {
    /// A PKCS#10 request in DER, signed by this key. It names nobody: what a certificate says is
    /// decided by the one who issues it.
    pub fn certificate_request(&self) -> Result<Vec<u8>, AuthorityError> {
        let key = SigningKey::load(self)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key);
        let request = request.map_err(|_| AuthorityError::Crypto("can't sign a request"))?;
        Ok(request.der().to_vec())
    }

    /// Hex of SHA-256 over its public key's SubjectPublicKeyInfo.
    pub fn public_key_sha256(&self) -> Result<String, AuthorityError> {
        Ok(SigningKey::load(self)?.public().sha256_hex())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use crate::{KeyAlgorithm, PrivateKey, RequestedKey};

    #[test]
    fn a_request_is_read_as_one_for_its_key() {
        for algorithm in [
            KeyAlgorithm::EcdsaP256,
            KeyAlgorithm::EcdsaP384,
            KeyAlgorithm::Ed25519,
        ] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let request = key.certificate_request().unwrap();
            let read = RequestedKey::from_pkcs10_der(&request).unwrap();
            assert_eq!(read.public_key_sha256(), key.public_key_sha256().unwrap());
        }
    }
}
