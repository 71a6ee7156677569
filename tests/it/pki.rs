//! Certificates seen by verifiers that aren't ours: rustls-webpki, openssl, and TLS itself.

use std::process::Stdio;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use rcgen::{CertificateParams, CertificateSigningRequest, KeyPair};
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// What an agent finds in its Secret.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub(crate) chain: String,
    pub(crate) key: String,
    pub(crate) roots: String,
}

impl Credential {
    pub(crate) fn of(secret: &Secret) -> Self {
        Self {
            chain: text(secret, "tls.crt"),
            key: text(secret, "tls.key"),
            roots: text(secret, "ca.crt"),
        }
    }
}

/// A value of a Secret as text.
pub(crate) fn text(secret: &Secret, key: &str) -> String {
    let data = secret.data.as_ref().unwrap();
    String::from_utf8(data[key].0.clone()).unwrap()
}

pub(crate) fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let all = CertificateDer::pem_slice_iter(pem.as_bytes());
    all.collect::<Result<_, _>>().unwrap()
}

/// A request for a certificate that says nothing but the key.
pub(crate) fn pkcs10(key: &KeyPair) -> CertificateSigningRequest {
    CertificateParams::default().serialize_request(key).unwrap()
}

/// PEM of DER, written without the code that reads it.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|it| std::str::from_utf8(it).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// Verifies a chain for both ends of TLS with rustls-webpki, now.
pub(crate) fn verify_by_webpki(chain: &str, roots: &str) -> Result<(), webpki::Error> {
    let (chain, roots) = (certificates(chain), certificates(roots));
    let anchors = roots.iter().map(|it| anchor_from_trusted_cert(it).unwrap());
    let anchors: Vec<_> = anchors.collect();
    let leaf = EndEntityCert::try_from(&chain[0])?;
    for usage in [KeyUsage::client_auth(), KeyUsage::server_auth()] {
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &chain[1..],
            UnixTime::now(),
            usage,
            None,
            None,
        )?;
    }
    Ok(())
}

/// Verifies a chain with `openssl verify`, for both ends of TLS.
pub(crate) async fn verify_by_openssl(chain: &str, roots: &str) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (chain, roots) = (file("chain.pem", chain), file("roots.pem", roots));
    for purpose in ["sslclient", "sslserver"] {
        let strict = ["verify", "-x509_strict", "-purpose", purpose];
        let files = ["-CAfile", &roots, "-untrusted", &chain, &chain];
        let arguments: Vec<&str> = strict.into_iter().chain(files).collect();
        openssl(&arguments, "").await?;
    }
    Ok(())
}

/// Runs openssl; gives its stdout.
pub(crate) async fn openssl(arguments: &[&str], input: &str) -> Result<String, String> {
    let mut child = tokio::process::Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl");
    let mut stdin = child.stdin.take().unwrap();
    // Whoever doesn't read its input may close it early.
    let _closed = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(stdout)
    } else {
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(format!("{stdout}{stderr}"))
    }
}

/// What `openssl x509 -text` says of the first certificate.
pub(crate) async fn described(chain: &str) -> String {
    openssl(&["x509", "-noout", "-text"], chain).await.unwrap()
}

/// A TLS connection where both show a certificate: the SPIFFE IDs that the client and the server
/// saw of each other, after a byte went each way.
pub(crate) async fn handshake(
    client: &Credential,
    server: &Credential,
) -> Result<(String, String), String> {
    let acceptor = TlsAcceptor::from(Arc::new(server_config(server)));
    let connector = TlsConnector::from(Arc::new(client_config(client)));
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from("agent.invalid").unwrap(); // SPIFFE IDs stand in for names
    let serve = async {
        let mut stream = acceptor.accept(far).await.map_err(|why| why.to_string())?;
        let byte = stream.read_u8().await.map_err(|why| why.to_string())?;
        stream
            .write_u8(byte + 1)
            .await
            .map_err(|why| why.to_string())?;
        stream.flush().await.map_err(|why| why.to_string())?;
        let (_, connection) = stream.get_ref();
        Ok::<_, String>(spiffe_id(connection.peer_certificates().unwrap()))
    };
    let call = async {
        let mut stream = connector
            .connect(name, near)
            .await
            .map_err(|why| why.to_string())?;
        stream.write_u8(1).await.map_err(|why| why.to_string())?;
        stream.flush().await.map_err(|why| why.to_string())?;
        let answer = stream.read_u8().await.map_err(|why| why.to_string())?;
        assert_eq!(answer, 2);
        let (_, connection) = stream.get_ref();
        Ok::<_, String>(spiffe_id(connection.peer_certificates().unwrap()))
    };
    let (seen_by_server, seen_by_client) = tokio::join!(serve, call);
    Ok((seen_by_client?, seen_by_server?))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn roots(credential: &Credential) -> Arc<RootCertStore> {
    let mut store = RootCertStore::empty();
    for root in certificates(&credential.roots) {
        store.add(root).unwrap();
    }
    Arc::new(store)
}

fn key(credential: &Credential) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(credential.key.as_bytes()).unwrap()
}

fn server_config(credential: &Credential) -> ServerConfig {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(credential), provider())
        .build()
        .unwrap();
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&credential.chain), key(credential))
        .unwrap()
}

pub(crate) fn client_config(credential: &Credential) -> ClientConfig {
    trusting(credential)
        .with_client_auth_cert(certificates(&credential.chain), key(credential))
        .unwrap()
}

/// One that trusts the same and shows nothing.
pub(crate) fn anonymous_config(credential: &Credential) -> ClientConfig {
    trusting(credential).with_no_client_auth()
}

fn trusting(credential: &Credential) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let verifier = AnyOfTheTrustDomain {
        roots: roots(credential),
        provider: provider(),
    };
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous() // SPIFFE: the chain counts, the host name doesn't
        .with_custom_certificate_verifier(Arc::new(verifier))
}

fn spiffe_id(chain: &[CertificateDer<'_>]) -> String {
    let leaf = EndEntityCert::try_from(&chain[0]).unwrap();
    let mut ids = leaf.valid_uri_names();
    let id = ids.next().expect("a URI").to_owned();
    assert!(ids.next().is_none(), "one URI");
    id
}

/// The check of the chain without the one of the host name.
#[derive(Debug)]
struct AnyOfTheTrustDomain {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyOfTheTrustDomain {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
