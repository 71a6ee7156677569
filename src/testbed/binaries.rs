//! Where the four programs come from: what the user has, the cache, or one build.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::go_build::{self, Module, Purpose};

/// The version of Kubernetes that is built, as its programs report it.
pub const KUBERNETES_VERSION: &str = "v1.37.2";

const GO_MOD: &str = include_str!("controlplane/go.mod");
const GO_SUM: &str = include_str!("controlplane/go.sum");

/// The quickest first, so that a missing network or a broken Go shows early.
const MODULE: Module = Module {
    go_mod: GO_MOD,
    go_sum: GO_SUM,
    ldflags: LDFLAGS,
    programs: &[
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ("etcd", "go.etcd.io/etcd/server/v3"),
        (
            "kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
        ),
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ],
};

/// What Kubernetes' programs are built with, so that they know their version.
pub(crate) const LDFLAGS: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 \
                                  -X k8s.io/component-base/version.gitMajor=1 \
                                  -X k8s.io/component-base/version.gitMinor=37";

const PURPOSE: Purpose = Purpose {
    what: "the control plane",
    exactly: "the Kubernetes v1.37.2 control plane",
    ways_out: WAYS_OUT,
};

const WAYS_OUT: &str = "\
three ways out:
  1. install Go 1.26 or newer, and the programs are built once (about 8 minutes on 2 cores)
  2. set KUBEBUILDER_ASSETS to a folder that has etcd, kube-apiserver, kube-controller-manager and kubectl
  3. use a cluster of your own: set KUBECONFIG, where the command at hand takes it";

/// A folder that has `etcd`, `kube-apiserver`, `kube-controller-manager` and `kubectl`.
#[derive(Debug, Clone)]
pub struct Binaries {
    dir: PathBuf,
}

impl Binaries {
    /// Finds the programs in `KUBEBUILDER_ASSETS`, else in the cache
    /// (`${XDG_CACHE_HOME:-~/.cache}/countersign/`), else builds them into the cache with Go and
    /// tells the progress on stderr.
    ///
    /// Blocks, for minutes where it builds. Safe to call from many processes at once: one builds,
    /// the others wait.
    ///
    /// # Errors
    /// `KUBEBUILDER_ASSETS` is set and lacks a program; Go is missing, too old or fails.
    pub fn find_or_build() -> Result<Self> {
        if let Some(dir) = env::var_os("KUBEBUILDER_ASSETS").filter(|dir| !dir.is_empty()) {
            return Self::in_assets(Path::new(&dir));
        }
        Self::find_or_build_in(&cache_folder()?)
    }

    /// As [`Binaries::find_or_build`], with the cache in a folder of one's choice and without a
    /// look at `KUBEBUILDER_ASSETS`.
    ///
    /// # Errors
    /// The folder can't be written; Go is missing, too old or fails.
    pub fn find_or_build_in(cache: &Path) -> Result<Self> {
        let dir = cache.join(cache_key());
        if missing(&dir).is_empty() {
            return Ok(Self { dir });
        }
        fs::create_dir_all(&dir).with_context(|| format!("make the folder {}", dir.display()))?;
        let _lock = lock(&dir.join(".lock"), "builds the control plane")?;
        go_build::build_missing(&[MODULE], &PURPOSE, &dir)?;
        Ok(Self { dir })
    }

    /// The folder, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of one of the four programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// `PATH` with this folder in front, for commands that call `kubectl`.
    pub fn search_path(&self) -> std::ffi::OsString {
        let rest = env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(self.dir.clone()).chain(env::split_paths(&rest));
        env::join_paths(all).unwrap_or(rest)
    }

    fn in_assets(dir: &Path) -> Result<Self> {
        let missing = missing(dir);
        if !missing.is_empty() {
            bail!(
                "KUBEBUILDER_ASSETS is {}, which has no {}; add what is missing or unset the variable",
                dir.display(),
                missing.join(", no ")
            );
        }
        let dir = dir
            .canonicalize()
            .with_context(|| format!("resolve {}", dir.display()))?;
        Ok(Self { dir })
    }
}

/// The names of all four programs.
pub(crate) fn program_names() -> impl Iterator<Item = &'static str> {
    MODULE.programs.iter().map(|(name, _)| *name)
}

fn missing(dir: &Path) -> Vec<&'static str> {
    go_build::missing(&[MODULE], dir)
}

/// `$XDG_CACHE_HOME/countersign`, where a relative value counts as unset (XDG base directory
/// specification).
pub(crate) fn cache_folder() -> Result<PathBuf> {
    let xdg = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute());
    let base = match xdg {
        Some(dir) => dir,
        None => {
            PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
                .join(".cache")
        }
    };
    Ok(base.join("countersign"))
}

/// Other pins are another folder, so that a checkout of an older commit keeps its own programs.
fn cache_key() -> String {
    let digest = Sha256::new()
        .chain_update(GO_MOD)
        .chain_update(GO_SUM)
        .finalize();
    let short: String = hex::encode(digest).chars().take(12).collect();
    format!("controlplane-{KUBERNETES_VERSION}-{short}")
}

/// An exclusive lock that ends with the process, by the kernel's hand; `does` says what the one who
/// has it does.
pub(crate) fn lock(path: &Path, does: &str) -> Result<File> {
    let file = File::create(path).with_context(|| format!("open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            eprintln!("another process {does} right now: waiting for it");
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("lock {}", path.display()));
        }
    }
    file.lock()
        .with_context(|| format!("lock {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;

    #[test]
    fn assets_that_lack_a_program_are_refused_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["etcd", "kube-apiserver", "kubectl"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let error = Binaries::in_assets(dir.path()).unwrap_err().to_string();
        assert!(error.contains("no kube-controller-manager"), "{error}");
        assert!(!error.contains("no etcd"), "{error}");
    }
}
