//! A real PostgreSQL server of its own, gone with this.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

pub(super) struct Server {
    programs: PathBuf,
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// `None` where there is no PostgreSQL.
    pub(super) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!(
                "SKIPPED: there is no PostgreSQL server (initdb, postgres, pg_isready) on this machine"
            );
            return None;
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let dir = TempDir::new().unwrap();
        if let Some(user) = user() {
            chown(dir.path(), Some(user), None).unwrap();
        }
        let mut server = Self {
            programs,
            dir,
            port,
            child: None,
        };
        let output = server
            .command("initdb")
            .args([
                "-A",
                "trust",
                "-U",
                "postgres",
                "--no-sync",
                "-E",
                "UTF8",
                "-D",
                "data",
            ])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        drop(listener);
        server.up();
        Some(server)
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub(super) fn up(&mut self) {
        let child = self
            .command("postgres")
            .args(["-D", "data", "-k", ".", "-h", "127.0.0.1", "-p"])
            .arg(self.port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        for _ in 0..400 {
            let ready = self
                .command("pg_isready")
                .args(["-q", "-h", "127.0.0.1", "-p"])
                .arg(self.port.to_string())
                .status();
            if ready.is_ok_and(|it| it.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("PostgreSQL did not start");
    }

    /// As if its machine had failed.
    pub(super) fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = Pid::from_child(&child);
            kill_process(pid, Signal::QUIT).unwrap();
            child.wait().unwrap();
        }
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err());
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
        self.down();
    }
}

/// Where `initdb` and `postgres` are.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut places: Vec<PathBuf> = versions
        .filter_map(|it| Some(it.ok()?.path().join("bin")))
        .collect();
    places.sort();
    let all = |it: &PathBuf| {
        ["initdb", "postgres", "pg_isready"]
            .iter()
            .all(|program| it.join(program).exists())
    };
    let others = ["/usr/local/bin", "/usr/bin"].map(PathBuf::from);
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
