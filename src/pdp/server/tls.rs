//! TLS of the server: certificates that may be replaced while it runs.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tracing::{info, warn};

use crate::settings::TlsFiles;

/// The current configuration, and what it was made of.
pub(crate) struct Tls {
    files: TlsFiles,
    current: ArcSwap<(Vec<Vec<u8>>, Arc<ServerConfig>)>,
}

/// The files can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{file}: {why}")]
    File {
        /// Which.
        file: String,
        /// Why.
        why: String,
    },
    /// They don't fit.
    #[error("the server's certificate, key and roots: {0}")]
    Config(#[from] rustls::Error),
    /// The roots are none.
    #[error("the roots of callers: {0}")]
    Roots(String),
}

impl Tls {
    /// # Errors
    /// The files can't be used now.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let read = read_all(&files)?;
        let config = config(&files)?;
        Ok(Self {
            files,
            current: ArcSwap::from_pointee((read, config)),
        })
    }

    /// For the next connection.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().1)
    }

    /// Looks whether the files changed. What can't be used doesn't replace what can.
    pub(crate) fn reload(&self) {
        let read = match read_all(&self.files) {
            Ok(read) => read,
            Err(why) => {
                warn!("the TLS files can't be read, what was read before stays: {why}");
                return;
            }
        };
        if read == self.current.load().0 {
            return;
        }
        match config(&self.files) {
            Ok(config) => {
                self.current.store(Arc::new((read, config)));
                info!("the TLS files were replaced");
            }
            Err(why) => warn!("the TLS files can't be used, those before stay: {why}"),
        }
    }
}

/// What tells whether they changed: no keys, which would lie about in memory.
fn read_all(files: &TlsFiles) -> Result<Vec<Vec<u8>>, TlsError> {
    let read = |file: &Path| std::fs::read(file).map_err(|why| unread(file, &why));
    Ok(vec![read(&files.certificate)?, read(&files.callers)?])
}

fn config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(&files.callers)? {
        roots.add(root)?;
    }
    // Who shows no certificate may show a token.
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
        .allow_unauthenticated()
        .build()
        .map_err(|why| TlsError::Roots(why.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|why| unread(&files.key, &why))?;
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&files.certificate)?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(file).map_err(|why| unread(file, &why))?;
    let all: Result<Vec<_>, _> = read.collect();
    let all = all.map_err(|why| unread(file, &why))?;
    if all.is_empty() {
        return Err(unread(file, &"no certificate is in it"));
    }
    Ok(all)
}

fn unread(file: &Path, why: &dyn std::fmt::Display) -> TlsError {
    TlsError::File {
        file: file.display().to_string(),
        why: why.to_string(),
    }
}
