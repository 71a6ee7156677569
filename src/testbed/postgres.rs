//! A real PostgreSQL server on loopback, with a database of its own in a folder of its own.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::left_out::{Wanted, left_out};
use crate::ports::free_port;
use crate::process::Group;

/// Where Debian has its servers, a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Where others have one.
const OTHERS: [&str; 2] = ["/usr/local/bin", "/usr/bin"];
/// What is needed of it.
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "psql"];
/// The database's own user, and a database, whoever runs it.
const ADMIN: &str = "postgres";

/// Ready in less than a second on an idle machine.
const START_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A PostgreSQL server that ends, and whose data goes, with this value and in any case with its
/// process. It has Debian's defaults, so that a commit is on the disk. All of this blocks.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    user: Option<u32>,
    port: u16,
    server: Option<Child>,
    dir: TempDir, // dropped, and so removed, before the watchdog is let go
    group: Group,
}

impl Postgres {
    /// Starts one and waits until it answers. `None`, and a word on stderr, where none is installed.
    ///
    /// # Errors
    /// It can't be started, or doesn't answer in time.
    pub fn start() -> Result<Option<Self>> {
        // Nobody measures it: it need not be on the disk before it starts.
        Self::start_in(&std::env::temp_dir(), &["--no-sync"])
    }

    /// As [`Self::start`], with its data below `parent`, and all of it on the disk at the start.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_below(parent: &Path) -> Result<Option<Self>> {
        Self::start_in(parent, &[])
    }

    fn start_in(parent: &Path, initdb: &[&str]) -> Result<Option<Self>> {
        let Some(programs) = programs() else {
            let why = "there is no PostgreSQL server (Debian: postgresql)";
            left_out(Wanted::PostgreSql, why);
            return Ok(None);
        };
        // Absolute: the server has another working directory.
        let parent = fs::canonicalize(parent).context("look for the folder")?;
        let dir = tempfile::Builder::new()
            .prefix("countersign-postgres-")
            .tempdir_in(parent)
            .context("make a temporary folder")?;
        let user = user()?;
        chown(dir.path(), user, None).context("give the folder away")?;
        let mut postgres = Self {
            programs,
            user,
            port: free_port()?,
            server: None,
            group: Group::start(dir.path())?,
            dir,
        };
        postgres.initialise(initdb)?;
        postgres.up()?;
        Ok(Some(postgres))
    }

    /// The URL of its first database.
    pub fn url(&self) -> String {
        self.url_of(ADMIN)
    }

    /// The URL of a new, empty database.
    ///
    /// # Errors
    /// It can't be made.
    pub fn database(&self, name: &str) -> Result<String> {
        self.sql(&format!("CREATE DATABASE {name}"))?;
        Ok(self.url_of(name))
    }

    /// Runs a statement in the first database.
    ///
    /// # Errors
    /// It fails: with what the server says.
    pub fn sql(&self, statement: &str) -> Result<()> {
        let done = self
            .command("psql")
            .args(["-qX", "-U", ADMIN, "-h", "127.0.0.1", "-p"])
            .arg(self.port.to_string())
            .args(["-c", statement, ADMIN])
            .output()
            .context("start psql")?;
        if !done.status.success() {
            bail!("{statement}: {}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(())
    }

    /// Starts it again after [`Self::down`], and waits until it answers.
    ///
    /// # Errors
    /// It can't be started, or doesn't answer in time.
    pub fn up(&mut self) -> Result<()> {
        let mut command = self.command("postgres");
        command
            .args(["-D", "data", "-k", ".", "-h", "127.0.0.1", "-p"])
            .arg(self.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.server = Some(self.group.spawn(&mut command)?);
        let deadline = Instant::now() + START_WITHIN;
        while let Err(why) = self.sql("SELECT 1") {
            if Instant::now() > deadline {
                return Err(why).context("PostgreSQL doesn't start");
            }
            sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Ends it, as if its machine had failed.
    ///
    /// # Errors
    /// It can't be waited for.
    pub fn down(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            signal(server.id(), Signal::QUIT)?;
            server.wait().context("wait for PostgreSQL's end")?;
        }
        Ok(())
    }

    /// Breaks every connection; the server is there all the time.
    ///
    /// # Errors
    /// They can't be broken.
    pub fn break_connections(&self) -> Result<()> {
        self.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
        )
    }

    /// It answers nothing any more, and no connection breaks.
    ///
    /// # Errors
    /// It isn't there, or its processes can't be seen.
    pub fn hang(&self) -> Result<()> {
        for pid in self.processes()? {
            // Each has a group of its own, and one that hangs doesn't see that its parent has ended.
            self.group.watch(Some(pid))?;
            signal(pid, Signal::STOP)?;
        }
        Ok(())
    }

    /// It goes on after [`Self::hang`].
    ///
    /// # Errors
    /// As for [`Self::hang`].
    pub fn wake(&self) -> Result<()> {
        for pid in self.processes()? {
            signal(pid, Signal::CONT)?;
        }
        self.group.watch(None)
    }

    /// The server's process, and then its children.
    fn processes(&self) -> Result<Vec<u32>> {
        let server = self.server.as_ref().context("PostgreSQL is down")?.id();
        let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children"))
            .context("look for PostgreSQL's processes")?;
        let children = children.split_whitespace().map(str::parse);
        let all: Result<Vec<u32>, _> = [Ok(server)].into_iter().chain(children).collect();
        all.context("the pid of a process")
    }

    fn initialise(&self, more: &[&str]) -> Result<()> {
        let mut command = self.command("initdb");
        command
            .args(["-A", "trust", "-U", ADMIN, "-E", "UTF8", "-D", "data"])
            // The order of texts is no matter of who runs this.
            .arg("--no-locale")
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let made = self.group.spawn(&mut command)?.wait_with_output();
        let made = made.context("wait for initdb")?;
        if !made.status.success() {
            bail!("initdb: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.dir.path());
        if let Some(user) = self.user {
            command.uid(user);
        }
        command
    }

    fn url_of(&self, database: &str) -> String {
        let (host, port) = (Ipv4Addr::LOCALHOST, self.port);
        format!("postgres://{ADMIN}@{host}:{port}/{database}")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Errors mean that it is gone already; what isn't ends with the group.
        let _awake = self.server.is_some().then(|| self.wake());
        let _gone = self.down();
    }
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // One of its processes may have ended meanwhile.
    let _gone = kill_process(pid.context("a pid")?, signal);
    Ok(())
}

/// The folder of the newest server's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let number = |it: &PathBuf| it.file_name()?.to_str()?.parse::<u32>().ok();
    let mut versions: Vec<_> = versions.map(|it| it.path()).collect();
    versions.sort_by_key(number);
    let debian = versions.into_iter().rev().map(|it| it.join("bin"));
    let all = |it: &PathBuf| PROGRAMS.iter().all(|program| it.join(program).exists());
    debian.chain(OTHERS.map(PathBuf::from)).find(all)
}

/// PostgreSQL refuses to run as root: then this user.
fn user() -> Result<Option<u32>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").context("read the users")?;
    let id = |name: &&str| -> Option<u32> {
        let line = users.lines().find(|it| it.starts_with(*name))?;
        line.split(':').nth(2)?.parse().ok()
    };
    let user = ["postgres:", "nobody:"].iter().find_map(id);
    Ok(Some(user.context("no user but root")?))
}
