//! TLS with whoever answers, for those who look afterwards at what it showed.

use std::io;
use std::sync::Arc;

use anyhow::{Context, Result};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WantsClientCert};
use rustls::crypto::{aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A server that is connected to by TLS 1.3 whatever certificate it shows; that it has the
/// certificate's key is proved all the same.
///
/// Who it is is for the caller to find out, by [`Self::shown`], before it says anything. SPIFFE IDs
/// stand in for host names, and what they are held against is the caller's: a bundle, a clock.
#[derive(Debug, Clone)]
pub struct Unverified {
    address: String,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    shown: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Unverified {
    /// The one at `address`, asked for by `name`. The client shows no certificate.
    ///
    /// # Errors
    /// No server can be called `name`.
    pub fn new(address: &str, name: &str) -> Result<Self> {
        Self::with(address, name, builder()?.with_no_client_auth())
    }

    /// As [`Self::new`], announcing HTTP/2.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn http2(address: &str, name: &str) -> Result<Self> {
        let mut config = builder()?.with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::with(address, name, config)
    }

    /// As [`Self::new`], with a client that shows this chain, and has the key of its leaf in PKCS#8.
    /// All in DER.
    ///
    /// # Errors
    /// As for [`Self::new`], or these two don't go together.
    pub fn as_client(address: &str, name: &str, chain: &[&[u8]], key: &[u8]) -> Result<Self> {
        let chain = chain.iter().map(|it| CertificateDer::from(it.to_vec()));
        let key = PrivateKeyDer::Pkcs8(key.to_vec().into());
        let config = builder()?.with_client_auth_cert(chain.collect(), key);
        Self::with(address, name, config.context("the client's certificate")?)
    }

    fn with(address: &str, name: &str, mut config: ClientConfig) -> Result<Self> {
        // A session that is resumed shows no certificate.
        config.resumption = Resumption::disabled();
        Ok(Self {
            address: address.to_owned(),
            name: ServerName::try_from(name.to_owned()).context("the server's name")?,
            config: Arc::new(config),
            shown: Arc::default(),
        })
    }

    /// One connection, as hyper and tonic take it.
    ///
    /// # Errors
    /// Nobody is there, or the handshake fails.
    pub async fn connect(self) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let tls = TlsConnector::from(self.config);
        let stream = tls.connect(self.name, stream).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        *self.shown.lock() = chain.iter().map(|it| it.to_vec()).collect();
        Ok(TokioIo::new(stream))
    }

    /// The chain that was shown to the last connection of this one and its clones, the leaf first, in
    /// DER; nothing before.
    pub fn shown(&self) -> Vec<Vec<u8>> {
        self.shown.lock().clone()
    }
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&TLS13])?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody)))
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = aws_lc_rs::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
