//! Processes that can't outlive their parent.
//!
//! ```text
//!   parent ══ pipe ═════════════▶ anchor    (cat: holds the group's id, ends with the pipe)
//!      ║ ╚═══ pipe (lifeline) ═══▶ watchdog  (sh: at the pipe's end kills the group, and removes
//!      ║                                      the folder)
//!      ╚ group: anchor, etcd, kube-apiserver, …
//! ```
//!
//! A pipe rather than the kernel's parent-death signal: that one is tied to the parent's thread,
//! and a runtime's worker threads come and go. The kernel closes a pipe however the parent ends.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{PipeWriter, Write as _, pipe};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::layout::Program;

/// Reads until the parent is gone. A line is the pid of one more process to end; an empty one takes
/// all of them back. Kills and removes again and again for a while, since a killed process
/// may still be writing, and since one may have been started in the parent's last moment. A node's
/// control groups are removed too.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
extra=
while read -r line; do extra=${line:+$extra $line}; done
groups=$(cat -- "$2/node/cgroups" 2>/dev/null)
tries=0
while [ $tries -lt 50 ]; do
    kill -s KILL -- "-$1" 2>/dev/null
    for pid in $extra; do kill -s KILL "$pid" 2>/dev/null; done
    extra=
    for group in $groups; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; done
    rm -rf -- "$2" 2>/dev/null
    tries=$((tries + 1))
    [ $tries -ge 5 ] && [ ! -e "$2" ] && exit 0
    sleep 0.1
done
"#;

/// A process group of which nothing survives this value, nor the process that holds it. In the
/// second case the folder given at the start goes with it; in the first it is the owner's to
/// remove, before this value is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    id: Pid,
    anchor: Child,
    watchdog: Child,
    /// Closed by the kernel to tell the watchdog. The only copy: pipes of the standard library are
    /// closed in every program that is executed.
    lifeline: PipeWriter,
}

impl Group {
    /// An empty group whose watchdog removes `dir` at the end.
    pub(crate) fn start(dir: &Path) -> Result<Self> {
        let anchor = Command::new("cat")
            .stdin(Stdio::piped()) // one of its own: it would read what is for the watchdog
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("start the anchor of the process group (cat)")?;
        let id = Pid::from_child(&anchor);
        let (reader, lifeline) = pipe().context("make the lifeline")?;
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "countersign-testbed-watchdog"])
            .arg(id.as_raw_nonzero().to_string())
            .arg(dir)
            .current_dir("/")
            .stdin(reader)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // out of reach of Ctrl-C and of the kill it does itself
            .spawn()
            .context("start the watchdog (sh)")?;
        Ok(Self {
            id,
            anchor,
            watchdog,
            lifeline,
        })
    }

    /// Starts a command in this group.
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<Child> {
        command
            .process_group(self.id.as_raw_nonzero().get())
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))
    }

    /// Lets the watchdog end one more process, which isn't in the group; `None` takes
    /// all of them back.
    pub(crate) fn watch(&self, pid: Option<u32>) -> Result<()> {
        let line = pid.map_or_else(String::new, |pid| pid.to_string());
        writeln!(&self.lifeline, "{line}").context("tell the watchdog")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Errors mean that the process is gone already, which is what is wanted.
        let _gone = kill_process_group(self.id, Signal::KILL);
        let _gone = self.anchor.wait();
        let _gone = self.watchdog.kill(); // no need to wait for its rounds
        let _gone = self.watchdog.wait();
    }
}

/// A command whose output goes to a log and that gets no input.
pub(crate) fn command(program: impl AsRef<OsStr>, log: &Path) -> Result<Command> {
    let log_file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("open {}", log.display()))?;
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(log_file.try_clone().context("copy a log's handle")?)
        .stderr(log_file);
    Ok(command)
}

/// Programs that were started and not yet reaped.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<Vec<(Program, Child)>>);

impl Running {
    pub(crate) fn add(&self, program: Program, child: Child) {
        self.0.lock().push((program, child));
    }

    /// The pid of the program of that name.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        let all = self.0.lock();
        all.iter()
            .find(|(program, _)| program.name == name)
            .map(|(_, child)| child.id())
    }

    /// Kills and reaps the program of that name; nothing if it isn't there.
    pub(crate) fn end(&self, name: &str) {
        self.0.lock().retain_mut(|(program, child)| {
            let other = program.name != name;
            if !other {
                end(child);
            }
            other
        });
    }

    /// Kills and reaps all.
    pub(crate) fn end_all(&self) {
        let mut all = std::mem::take(&mut *self.0.lock());
        for (_, child) in &mut all {
            let _gone = child.kill();
        }
        for (_, child) in &mut all {
            end(child);
        }
    }

    /// Lets all go on without this one's care.
    pub(crate) fn forget_all(&self) {
        self.0.lock().clear(); // a child's drop doesn't end it
    }

    /// An error with the end of the log if one has ended by itself.
    pub(crate) fn check(&self) -> Result<()> {
        for (program, child) in self.0.lock().iter_mut() {
            if let Some(status) = child.try_wait().context("look after a child process")? {
                bail!(
                    "{} ended by itself ({status}):\n{}",
                    program.name,
                    program.log_tail()
                );
            }
        }
        Ok(())
    }
}

/// Kills and reaps.
fn end(child: &mut Child) {
    // Both fail only where it has ended and has been reaped.
    let _gone = child.kill();
    let _gone = child.wait();
}
