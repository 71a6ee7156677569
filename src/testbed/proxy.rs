//! A proxy between a client and the API server that fails on demand.
//!
//! ```text
//!   client ══ TLS, HTTP/1.1 ══▶ FaultProxy ══ TLS ══▶ API server
//!                                  ▲
//!        cut_after, hold_watches, heal: the test
//! ```
//!
//! It has a thread and a runtime of its own, so that a busy test's runtime doesn't slow it down
//! and a test may drive it from anywhere. It can't upgrade a connection: no `exec`, no `attach`.

use std::convert::Infallible;
use std::net::{Ipv4Addr, TcpListener as BoundListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use futures::stream;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body as ClientBody;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::control_plane::ControlPlane;
use crate::keys::Keys;
use crate::proxy_state::{Deliver, Seen, State, Verdict};

type ProxyBody = http_body_util::combinators::UnsyncBoxBody<Bytes, kube::Error>;

/// How a proxy counts.
#[derive(Debug, Clone)]
pub struct ProxyOptions {
    /// A mutating request isn't counted if its path contains one of these.
    pub uncounted: Vec<String>,
}

/// A proxy in front of the API server of a [`ControlPlane`], which must outlive it. It verifies
/// against the same CA and passes each client's credentials on. Drop closes it.
#[derive(Debug)]
pub struct FaultProxy {
    state: Arc<State>,
    config: kube::Config,
    kubeconfig: PathBuf,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// The client's connection is closed without an answer.
#[derive(Debug)]
struct NoAnswer;

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the proxy closes the connection without an answer")
    }
}

impl std::error::Error for NoAnswer {}

impl Default for ProxyOptions {
    /// Leases aren't counted: they are renewed by the clock and not by what a test does.
    fn default() -> Self {
        Self {
            uncounted: vec!["/leases".to_owned()],
        }
    }
}

impl FaultProxy {
    /// Starts a proxy that lets everything through for now.
    ///
    /// # Errors
    /// No port, no thread, or TLS couldn't be set up.
    pub fn start(plane: &ControlPlane, options: ProxyOptions) -> Result<Self> {
        Self::start_before(plane, plane.config()?, options)
    }

    /// As [`FaultProxy::start`], in front of another API server of this control plane: see
    /// [`ControlPlane::second_api_server`].
    ///
    /// # Errors
    /// As there.
    pub fn start_before(
        plane: &ControlPlane,
        mut upstream: kube::Config,
        options: ProxyOptions,
    ) -> Result<Self> {
        let listener = BoundListener::bind((Ipv4Addr::LOCALHOST, 0)).context("open a port")?;
        listener.set_nonblocking(true).context("set the port up")?;
        let port = listener.local_addr().context("ask for the port")?.port();
        let layout = plane.layout();
        let acceptor = acceptor(layout.keys())?;
        upstream.auth_info.token = None; // each request brings its own
        upstream.default_retry = false;
        upstream.read_timeout = None; // a silent watch is the client's to judge
        let state = Arc::new(State::new(options.uncounted));
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("make the proxy's runtime")?;
        let thread = std::thread::Builder::new()
            .name("fault-proxy".to_owned())
            .spawn(move || {
                let served = runtime.block_on(serve(listener, acceptor, upstream, shared, stopped));
                if let Err(error) = served {
                    eprintln!("the fault proxy ended: {error:#}");
                }
            })
            .context("start the proxy's thread")?;
        Ok(Self {
            state,
            config: layout.config(port)?,
            kubeconfig: layout.write_kubeconfig(&format!("proxy-{port}.kubeconfig"), port)?,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// A client configuration for the admin, through the proxy.
    pub fn config(&self) -> kube::Config {
        self.config.clone()
    }

    /// A kubeconfig for the admin, through the proxy: for a process of its own.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Plans a cut at the n-th counted mutating request from now on (1 is the next). That request
    /// reaches the API server or not; either way its client gets no answer, all connections are
    /// closed, and nothing passes until [`FaultProxy::heal`]. A new plan replaces the one before.
    pub fn cut_after(&self, n: usize, deliver: Deliver) {
        self.state.plan(n, deliver);
    }

    /// Closes all connections now; nothing passes until [`FaultProxy::heal`].
    pub fn cut(&self) {
        self.state.cut();
    }

    /// Whether everything is refused.
    pub fn is_cut(&self) -> bool {
        *self.state.cut.borrow()
    }

    /// Waits for the cut that was planned. Without a plan it may wait for ever.
    pub async fn until_cut(&self) {
        let mut cut = self.state.cut.subscribe();
        let _state = cut.wait_for(|cut| *cut).await; // fails without a sender, and we have it
    }

    /// Lets everything through again and drops any plan of a cut.
    pub fn heal(&self) {
        self.state.heal();
    }

    /// From now on the answers to watches stop flowing; their connections stay open, new ones
    /// are accepted, and nothing is lost.
    pub fn hold_watches(&self) {
        self.state.held.send_replace(true);
    }

    /// Lets watches flow again, with what has been held back.
    pub fn release_watches(&self) {
        self.state.held.send_replace(false);
    }

    /// From now on counted mutating requests wait before they reach the API server. One whose client
    /// closes the connection meanwhile never does.
    pub fn hold_writes(&self) {
        self.state.delayed.send_replace(true);
    }

    /// Lets those that wait go on.
    pub fn release_writes(&self) {
        self.state.delayed.send_replace(false);
    }

    /// All requests seen so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<Seen> {
        self.state.seen()
    }

    /// Empties the list of requests, not the count of mutations.
    pub fn forget_requests(&self) {
        self.state.forget();
    }

    /// How many mutating requests were counted since the start; refused ones are not.
    pub fn mutations(&self) -> usize {
        self.state.mutations()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join(); // its message is on stderr already
        }
    }
}

fn acceptor(keys: &Keys) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_slice_iter(keys.serving_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .context("read the serving certificate")?;
    let key = PrivateKeyDer::from_pem_slice(keys.serving_key_pem.as_bytes())
        .context("read the serving key")?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .context("set TLS up")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until the other end of `stopped` is dropped; then all connections are closed.
async fn serve(
    listener: BoundListener,
    acceptor: TlsAcceptor,
    upstream: kube::Config,
    state: Arc<State>,
    mut stopped: oneshot::Receiver<Infallible>,
) -> Result<()> {
    let listener = TcpListener::from_std(listener).context("take the port over")?;
    let upstream = kube::Client::try_from(upstream).context("make a client")?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return Ok(()),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("accept a connection")?;
                let state = Arc::clone(&state);
                connections.spawn(connection(stream, acceptor.clone(), upstream.clone(), state));
            }
        }
    }
}

/// One connection of a client, until it ends or everything is cut.
async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    upstream: kube::Client,
    state: Arc<State>,
) {
    let mut cut = state.cut.subscribe();
    let service = service_fn(|request| answer(request, &upstream, &state));
    let serve = async {
        // Errors here are the client's going away, or faults of our own making.
        if let Ok(stream) = acceptor.accept(stream).await {
            let _ended = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    };
    tokio::select! {
        _ = cut.wait_for(|cut| *cut) => {}
        () = serve => {}
    }
}

async fn answer(
    request: Request<Incoming>,
    upstream: &kube::Client,
    state: &State,
) -> Result<Response<ProxyBody>, NoAnswer> {
    let seen = Seen::new(request.method(), request.uri());
    let held = seen.is_watch().then(|| state.held.subscribe());
    let delayed = state.counts(&seen).then(|| state.delayed.subscribe());
    let verdict = state.judge(seen);
    if let Some(mut delayed) = delayed {
        // The sender is gone only when the whole proxy is.
        let _free = delayed.wait_for(|delayed| !*delayed).await;
    }
    match verdict {
        Verdict::Refuse => Err(NoAnswer),
        Verdict::Cut => {
            state.cut();
            Err(NoAnswer)
        }
        Verdict::ForwardThenCut => {
            let _lost = forward(request, upstream).await;
            state.cut();
            Err(NoAnswer)
        }
        Verdict::Forward => {
            let (parts, body) = forward(request, upstream).await?.into_parts();
            let body = match held {
                Some(held) => held_back(body, held),
                None => body.boxed_unsync(),
            };
            Ok(Response::from_parts(parts, body))
        }
    }
}

/// Sends the request on. An API server that doesn't answer looks as if the proxy weren't there.
async fn forward(
    request: Request<Incoming>,
    upstream: &kube::Client,
) -> Result<Response<ClientBody>, NoAnswer> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
    strip(&mut parts.headers);
    parts.headers.remove(HOST); // the API server's own is set by the client
    parts.headers.remove(CONTENT_LENGTH); // set anew from the body
    let request = Request::from_parts(parts, ClientBody::from(body));
    let mut response = upstream.send(request).await.map_err(|_| NoAnswer)?;
    strip(response.headers_mut());
    Ok(response)
}

/// Removes what belongs to one connection (RFC 9110, section 7.6.1).
fn strip(headers: &mut HeaderMap) {
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
}

/// A body that yields nothing, not even its end, while `held` is true.
fn held_back(body: ClientBody, held: watch::Receiver<bool>) -> ProxyBody {
    let frames = stream::unfold((body, held), async |(mut body, mut held)| {
        let frame: Option<Result<Frame<Bytes>, _>> = body.frame().await;
        // The sender is gone only when the whole proxy is.
        held.wait_for(|held| !*held).await.ok()?;
        frame.map(|frame| (frame, (body, held)))
    });
    StreamBody::new(frames).boxed_unsync()
}
