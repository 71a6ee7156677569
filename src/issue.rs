//! `countersign issue`: the issuing endpoint.

use std::time::Duration;

use anyhow::Result;
use countersign_issuer::{Settings, run as issue};
use countersign_runtime::Clock;
use tokio::runtime::Builder;
use tracing::info;

use crate::args::Issue;
use crate::run::{asked_to_stop, cluster, install_crypto, log};

pub(crate) fn run(arguments: Issue) -> Result<()> {
    log(&arguments.log, arguments.log_format)?;
    let settings = settings(arguments)?;
    install_crypto()?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = cluster().await?;
        info!(
            version = env!("CARGO_PKG_VERSION"),
            cluster = %config.cluster_url,
            listen = %settings.listen,
            "starting to issue"
        );
        issue(config, settings, asked_to_stop()).await?;
        info!("stopped");
        Ok(())
    })
}

fn settings(arguments: Issue) -> Result<Settings> {
    Ok(Settings {
        namespace: arguments.namespace,
        listen: arguments.listen,
        audience: arguments.audience,
        pages: arguments.metrics_security.pages(arguments.metrics_listen),
        oidc_listen: arguments.oidc_listen.0,
        lists: arguments.lists,
        pod_certificates: arguments.pod_certificates,
        stale_after: Duration::from_secs(arguments.stale_after_seconds.into()),
        max_concurrent: usize::try_from(arguments.max_concurrent)?,
        max_per_pod: arguments.max_per_pod,
        max_connections: usize::try_from(arguments.max_connections)?,
        audit_url: arguments.audit,
        audit_writer: arguments.audit_writer,
        retention: arguments.sealing.retention(),
        watch_seconds: arguments.watch_seconds,
        clock: Clock::system(),
    })
}
