//! The secrets by their names.

use prost::Message as _;
use tonic::Status;

use super::messages::{
    Any, DataSource, DiscoveryRequest, DiscoveryResponse, SECRET, Secret, SecretKind,
    TlsCertificate, ValidationContext,
};
use crate::held::Held;
use crate::pem_text;
use crate::trust::Trust;
use crate::view::Both;

/// The name of the certificate, whatever its SPIFFE ID is; SPIRE's word.
const DEFAULT: &str = "default";
/// The name of the roots, whatever the trust domain is; SPIRE's word.
const ROOTS: &str = "ROOTCA";

/// What somebody asks for: no name at all is everything.
pub(super) fn check(request: &DiscoveryRequest) -> Result<(), Status> {
    match request.type_url.as_str() {
        "" | SECRET => Ok(()),
        other => Err(Status::invalid_argument(format!(
            "{other} isn't served here"
        ))),
    }
}

/// Changes when what is asked for does: revocation lists are none of Envoy's.
pub(super) fn version(names: &[String], (held, trust): &Both) -> String {
    let mut version = Vec::new();
    if names.is_empty() || names.iter().any(|name| is_certificate(name, held)) {
        version.push(held.serial_number.clone());
    }
    if names.is_empty() || names.iter().any(|name| is_roots(name, trust)) {
        version.push(trust.bundle.digest());
    }
    version.join("-")
}

/// # Errors
/// A name is nobody's here.
pub(super) fn response(
    names: &[String],
    both: &Both,
    nonce: String,
) -> Result<DiscoveryResponse, Status> {
    let (held, trust) = both;
    let everything = [held.spiffe_id.clone(), trust.id()];
    let names = if names.is_empty() { &everything } else { names };
    let secrets = names.iter().map(|name| {
        let kind = if is_certificate(name, held) {
            certificate(held)
        } else if is_roots(name, trust) {
            roots(trust)
        } else {
            return Err(Status::invalid_argument(format!(
                "there is no {name:?} here, but {DEFAULT}, {ROOTS}, {} and {}",
                held.spiffe_id,
                trust.id()
            )));
        };
        let secret = Secret {
            name: name.clone(),
            kind: Some(kind),
        };
        Ok(Any {
            type_url: SECRET.to_owned(),
            value: secret.encode_to_vec(),
        })
    });
    Ok(DiscoveryResponse {
        resources: secrets.collect::<Result<_, _>>()?,
        version_info: version(names, both),
        type_url: SECRET.to_owned(),
        nonce,
    })
}

fn is_certificate(name: &str, held: &Held) -> bool {
    name == DEFAULT || name == held.spiffe_id
}

fn is_roots(name: &str, trust: &Trust) -> bool {
    name == ROOTS || name == trust.id()
}

fn certificate(held: &Held) -> SecretKind {
    let bytes = |text: &str| {
        Some(DataSource {
            inline_bytes: text.as_bytes().to_vec(),
        })
    };
    SecretKind::TlsCertificate(TlsCertificate {
        certificate_chain: bytes(&pem_text::chain(held)),
        private_key: bytes(&held.key.to_pem()),
    })
}

fn roots(trust: &Trust) -> SecretKind {
    SecretKind::ValidationContext(ValidationContext {
        trusted_ca: Some(DataSource {
            inline_bytes: trust.bundle.pem().into_bytes(),
        }),
    })
}
