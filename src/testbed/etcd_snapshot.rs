//! Snapshots of etcd, taken and restored as people do it: `etcdutl snapshot restore`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Deserializer, Value, json};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::binaries::{cache_folder, lock};
use crate::control_plane::ControlPlane;
use crate::go_build::{self, Module, Purpose};

const MODULE: Module = Module {
    go_mod: include_str!("etcdutl/go.mod"),
    go_sum: include_str!("etcdutl/go.sum"),
    ldflags: "-s -w",
    programs: &[("etcdutl", "go.etcd.io/etcd/etcdutl/v3")],
};

const PURPOSE: Purpose = Purpose {
    what: "etcdutl",
    exactly: "etcdutl, which restores snapshots",
    ways_out: "install Go 1.26 or newer, and it is built once (about a minute on 2 cores)",
};

/// What becomes of etcd's revisions when a snapshot is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revisions {
    /// They go back with everything else.
    GoBack,
    /// They leap ahead, and all watches of before are refused: `--bump-revision 1000000000
    /// --mark-compacted`, as etcd's documentation advises for Kubernetes.
    LeapAhead,
}

impl ControlPlane {
    /// Saves what etcd has now to `file`, while everything runs. Builds etcdutl, if it isn't there:
    /// what is saved is soon restored.
    ///
    /// # Errors
    /// etcd refused, the file can't be written, or etcdutl can't be had.
    pub async fn save_etcd(&self, file: &Path) -> Result<()> {
        tokio::task::spawn_blocking(find_or_build).await??;
        let answer = self
            .etcd_text("/v3/maintenance/snapshot", json!({}))
            .await
            .context("take a snapshot")?;
        let mut snapshot = Vec::new();
        for part in Deserializer::from_str(&answer).into_iter::<Value>() {
            let part = part.context("read a snapshot")?;
            let blob = part.pointer("/result/blob").and_then(Value::as_str);
            snapshot.extend(STANDARD.decode(blob.unwrap_or_default())?);
        }
        fs::write(file, snapshot).context("write a snapshot")
    }

    /// Ends all programs, restores the snapshot in `file`, and starts them again on the same ports.
    ///
    /// # Errors
    /// etcdutl can't be had or fails, and nothing runs; or a program ended or wasn't ready in time.
    pub async fn restore_etcd(&self, file: &Path, revisions: Revisions) -> Result<()> {
        let program = tokio::task::spawn_blocking(find_or_build).await??;
        let restored = self.dir().join("etcd-restored");
        let mut restore = Command::new(program);
        restore
            .args(["snapshot", "restore"])
            .arg(file)
            .arg("--data-dir")
            .arg(&restored)
            .args(self.layout().etcd_membership());
        if revisions == Revisions::LeapAhead {
            restore.args(["--bump-revision", "1000000000", "--mark-compacted"]);
        }
        let output = restore
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("start etcdutl")?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            bail!("etcdutl ({}): {}", output.status, why.trim());
        }
        self.with_etcd_stopped(|data| {
            fs::remove_dir_all(data)?;
            fs::rename(&restored, data)
        })
        .await
    }
}

/// `etcdutl` from the cache, else built into it once.
fn find_or_build() -> Result<PathBuf> {
    let digest = Sha256::new()
        .chain_update(MODULE.go_mod)
        .chain_update(MODULE.go_sum)
        .finalize();
    let short: String = hex::encode(digest).chars().take(12).collect();
    let dir = cache_folder()?.join(format!("etcdutl-{short}"));
    if !go_build::missing(&[MODULE], &dir).is_empty() {
        fs::create_dir_all(&dir).with_context(|| format!("make the folder {}", dir.display()))?;
        let _lock = lock(&dir.join(".lock"), "builds etcdutl")?;
        go_build::build_missing(&[MODULE], &PURPOSE, &dir)?;
    }
    Ok(dir.join("etcdutl"))
}
