//! PKCS#10 requests (RFC 2986): a way to hand over a public key and nothing else.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::AuthorityError;
use crate::pem_text;
use crate::public_key::{PublicKey, PublicKeyKind};

/// The largest request: in PEM, an RSA key of 8192 bits takes 3 KiB.
const MAX_REQUEST_BYTES: usize = 16 * 1024;

/// The public key of a request whose signature was verified. Its names and extensions are ignored:
/// what a certificate says is decided by the one who issues it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedKey {
    public: PublicKey,
}

impl RequestedKey {
    /// Reads one `CERTIFICATE REQUEST` block of at most 16 KiB.
    pub fn from_pkcs10_pem(pem: &str) -> Result<Self, AuthorityError> {
        let block = pem_text::one_block(pem, MAX_REQUEST_BYTES)
            .map_err(|why| AuthorityError::BadCertificateRequest(why.to_string()))?;
        // The second label is that of older Windows tools (RFC 7468, section 7).
        if !["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"].contains(&block.label.as_str()) {
            return Err(bad("expected a CERTIFICATE REQUEST block"));
        }
        Self::from_pkcs10_der(&block.der)
    }

    /// Reads one request in DER, of at most 16 KiB.
    pub fn from_pkcs10_der(der: &[u8]) -> Result<Self, AuthorityError> {
        if der.len() > MAX_REQUEST_BYTES {
            return Err(bad("it has more than 16 KiB"));
        }
        let (rest, request) = X509CertificationRequest::from_der(der)
            .map_err(|_| bad("it is not a PKCS#10 request"))?;
        if !rest.is_empty() {
            return Err(bad("it has bytes behind its end"));
        }
        let public = PublicKey::from_spki(request.certification_request_info.subject_pki.raw)?;
        let signed_with = request.signature_algorithm.algorithm.to_id_string();
        if !signature_oids(public.kind()).contains(&signed_with.as_str()) {
            return Err(bad(
                "its signature algorithm is too weak or does not fit its key: sign it with SHA-256 or SHA-384",
            ));
        }
        request
            .verify_signature()
            .map_err(|_| bad("its signature is not that of its key"))?;
        Ok(Self { public })
    }

    /// Hex of SHA-256 over the SubjectPublicKeyInfo.
    pub fn public_key_sha256(&self) -> String {
        self.public.sha256_hex()
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }
}

/// Which signatures prove possession of which key; SHA-1 proves nothing any more.
fn signature_oids(kind: PublicKeyKind) -> &'static [&'static str] {
    match kind {
        PublicKeyKind::P256 | PublicKeyKind::P384 => {
            &["1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3"]
        }
        PublicKeyKind::Ed25519 => &["1.3.101.112"],
        PublicKeyKind::Rsa => &[
            "1.2.840.113549.1.1.10",
            "1.2.840.113549.1.1.11",
            "1.2.840.113549.1.1.12",
            "1.2.840.113549.1.1.13",
        ],
    }
}

fn bad(why: &str) -> AuthorityError {
    AuthorityError::BadCertificateRequest(why.to_owned())
}
