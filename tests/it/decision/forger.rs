//! Certificates that nobody should have: made with an authority's own key, or with none.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};

use crate::harness::World;
use crate::pki::{Credential, text};

/// Whoever has the key of an authority.
pub(super) struct Forger {
    issuer: Issuer<'static, KeyPair>,
    /// The authority itself.
    pub(super) authority: Credential,
    roots: String,
}

impl Forger {
    /// With the key of a trust domain's own authority. `roots` are what its victims trust.
    pub(super) async fn of(world: &World, domain: &str, roots: &str) -> Self {
        let secrets = world.operator_secrets().await;
        let secret = secrets.get(&format!("{domain}-authority")).await.unwrap();
        // The first authority of a trust domain, which is active for days.
        Self::with(&text(&secret, "a.crt"), &text(&secret, "a.key"), roots)
    }

    /// With a key of its own, under the name of an authority.
    pub(super) fn pretending_to_be(authority: &Self) -> Self {
        let key = KeyPair::generate().unwrap().serialize_pem();
        Self::with(&authority.authority.chain, &key, &authority.roots)
    }

    fn with(certificate: &str, key: &str, roots: &str) -> Self {
        let pair = KeyPair::from_pem(key).unwrap();
        Self {
            issuer: Issuer::from_ca_cert_pem(certificate, pair).unwrap(),
            authority: credential(certificate.to_owned(), key.to_owned(), roots),
            roots: roots.to_owned(),
        }
    }

    /// A certificate with these names, good until long after all tests.
    pub(super) fn certificate(&self, names: Vec<SanType>) -> Credential {
        self.sign(&leaf(names))
    }

    /// One that was good until a minute ago.
    pub(super) fn expired(&self, names: Vec<SanType>) -> Credential {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let minute_ago = since.saturating_sub(Duration::from_secs(60));
        let mut leaf = leaf(names);
        leaf.not_before = date_time_ymd(2020, 1, 1);
        leaf.not_after = date_time_ymd(1970, 1, 1) + minute_ago;
        self.sign(&leaf)
    }

    /// One that isn't good yet.
    pub(super) fn early(&self, names: Vec<SanType>) -> Credential {
        let mut leaf = leaf(names);
        leaf.not_before = date_time_ymd(4000, 1, 1);
        self.sign(&leaf)
    }

    /// One that vouches for itself.
    pub(super) fn self_signed(&self, names: Vec<SanType>) -> Credential {
        let key = KeyPair::generate().unwrap();
        let chain = leaf(names).self_signed(&key).unwrap().pem();
        credential(chain, key.serialize_pem(), &self.roots)
    }

    fn sign(&self, leaf: &CertificateParams) -> Credential {
        let key = KeyPair::generate().unwrap();
        let chain = leaf.signed_by(&key, &self.issuer).unwrap().pem();
        credential(chain, key.serialize_pem(), &self.roots)
    }
}

pub(super) fn uri(id: &str) -> SanType {
    SanType::URI(Ia5String::try_from(id).unwrap())
}

pub(super) fn dns(name: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(name).unwrap())
}

/// As the operator issues them, but for its names and its time.
fn leaf(names: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "agent");
    params.subject_alt_names = names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    params
}

fn credential(chain: String, key: String, roots: &str) -> Credential {
    Credential {
        chain,
        key,
        roots: roots.to_owned(),
    }
}
