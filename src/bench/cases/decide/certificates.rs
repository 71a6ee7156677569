//! Certificates for both sides of a TLS connection on loopback, the same for whoever answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Who asks.
pub(crate) const GATEWAY: &str = "spiffe://bench.example/gateway";

/// PEM of an authority, of a server on 127.0.0.1 and of a client that is [`GATEWAY`], and the files
/// of the first two.
pub(crate) struct Certificates {
    pub(crate) ca_pem: String,
    pub(crate) server_pem: String,
    pub(crate) server_key_pem: String,
    pub(crate) client_pem: String,
    pub(crate) client_key_pem: String,
    folder: PathBuf,
}

impl Certificates {
    /// Makes all of them, ECDSA P-256, with files in `folder`.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let issue = |name: SanType, usage| -> Result<(String, String)> {
            let mut params = CertificateParams::default();
            params.subject_alt_names = vec![name];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate()?;
            let leaf = params.signed_by(&key, &ca)?;
            Ok((leaf.pem(), key.serialize_pem()))
        };
        let address = SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into());
        let (server_pem, server_key_pem) = issue(address, ExtendedKeyUsagePurpose::ServerAuth)?;
        let id = SanType::URI(GATEWAY.try_into()?);
        let (client_pem, client_key_pem) = issue(id, ExtendedKeyUsagePurpose::ClientAuth)?;
        let made = Self {
            ca_pem: ca.pem(),
            server_pem,
            server_key_pem,
            client_pem,
            client_key_pem,
            folder: folder.to_owned(),
        };
        for (path, pem) in [
            (made.ca(), &made.ca_pem),
            (made.server(), &made.server_pem),
            (made.server_key(), &made.server_key_pem),
        ] {
            std::fs::write(&path, pem).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(made)
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    pub(crate) fn server(&self) -> PathBuf {
        self.folder.join("server.crt")
    }

    pub(crate) fn server_key(&self) -> PathBuf {
        self.folder.join("server.key")
    }

    /// What the gateway connects with.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>> {
        Ok(Arc::new(client(
            &self.ca_pem,
            &self.client_pem,
            &self.client_key_pem,
        )?))
    }
}

/// A client of these roots, with this certificate. All in PEM.
pub(crate) fn client(roots_pem: &str, chain_pem: &str, key_pem: &str) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
        roots.add(root?)?;
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).collect();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain?, PrivateKeyDer::from_pem_slice(key_pem.as_bytes())?)?;
    Ok(config)
}
