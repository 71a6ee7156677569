//! Puts everything together and keeps it running.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_runtime::{Check, Health, Supervisor, TaskEnded};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::call::Endpoint;
use crate::connect::{self, BadEndpoint};
use crate::files::Files;
use crate::keep::Keeper;
use crate::listen::listen;
use crate::metrics::Metrics;
use crate::roots::Roots;
use crate::serving::{Serving, router};
use crate::settings::Settings;
use crate::socket::Socket;
use crate::told::Told;
use crate::view::View;

/// There is nothing to be written down.
const GRACE: Duration = Duration::from_secs(1);

/// Why a sidecar ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The issuer's URL or the trust domain can't be.
    #[error("{0}")]
    Setting(String),
    /// The socket can't be made.
    #[error("can't listen on {}: {source}", path.display())]
    Socket {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An address can't be had.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A part that must run for ever ended.
    #[error(transparent)]
    Ended(#[from] TaskEnded),
}

impl From<BadEndpoint> for AgentError {
    fn from(why: BadEndpoint) -> Self {
        Self::Setting(why.to_string())
    }
}

/// Runs a sidecar until `stop` is done. The issuing endpoint may be away when it starts.
///
/// # Errors
/// It can't start, or a part of it ended.
pub async fn run(settings: Settings, stop: impl Future) -> Result<(), AgentError> {
    let mut registry = Registry::with_prefix("countersign");
    let metrics = Metrics::register(&mut registry);
    let roots = Arc::new(Roots::new(settings.trust_bundle.clone()));
    let connect = connect::connect(
        &settings.issuer,
        &settings.trust_domain,
        Arc::clone(&roots),
        settings.clock.clone(),
    )?;
    let identity = settings.identity.unwrap_or_default();
    let endpoint = Endpoint::new(connect, settings.token, settings.trust_domain, identity);
    let socket = Socket::bind(&settings.socket).map_err(|source| AgentError::Socket {
        path: settings.socket.clone(),
        source,
    })?;
    let (views, view) = watch::channel(Arc::new(View::default()));
    let (tell, told) = watch::channel(Told::default());

    let mut supervisor = Supervisor::new(GRACE);
    if let Some(address) = settings.health_listen {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| AgentError::Listen { address, source })?;
        let health = Health::new(Arc::new(registry)).ready("certificate", ready(view.clone()));
        supervisor.spawn("health", health.serve(listener));
    }
    let serving = Serving {
        views: view.clone(),
        endpoint: endpoint.clone(),
        clock: settings.clock.clone(),
        metrics: metrics.clone(),
    };
    supervisor.spawn("socket", socket.serve(router(serving)));
    if let Some(folder) = settings.files.clone() {
        let files = Files::new(folder);
        supervisor.spawn("files", files.follow(view, metrics.clone()));
    }
    supervisor.spawn("watch", listen(endpoint.clone(), tell, metrics.clone()));
    let keeper = Keeper::new(endpoint, roots, told, views, settings.clock, metrics);
    supervisor.spawn("certificate", keeper.run());
    info!(socket = %settings.socket.display(), "serving the Workload API and SDS");
    let ended = supervisor.run_until(stop).await;
    // Nobody would take them away when the identity ends.
    if let Some(folder) = settings.files
        && let Err(why) = Files::new(folder).remove()
    {
        warn!("the files stay behind: {why}");
    }
    Ok(ended?)
}

/// With a certificate in hand.
fn ready(view: watch::Receiver<Arc<View>>) -> Check {
    Arc::new(move || {
        let view = view.borrow();
        match view.both() {
            Some(_) => Ok(()),
            None => Err(view.missing()),
        }
    })
}
