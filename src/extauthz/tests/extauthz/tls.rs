//! rustls, from PEM.

use std::sync::Arc;

use countersign_authority::Leaf;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Of somebody who shows `leaf`, or nothing, and trusts `roots`; HTTP/2.
pub(crate) fn client(leaf: Option<&Leaf>, roots: &str) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store(roots));
    let mut config = match leaf {
        None => builder.with_no_client_auth(),
        Some(leaf) => builder
            .with_client_auth_cert(chain(leaf), key(leaf))
            .unwrap(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Of somebody who shows `leaf` and wants to be shown one below `roots`; HTTP/2.
pub(crate) fn server(leaf: &Leaf, roots: &str) -> ServerConfig {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store(roots)), provider());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain(leaf), key(leaf))
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn store(roots: &str) -> RootCertStore {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(root.unwrap()).unwrap();
    }
    store
}

fn chain(leaf: &Leaf) -> Vec<CertificateDer<'static>> {
    let chain = CertificateDer::pem_slice_iter(leaf.chain_pem.as_bytes());
    chain.map(Result::unwrap).collect()
}

fn key(leaf: &Leaf) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(leaf.key_pem.as_ref().unwrap().as_bytes()).unwrap()
}
