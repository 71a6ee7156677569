//! `countersign decide`: the decision point.

use std::time::Duration;

use anyhow::{Result, bail};
use countersign_pdp::{Record, Settings, TlsFiles, run as decide};
use countersign_runtime::Clock;
use tokio::runtime::Builder;
use tracing::info;

use crate::args::{Decide, RecordAllows};
use crate::run::{asked_to_stop, cluster, install_crypto, log};

pub(crate) fn run(arguments: Decide) -> Result<()> {
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
            "starting to decide"
        );
        decide(config, settings, asked_to_stop()).await?;
        info!("stopped");
        Ok(())
    })
}

fn settings(arguments: Decide) -> Result<Settings> {
    let tls = match (arguments.tls_cert, arguments.tls_key, arguments.caller_ca) {
        (Some(certificate), Some(key), Some(callers)) => Some(TlsFiles {
            certificate,
            key,
            callers,
        }),
        (None, None, None) => None,
        _ => bail!("--tls-cert, --tls-key and --caller-ca go together"),
    };
    Ok(Settings {
        namespace: arguments.namespace,
        listen: arguments.listen,
        tls,
        url: arguments.url,
        callers: arguments.callers,
        tokens: arguments.tokens,
        peers: arguments.peers,
        peer_token: arguments.peer_token,
        transmitters: arguments.transmitters,
        peer_ca: arguments.peer_ca,
        falco_token: arguments.falco_token,
        lists: arguments.lists,
        pages: arguments.metrics_security.pages(arguments.metrics_listen),
        stale_after: Duration::from_secs(arguments.stale_after_seconds.into()),
        max_concurrent: usize::try_from(arguments.max_concurrent)?,
        max_connections: usize::try_from(arguments.max_connections)?,
        audit_url: arguments.audit,
        audit_writer: arguments.audit_writer,
        retention: arguments.sealing.retention(),
        record: match arguments.record {
            RecordAllows::All => Record::All,
            RecordAllows::Sensitive => Record::Sensitive,
        },
        watch_seconds: arguments.watch_seconds,
        clock: Clock::system(),
    })
}
