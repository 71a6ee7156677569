//! A real PostgreSQL server, gone with this value.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

use crate::harness::PATIENCE;

/// One server with a database of its own.
pub(super) struct Server {
    programs: PathBuf,
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// `None`, and a word on it, where there is no PostgreSQL.
    pub(super) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("SKIPPED: there is no PostgreSQL server (Debian: postgresql)");
            return None;
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let dir = TempDir::new().unwrap();
        chown(dir.path(), user(), None).unwrap();
        let mut server = Self {
            programs,
            dir,
            port,
            child: None,
        };
        let made = server
            .command("initdb")
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "-D", "data"])
            .arg("--no-sync")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        drop(listener);
        server.up();
        Some(server)
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts it and waits until it answers.
    pub(super) fn up(&mut self) {
        let child = self
            .command("postgres")
            .args(["-D", "data", "-k", ".", "-h", "127.0.0.1", "-p"])
            .arg(self.port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
        let begun = Instant::now();
        while !self.sql("SELECT 1") {
            assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As if its machine had failed.
    pub(super) fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(child.id(), Signal::QUIT);
            child.wait().unwrap();
        }
    }

    /// Runs a statement; did it work?
    pub(super) fn sql(&self, statement: &str) -> bool {
        let done = self
            .command("psql")
            .args(["-qX", "-U", "postgres", "-h", "127.0.0.1", "-p"])
            .arg(self.port.to_string())
            .args(["-c", statement, "postgres"])
            .output();
        done.unwrap().status.success()
    }

    /// Every connection breaks, and the server is there all the time.
    pub(super) fn break_connections(&self) {
        let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
        assert!(self.sql(all));
    }

    /// It answers nothing any more, and no connection breaks.
    pub(super) fn hang(&self) {
        self.signal_all(Signal::STOP);
    }

    pub(super) fn wake(&self) {
        self.signal_all(Signal::CONT);
    }

    fn signal_all(&self, sent: Signal) {
        let main = self.child.as_ref().unwrap().id();
        let children = format!("/proc/{main}/task/{main}/children");
        let children = std::fs::read_to_string(children).unwrap();
        signal(main, sent);
        for child in children.split_whitespace() {
            signal(child.parse().unwrap(), sent);
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.dir.path());
        if let Some(user) = user() {
            command.uid(user);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.wake();
        }
        self.down();
    }
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // One of its processes may have ended meanwhile.
    let _gone = kill_process(pid, signal);
}

/// Where Debian has the newest server's programs, or wherever others have them.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok();
    let versions = versions.into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = versions.map(|it| it.path().join("bin")).collect();
    places.sort();
    let others = ["/usr/local/bin", "/usr/bin"].map(PathBuf::from);
    let all = |it: &PathBuf| {
        let wanted = ["initdb", "postgres", "psql"];
        wanted.iter().all(|program| it.join(program).exists())
    };
    places.into_iter().rev().chain(others).find(all)
}

/// PostgreSQL refuses to run as root: then this user.
fn user() -> Option<u32> {
    if !getuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    ["postgres:", "nobody:"].iter().find_map(|name| {
        let line = users.lines().find(|it| it.starts_with(name))?;
        line.split(':').nth(2)?.parse().ok()
    })
}
