//! An issuing endpoint that signs whatever is asked, says what it is told to say, and can go away. Who
//! asks isn't looked at, but written down.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use countersign_authority::{
    AuthoritySet, KeyAlgorithm, LeafKey, LeafRequest, PrivateKey, RequestedKey, RevocationReason,
    Revoked, Wanted,
};
use countersign_core::{SpiffeId, TrustDomainName};
use countersign_issuing::{
    Bytes, IssueJwtRequest, IssueJwtResponse, IssueX509Request, IssueX509Response, Issuer,
    IssuerServer, State, Trust, WatchRequest, WatchResponse, Watching, bearer_of, refusal,
};
use countersign_jwtsvid::{Audience, Signer};
use countersign_runtime::Clock;
use futures::StreamExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use jiff::SignedDuration;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::WatchStream;
use tonic::service::Routes;
use tonic::{Code, Request, Status};

pub(crate) const AGENT: &str = "spiffe://example.org/ns/finance/agent/reader/task/4f1c";
pub(crate) const ISSUER: &str = "spiffe://example.org/countersign/issuer";
pub(crate) const TOKEN: &str = "token-of-the-pod";

/// The endpoint; its connections end with it.
pub(crate) struct FakeIssuer {
    pub(crate) inner: Arc<Inner>,
    pub(crate) address: SocketAddr,
    serving: JoinSet<()>,
}

pub(crate) struct Inner {
    authorities: Mutex<Authorities>,
    told: watch::Sender<WatchResponse>,
    refusing: Mutex<Option<(Code, &'static str)>>,
    /// When certificates were asked for.
    pub(crate) asked: Mutex<Vec<Instant>>,
    /// How many connections were made.
    pub(crate) connections: AtomicUsize,
    /// Of what was issued.
    pub(crate) serials: Mutex<Vec<String>>,
    jwt: Signer,
    jwt_key: PrivateKey,
    terms: Mutex<Terms>,
}

/// How certificates are.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) ttl: u64,
    /// From the issue on.
    pub(crate) renew_after: i64,
}

struct Authorities {
    signing: AuthoritySet,
    trusted: Vec<AuthoritySet>,
    sequence: i64,
    crls: Vec<Bytes>,
    /// What the endpoint itself shows, and how long that is good.
    own_id: &'static str,
    own_ttl: u64,
}

impl FakeIssuer {
    pub(crate) async fn start() -> Self {
        let authority = authority();
        let jwt_key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let domain = TrustDomainName::parse("example.org").unwrap();
        let inner = Arc::new(Inner {
            authorities: Mutex::new(Authorities {
                signing: authority.clone(),
                trusted: vec![authority],
                sequence: 1,
                crls: Vec::new(),
                own_id: ISSUER,
                own_ttl: 3600,
            }),
            told: watch::Sender::new(WatchResponse::default()),
            refusing: Mutex::default(),
            asked: Mutex::default(),
            connections: AtomicUsize::default(),
            serials: Mutex::default(),
            jwt: Signer::load(&jwt_key, domain).unwrap(),
            jwt_key,
            terms: Mutex::new(Terms {
                ttl: 300,
                renew_after: 150,
            }),
        });
        inner.tell(State::Active, "Issuable");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&inner)));
        Self {
            inner,
            address,
            serving,
        }
    }

    /// Every connection breaks.
    pub(crate) async fn go_away(&mut self) {
        self.serving.shutdown().await;
    }

    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving.spawn(serve(listener, Arc::clone(&self.inner)));
    }
}

impl Inner {
    pub(crate) fn tell(&self, state: State, reason: &str) {
        self.told.send_replace(WatchResponse {
            state: state.into(),
            reason: reason.to_owned(),
            message: "the test says so".to_owned(),
            trust: Some(self.trust()),
            key_algorithm: "ECDSAP256".to_owned(),
            ..WatchResponse::default()
        });
    }

    /// Wants a new certificate of everybody.
    pub(crate) fn reissue(&self) {
        self.tell(State::Active, "Issuable");
        self.told.send_modify(|it| it.reissue = true);
    }

    pub(crate) fn refuse(&self, why: Option<(Code, &'static str)>) {
        *self.refusing.lock() = why;
    }

    pub(crate) fn terms(&self, ttl: u64, renew_after: i64) {
        *self.terms.lock() = Terms { ttl, renew_after };
    }

    pub(crate) fn own_ttl(&self, seconds: u64) {
        self.authorities.lock().own_ttl = seconds;
    }

    pub(crate) fn show(&self, own_id: &'static str) {
        self.authorities.lock().own_id = own_id;
    }

    /// Lists are another matter than roots: the sequence is of those.
    pub(crate) fn crls(&self, crls: Vec<Bytes>) {
        self.authorities.lock().crls = crls;
    }

    /// The list of what was revoked, by the authority that signs now.
    pub(crate) fn crl(&self, serial_number: &str, number: u64) -> Bytes {
        let signer = self.authorities.lock().signing.signer().unwrap().unwrap();
        let now = Clock::system().now();
        let line = Revoked {
            serial_number,
            at: now,
            reason: RevocationReason::Unspecified,
        };
        let until = now + SignedDuration::from_secs(60);
        let list = signer.crl(&[line], number, now, until).unwrap();
        list.der.into()
    }

    /// Another authority signs from now on; the one before is trusted for as long as it says.
    pub(crate) fn rotate(&self, keep: bool) {
        let mut it = self.authorities.lock();
        it.signing = authority();
        let new = it.signing.clone();
        if !keep {
            it.trusted.clear();
        }
        it.trusted.push(new);
        it.sequence += 1;
    }

    pub(crate) fn roots_pem(&self) -> String {
        let it = self.authorities.lock();
        it.trusted.iter().map(|set| set.bundle().pem()).collect()
    }

    pub(crate) fn trust(&self) -> Trust {
        let it = self.authorities.lock();
        let roots = it.trusted.iter().flat_map(|set| {
            let bundle = set.bundle();
            let ders = bundle.roots().iter().map(|root| root.der().to_vec());
            ders.collect::<Vec<_>>()
        });
        let key = countersign_authority::Es256Signer::load(&self.jwt_key).unwrap();
        let jwk = json!({
            "use": "jwt-svid", "kty": "EC", "crv": "P-256", "alg": "ES256",
            "kid": self.jwt.kid(), "x": key.public().x(), "y": key.public().y(),
        });
        Trust {
            trust_domain: "example.org".to_owned(),
            roots: roots.collect(),
            bundle_json: it.signing.bundle().spiffe_json_with(60, &[jwk], 1),
            sequence: it.sequence,
            crls: it.crls.clone(),
            intermediates: Vec::new(),
        }
    }

    fn check(&self, token: Option<&str>) -> Result<(), Status> {
        if token != Some(TOKEN) {
            return Err(refusal(Code::Unauthenticated, "BadToken", "another token"));
        }
        match *self.refusing.lock() {
            Some((code, reason)) => Err(refusal(code, reason, "the test refuses")),
            None => Ok(()),
        }
    }

    fn tls(&self) -> Arc<ServerConfig> {
        let it = self.authorities.lock();
        let request = LeafRequest {
            spiffe_id: it.own_id,
            key: LeafKey::Generate(KeyAlgorithm::EcdsaP256),
            ttl_seconds: it.own_ttl,
            not_after_cap: None,
        };
        let signer = it.signing.signer().unwrap().unwrap();
        let leaf = signer.issue(&request, Clock::system().now()).unwrap();
        let chain = CertificateDer::pem_slice_iter(leaf.chain_pem.as_bytes());
        let key = leaf.key_pem.as_ref().unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                chain.map(Result::unwrap).collect(),
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }
}

/// With root and leaf of today.
fn authority() -> AuthoritySet {
    let want = Wanted {
        trust_domain: "example.org".to_owned(),
        ca_lifetime_seconds: 30 * 86_400,
        key_algorithm: KeyAlgorithm::EcdsaP256,
        epoch: 1,
        distrusted: BTreeSet::new(),
        max_leaf_ttl_seconds: 3600,
        bundle_propagated: true,
        propagation_seconds: 60,
    };
    let now = Clock::system().now();
    AuthoritySet::default().next(&want, now).unwrap().unwrap()
}

async fn serve(listener: TcpListener, inner: Arc<Inner>) {
    let router = Routes::new(IssuerServer::new(Arc::new(Served(Arc::clone(&inner)))));
    let router = router.into_axum_router();
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        inner.connections.fetch_add(1, Ordering::Relaxed);
        let acceptor = TlsAcceptor::from(inner.tls());
        let router = router.clone();
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let service = TowerToHyperService::new(router);
            // A client that goes is no failure.
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

struct Served(Arc<Inner>);

impl Issuer for Served {
    async fn issue_x509(
        &self,
        request: Request<IssueX509Request>,
    ) -> Result<IssueX509Response, Status> {
        self.0.asked.lock().push(Instant::now());
        self.0.check(bearer_of(request.metadata()))?;
        let request = request.into_inner();
        let key = RequestedKey::from_pkcs10_der(&request.pkcs10).unwrap();
        let terms = *self.0.terms.lock();
        let now = Clock::system().now();
        let request = LeafRequest {
            spiffe_id: AGENT,
            key: LeafKey::Public(&key),
            ttl_seconds: terms.ttl,
            not_after_cap: None,
        };
        let signer = self.0.authorities.lock().signing.signer().unwrap().unwrap();
        let leaf = signer.issue(&request, now).unwrap();
        self.0.serials.lock().push(leaf.serial_number.clone());
        let chain = CertificateDer::pem_slice_iter(leaf.chain_pem.as_bytes());
        Ok(IssueX509Response {
            spiffe_id: AGENT.to_owned(),
            chain: chain.map(|it| it.unwrap().to_vec()).collect(),
            not_after: leaf.not_after.as_second(),
            renew_at: now.as_second() + terms.renew_after,
            trust: Some(self.0.trust()),
            serial_number: leaf.serial_number,
        })
    }

    async fn issue_jwt(
        &self,
        request: Request<IssueJwtRequest>,
    ) -> Result<IssueJwtResponse, Status> {
        self.0.check(bearer_of(request.metadata()))?;
        let audience = Audience::parse(&request.into_inner().audience).unwrap();
        let subject = SpiffeId::parse(AGENT).unwrap();
        let life = Duration::from_secs(300);
        let now = Clock::system().now();
        let token = self.0.jwt.issue(&subject, &audience, None, now, life);
        let token = token.unwrap();
        Ok(IssueJwtResponse {
            token: token.text,
            not_after: token.expires_at.as_second(),
            spiffe_id: AGENT.to_owned(),
        })
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Watching, Status> {
        if bearer_of(request.metadata()) != Some(TOKEN) {
            return Err(refusal(Code::Unauthenticated, "BadToken", "another token"));
        }
        Ok(WatchStream::new(self.0.told.subscribe()).map(Ok).boxed())
    }
}
