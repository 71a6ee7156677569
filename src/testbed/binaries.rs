//! Where the four programs come from: what the user has, the cache, or one build.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::process::Group;

/// The version of Kubernetes that is built, as its programs report it.
pub const KUBERNETES_VERSION: &str = "v1.37.2";

const GO_MOD: &str = include_str!("controlplane/go.mod");
const GO_SUM: &str = include_str!("controlplane/go.sum");

/// Name of each program and the Go package it is built from, the quickest first, so that a
/// missing network or a broken Go shows early.
const PROGRAMS: [(&str, &str); 4] = [
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("etcd", "go.etcd.io/etcd/server/v3"),
    (
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
];

/// Same flags everywhere, or Go's build cache is of no use from one build to the next.
const LDFLAGS: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 \
                       -X k8s.io/component-base/version.gitMajor=1 \
                       -X k8s.io/component-base/version.gitMinor=37";

/// The oldest Go that builds Kubernetes 1.37: major and minor.
const OLDEST_GO: (u32, u32) = (1, 26);

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
        build_missing(&dir)?;
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
    PROGRAMS.iter().map(|(name, _)| *name)
}

fn missing(dir: &Path) -> Vec<&'static str> {
    program_names()
        .filter(|name| !dir.join(name).is_file())
        .collect()
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

fn build_missing(dir: &Path) -> Result<()> {
    let missing = missing(dir);
    if missing.is_empty() {
        return Ok(()); // built by the one we waited for
    }
    let module = tempfile::Builder::new()
        .prefix(".module-")
        .tempdir_in(dir)
        .context("make a scratch folder")?;
    // A build that nobody waits for any more must not go on: it takes all cores for minutes.
    let group = Group::start(module.path())?;
    fs::write(module.path().join("go.mod"), GO_MOD).context("write go.mod")?;
    fs::write(module.path().join("go.sum"), GO_SUM).context("write go.sum")?;
    check_go(module.path())?;
    eprintln!(
        "building the Kubernetes {KUBERNETES_VERSION} control plane once, into {}",
        dir.display()
    );
    for (index, (name, package)) in PROGRAMS.iter().enumerate() {
        if missing.contains(name) {
            let label = format!("[{}/{}] {name}", index + 1, PROGRAMS.len());
            build(&group, module.path(), dir, (name, package), &label)?;
        }
    }
    drop(module); // while the watchdog is still there to do it in our place
    drop(group);
    Ok(())
}

/// `go`, unmoved by what the user's environment says about flags, workspaces and targets.
fn go<I: AsRef<OsStr>>(module: &Path, args: impl IntoIterator<Item = I>) -> Command {
    let mut go = Command::new("go");
    go.args(args)
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "")
        .env("GOWORK", "off")
        .env_remove("GOOS")
        .env_remove("GOARCH")
        .stdin(Stdio::null());
    go
}

/// Asked inside the module, so that a Go that fetches newer ones of itself may do so.
fn check_go(module: &Path) -> Result<()> {
    let output = match go(module, ["env", "GOVERSION"]).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("Go is needed to build the control plane and isn't on PATH; {WAYS_OUT}")
        }
        other => other.context("run go env GOVERSION")?,
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("this Go can't build the control plane: {why}; {WAYS_OUT}");
    }
    match parse_go_version(&version) {
        Some(found) if found < OLDEST_GO => bail!(
            "{version} is too old to build the control plane, which needs Go {}.{}; {WAYS_OUT}",
            OLDEST_GO.0,
            OLDEST_GO.1
        ),
        _ => Ok(()), // a development version has no number: let the compiler judge
    }
}

/// Major and minor of `go1.26.8`.
fn parse_go_version(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.strip_prefix("go")?.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?;
    let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
    Some((major, digits.parse().ok()?))
}

/// Builds beside the target and renames, so that a half-written program is never found.
fn build(
    group: &Group,
    module: &Path,
    dir: &Path,
    (name, package): (&str, &str),
    label: &str,
) -> Result<()> {
    const TELL_EVERY: Duration = Duration::from_secs(5);
    let partial = module.join(name);
    let log_path = module.join("log");
    let log = File::create(&log_path).context("make the build's log")?;
    let started = Instant::now();
    eprintln!("{label}: building");
    let flags = [
        "build",
        "-mod=readonly",
        "-trimpath",
        "-ldflags",
        LDFLAGS,
        "-o",
    ];
    let mut command = go(module, flags);
    command
        .arg(&partial)
        .arg(package)
        .stdout(Stdio::null())
        .stderr(log);
    let mut child = group.spawn(&mut command)?;
    let mut told = started;
    let status = loop {
        if let Some(status) = child.try_wait().context("wait for go build")? {
            break status;
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            eprintln!("{label}: {} s", started.elapsed().as_secs());
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    if !status.success() {
        let log = fs::read_to_string(&log_path).unwrap_or_default();
        bail!(
            "go build {package} failed ({status}):\n{}\n{WAYS_OUT}",
            log.trim()
        );
    }
    fs::rename(&partial, dir.join(name)).with_context(|| format!("put {name} into the cache"))?;
    eprintln!("{label}: built in {} s", started.elapsed().as_secs());
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;

    #[test]
    fn a_go_version_is_read_up_to_its_minor_number() {
        assert_eq!(parse_go_version("go1.26.8"), Some((1, 26)));
        assert_eq!(parse_go_version("go1.27rc1"), Some((1, 27)));
        assert_eq!(parse_go_version("devel +abc"), None);
    }

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
