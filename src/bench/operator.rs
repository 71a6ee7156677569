//! The operator as a process of its own.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::bed::{Bed, Programs};
use crate::objects::{NAMESPACE, SYSTEM};

/// A running operator. Ends with the value, at the latest.
pub(crate) struct Operator {
    child: Child,
    pid: Pid,
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) peak: u64,
}

impl Operator {
    /// Starts it against the bed's control plane; doesn't wait for anything. Bundles and revocation
    /// lists are served at `publish`, if at all.
    pub(crate) fn start(
        programs: &Programs,
        bed: &Bed,
        publish: Option<SocketAddr>,
    ) -> Result<Self> {
        let publish = publish.map_or_else(|| "none".to_owned(), |it| it.to_string());
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(programs.operator_log())
            .context("open the operator's log")?;
        let child = Command::new(programs.operator())
            .arg("run")
            .arg(format!("--namespace={SYSTEM}"))
            .arg(format!("--secret-namespaces={NAMESPACE}"))
            .arg("--issuing")
            .arg("--metrics-listen=127.0.0.1:0")
            .arg(format!("--publish-listen={publish}"))
            .arg(format!("--audit=sqlite:{}", bed.audit_log().display()))
            .env("KUBECONFIG", bed.kubeconfig())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", programs.operator().display()))?;
        let id = child.id().context("the operator ended at once")?;
        bed.end_with_us(id)?;
        let pid = Pid::from_raw(id.try_into()?).context("a pid is not zero")?;
        Ok(Self { child, pid })
    }

    /// Asks it to stop, as Kubernetes does, and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<()> {
        const GRACE: Duration = Duration::from_secs(30); // that of a pod
        kill_process(self.pid, Signal::TERM).context("ask the operator to stop")?;
        match tokio::time::timeout(GRACE, self.child.wait()).await {
            Ok(status) => status.context("wait for the operator").map(|_| ()),
            Err(_) => bail!("the operator didn't stop within {GRACE:?}"),
        }
    }

    /// Fails if it has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the operator ended: {status}"),
            None => Ok(()),
        }
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.pid.as_raw_nonzero());
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        Ok(Memory {
            resident: kilobytes(&status, "VmRSS:")? * 1024,
            peak: kilobytes(&status, "VmHWM:")? * 1024,
        })
    }
}

fn kilobytes(status: &str, key: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number
        .with_context(|| format!("no {key} in the process status"))?
        .parse()
        .context("read the process status")
}
