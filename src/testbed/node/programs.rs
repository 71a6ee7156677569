//! Where a node's programs come from: the cache, or one build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::binaries::{KUBERNETES_VERSION, LDFLAGS, cache_folder, lock};
use crate::go_build::{self, Module, Purpose};

/// In the order of building: the quick ones first.
const MODULES: [Module; 2] = [
    Module {
        go_mod: include_str!("../node-tools/containerd/go.mod"),
        go_sum: include_str!("../node-tools/containerd/go.sum"),
        ldflags: "-s -w",
        programs: &[
            (
                "loopback",
                "github.com/containernetworking/plugins/plugins/main/loopback",
            ),
            (
                "containerd-shim-runc-v2",
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            ),
            ("ctr", "github.com/containerd/containerd/v2/cmd/ctr"),
            (
                "containerd",
                "github.com/containerd/containerd/v2/cmd/containerd",
            ),
        ],
    },
    Module {
        go_mod: include_str!("../node-tools/kubernetes/go.mod"),
        go_sum: include_str!("../node-tools/kubernetes/go.sum"),
        ldflags: LDFLAGS,
        programs: &[
            ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
        ],
    },
];

const PURPOSE: Purpose = Purpose {
    what: "the node",
    exactly: "a Kubernetes v1.37.2 node (kubelet, scheduler, containerd)",
    ways_out: "\
two ways out:
  1. install Go 1.26 or newer, and the programs are built once (about 6 minutes on 2 cores)
  2. do without a node: pods are made then, and none runs",
};

const PAUSE: &str = include_str!("pause.c");

/// A folder that has kubelet, kube-scheduler, containerd with its shim, ctr, a CNI plugin and what
/// holds a pod's namespaces.
#[derive(Debug, Clone)]
pub struct NodePrograms {
    dir: PathBuf,
}

impl NodePrograms {
    /// Finds the programs in the cache (`${XDG_CACHE_HOME:-~/.cache}/countersign/`), else builds
    /// them into it with Go, and one of them with a C compiler, and tells the progress on stderr.
    ///
    /// Blocks, for minutes where it builds. Safe to call from many processes at once: one builds,
    /// the others wait.
    ///
    /// # Errors
    /// The folder can't be written; Go is missing, too old or fails; no C compiler.
    pub fn find_or_build() -> Result<Self> {
        Self::find_or_build_in(&cache_folder()?)
    }

    fn find_or_build_in(cache: &Path) -> Result<Self> {
        let dir = cache.join(cache_key());
        if complete(&dir) {
            return Ok(Self { dir });
        }
        fs::create_dir_all(&dir).with_context(|| format!("make the folder {}", dir.display()))?;
        let _lock = lock(&dir.join(".lock"), "builds the node's programs")?;
        go_build::build_missing(&MODULES, &PURPOSE, &dir)?;
        if !dir.join("pause").is_file() {
            build_pause(&dir)?;
        }
        Ok(Self { dir })
    }

    /// The folder, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn complete(dir: &Path) -> bool {
    go_build::missing(&MODULES, dir).is_empty() && dir.join("pause").is_file()
}

/// Other pins are another folder, so that a checkout of an older commit keeps its own programs.
fn cache_key() -> String {
    let mut digest = Sha256::new().chain_update(PAUSE);
    for module in MODULES {
        digest = digest
            .chain_update(module.go_mod)
            .chain_update(module.go_sum);
    }
    let short: String = hex::encode(digest.finalize()).chars().take(12).collect();
    format!("node-{KUBERNETES_VERSION}-{short}")
}

/// Static, since it is all that its image has.
fn build_pause(dir: &Path) -> Result<()> {
    let scratch = tempfile::tempdir_in(dir).context("make a scratch folder")?;
    let (source, program) = (scratch.path().join("pause.c"), scratch.path().join("pause"));
    fs::write(&source, PAUSE).context("write pause.c")?;
    let output = Command::new("cc")
        .args(["-static", "-Os", "-s", "-o"])
        .args([&program, &source])
        .stdin(Stdio::null())
        .output()
        .context("run cc, the C compiler")?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("cc can't build pause.c: {}", why.trim());
    }
    fs::rename(&program, dir.join("pause")).context("put pause into the cache")
}
