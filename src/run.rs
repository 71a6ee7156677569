//! `countersign run`: the composition root.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result, anyhow, bail};
use countersign_controller::{AuditSettings, Settings, run as operate};
use countersign_runtime::Clock;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::args::{LogFormat, Run};

pub(crate) fn run(arguments: Run) -> Result<()> {
    log(&arguments.log, arguments.log_format)?;
    let settings = Settings {
        secret_namespaces: secret_namespaces(&arguments.secret_namespaces)?,
        namespace: arguments.namespace,
        issuing: arguments.issuing,
        workers: arguments.workers.into(),
        pages: arguments.metrics_security.pages(arguments.metrics_listen),
        propagation_seconds: arguments.bundle_propagation_seconds,
        watch_seconds: arguments.watch_seconds,
        audit: AuditSettings {
            url: arguments.audit,
            writer: arguments.audit_writer,
            retention: arguments.sealing.retention(),
        },
        publish: arguments.publish_listen.0,
        revocation_seconds: arguments.revocation_max_age_seconds,
        clock: Clock::system(),
    };
    install_crypto()?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = cluster().await?;
        info!(
            version = env!("CARGO_PKG_VERSION"),
            cluster = %config.cluster_url,
            namespace = settings.namespace,
            secret_namespaces = ?settings.secret_namespaces,
            "starting"
        );
        operate(config, settings, asked_to_stop()).await?;
        info!("stopped");
        Ok(())
    })
}

pub(crate) fn log(filter: &str, format: LogFormat) -> Result<()> {
    let filter = EnvFilter::try_new(filter).context("read --log")?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

/// One crypto provider for the whole process.
pub(crate) fn install_crypto() -> Result<()> {
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // A second install would be a bug here.
    installed.map_err(|_| anyhow!("another crypto provider was installed"))
}

/// The cluster of KUBECONFIG, or the one that this pod is in.
pub(crate) async fn cluster() -> Result<kube::Config> {
    kube::Config::infer()
        .await
        .context("find a cluster: set KUBECONFIG, or run in a pod with a ServiceAccount")
}

/// `None` for all.
fn secret_namespaces(names: &[String]) -> Result<Option<Vec<String>>> {
    if names.iter().any(|name| name == "*") {
        if names.len() > 1 {
            bail!("--secret-namespaces: '*' is all of them, so no other may stand beside it");
        }
        return Ok(None);
    }
    let names = names.iter().filter(|name| !name.is_empty());
    Ok(Some(names.cloned().collect()))
}

pub(crate) async fn asked_to_stop() {
    let (Ok(mut terminated), Ok(mut interrupted)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await; // then only SIGKILL ends it
    };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
}
