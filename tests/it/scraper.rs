//! Who reads metrics: over TLS, with a token.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, PostParams};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::{World, eventually};
use crate::support::create;

/// The namespace of who reads metrics.
pub(crate) const MONITORING: &str = "monitoring";
/// What `examples/rbac/metrics.yaml` has for them.
const ROLE: &str = "countersign-metrics-reader";

/// A ServiceAccount.
pub(crate) struct Reader {
    pub(crate) name: String,
    pub(crate) token: String,
}

/// What is answered.
#[derive(Debug)]
pub(crate) struct Scraped {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// The certificate that was shown.
    pub(crate) shown: Vec<u8>,
}

/// Whose certificate is taken.
pub(crate) enum Trust {
    /// As with `insecureSkipVerify`.
    Anybodys,
    /// By a root, for a name.
    Verified {
        root: CertificateDer<'static>,
        name: &'static str,
    },
}

impl Reader {
    /// One that has no right.
    pub(crate) async fn new(world: &World, name: &str) -> Self {
        let client = world.client().await;
        // Tests share it.
        let namespace = json!({"metadata": {"name": MONITORING}});
        drop(create(&Api::<Namespace>::all(client.clone()), namespace).await);
        let accounts = Api::<ServiceAccount>::namespaced(client, MONITORING);
        create(&accounts, json!({"metadata": {"name": name}}))
            .await
            .unwrap();
        Self {
            name: name.to_owned(),
            token: token_of(world, MONITORING, name, &[]).await,
        }
    }

    /// One that has the role of the examples.
    pub(crate) async fn bound(world: &World, name: &str) -> Self {
        let reader = Self::new(world, name).await;
        let account = format!("--serviceaccount={MONITORING}:{name}");
        let role = format!("--clusterrole={ROLE}");
        let bind = ["create", "clusterrolebinding", name, &role, &account];
        world.plane().kubectl(&bind).await.unwrap();
        reader
    }

    /// Asks until the answer has this status: rights count a moment later, and answers are remembered for
    /// some seconds.
    pub(crate) async fn until(&self, address: &str, status: u16) -> Scraped {
        eventually(
            &format!("the status {status} for {}", self.name),
            async || {
                let scraped = scrape(address, &self.token).await?;
                (scraped.status == status).then_some(scraped)
            },
        )
        .await
    }
}

/// With a token, or none if it is empty. `None`: nobody answers.
pub(crate) async fn scrape(address: &str, token: &str) -> Option<Scraped> {
    scrape_by(&Trust::Anybodys, address, token).await
}

/// As [`scrape`]. `None` too if the certificate isn't taken.
pub(crate) async fn scrape_by(trust: &Trust, address: &str, token: &str) -> Option<Scraped> {
    let name = match trust {
        Trust::Anybodys => "localhost",
        Trust::Verified { name, .. } => name,
    };
    let stream = TcpStream::connect(address).await.ok()?;
    let server = ServerName::try_from(name).unwrap();
    let mut stream = connector(trust).connect(server, stream).await.ok()?;
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let token = match token {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    let asked = format!("GET /metrics HTTP/1.1\r\nHost: {name}\r\n{token}\r\n");
    stream.write_all(asked.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Scraped {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_owned(),
        body: body.to_owned(),
        shown,
    })
}

/// Of a ServiceAccount; for the API server's audience where none is given.
pub(crate) async fn token_of(
    world: &World,
    namespace: &str,
    account: &str,
    audiences: &[&str],
) -> String {
    let accounts = Api::<ServiceAccount>::namespaced(world.client().await, namespace);
    let request = json!({"spec": {"audiences": audiences}});
    let request: TokenRequest = serde_json::from_value(request).unwrap();
    let params = PostParams::default();
    let made = accounts.create_token_request(account, &params, &request);
    made.await.unwrap().status.unwrap().token.unwrap()
}

/// Where a program with these arguments is to have its pages: the address of the probes', the arguments
/// that say so, and the address of metrics.
pub(crate) fn pages(arguments: &[&str]) -> (String, Vec<String>, String) {
    let health = free_address();
    if !arguments.contains(&"--metrics-secure") {
        let pages = vec!["--metrics-listen".to_owned(), health.clone()];
        return (health.clone(), pages, health);
    }
    let metrics = free_address();
    let pages = ["--metrics-listen", &metrics, "--health-listen", &health];
    let pages = pages.map(str::to_owned).to_vec();
    (health, pages, metrics)
}

fn free_address() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().to_string()
}

fn connector(trust: &Trust) -> TlsConnector {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match trust {
        Trust::Anybodys => config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anything)),
        Trust::Verified { root, .. } => {
            let mut roots = RootCertStore::empty();
            roots.add(root.clone()).unwrap();
            config.with_root_certificates(roots)
        }
    };
    TlsConnector::from(Arc::new(config.with_no_client_auth()))
}

/// Takes any certificate whose key signs the handshake.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        panic!("TLS 1.3 it is")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
