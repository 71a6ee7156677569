//! `kubectl countersign`: who may do what, on whose authority; handing it on, and taking it back.
//!
//! ```text
//!  args ──▶ a folder or file for each command ──▶ output, failure (exit codes)
//!              ├─ pure: World, records and texts in; trees, trails, forecasts, reports out
//!              ├─ cluster: the one place that talks to an API server
//!              └─ can::ask: the one place that talks to a decision point
//! ```
//!
//! What it must not do: decide anything by rules of its own. What widens, verifies or was tampered
//! with is asked of the crates that the operator asks.

mod anchors;
mod args;
mod audit;
mod can;
mod clock;
mod cluster;
mod delegate;
mod failure;
#[cfg(test)]
mod fixture;
mod grants;
mod output;
mod renew;
mod revoke;
mod standing;
mod status;
mod text;
mod trail;
mod tree;
mod verify;
mod why;
mod world;

use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use tokio::runtime::Builder;

use crate::args::Arguments;
use crate::failure::{Failure, Outcome};

fn main() -> ExitCode {
    let arguments = Arguments::read();
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn start(arguments: Arguments) -> Outcome {
    // One provider for the whole process.
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    installed.map_err(|_| Failure::Error(anyhow!("another crypto provider was installed")))?;
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build();
    runtime
        .context("start the runtime")?
        .block_on(arguments.run())
}
