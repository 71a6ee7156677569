//! A real Envoy that has its certificate by SDS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_authority::{Bundle, Svid, verify_svid};
use countersign_issuing::State;
use countersign_runtime::Clock;
use countersign_testbed::{Envoy, EnvoyConfig};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use spiffe::X509Svid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::fake_issuer::{AGENT, FakeIssuer};
use crate::pod::{Pod, SOON};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envoy_takes_its_certificate_by_sds_and_the_next_one_too() {
    let issuer = FakeIssuer::start().await;
    let (server, client) = (Pod::start(&issuer).await, Pod::start(&issuer).await);
    let mut upstream = JoinSet::new();
    let address = answer(&mut upstream).await;
    let config = EnvoyConfig::by_sds(server.socket(), address);
    let envoy = Envoy::start(&config).await.unwrap();
    let ours = client.client().await.fetch_x509_svid().await.unwrap();

    let (status, first) = ask(envoy.address(), Some(&ours), &issuer).await.unwrap();
    assert_eq!(
        (status.as_str(), first.spiffe_id.as_str()),
        ("HTTP/1.1 200", AGENT)
    );
    // Whoever has no certificate of the trust domain's doesn't get in.
    assert!(ask(envoy.address(), None, &issuer).await.is_err());

    // The next certificate is shown to whoever connects next, and one of another authority too.
    for keep_roots in [true, true] {
        issuer.inner.rotate(keep_roots);
        issuer.inner.reissue();
        let next = async {
            loop {
                let (status, shown) = ask(envoy.address(), Some(&ours), &issuer).await.unwrap();
                assert_eq!(status, "HTTP/1.1 200");
                if shown.authority_id != first.authority_id && is_last(&shown, &issuer) {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(SOON, next).await.unwrap();
    }

    // An identity that is over gets no secrets: an Envoy that starts now has no certificate.
    issuer.inner.tell(State::Ended, "TaskOver");
    sleep(Duration::from_millis(500)).await;
    let late = Envoy::start(&config);
    assert!(timeout(Duration::from_secs(3), late).await.is_err());
}

/// Is it the last that the sidecars had?
fn is_last(svid: &Svid, issuer: &FakeIssuer) -> bool {
    let serials = issuer.inner.serials.lock();
    serials
        .iter()
        .rev()
        .take(2)
        .any(|it| *it == svid.serial_number)
}

/// The service behind Envoy.
async fn answer(tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(read > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";
            stream.write_all(answer).await.unwrap();
        }
    });
    address
}

/// A request over mTLS: the status, and who answered.
async fn ask(
    address: SocketAddr,
    ours: Option<&X509Svid>,
    issuer: &FakeIssuer,
) -> std::io::Result<(String, Svid)> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let anybody = Arc::new(Anybody(Arc::clone(&provider)));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(anybody);
    let mut config = match ours {
        None => builder.with_no_client_auth(),
        Some(svid) => {
            let chain = svid.cert_chain().iter();
            let chain = chain.map(|it| CertificateDer::from(it.as_bytes().to_vec()));
            let key = PrivateKeyDer::try_from(svid.private_key().as_bytes().to_vec());
            builder
                .with_client_auth_cert(chain.collect(), key.unwrap())
                .unwrap()
        }
    };
    config.resumption = Resumption::disabled();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("agent.example.org").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    let chain: Vec<_> = chain.iter().map(|it| it.to_vec()).collect();
    let roots = issuer.inner.trust().roots;
    let roots = roots
        .iter()
        .map(|der| countersign_authority::AuthorityCertificate::from_der(der).unwrap());
    let bundle = Bundle::new(1, roots);
    let svid = verify_svid(&chain, &bundle, Clock::system().now()).unwrap();
    Ok((answer.chars().take(12).collect(), svid))
}

/// Lets everybody pass: who it was is looked at afterwards, by name.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

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
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
