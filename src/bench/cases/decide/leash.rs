//! Processes that end with this one, however it ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a program until its input ends, and says which process it is. The kernel closes the pipe
/// however the harness ends.
const HOLD: &str = r#"
"$@" </dev/null & child=$!
echo $child >&3
exec 3>&-
cat >/dev/null
kill -s KILL $child
wait $child
"#;

/// A running program. Ends with the value.
pub(crate) struct Leashed {
    holder: Child,
    log: PathBuf,
    pid: u32,
}

impl Leashed {
    /// Starts a program whose output goes to `log`, beside which lies the number of its process.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        environment: &[(&str, &Path)],
        log: &Path,
    ) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("open {}", log.display()))?;
        let pid_file = log.with_extension("pid");
        let pid = File::create(&pid_file)?;
        drop(pid);
        let holder = Command::new("sh")
            .arg("-c")
            .arg(format!("exec 3>'{}'\n{HOLD}", pid_file.display()))
            .arg("countersign-bench-leash")
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let mut leashed = Self {
            holder,
            log: log.to_owned(),
            pid: 0,
        };
        leashed.pid = leashed.find(&pid_file)?;
        Ok(leashed)
    }

    /// Fails, with the end of the log, if it has ended.
    pub(crate) fn check(&self) -> Result<()> {
        if Path::new(&format!("/proc/{}", self.pid)).exists() {
            return Ok(());
        }
        bail!("it ended by itself:\n{}", self.log_end())
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        resident(&self.pid.to_string())
    }

    pub(crate) fn log_end(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let skipped = lines.len().saturating_sub(15);
        lines
            .into_iter()
            .skip(skipped)
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn find(&mut self, pid_file: &Path) -> Result<u32> {
        for _ in 0..500 {
            let text = std::fs::read_to_string(pid_file)?;
            if text.ends_with('\n') {
                return text.trim().parse().context("the number of a process");
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        bail!("it didn't start:\n{}", self.log_end())
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _gone = self.holder.wait();
    }
}

/// Resident memory of a process by its number, or `self`, in bytes.
pub(crate) fn resident(process: &str) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    let kilobytes: u64 = number.context("no VmRSS in the process status")?.parse()?;
    Ok(kilobytes * 1024)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;

    #[test]
    fn a_program_ends_with_its_leash() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("sleep.log");
        let sleep = Path::new("sleep");
        let leashed = Leashed::start(sleep, &["1000".to_owned()], &[], &log).unwrap();
        let process = PathBuf::from(format!("/proc/{}", leashed.pid));
        assert!(process.exists());
        leashed.check().unwrap();
        assert!(leashed.resident().unwrap() > 0);
        drop(leashed);
        assert!(!process.exists());
    }
}
