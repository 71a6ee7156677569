//! `countersign-bench`: what the operator reaches, against what the API server allows.
//!
//! ```text
//!  Shape      one identity issued by the real operator: the sizes of its Secret and status
//!    │
//!    ├─▶ plain half   a new control plane, no operator: a plain writer makes the same writes
//!    └─▶ live half    a new control plane, the operator as a process of its own: a user creates
//!              │
//!              └─▶ results.json, table
//! ```
//!
//! Both halves have the same harness: one thread, the same closed loop, the same watch that sees
//! `Ready=True`. etcd syncs to disk. Tasks are objects of a small custom resource whose status is
//! written directly, so that no other controller's time is measured.
//!
//! The operator and the decision point are black boxes with APIs. What is measured without them are
//! libraries: chain verification beside other people's, the audit log beside plain inserts, and the
//! engine of decisions by itself.

#![allow(clippy::print_stdout, reason = "a command line's answers go to stdout")]
#![allow(
    clippy::indexing_slicing,
    reason = "only JSON is indexed, and what isn't there is null"
)]

mod api;
mod bed;
mod cases;
mod clock;
mod counters;
mod delegating;
mod issuing;
mod made_up;
mod objects;
mod operator;
mod pods;
mod published;
mod records;
mod results;
mod rival;
mod shape;
mod sight;
mod signed;
mod storing;
mod writer;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::task::LocalSet;

use crate::bed::Programs;
use crate::cases::Case;
use crate::results::Results;
use crate::shape::LazyShape;

/// Measures the operator against what the API server allows.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Only these, separated by commas; the other entries of the results stay as they are
    #[arg(long, value_delimiter = ',')]
    only: Vec<Case>,
    /// A tenth of the work: for a look, not for figures to quote
    #[arg(long)]
    quick: bool,
    /// The operator
    #[arg(long, default_value = "target/release/countersign")]
    operator: PathBuf,
    /// The CRDs and admission policies
    #[arg(long, default_value = "crds")]
    crds: PathBuf,
    /// Other people's chain verifiers, for the benchmark of chains
    #[arg(long, default_value = "target/peers/release/countersign-bench-peers")]
    peers: PathBuf,
    /// OPA, for the benchmark of decisions
    #[arg(long, default_value = "opa")]
    opa: PathBuf,
    /// SPIRE's server, for the benchmark of the issuing endpoint; without it there is no comparison
    #[arg(long, default_value = "spire-server")]
    spire: PathBuf,
    /// Holds so many identities, and prints the bytes that it takes: for the benchmark of decisions
    #[arg(long, hide = true)]
    hold: Option<usize>,
    /// The folder of results.json and the operator's log
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

fn main() -> ExitCode {
    if let Err(error) = start(Arguments::parse()) {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn start(arguments: Arguments) -> Result<()> {
    if let Some(identities) = arguments.hold {
        return cases::hold(identities);
    }
    // One thread: the harness shares the machine with what it measures.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("make a runtime")?;
    LocalSet::new().block_on(&runtime, run(arguments))
}

async fn run(arguments: Arguments) -> Result<()> {
    let programs = Programs::find(
        &arguments.operator,
        &arguments.crds,
        &arguments.peers,
        &arguments.opa,
        &arguments.spire,
        &arguments.out,
    )?;
    let cases = Case::chosen(&arguments.only);
    let mut results = Results::open(&arguments.out, !arguments.only.is_empty())?;
    let shape = LazyShape::new(&programs);
    for case in cases {
        let entries = case.run(&programs, &shape, arguments.quick).await;
        results.add(entries.with_context(|| format!("benchmark {case}"))?)?;
    }
    println!("{results}");
    println!("written to {}", results.path().display());
    Ok(())
}

/// A line for whoever waits.
fn progress(text: &str) {
    eprintln!("· {text}");
}
