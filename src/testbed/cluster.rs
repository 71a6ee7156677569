//! A control plane that stays until it is told to go: for `make cluster`.
//!
//! Its folder tells what it is: `kubeconfig`, `bin/` (links to the programs), `pids` (a name and a
//! pid a line) and logs. A folder without `pids` is nobody's cluster and is never removed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::binaries::program_names;
use crate::bring_up::{Launch, bring_up};
use crate::control_plane::{Options, find_programs};
use crate::layout::{Layout, Program};
use crate::node;
use crate::process::{Running, command};

/// Where a cluster's files are.
#[derive(Debug, Clone)]
pub struct Cluster {
    dir: PathBuf,
}

/// What [`Cluster::up`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing: the cluster is new.
    Nothing,
    /// It ran already and was left as it is.
    Running,
}

impl Cluster {
    /// The admin's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// containerd's socket, if the cluster has a node.
    pub fn node_socket(&self) -> Option<PathBuf> {
        Some(node::socket(&self.dir)).filter(|socket| socket.exists())
    }

    /// Links to the programs that are of use to hands.
    pub fn bin_dir(&self) -> PathBuf {
        self.dir.join("bin")
    }

    /// Starts a cluster in `dir`, unless one runs there. What it leaves running is in sessions of
    /// its own and holds none of the caller's files.
    ///
    /// With `node`, it has a node that runs pods; a cluster that runs without one isn't given one.
    ///
    /// `launcher` is a command that makes a session and then becomes the program whose path and
    /// arguments follow it.
    ///
    /// # Errors
    /// The folder has other things in it, or the start failed; then nothing is left running.
    pub async fn up(dir: &Path, node: bool, launcher: &[OsString]) -> Result<(Self, Found)> {
        fs::create_dir_all(dir).with_context(|| format!("make the folder {}", dir.display()))?;
        let dir = dir
            .canonicalize()
            .with_context(|| format!("resolve {}", dir.display()))?;
        let cluster = Self { dir };
        let _lock = cluster.lock()?;
        let recorded = cluster.recorded()?;
        if !recorded.is_empty() && recorded.iter().all(|(_, pid)| cluster.owns(*pid)) {
            if node && !recorded.iter().any(|(name, _)| name == "node") {
                bail!(
                    "a control plane without a node runs in {}: end it first",
                    cluster.dir.display()
                );
            }
            return Ok((cluster, Found::Running));
        }
        cluster.clear()?;
        let launch = Detached::new(&cluster, launcher);
        let started = cluster.start(node, &launch).await;
        if started.is_ok() {
            launch.keep();
        }
        drop(launch); // ends what a failed start has left
        started.map(|()| (cluster, Found::Nothing))
    }

    /// Ends the cluster in `dir` and removes the folder. False if there was none.
    ///
    /// # Errors
    /// The folder isn't a cluster's, or a process couldn't be ended.
    pub fn down(dir: &Path) -> Result<bool> {
        let Ok(dir) = dir.canonicalize() else {
            return Ok(false);
        };
        let cluster = Self { dir };
        let _lock = cluster.lock()?;
        cluster.clear()?;
        fs::remove_dir(&cluster.dir)
            .with_context(|| format!("remove {}", cluster.dir.display()))?;
        Ok(true)
    }

    async fn start(&self, node: bool, launch: &Detached<'_>) -> Result<()> {
        let (binaries, node) = find_programs(node).await?;
        self.write_pids("")?; // from now on the folder is ours
        fs::create_dir(self.bin_dir()).context("make the folder bin")?;
        let of_node = node.iter().map(|node| ("ctr", node.program("ctr")));
        let programs = program_names().map(|name| (name, binaries.program(name)));
        for (name, path) in programs.chain(of_node) {
            symlink(path, self.bin_dir().join(name)).with_context(|| format!("link {name}"))?;
        }
        let options = Options {
            node: node.is_some(),
            ..Options::durable()
        };
        let layout = Layout::create(&self.dir, binaries, node, options)?;
        bring_up(&layout, launch).await
    }

    /// Ends the recorded processes and empties the folder.
    fn clear(&self) -> Result<()> {
        let empty = fs::read_dir(&self.dir)
            .with_context(|| format!("read {}", self.dir.display()))?
            .next()
            .is_none();
        if empty {
            return Ok(());
        }
        if !self.pids_file().is_file() {
            bail!(
                "{} has files and isn't a cluster's folder",
                self.dir.display()
            );
        }
        for (name, pid) in self.recorded()? {
            self.end(&name, pid)?;
        }
        node::clean_up(&self.dir)?;
        for entry in fs::read_dir(&self.dir).context("read the cluster's folder")? {
            let path = entry.context("read the cluster's folder")?.path();
            let removed = if path.is_dir() && !path.is_symlink() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.with_context(|| format!("remove {}", path.display()))?;
        }
        Ok(())
    }

    /// Two calls on one folder take turns.
    fn lock(&self) -> Result<File> {
        let file = File::open(&self.dir)?;
        file.lock()
            .with_context(|| format!("lock {}", self.dir.display()))?;
        Ok(file)
    }

    fn pids_file(&self) -> PathBuf {
        self.dir.join("pids")
    }

    fn write_pids(&self, lines: &str) -> Result<()> {
        fs::write(self.pids_file(), lines).context("write the list of pids")
    }

    fn recorded(&self) -> Result<Vec<(String, Pid)>> {
        if !self.pids_file().is_file() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(self.pids_file()).context("read the list of pids")?;
        Ok(text.lines().filter_map(parse_pid_line).collect())
    }

    /// Whether the process is one of this cluster's: pids are used again, but each of ours has
    /// this folder in its arguments.
    fn owns(&self, pid: Pid) -> bool {
        let arguments =
            fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        let dir = format!("{}/", self.dir.display());
        String::from_utf8_lossy(&arguments).contains(&dir)
    }

    fn end(&self, name: &str, pid: Pid) -> Result<()> {
        const DEADLINE: Duration = Duration::from_secs(5);
        let started = Instant::now();
        while self.owns(pid) {
            if started.elapsed() > DEADLINE {
                bail!("{name} ({}) doesn't end", pid.as_raw_nonzero());
            }
            // Its data goes too, so that nothing is lost by not asking politely.
            let _gone = kill_process(pid, Signal::KILL);
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Starts programs that stay. Until [`Detached::keep`], a drop ends them again.
#[derive(Debug)]
struct Detached<'a> {
    cluster: &'a Cluster,
    launcher: &'a [OsString],
    running: Running,
}

impl<'a> Detached<'a> {
    fn new(cluster: &'a Cluster, launcher: &'a [OsString]) -> Self {
        Self {
            cluster,
            launcher,
            running: Running::default(),
        }
    }

    fn keep(&self) {
        self.running.forget_all();
    }
}

impl Launch for Detached<'_> {
    fn launch(&self, program: Program) -> Result<()> {
        let (first, rest) = self
            .launcher
            .split_first()
            .context("no launcher was given")?;
        let name = program.name;
        let child = command(first, &program.log)?
            .args(rest)
            .arg(&program.path)
            .args(&program.args)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let pid = child.id();
        self.running.add(program, child);
        let so_far =
            fs::read_to_string(self.cluster.pids_file()).context("read the list of pids")?;
        self.cluster.write_pids(&format!("{so_far}{name} {pid}\n"))
    }

    fn check(&self) -> Result<()> {
        self.running.check()
    }
}

impl Drop for Detached<'_> {
    fn drop(&mut self) {
        self.running.end_all();
        // What goes wrong here is told by the next who clears the folder.
        let _later = node::clean_up(&self.cluster.dir);
    }
}

fn parse_pid_line(line: &str) -> Option<(String, Pid)> {
    let (name, pid) = line.split_once(' ')?;
    Some((name.to_owned(), Pid::from_raw(pid.parse().ok()?)?))
}
