//! A root with an Ed25519 key, and certificates that it signs.

use countersign_authority::{AuthorityCertificate, Bundle};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use time::OffsetDateTime;

use crate::{Key, after};

/// The authority's key.
pub fn authority_key() -> Key {
    Key::of(11)
}

/// The key of the SVIDs.
pub fn agent_key() -> Key {
    Key::of(12)
}

/// Signs SVIDs.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// The authority, valid for 30 days.
    pub fn new() -> Self {
        let mut params = params();
        params
            .distinguished_name
            .push(DnType::CommonName, "root".to_owned());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_after = moment(30 * 86_400);
        let issuer = CertifiedIssuer::self_signed(params, key_pair(&authority_key()));
        Self {
            issuer: issuer.expect("a root signs itself"),
        }
    }

    /// Its certificate.
    pub fn root_der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// The bundle with its certificate alone.
    pub fn bundle(&self) -> Bundle {
        let root = AuthorityCertificate::from_der(&self.root_der());
        Bundle::new(1, [root.expect("a root can be read")])
    }

    /// The SVID of `spiffe_id`, for 10 minutes, of the profile that the program issues.
    pub fn svid(&self, spiffe_id: &str) -> Vec<u8> {
        let mut params = params();
        let uri = spiffe_id.try_into().expect("it is ASCII");
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.not_after = moment(600);
        let leaf = params.signed_by(&key_pair(&agent_key()), &self.issuer);
        leaf.expect("a root signs a leaf").der().to_vec()
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A certificate around any TBSCertificate (RFC 5280, section 4.1), signed by the authority.
pub fn certificate_of(tbs: &[u8]) -> Vec<u8> {
    const ED25519: [u8; 7] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
    let signature = [&[0][..], &authority_key().sign(tbs)].concat();
    sequence(&[tbs, &ED25519, &element(0x03, &signature)].concat())
}

/// The TBSCertificate of a certificate of ours.
pub fn tbs_of(certificate: &[u8]) -> Option<&[u8]> {
    let (header, _) = lengths(certificate)?;
    let inner = certificate.get(header..)?;
    let (header, content) = lengths(inner)?;
    inner.get(..header + content)
}

/// A SEQUENCE of `content`.
pub fn sequence(content: &[u8]) -> Vec<u8> {
    element(0x30, content)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = length.iter().position(|it| *it != 0).unwrap_or(7);
    let length = &length[significant..];
    let mut der = vec![tag];
    if content.len() >= 0x80 {
        der.push(0x80 | u8::try_from(length.len()).expect("eight at most"));
    }
    der.extend_from_slice(length);
    der.extend_from_slice(content);
    der
}

/// How many bytes an element's tag and length have, and how many its content.
fn lengths(der: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*der.get(1)?);
    if first < 0x80 {
        return Some((2, first));
    }
    let more = der.get(2..2 + (first & 0x7f))?;
    let content = more.iter().fold(0, |sum, it| sum << 8 | usize::from(*it));
    Some((2 + more.len(), content))
}

fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(vec![0x5a; 16].into());
    params.not_before = moment(-10);
    params.use_authority_key_identifier_extension = true;
    params
}

fn key_pair(key: &Key) -> KeyPair {
    KeyPair::try_from(key.pkcs8().as_slice()).expect("it is PKCS#8")
}

fn moment(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(after(seconds).as_second()).expect("it is a moment")
}
