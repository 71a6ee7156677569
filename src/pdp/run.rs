//! Puts everything together and keeps it running.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use countersign_audit::Log;
use countersign_authzen::BaseUrl;
use countersign_decision::{
    DecisionPoint, Engine, Freshness, Signal, SignalInlet, SignalRefused, SignalSink,
};
use countersign_http::Http;
use countersign_lists::{Ages, Lists};
use countersign_runtime::{
    Check, Clients, Health, Pages, PagesError, Supervisor, TaskEnded, WatchMetrics, WatchProgress,
};
use countersign_signals as signals;
use countersign_signals::{
    Authorization, BearerToken, KeySource, PeerSettings, PollSettings, Poller, Receiver, Replicas,
    Secret, Shared, Stream, Verifier,
};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::info;

use crate::checkpoints::Believed;
use crate::feed::pods::Pods;
use crate::feed::{Feed, Stores};
use crate::listed::Listed;
use crate::metrics::Metrics;
use crate::point::Point;
use crate::risk::Telling;
use crate::server::{Callers, Door, Patience, REPLICA, Server, Tls, TlsError, reload};
use crate::settings::{BadSetting, Settings, Transmitter};
use crate::token;

/// How long a stopping process may take to write down what it decided.
const GRACE: Duration = Duration::from_secs(5);
/// How often what has faded is thrown away.
const PRUNE: Duration = Duration::from_secs(60);
/// How often subscribers look for what changes with time: risk that fades, ends that come.
const TICK: Duration = Duration::from_secs(2);
/// How long a replica that starts waits for the others' signals.
const PULL: Duration = Duration::from_secs(2);

/// Why a decision point ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecideError {
    /// The API server can't be reached or refuses.
    #[error("can't start: {0}")]
    Start(#[from] kube::Error),
    /// A setting can't be.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// The TLS files can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Health and metrics can't be served.
    #[error(transparent)]
    Pages(#[from] PagesError),
    /// An address can't be had.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The audit log's settings can't be.
    #[error("{0}: see --audit and --audit-writer")]
    Audit(#[from] countersign_audit::AuditError),
    /// A part that must run for ever ended.
    #[error(transparent)]
    Ended(#[from] TaskEnded),
}

/// Takes signals, and says that answers may be others from then on.
struct Telltale {
    table: Arc<dyn SignalSink>,
    changes: Arc<watch::Sender<u64>>,
}

impl SignalSink for Telltale {
    fn accept(&self, signal: Signal) -> Result<(), SignalRefused> {
        self.table.accept(signal)?;
        self.changes.send_modify(|it| *it = it.wrapping_add(1));
        Ok(())
    }

    fn all(&self) -> Vec<Signal> {
        self.table.all()
    }
}

/// Runs a decision point until `stop` is done.
///
/// # Errors
/// It can't start, or a part of it ended.
pub async fn run(
    config: kube::Config,
    settings: Settings,
    stop: impl Future,
) -> Result<(), DecideError> {
    settings.check()?;
    let mut registry = Registry::with_prefix("countersign");
    let progress = WatchProgress::new();
    let watch_metrics = WatchMetrics::register(&mut registry);
    let metrics = Metrics::register(&mut registry);
    let signal_metrics = signals::Metrics::register(&mut registry);
    let clients = Clients::connect(config, &progress)?;
    let tls = settings
        .tls
        .clone()
        .map(Tls::load)
        .transpose()?
        .map(Arc::new);
    let listener = bind(settings.listen).await?;
    let pages = Pages::bind(&settings.pages, &settings.clock).await?;
    let log = Log::new(log_settings(&settings))?;
    let engine = Arc::new(Engine::new(Arc::default(), Arc::default()));
    let changes = Arc::new(watch::Sender::new(0));
    let clock = settings.clock.clone();
    let now: signals::Now = {
        let clock = clock.clone();
        Arc::new(move || clock.now())
    };
    let http = Http::new(client_tls(&settings)?);
    let table: Arc<dyn SignalSink> = Arc::new(Telltale {
        table: Arc::new(SignalInlet::new(
            Arc::clone(engine.signals()),
            Arc::clone(&now),
        )),
        changes: Arc::clone(&changes),
    });
    let shared = Shared::new(
        table,
        http.clone(),
        Arc::clone(&now),
        signal_metrics.clone(),
    );
    let shared = Arc::new(shared);
    shared.set_peers(peers(&settings)?);

    let mut all = Supervisor::new(GRACE);
    let rules = Arc::new(ArcSwap::default());
    let ages = Ages::register(&mut registry);
    let lists = lists(&settings, &http, &engine, ages);
    let feed = Arc::new(Feed {
        engine: Arc::clone(&engine),
        clients: clients.clone(),
        namespace: settings.namespace.clone(),
        watch_seconds: settings.watch_seconds,
        metrics: metrics.clone(),
        watch_metrics,
        changes: Arc::clone(&changes),
        domains: Mutex::default(),
        taken: Mutex::default(),
        by_pods: settings.falco_token.is_some(),
        pods: Pods::default(),
        lists: lists.clone(),
        rules: Arc::clone(&rules),
    });
    let stores = feed.start(&mut all);
    if let Some(lists) = lists {
        let stores = Arc::clone(&stores);
        let (feed, known) = (Arc::clone(&feed), Arc::clone(&stores));
        let read = move |name: &str| feed.domain_changed(&known, name);
        let listed = move || stores.synced();
        all.spawn("read revocation lists", lists.run(listed, read));
    }
    all.spawn(
        "tell how fresh the facts are",
        Arc::clone(&feed).keep_fresh(Arc::clone(&stores), progress, settings.stale_after),
    );
    let sink: Arc<dyn SignalSink> = Arc::clone(&shared) as Arc<dyn SignalSink>;
    let telling = Telling {
        engine: Arc::clone(&engine),
        stores: Arc::clone(&stores),
        rules,
        signals: Arc::clone(&sink),
        clients: clients.clone(),
        clock: clock.clone(),
    };
    all.spawn("tell risks", telling.run());
    let sharing = Arc::clone(&shared);
    all.spawn("share signals", async move {
        sharing.pull(PULL).await;
        sharing.run().await
    });
    write_log(&log, &mut all);
    if let Some(retention) = settings.retention.clone() {
        let (log, believed) = (log.clone(), Believed(Arc::clone(&stores)));
        all.spawn("seal old records", async move {
            log.retain(&retention, &believed, true).await
        });
    }
    let point = Arc::new(Point {
        engine: Arc::clone(&engine),
        clock: clock.clone(),
        log: log.clone(),
        record: settings.record,
        metrics: metrics.clone(),
        changes: Arc::clone(&changes),
        max_concurrent: settings.max_concurrent,
        in_work: AtomicUsize::new(0),
    });
    let receivers = receivers(&settings, &http, &sink, &now, &signal_metrics, &mut all)?;
    let listen = listener.local_addr().unwrap_or(settings.listen);
    let base = settings.base(listen)?;
    let router = router(
        &settings,
        base,
        point,
        &shared,
        receivers,
        now,
        signal_metrics,
    )?;
    let callers = Arc::new(Callers::new(
        settings.callers.clone(),
        settings.tokens.clone(),
        settings.peer_token.as_ref(),
    ));
    all.spawn(
        "read files again",
        reload(tls.clone(), Arc::clone(&callers)),
    );
    info!(%listen, "answering");
    let server = Server {
        listener,
        tls,
        door: Door {
            callers,
            engine: Arc::clone(&engine),
            clock: clock.clone(),
            metrics: metrics.clone(),
        },
        max_connections: settings.max_connections,
        patience: Patience::default(),
    };
    all.spawn("answer", server.serve(router));
    let facts = Arc::clone(&engine);
    all.spawn("throw away what has faded", async move {
        loop {
            sleep(PRUNE).await;
            engine.prune(clock.now());
        }
    });
    all.spawn("tell that time passes", async move {
        loop {
            sleep(TICK).await;
            metrics.dropped(log.dropped());
            changes.send_modify(|it| *it = it.wrapping_add(1));
        }
    });
    let health = health(feed, stores, facts, registry);
    pages.serve(health, &clients.writes, &mut all);
    all.run_until(stop).await?;
    Ok(())
}

async fn bind(address: std::net::SocketAddr) -> Result<TcpListener, DecideError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| DecideError::Listen { address, source })
}

fn log_settings(settings: &Settings) -> countersign_audit::Settings {
    let clock = settings.clock.clone();
    let (url, writer) = (settings.audit_url.clone(), settings.audit_writer.clone());
    countersign_audit::Settings {
        // An enforcement point waits for it.
        append_timeout: Duration::from_secs(1),
        ..countersign_audit::Settings::new(url, writer, Arc::new(move || clock.now()))
    }
}

fn write_log(log: &Log, to: &mut Supervisor) {
    let (writing, log) = (log.run(), log.clone());
    to.spawn_graceful("write the audit log", |mut stopping| async move {
        let stopped = async {
            stopping.stopped().await;
            log.close().await; // what waits is written
        };
        futures::join!(writing, stopped);
    });
}

/// None where no server of lists is named.
fn lists(settings: &Settings, http: &Http, engine: &Arc<Engine>, ages: Ages) -> Option<Arc<Lists>> {
    let (http, clock) = (http.clone(), settings.clock.clone());
    let world = Arc::new(Listed(Arc::clone(engine.world())));
    let lists = || Lists::to_revoke(&settings.lists, http, clock, ages, world);
    (!settings.lists.is_empty()).then(|| Arc::new(lists()))
}

/// What this trusts as a client: other replicas, transmitters, and servers of lists.
fn client_tls(settings: &Settings) -> Result<ClientConfig, DecideError> {
    let mut roots = RootCertStore::empty();
    let own = settings.tls.as_ref().map(|it| it.callers.as_path());
    if let Some(file) = settings.peer_ca.as_deref().or(own) {
        let bad = |why: &dyn std::fmt::Display| BadSetting::File {
            file: file.display().to_string(),
            why: why.to_string(),
        };
        for root in CertificateDer::pem_file_iter(file).map_err(|why| bad(&why))? {
            let root = root.map_err(|why| bad(&why))?;
            roots.add(root).map_err(|why| bad(&why))?;
        }
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(config.with_no_client_auth())
}

fn peers(settings: &Settings) -> Result<Vec<PeerSettings>, BadSetting> {
    let token = settings.peer_token.as_deref().map(secret).transpose()?;
    let peer = |address: &String| PeerSettings {
        name: address.clone(),
        address: address.clone(),
        token: token.clone(),
    };
    Ok(settings.peers.iter().map(peer).collect())
}

/// A receiver for each transmitter, and a poller for each that is polled.
fn receivers(
    settings: &Settings,
    http: &Http,
    sink: &Arc<dyn SignalSink>,
    now: &signals::Now,
    metrics: &signals::Metrics,
    to: &mut Supervisor,
) -> Result<Vec<Arc<Receiver>>, BadSetting> {
    let mut receivers = Vec::new();
    for it in &settings.transmitters {
        let token = it.token.as_deref().map(token::read).transpose()?;
        let push_token = (token.as_ref().filter(|_| it.poll.is_none()))
            .map(|token| BearerToken::new(token).map_err(|why| bad_token(it, &why)))
            .transpose()?;
        let stream = Stream {
            verifier: Verifier {
                issuer: it.issuer.clone(),
                audiences: vec![it.audience.clone()],
            },
            keys: KeySource::discovered(http.clone(), it.issuer.clone()),
            push_token,
            id: None,
        };
        let (sink, now) = (Arc::clone(sink), Arc::clone(now));
        let receiver = Arc::new(Receiver::new(stream, sink, now, metrics.clone()));
        if let Some(endpoint) = &it.poll {
            let token = token.ok_or_else(|| bad_token(it, &"it is polled with a token"))?;
            let secret = Secret::new(&token).map_err(|why| bad_token(it, &why))?;
            let polling = PollSettings {
                endpoint: endpoint.clone(),
                authorization: Authorization::Bearer(secret),
                interval: Duration::from_secs(1),
            };
            let poller = Poller::new(http.clone(), polling, Arc::clone(&receiver));
            to.spawn(format!("poll {}", it.issuer), poller.run());
        }
        receivers.push(receiver);
    }
    Ok(receivers)
}

fn router(
    settings: &Settings,
    base: BaseUrl,
    point: Arc<Point>,
    shared: &Arc<Shared>,
    receivers: Vec<Arc<Receiver>>,
    now: signals::Now,
    metrics: signals::Metrics,
) -> Result<Router, BadSetting> {
    let falco = settings
        .falco_token
        .as_deref()
        .map(token::read)
        .transpose()?;
    let falco = falco.map(|it| BearerToken::new(&it)).transpose();
    let falco = falco.map_err(|why| BadSetting::Caller(format!("--falco-token: {why}")))?;
    let by_token = settings.tokens.iter().filter(|it| it.rights.reports);
    let by_certificate = settings.callers.iter().filter(|it| it.rights.reports);
    let reporters = by_token
        .map(|it| it.name.clone())
        .chain(by_certificate.map(|it| it.pattern.clone()));
    let replicas = settings.peer_token.is_some().then(|| Replicas {
        table: shared.table(),
        callers: vec![REPLICA.to_owned()],
    });
    let told = signals::Settings {
        receivers,
        falco: falco.into_iter().collect(),
        reporters: reporters.collect(),
        replicas,
        now,
        metrics,
    };
    let point: Arc<dyn DecisionPoint> = point;
    let authzen = countersign_authzen::Settings::new(base);
    let sink = Arc::clone(shared) as Arc<dyn SignalSink>;
    Ok(countersign_authzen::router(Arc::clone(&point), authzen)
        .merge(countersign_extauthz::service(
            point,
            countersign_extauthz::Settings::default(),
        ))
        .merge(signals::router(sink, told)))
}

/// Ready once everything is known and the operator was heard of. Later trouble is answered with denials
/// that say so.
fn health(feed: Arc<Feed>, stores: Arc<Stores>, engine: Arc<Engine>, registry: Registry) -> Health {
    let synced: Check = Arc::new(move || {
        if !stores.synced() {
            return Err("not all objects have been listed and compiled yet".to_owned());
        }
        if !feed.complete(&stores) {
            return Err("the revocation lists were not read yet".to_owned());
        }
        match engine.world().freshness() {
            Freshness::NotReady => Err("the operator's lease was not seen yet".to_owned()),
            Freshness::Fresh | Freshness::Stale(_) => Ok(()),
        }
    });
    Health::new(Arc::new(registry)).ready("synced", synced)
}

fn secret(file: &Path) -> Result<Secret, BadSetting> {
    Secret::new(&token::read(file)?).map_err(|why| BadSetting::File {
        file: file.display().to_string(),
        why: why.to_string(),
    })
}

fn bad_token(of: &Transmitter, why: &dyn std::fmt::Display) -> BadSetting {
    BadSetting::Caller(format!("--transmitter {}: {why}", of.issuer))
}
