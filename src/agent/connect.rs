//! The connection to the issuing endpoint: TLS 1.3 with whoever has the SPIFFE ID of the trust domain's
//! issuer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use countersign_runtime::Clock;
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::Endpoint;

use crate::call::Connect;
use crate::held::verify_near;
use crate::roots::Roots;

/// For a connection and its handshake.
const CONNECT: Duration = Duration::from_secs(5);
/// HTTP/2 is pinged after so long without a word, and given up after so much longer.
const PING: Duration = Duration::from_secs(10);
const PONG: Duration = Duration::from_secs(5);
/// A node's clock may be off by so much. The endpoint's certificate may be one of minutes, and a pod
/// there must have its own all the same; whoever stole the endpoint's key can pose as it for so much
/// longer.
const CLOCK_OFF: SignedDuration = SignedDuration::from_mins(15);

/// The endpoint's address or the trust domain's name is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadEndpoint {
    #[error("{0:?} is no https:// URL of a host")]
    Url(String),
    #[error("{0:?} is no name of a trust domain")]
    TrustDomain(String),
    #[error("set up TLS: {0}")]
    Tls(#[from] Error),
}

/// Makes channels, each of which connects when it is first used, and again whenever it must.
pub(crate) fn connect(
    url: &str,
    trust_domain: &str,
    roots: Arc<Roots>,
    clock: Clock,
) -> Result<Connect, BadEndpoint> {
    let bad = || BadEndpoint::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let host = uri.host().ok_or_else(bad)?.to_owned();
    let plain = uri.path_and_query().is_none_or(|it| it.as_str() == "/");
    if uri.scheme_str() != Some("https") || !plain {
        return Err(bad());
    }
    let port = uri.port_u16().unwrap_or(443);
    // An IPv6 address stands in brackets in a URL, and in none where it is connected to.
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let name = ServerName::try_from(trust_domain.to_owned());
    let name = name.map_err(|_| BadEndpoint::TrustDomain(trust_domain.to_owned()))?;
    let tls = TlsConnector::from(Arc::new(client_config(trust_domain, roots, clock)?));
    // TLS is the connector's own.
    let endpoint = Endpoint::from_shared(format!("http://{host}:{port}")).map_err(|_| bad())?;
    let endpoint = endpoint
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .keep_alive_while_idle(true);
    Ok(Arc::new(move || {
        let (tls, name, address) = (tls.clone(), name.clone(), address.clone());
        let connect = tower::service_fn(move |_: Uri| {
            let (tls, name, address) = (tls.clone(), name.clone(), address.clone());
            async move {
                let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
                let stream = timeout(CONNECT, handshake(tls, name, &address, port)).await;
                stream.map_err(late)?.map(TokioIo::new)
            }
        });
        endpoint.connect_with_connector_lazy(connect)
    }))
}

async fn handshake(
    tls: TlsConnector,
    name: ServerName<'static>,
    address: &str,
    port: u16,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect((address, port)).await?;
    stream.set_nodelay(true)?;
    tls.connect(name, stream).await
}

fn client_config(
    trust_domain: &str,
    roots: Arc<Roots>,
    clock: Clock,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(IssuerVerifier {
        spiffe_id: format!("spiffe://{trust_domain}/countersign/issuer"),
        roots,
        clock,
        algorithms: provider.signature_verification_algorithms,
    });
    let mut config = with(provider)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A session that is resumed shows no certificate, and nobody could say that it counts no more.
    config.resumption = Resumption::disabled();
    Ok(config)
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn with(provider: Arc<CryptoProvider>) -> Result<Builder, Error> {
    ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])
}

#[derive(Debug)]
struct IssuerVerifier {
    spiffe_id: String,
    roots: Arc<Roots>,
    clock: Clock,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for IssuerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain: Vec<_> = [leaf]
            .into_iter()
            .chain(above)
            .map(|it| it.to_vec())
            .collect();
        let bundle = self.roots.bundle().map_err(Error::General)?;
        let svid = verify_near(&chain, &bundle, self.clock.now(), CLOCK_OFF);
        let svid = svid.map_err(|why| Error::General(format!("the issuing endpoint: {why}")))?;
        if svid.spiffe_id != self.spiffe_id {
            let (is, expected) = (svid.spiffe_id, &self.spiffe_id);
            return Err(Error::General(format!("it is {is}, not {expected}")));
        }
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
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[tokio::test]
    async fn an_endpoint_is_an_https_url_of_a_host() {
        let try_it = |url: &str, domain: &str| {
            let roots = Arc::new(Roots::new("/nowhere".into()));
            connect(url, domain, roots, Clock::system()).map(drop)
        };
        for url in [
            "https://issue.svc:9444",
            "https://issue",
            "https://[::1]:1/",
        ] {
            try_it(url, "example.org").unwrap();
        }
        for url in [
            "http://issue:1",
            "issue:1",
            "https://issue/path",
            "https://a?b",
            "",
        ] {
            assert!(try_it(url, "example.org").is_err(), "{url}");
        }
        assert!(try_it("https://issue", "not a name").is_err());
    }
}
