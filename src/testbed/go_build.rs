//! Go programs that are built once, from modules of our own that pin them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::Group;

/// The oldest Go that builds what we pin: major and minor.
const OLDEST_GO: (u32, u32) = (1, 26);

/// Programs that are pinned together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Module {
    pub(crate) go_mod: &'static str,
    pub(crate) go_sum: &'static str,
    /// The same flags everywhere, or Go's build cache is of no use from one build to the next.
    pub(crate) ldflags: &'static str,
    /// Name of each program and the Go package it is built from, in the order of building.
    pub(crate) programs: &'static [(&'static str, &'static str)],
}

/// What is built, in words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose {
    /// As in "Go is needed to build …".
    pub(crate) what: &'static str,
    /// As in "building … once".
    pub(crate) exactly: &'static str,
    /// What a user can do where it can't be built.
    pub(crate) ways_out: &'static str,
}

/// The programs of all modules that `dir` lacks.
pub(crate) fn missing(modules: &[Module], dir: &Path) -> Vec<&'static str> {
    let names = modules.iter().flat_map(|module| module.programs);
    names
        .map(|(name, _)| *name)
        .filter(|name| !dir.join(name).is_file())
        .collect()
}

/// Builds what `dir` lacks into it and tells the progress on stderr.
///
/// # Errors
/// Go is missing, too old or fails.
pub(crate) fn build_missing(modules: &[Module], purpose: &Purpose, dir: &Path) -> Result<()> {
    let missing = missing(modules, dir);
    if missing.is_empty() {
        return Ok(()); // built by the one we waited for
    }
    eprintln!("building {} once, into {}", purpose.exactly, dir.display());
    let of = modules.iter().map(|module| module.programs.len()).sum();
    let mut count = Count { before: 0, of };
    for module in modules {
        if module
            .programs
            .iter()
            .any(|(name, _)| missing.contains(name))
        {
            build_module(module, purpose, dir, &missing, count)?;
        }
        count.before += module.programs.len();
    }
    Ok(())
}

/// Where a module's programs are among all.
#[derive(Debug, Clone, Copy)]
struct Count {
    before: usize,
    of: usize,
}

fn build_module(
    module: &Module,
    purpose: &Purpose,
    dir: &Path,
    missing: &[&str],
    count: Count,
) -> Result<()> {
    let scratch = tempfile::Builder::new()
        .prefix(".module-")
        .tempdir_in(dir)
        .context("make a scratch folder")?;
    // A build that nobody waits for any more must not go on: it takes all cores for minutes.
    let group = Group::start(scratch.path())?;
    fs::write(scratch.path().join("go.mod"), module.go_mod).context("write go.mod")?;
    fs::write(scratch.path().join("go.sum"), module.go_sum).context("write go.sum")?;
    check_go(scratch.path(), purpose)?;
    for (index, (name, package)) in module.programs.iter().enumerate() {
        if missing.contains(name) {
            let build = Build {
                name,
                package,
                label: &format!("[{}/{}] {name}", count.before + index + 1, count.of),
                ldflags: module.ldflags,
                ways_out: purpose.ways_out,
            };
            build.run(&group, scratch.path(), dir)?;
        }
    }
    drop(scratch); // while the watchdog is still there to do it in our place
    drop(group);
    Ok(())
}

/// One program's.
#[derive(Debug)]
struct Build<'a> {
    name: &'a str,
    package: &'a str,
    label: &'a str,
    ldflags: &'a str,
    ways_out: &'a str,
}

impl Build<'_> {
    /// Builds beside the target and renames, so that a half-written program is never found.
    fn run(&self, group: &Group, module: &Path, dir: &Path) -> Result<()> {
        const TELL_EVERY: Duration = Duration::from_secs(5);
        let Self {
            name,
            package,
            label,
            ldflags,
            ways_out,
        } = self;
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
            ldflags,
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
                "go build {package} failed ({status}):\n{}\n{ways_out}",
                log.trim()
            );
        }
        fs::rename(&partial, dir.join(name))
            .with_context(|| format!("put {name} into the cache"))?;
        eprintln!("{label}: built in {} s", started.elapsed().as_secs());
        Ok(())
    }
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
fn check_go(module: &Path, purpose: &Purpose) -> Result<()> {
    let Purpose { what, ways_out, .. } = purpose;
    let output = match go(module, ["env", "GOVERSION"]).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("Go is needed to build {what} and isn't on PATH; {ways_out}")
        }
        other => other.context("run go env GOVERSION")?,
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("this Go can't build {what}: {why}; {ways_out}");
    }
    match parse_go_version(&version) {
        Some(found) if found < OLDEST_GO => bail!(
            "{version} is too old to build {what}, which needs Go {}.{}; {ways_out}",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_version_is_read_up_to_its_minor_number() {
        assert_eq!(parse_go_version("go1.26.8"), Some((1, 26)));
        assert_eq!(parse_go_version("go1.27rc1"), Some((1, 27)));
        assert_eq!(parse_go_version("devel +abc"), None);
    }
}
