//! `kubectl countersign`, as people run it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::process::Command;

use super::decider::Decider;
use crate::harness::{World, eventually};

/// The program of the same build.
fn program() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_countersign"));
    let program = beside.with_file_name("kubectl-countersign");
    assert!(
        program.exists(),
        "first: cargo build --workspace --bins, as make test does"
    );
    program
}

pub(super) async fn countersign(world: &World, arguments: &[&str]) -> Output {
    Command::new(program())
        .args(arguments)
        .env("KUBECONFIG", world.plane().kubeconfig())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap()
}

/// What `why` says of a decision, as soon as that is on record.
pub(super) async fn why(world: &World, decider: &Decider, id: &str) -> Value {
    let arguments = ["why", id, "--audit", &decider.audit, "-o", "json"];
    eventually("the record", async || {
        let output = countersign(world, &arguments).await;
        let said = || serde_json::from_slice(&output.stdout).unwrap();
        output.status.success().then(said)
    })
    .await
}
