//! Puts everything together and keeps it running.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_audit::Log;
use countersign_http::Http;
use countersign_issuing::IssuerServer;
use countersign_lists::{Ages, Lists, is_server};
use countersign_runtime::{
    Candidate, Check, Clients, Health, Leadership, Pages, PagesError, Supervisor, TaskEnded,
    WatchMetrics, WatchProgress,
};
use prometheus_client::registry::Registry;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpListener;
use tracing::info;

use crate::chain::Chains;
use crate::checkpoints::Believed;
use crate::feed::{Feed, Watching};
use crate::issue::Desk;
use crate::metrics::Metrics;
use crate::oidc;
use crate::pod_certificate::{LEASE, PodCertificateMetrics, PodCertificates};
use crate::server::{Own, Server};
use crate::service::Service;
use crate::settings::Settings;
use crate::shares::Shares;
use crate::token::{Keys, Tokens};

/// How long a stopping process may take to write down what it issued.
const GRACE: Duration = Duration::from_secs(5);

/// Why an issuing endpoint ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The API server can't be reached or refuses.
    #[error("can't start: {0}")]
    Start(#[from] kube::Error),
    /// Health and metrics can't be served.
    #[error(transparent)]
    Pages(#[from] PagesError),
    /// An address can't be had.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The URL of an operator's lists.
    #[error(
        "--lists: {0:?} is no http URL of a server, such as http://countersign.countersign-system:8081"
    )]
    Lists(String),
    /// The audit log's settings can't be.
    #[error("{0}: see --audit and --audit-writer")]
    Audit(#[from] countersign_audit::AuditError),
    /// A part that must run for ever ended.
    #[error(transparent)]
    Ended(#[from] TaskEnded),
}

/// Runs an issuing endpoint until `stop` is done.
///
/// # Errors
/// It can't start, or a part of it ended.
pub async fn run(
    config: kube::Config,
    settings: Settings,
    stop: impl Future,
) -> Result<(), IssueError> {
    // They are signed: there is nothing to be won by TLS, and no roots to know a server by.
    let plain = |it: &String| is_server(it) && it.starts_with("http://");
    if let Some(bad) = settings.lists.iter().find(|it| !plain(it)) {
        return Err(IssueError::Lists(bad.clone()));
    }
    let mut registry = Registry::with_prefix("countersign");
    let progress = WatchProgress::new();
    let watch_metrics = WatchMetrics::register(&mut registry);
    let metrics = Metrics::register(&mut registry);
    let clients = Clients::connect(config, &progress)?;
    let listener = bind(settings.listen).await?;
    let pages = Pages::bind(&settings.pages, &settings.clock).await?;
    let oidc_listener = match settings.oidc_listen {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let log = Log::new(log_settings(&settings))?;
    let clock = settings.clock.clone();

    let mut all = Supervisor::new(GRACE);
    let namespace = settings.namespace.clone();
    let lists = lists(&settings, Ages::register(&mut registry));
    let feed = Feed::new(clients.clone(), namespace.clone(), clock.clone(), lists);
    let feed = Arc::new(feed);
    let watching = Watching {
        seconds: settings.watch_seconds,
        stale_after: settings.stale_after,
        metrics: watch_metrics.clone(),
    };
    feed.start(&watching, progress, &mut all);
    write_log(&log, &mut all);
    if let Some(retention) = settings.retention.clone() {
        let (log, believed) = (log.clone(), Believed(Arc::clone(&feed)));
        all.spawn("seal old records", async move {
            log.retain(&retention, &believed, true).await
        });
    }
    let keys = Arc::new(Keys::new(clients.reads.clone()));
    all.spawn("read the cluster's keys", Arc::clone(&keys).keep());
    let own = Arc::new(Own::default());
    let keeping = Arc::clone(&own).keep(Arc::clone(&feed), clock.clone());
    all.spawn("renew certificates of its own", keeping);
    let chains = Chains::new(clients.reads.clone());
    let desk = Desk::new(Arc::clone(&feed), chains, log, clock.clone());
    if settings.pod_certificates {
        let candidate = Candidate::new(namespace, LEASE);
        let leadership = Leadership::new(clients.writes.clone(), candidate);
        let metrics = PodCertificateMetrics::register(&mut registry);
        let (desk, clients) = (Arc::new(desk.clone()), clients.clone());
        PodCertificates::new(desk, clients, clock, leadership, metrics).start(
            &mut all,
            settings.watch_seconds,
            watch_metrics,
        );
    }
    let tokens = Tokens::new(settings.audience.clone(), Arc::clone(&keys));
    let shares = Shares::new(settings.max_per_pod);
    let most = settings.max_concurrent;
    let service = Service::new(desk, tokens, metrics.clone(), shares, most);
    let listen = listener.local_addr().unwrap_or(settings.listen);
    info!(%listen, audience = settings.audience, "issuing");
    let server = Server {
        listener,
        own: Arc::clone(&own),
        service: IssuerServer::new(Arc::new(service)),
        metrics,
        max_connections: settings.max_connections,
    };
    all.spawn("answer", server.serve());
    if let Some(listener) = oidc_listener {
        let routes = oidc::router(Arc::clone(&feed) as Arc<dyn oidc::Faces>);
        all.spawn("serve issuer documents", oidc::serve(listener, routes));
    }
    let health = health(feed, keys, own, registry);
    pages.serve(health, &clients.writes, &mut all);
    all.run_until(stop).await?;
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, IssueError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| IssueError::Listen { address, source })
}

/// None where no server of lists is named.
fn lists(settings: &Settings, ages: Ages) -> Option<Arc<Lists>> {
    let clock = settings.clock.clone();
    let lists = || {
        let tls = ClientConfig::builder().with_root_certificates(RootCertStore::empty());
        let http = Http::new(tls.with_no_client_auth());
        Lists::to_pass_on(&settings.lists, http, clock, ages)
    };
    (!settings.lists.is_empty()).then(|| Arc::new(lists()))
}

fn log_settings(settings: &Settings) -> countersign_audit::Settings {
    let clock = settings.clock.clone();
    let (url, writer) = (settings.audit_url.clone(), settings.audit_writer.clone());
    countersign_audit::Settings::new(url, writer, Arc::new(move || clock.now()))
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

/// Ready once everything is known, the operator was heard of, and there is a certificate to show.
/// Later trouble is answered with refusals that say so.
fn health(feed: Arc<Feed>, keys: Arc<Keys>, own: Arc<Own>, registry: Registry) -> Health {
    let synced: Check = Arc::new(move || {
        let wanting = if !feed.synced() {
            "not all objects have been listed yet"
        } else if !keys.there() {
            "the cluster's keys for tokens were not read yet"
        } else if !feed.was_fresh() {
            "the operator's lease was not seen to be renewed yet"
        } else if !own.all_there(&feed) {
            "a trust domain's certificate is not there yet"
        } else {
            return Ok(());
        };
        Err(wanting.to_owned())
    });
    Health::new(Arc::new(registry)).ready("synced", synced)
}
