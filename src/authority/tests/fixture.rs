//! A fixed clock, a trust domain and the second verifier.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Output};

use jiff::{SignedDuration, Timestamp};
use proptest::test_runner::Config as ProptestConfig;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use tempfile::TempDir;

use crate::{
    AuthorityCertificate, AuthoritySet, Bundle, KeyAlgorithm, Leaf, LeafKey, LeafRequest, Signer,
    Wanted, verify,
};

pub(super) const DOMAIN: &str = "example.org";
pub(super) const ID: &str = "spiffe://example.org/ns/finance/agent/reader/task/4f1c/9b2e";
pub(super) const DAY: u64 = 86_400;
pub(super) const TTL: u64 = 600;
pub(super) const ALGORITHMS: [KeyAlgorithm; 3] = [
    KeyAlgorithm::EcdsaP256,
    KeyAlgorithm::EcdsaP384,
    KeyAlgorithm::Ed25519,
];

pub(super) fn start() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

pub(super) fn plus(moment: Timestamp, seconds: u64) -> Timestamp {
    moment + SignedDuration::from_secs(i64::try_from(seconds).unwrap())
}

pub(super) fn minus(moment: Timestamp, seconds: u64) -> Timestamp {
    moment - SignedDuration::from_secs(i64::try_from(seconds).unwrap())
}

/// 30 days of life, leaves of an hour at most, a minute for a bundle to arrive.
pub(super) fn want() -> Wanted {
    Wanted {
        trust_domain: DOMAIN.to_owned(),
        ca_lifetime_seconds: 30 * DAY,
        key_algorithm: KeyAlgorithm::EcdsaP256,
        epoch: 1,
        distrusted: BTreeSet::new(),
        max_leaf_ttl_seconds: 3600,
        bundle_propagated: true,
        propagation_seconds: 60,
    }
}

/// The set after the first call at `start`.
pub(super) fn first(want: &Wanted) -> AuthoritySet {
    step(&AuthoritySet::default(), want, start())
}

/// A step that has to change something.
pub(super) fn step(set: &AuthoritySet, want: &Wanted, now: Timestamp) -> AuthoritySet {
    set.next(want, now).unwrap().expect("a change")
}

pub(super) fn request(id: &str) -> LeafRequest<'_> {
    LeafRequest {
        spiffe_id: id,
        key: LeafKey::Generate(KeyAlgorithm::EcdsaP256),
        ttl_seconds: TTL,
        not_after_cap: None,
    }
}

pub(super) fn issue(signer: &Signer, now: Timestamp) -> Leaf {
    signer.issue(&request(ID), now).unwrap()
}

/// The certificates of a PEM text.
pub(super) fn ders(pem: &str) -> Vec<Vec<u8>> {
    let blocks = crate::pem_text::blocks(pem, usize::MAX).unwrap();
    blocks.iter().map(|block| block.der.to_vec()).collect()
}

/// Does the leaf of this chain verify against the bundle at `now`?
pub(super) fn verifies(chain_pem: &str, bundle: &Bundle, now: Timestamp) -> Result<(), String> {
    let chain = ders(chain_pem);
    let (leaf, above) = chain.split_first().unwrap();
    let above: Vec<_> = above.iter().map(|der| der.as_slice().into()).collect();
    let anchors: Vec<_> = bundle
        .roots()
        .iter()
        .map(|root| verify::anchor(root).unwrap())
        .collect();
    verify::chain(leaf, &above, &anchors, now)
}

/// The data as it comes back from the API server.
pub(super) fn stored(set: &AuthoritySet) -> BTreeMap<String, Vec<u8>> {
    let data = set.to_secret_data();
    data.iter()
        .map(|(name, value)| (name.clone(), value.to_vec()))
        .collect()
}

/// A certificate authority of somebody else, valid from 1975 to 4096.
pub(super) type Ca = CertifiedIssuer<'static, KeyPair>;

pub(super) fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, name.to_owned());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

pub(super) fn root_ca(name: &str) -> Ca {
    Ca::self_signed(ca_params(name), KeyPair::generate().unwrap()).unwrap()
}

pub(super) fn ca_below(parent: &Ca, params: CertificateParams) -> Ca {
    Ca::signed_by(params, KeyPair::generate().unwrap(), parent).unwrap()
}

/// A leaf as [`Signer::issue`] writes it, but for what `change` does, signed by somebody else.
pub(super) fn leaf_below(parent: &Ca, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![uri(ID)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    params.signed_by(&key, parent).unwrap().der().to_vec()
}

pub(super) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// The bundle of somebody else's root.
pub(super) fn bundle_of(root: &Ca) -> Bundle {
    Bundle::new(1, [AuthorityCertificate::from_der(root.der()).unwrap()])
}

/// So many cases, or `PROPTEST_CASES` for a longer search.
pub(super) fn cases(usual: u32) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = usual;
    }
    config.failure_persistence = None;
    config
}

/// The `openssl` program in a directory of its own.
pub(super) struct OpenSsl {
    directory: TempDir,
}

impl OpenSsl {
    pub(super) fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
        }
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Gives what it prints when it succeeds, and otherwise what it complains about.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new("openssl")
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .expect("the openssl program is needed for tests");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if status.success() {
            Ok(text(stdout))
        } else {
            Err(text(stdout) + &text(stderr))
        }
    }

    /// `openssl verify` of a chain against roots, as client and as server, at `now`.
    pub(super) fn verify(
        &self,
        roots_pem: &str,
        chain_pem: &str,
        now: Timestamp,
    ) -> Result<(), String> {
        self.write("roots.pem", roots_pem);
        self.write("chain.pem", chain_pem);
        let time = now.as_second().to_string();
        for purpose in ["sslclient", "sslserver"] {
            self.run(&[
                "verify",
                "-x509_strict",
                "-no-CApath",
                "-no-CAstore",
                "-attime",
                &time,
                "-purpose",
                purpose,
                "-CAfile",
                "roots.pem",
                "-untrusted",
                "chain.pem",
                "chain.pem",
            ])?;
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}
