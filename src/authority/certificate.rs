//! The public part of an authority.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyIdMethod,
    KeyUsagePurpose, SanType, SerialNumber,
};
use serde::{Deserialize, Serialize};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::key::SigningKey;
use crate::public_key::PublicKey;
use crate::{AuthorityError, encode, pem_text};

/// Clocks of verifiers may lag by so much (SPIRE's figure).
pub(crate) const BACKDATE_SECONDS: u64 = 10;
/// ub-common-name of X.520.
const MAX_COMMON_NAME: usize = 64;
/// The longest key identifier that is accepted: SHA-512.
const MAX_ID_BYTES: usize = 64;

/// Names an authority: lower-case hex of its subject key identifier, which for those made here is
/// the leading 160 bits of SHA-256 over its public key (RFC 7093, method 1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AuthorityId(String);

impl AuthorityId {
    /// Reads lower-case hex of 1 to 64 bytes.
    pub fn parse(hex: &str) -> Result<Self, AuthorityError> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hex.is_empty()
            || hex.len() > 2 * MAX_ID_BYTES
            || !hex.len().is_multiple_of(2)
            || !hex.bytes().all(digit)
        {
            return Err(AuthorityError::BadCertificate(
                "an authority's id is lower-case hex of its key identifier".to_owned(),
            ));
        }
        Ok(Self(hex.to_owned()))
    }

    /// The hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn from_bytes(key_id: &[u8]) -> Result<Self, AuthorityError> {
        Self::parse(&hex::encode(key_id))
    }
}

impl fmt::Display for AuthorityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AuthorityId {
    type Error = AuthorityError;

    fn try_from(hex: String) -> Result<Self, Self::Error> {
        Self::parse(&hex)
    }
}

impl std::str::FromStr for AuthorityId {
    type Err = AuthorityError;

    fn from_str(hex: &str) -> Result<Self, Self::Err> {
        Self::parse(hex)
    }
}

impl From<AuthorityId> for String {
    fn from(id: AuthorityId) -> Self {
        id.0
    }
}

/// An authority's certificate. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorityCertificate {
    der: Arc<[u8]>,
    id: AuthorityId,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl AuthorityCertificate {
    /// Reads DER; it must have a subject key identifier.
    pub fn from_der(der: &[u8]) -> Result<Self, AuthorityError> {
        let parsed = parse(der)?;
        Ok(Self {
            id: AuthorityId::from_bytes(subject_key_id(&parsed)?)?,
            not_before: validity_start(&parsed),
            not_after: validity_end(&parsed),
            der: der.into(),
        })
    }

    /// The certificate.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its id.
    pub fn id(&self) -> &AuthorityId {
        &self.id
    }

    /// Begin of its validity.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// End of its validity.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The certificate as a PEM block.
    pub fn pem(&self) -> String {
        pem_text::encode("CERTIFICATE", &self.der)
    }

    /// A new self-signed authority for `trust_domain` that lives from now on for
    /// `lifetime_seconds`.
    pub(crate) fn self_signed(
        trust_domain: &str,
        key: &SigningKey,
        lifetime_seconds: u64,
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        let failed = |_| AuthorityError::Crypto("can't write an authority certificate");
        let key_id = key.public().key_identifier();
        let mut params = CertificateParams::default();
        params.not_before = encode::date_time(encode::earlier(now, BACKDATE_SECONDS))?;
        params.not_after = encode::date_time(encode::later(now, lifetime_seconds))?;
        params.serial_number = Some(SerialNumber::from_slice(&encode::random_serial()?));
        params.distinguished_name = distinguished_name(trust_domain, &hex::encode(&key_id));
        let uri = format!("spiffe://{trust_domain}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into().map_err(failed)?)];
        // No authority below this one.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.key_identifier_method = KeyIdMethod::PreSpecified(key_id);
        let certificate = params.self_signed(key).map_err(failed)?;
        Self::from_der(certificate.der())
    }
}

impl fmt::Debug for AuthorityCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityCertificate")
            .field("id", &self.id)
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// Each authority has a name of its own, so that path building never has to try two.
fn distinguished_name(trust_domain: &str, id: &str) -> DistinguishedName {
    let short: String = id.chars().take(8).collect();
    let room = MAX_COMMON_NAME - "countersign ".len() - 1 - short.len();
    let domain: String = trust_domain.chars().take(room).collect();
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Countersign");
    name.push(DnType::CommonName, format!("countersign {domain} {short}"));
    name
}

pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, AuthorityError> {
    match X509Certificate::from_der(der) {
        Ok(([], parsed)) => Ok(parsed),
        Ok(_) => Err(bad("it has bytes behind its end")),
        Err(_) => Err(bad("it is not an X.509 certificate")),
    }
}

pub(crate) fn validity_start(parsed: &X509Certificate<'_>) -> Timestamp {
    clamped(parsed.validity().not_before.timestamp())
}

pub(crate) fn validity_end(parsed: &X509Certificate<'_>) -> Timestamp {
    clamped(parsed.validity().not_after.timestamp())
}

pub(crate) fn subject_key_id<'a>(parsed: &X509Certificate<'a>) -> Result<&'a [u8], AuthorityError> {
    let found = parsed
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
            _ => None,
        });
    found.ok_or_else(|| {
        bad("an authority needs a subject key identifier (RFC 5280, 4.2.1.2): issue it with one")
    })
}

/// The URI of a certificate that has one name and no other.
pub(crate) fn only_uri<'a>(parsed: &X509Certificate<'a>) -> Result<&'a str, AuthorityError> {
    let mut names = parsed
        .iter_extensions()
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(san) => Some(&san.general_names),
            _ => None,
        })
        .flatten();
    match (names.next(), names.next()) {
        (Some(GeneralName::URI(uri)), None) => Ok(uri),
        _ => Err(bad(
            "it must have exactly one subject alternative name, a URI",
        )),
    }
}

/// Its URI SANs.
pub(crate) fn uris<'a>(parsed: &'a X509Certificate<'a>) -> impl Iterator<Item = &'a str> {
    let extensions = parsed.iter_extensions();
    let names = extensions.filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(san) => Some(&san.general_names),
        _ => None,
    });
    names.flatten().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    })
}

/// Does its key usage say so (RFC 5280, 4.2.1.3)? Verifiers refuse a list otherwise.
pub(crate) fn may_sign_crls(der: &[u8]) -> bool {
    let parsed = parse(der);
    parsed.is_ok_and(|it| matches!(it.key_usage(), Ok(Some(usage)) if usage.value.crl_sign()))
}

/// Is `der` a root as [`AuthorityCertificate::self_signed`] writes it, for this trust domain?
pub(crate) fn check_own_root(der: &[u8], trust_domain: &str) -> Result<(), AuthorityError> {
    let parsed = parse(der)?;
    if only_uri(&parsed)?.strip_prefix("spiffe://") != Some(trust_domain) {
        return Err(bad("it belongs to another trust domain"));
    }
    if !matches!(parsed.basic_constraints(), Ok(Some(it)) if it.value.ca)
        || !matches!(parsed.key_usage(), Ok(Some(it)) if it.value.key_cert_sign())
    {
        return Err(bad("it is not a certificate authority"));
    }
    let public = PublicKey::from_spki(parsed.public_key().raw)?;
    if subject_key_id(&parsed)? != public.key_identifier() {
        return Err(bad("its key identifier is not that of its key"));
    }
    if !is_self_signed(&parsed) {
        return Err(bad("its signature is not its own"));
    }
    Ok(())
}

/// Is it its own issuer, by name and by signature?
pub(crate) fn is_self_signed(parsed: &X509Certificate<'_>) -> bool {
    parsed.subject().as_raw() == parsed.issuer().as_raw() && parsed.verify_signature(None).is_ok()
}

/// RFC 5280's "no end" (9999-12-31) is a little beyond the calendar's.
fn clamped(seconds: i64) -> Timestamp {
    let bound = if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_second(seconds).unwrap_or(bound)
}

fn bad(why: &str) -> AuthorityError {
    AuthorityError::BadCertificate(why.to_owned())
}
