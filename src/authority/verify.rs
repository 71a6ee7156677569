//! The second opinion: rustls-webpki verifies the chain, x509-parser reads the leaf.

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, aws_lc_rs as algorithms};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

use crate::certificate::{only_uri, parse, validity_end, validity_start};
use crate::encode::{LeafContent, Serial};
use crate::public_key::{PublicKey, PublicKeyKind};
use crate::{AuthorityCertificate, AuthorityError};

/// What signs chains: the algorithms that rustls offers, without P-521.
pub(crate) static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Does `leaf` verify against `anchors` over `intermediates` at `now`, for clients and servers?
pub(crate) fn chain(
    leaf: &[u8],
    intermediates: &[CertificateDer<'_>],
    anchors: &[TrustAnchor<'_>],
    now: Timestamp,
) -> Result<(), String> {
    let usages = [KeyUsage::client_auth(), KeyUsage::server_auth()];
    chain_for(&usages, leaf, intermediates, anchors, now)
}

/// [`chain`] of a leaf whose own usages [`leaf`] has compared. Only intermediates can take away one of
/// the two then: without any, one look is enough, which is half of the signatures to verify.
pub(crate) fn chain_of_checked(
    leaf: &[u8],
    intermediates: &[CertificateDer<'_>],
    anchors: &[TrustAnchor<'_>],
    now: Timestamp,
) -> Result<(), String> {
    if intermediates.is_empty() {
        return chain_for(&[KeyUsage::client_auth()], leaf, &[], anchors, now);
    }
    chain(leaf, intermediates, anchors, now)
}

fn chain_for(
    usages: &[KeyUsage],
    leaf: &[u8],
    intermediates: &[CertificateDer<'_>],
    anchors: &[TrustAnchor<'_>],
    now: Timestamp,
) -> Result<(), String> {
    let leaf = CertificateDer::from(leaf);
    let leaf = EndEntityCert::try_from(&leaf).map_err(|why| format!("can't be read: {why}"))?;
    let time = unix_time(now)?;
    for usage in usages {
        leaf.verify_for_usage(ALGORITHMS, anchors, intermediates, time, *usage, None, None)
            .map_err(|why| why.to_string())?;
    }
    Ok(())
}

/// The moment as rustls has it.
pub(crate) fn unix_time(now: Timestamp) -> Result<UnixTime, String> {
    let seconds = u64::try_from(now.as_second()).map_err(|_| "the clock is before 1970")?;
    Ok(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
        seconds,
    )))
}

/// Is `signature` one that certificates and lists have from `public` over `message`?
pub(crate) fn signature(public: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let algorithm = match public.kind() {
        PublicKeyKind::P256 => algorithms::ECDSA_P256_SHA256,
        PublicKeyKind::P384 => algorithms::ECDSA_P384_SHA384,
        PublicKeyKind::Ed25519 => algorithms::ED25519,
        PublicKeyKind::Rsa => algorithms::RSA_PKCS1_2048_8192_SHA256,
    };
    let verified = algorithm.verify_signature(public.key_bits(), message, signature);
    verified.is_ok()
}

/// A root as rustls sees it, with its name constraints.
pub(crate) fn anchor(root: &AuthorityCertificate) -> Result<TrustAnchor<'static>, AuthorityError> {
    let der = CertificateDer::from(root.der());
    match webpki::anchor_from_trusted_cert(&der) {
        Ok(anchor) => Ok(anchor.to_owned()),
        Err(why) => Err(AuthorityError::BadCertificate(format!(
            "root {} can't be used: {why}",
            root.id()
        ))),
    }
}

/// Does `der` say what was asked for, and nothing else?
pub(crate) fn leaf(der: &[u8], expected: &LeafContent<'_>) -> Result<(), AuthorityError> {
    let failed = |why: &str| Err(AuthorityError::SelfCheck(why.to_owned()));
    let parsed = parse(der)?;
    if only_uri(&parsed)? != expected.spiffe_id {
        return failed("another name");
    }
    if parsed.public_key().raw != expected.public.spki() {
        return failed("another public key");
    }
    if parsed.subject().iter().next().is_some() || parsed.issuer().as_raw() != expected.issuer {
        return failed("a subject, or another issuer");
    }
    if serial(&parsed) != Some(expected.serial) {
        return failed("another serial number");
    }
    if validity_start(&parsed) != expected.not_before || validity_end(&parsed) != expected.not_after
    {
        return failed("another validity");
    }
    if authority_key_id(&parsed) != Some(expected.authority_key_id) {
        return failed("another authority key identifier");
    }
    usages(&parsed)
}

/// A leaf's usages: no authority, signs handshakes only, client and server.
pub(crate) fn usages(parsed: &X509Certificate<'_>) -> Result<(), AuthorityError> {
    let failed = |why: &str| Err(AuthorityError::SelfCheck(why.to_owned()));
    if !matches!(parsed.basic_constraints(), Ok(Some(it)) if it.critical && !it.value.ca) {
        return failed("basic constraints are not CA:FALSE");
    }
    // The first bit alone: digitalSignature.
    if !matches!(parsed.key_usage(), Ok(Some(it)) if it.critical && it.value.flags == 1) {
        return failed("key usage is not digitalSignature alone");
    }
    let extended = match parsed.extended_key_usage() {
        Ok(Some(it)) => it.value,
        _ => return failed("no extended key usage"),
    };
    let more = extended.any
        || extended.code_signing
        || extended.email_protection
        || extended.time_stamping
        || extended.ocsp_signing
        || !extended.other.is_empty();
    if !extended.server_auth || !extended.client_auth || more {
        return failed("extended key usages are not serverAuth and clientAuth alone");
    }
    // Nothing beside the six of the profile.
    if parsed.extensions().len() != 6 {
        return failed("an extension too many or too few");
    }
    Ok(())
}

pub(crate) fn serial(parsed: &X509Certificate<'_>) -> Option<Serial> {
    parsed.raw_serial().try_into().ok()
}

pub(crate) fn authority_key_id<'a>(parsed: &X509Certificate<'a>) -> Option<&'a [u8]> {
    parsed
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(it) => {
                it.key_identifier.as_ref().map(|id| id.0)
            }
            _ => None,
        })
}
