//! Where Keycloak comes from: what the user has, the cache, or one download.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::binaries::{cache_folder, lock};

/// The version that is fetched.
pub const KEYCLOAK_VERSION: &str = "26.7.0";

/// The folder of a distribution: `KEYCLOAK`, else the cache
/// (`${XDG_CACHE_HOME:-~/.cache}/countersign/`), else it is fetched by Maven, which takes a minute.
///
/// Blocks.
///
/// # Errors
/// There is none, and none can be had: no Java, no Maven, no unzip or no network.
pub(crate) fn find_or_fetch() -> Result<PathBuf> {
    if Command::new("java")
        .arg("-version")
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
        bail!("Keycloak needs Java 17, and there is no java on PATH");
    }
    if let Some(dir) = env::var_os("KEYCLOAK").filter(|it| !it.is_empty()) {
        let dir = PathBuf::from(dir);
        if is_distribution(&dir) {
            return Ok(dir);
        }
        bail!("KEYCLOAK is {}, which has no bin/kc.sh", dir.display());
    }
    let cache = cache_folder()?;
    let dir = cache.join(format!("keycloak-{KEYCLOAK_VERSION}"));
    if is_distribution(&dir) {
        return Ok(dir);
    }
    fs::create_dir_all(&cache).context("make the cache's folder")?;
    let _lock = lock(&cache.join(".keycloak.lock"), "fetches Keycloak")?;
    if !is_distribution(&dir) {
        fetch(&cache, &dir)?;
    }
    Ok(dir)
}

fn is_distribution(dir: &Path) -> bool {
    dir.join("bin/kc.sh").is_file()
}

/// It writes into its own folder, so each gets one. Returns its program.
pub(crate) fn copy(distribution: &Path, home: &Path) -> Result<PathBuf> {
    let status = Command::new("cp")
        .args(["-r", "--reflink=auto"])
        .arg(distribution)
        .arg(home)
        .status()
        .context("copy Keycloak")?;
    if !status.success() {
        bail!("copying Keycloak failed: {status}");
    }
    Ok(home.join("bin/kc.sh"))
}

fn fetch(cache: &Path, dir: &Path) -> Result<()> {
    let work = tempfile::Builder::new()
        .prefix(".keycloak-")
        .tempdir_in(cache)
        .context("make a scratch folder")?;
    let repository = work.path().join("repository");
    eprintln!(
        "fetching Keycloak {KEYCLOAK_VERSION} once, into {}",
        cache.display()
    );
    let artifact = format!("org.keycloak:keycloak-quarkus-dist:{KEYCLOAK_VERSION}:zip");
    run(Command::new("mvn")
        .args([
            "--batch-mode",
            "--quiet",
            "dependency:get",
            "-Dtransitive=false",
        ])
        .arg(format!("-Dartifact={artifact}"))
        .arg(format!("-Dmaven.repo.local={}", repository.display()))
        .current_dir(work.path()))?;
    let zip = format!(
        "org/keycloak/keycloak-quarkus-dist/{KEYCLOAK_VERSION}/keycloak-quarkus-dist-{KEYCLOAK_VERSION}.zip"
    );
    run(Command::new("unzip")
        .arg("-q")
        .arg(repository.join(zip))
        .arg("-d")
        .arg(work.path()))?;
    let unpacked = work.path().join(format!("keycloak-{KEYCLOAK_VERSION}"));
    fs::rename(unpacked, dir).context("put Keycloak into the cache")
}

fn run(command: &mut Command) -> Result<()> {
    let shown = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {shown}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    bail!(
        "{shown} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&said).trim()
    );
}
