//! `countersign agent`: the sidecar.

use anyhow::Result;
use countersign_agent::{Settings, run as keep};
use countersign_runtime::Clock;
use tokio::runtime::Builder;
use tracing::info;

use crate::args::Agent;
use crate::run::{asked_to_stop, install_crypto, log};

pub(crate) fn run(arguments: Agent) -> Result<()> {
    log(&arguments.log, arguments.log_format)?;
    install_crypto()?;
    let settings = Settings {
        issuer: arguments.issuer,
        trust_domain: arguments.trust_domain,
        trust_bundle: arguments.trust_bundle,
        token: arguments.token,
        identity: arguments.identity,
        socket: arguments.socket,
        files: arguments.files,
        health_listen: arguments.health_listen.0,
        clock: Clock::system(),
    };
    // A pod has one, and its memory counts in each.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        info!(
            version = env!("CARGO_PKG_VERSION"),
            issuer = settings.issuer,
            trust_domain = settings.trust_domain,
            "starting to keep a certificate"
        );
        keep(settings, asked_to_stop()).await?;
        info!("stopped");
        Ok(())
    })
}
