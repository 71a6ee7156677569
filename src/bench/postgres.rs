//! A PostgreSQL server of the bench's own: Debian's, in a folder that is gone afterwards, with its
//! defaults, so that a commit is on the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use sqlx::{AnyConnection, Connection as _};
use tempfile::TempDir;

use crate::published::free_address;

/// Where Debian has its servers, a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The user that Debian's package makes; the server refuses to run as root.
const USER: &str = "postgres";

const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. Ends with the value.
pub(crate) struct Postgres {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Postgres {
    /// Starts one with its data below `out`. `None` where none is installed.
    pub(crate) async fn start(out: &Path) -> Result<Option<Self>> {
        let Some(programs) = programs() else {
            return Ok(None);
        };
        let folder = tempfile::Builder::new()
            .prefix("postgres")
            .tempdir_in(out)?;
        if geteuid().is_root() {
            let done = Command::new("chown")
                .arg(USER)
                .arg(folder.path())
                .status()?;
            ensure!(done.success(), "chown {USER}: {done}");
        }
        let data = fs::canonicalize(folder.path())?.join("data");
        let made = as_user(&programs.join("initdb"))
            .args([
                "--auth=trust",
                "--encoding=UTF8",
                "--no-locale",
                "--username",
            ])
            .arg(USER)
            .arg("--pgdata")
            .arg(&data)
            .current_dir("/")
            .output()
            .context("start initdb")?;
        ensure!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let port = free_address()?.port();
        let child = as_user(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", &format!("port={port}")])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start postgres")?;
        let server = Self {
            child,
            port,
            _folder: folder,
        };
        server.until_ready().await?;
        Ok(Some(server))
    }

    /// The URL of a new, empty database.
    pub(crate) async fn database(&self, name: &'static str) -> Result<String> {
        let mut connection = AnyConnection::connect(&self.url(USER)).await?;
        let sql = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await?;
        Ok(self.url(name))
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    async fn until_ready(&self) -> Result<()> {
        sqlx::any::install_default_drivers();
        let started = Instant::now();
        loop {
            match AnyConnection::connect(&self.url(USER)).await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(why) if started.elapsed() > PATIENCE => bail!("PostgreSQL: {why}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Interrupted, it ends at once and in order.
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let asked = pid.map(|pid| kill_process(pid, Signal::INT));
        if !matches!(asked, Some(Ok(()))) {
            return;
        }
        if let Err(why) = self.child.wait() {
            eprintln!("PostgreSQL didn't end: {why}");
        }
    }
}

/// The folder of the newest server.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).ok()?.filter_map(Result::ok);
    let number = |path: &PathBuf| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    let newest = versions.map(|it| it.path()).max_by_key(number)?;
    let programs = newest.join("bin");
    programs.join("postgres").is_file().then_some(programs)
}

/// A command that isn't run as root, and is told to end when this process' thread does.
fn as_user(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if geteuid().is_root() {
        command
            .arg(format!("--reuid={USER}"))
            .arg(format!("--regid={USER}"))
            .arg("--clear-groups");
    }
    command.arg("--pdeathsig=INT").arg("--").arg(program);
    command
}
