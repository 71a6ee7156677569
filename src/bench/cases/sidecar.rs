//! From the start of the sidecar's process to a certificate in the hands of its pod's containers: by the
//! Workload API, and as files. Each start is another pod's, whose identity is ready.
//!
//! Beside it what nobody can do without: the same program started and ended, a key, a handshake with the
//! endpoint and one call.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use countersign_authority::Bundle;
use spiffe::WorkloadApiClient;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::Leashed;
use super::statistics::percentile;
use crate::bed::{Bed, Programs};
use crate::issuing::{Issuing, published_bundle, request, until_issued};
use crate::objects::TRUST_DOMAIN;
use crate::pods::{Pod, with_identities};
use crate::progress;
use crate::results::Entry;
use crate::writer::names;

/// The first few bring the program into the machine's memory and aren't counted.
const WARM_UP: usize = 3;
/// Between two starts, so that each finds everybody at rest.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two looks whether something is there.
const EVERY: Duration = Duration::from_millis(1);
/// Longer than a start may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a start may take, in milliseconds.
const GOAL: f64 = 300.0;

const BARE: &str = "the program's bare start, a key, a handshake, a call";

/// A sidecar with the folder that it has in a pod. Ends with the value.
struct Sidecar {
    started: Instant,
    process: Leashed,
    folder: TempDir,
}

/// Milliseconds of one start.
#[derive(Debug, Clone, Copy)]
struct Took {
    served: f64,
    written: f64,
    bare: f64,
}

pub(super) async fn run(programs: &Programs, quick: bool) -> Result<Vec<Entry>> {
    let count = if quick { 10 } else { 100 };
    let bed = Bed::make(programs).await?;
    let operator = bed.operator(programs).await?;
    let issuing = Issuing::start(programs, &bed, &[])?;
    let pods = with_identities(&bed, names("sidecar", WARM_UP + count)).await?;
    let bundle = published_bundle(&bed).await?;
    let client = issuing.connect(&bundle).await?;
    let first = pods.first().context("a pod")?;
    until_issued(&client, &first.token, &request()?, &bundle).await?;
    progress(&format!("sidecar: {count} starts one by one"));
    let mut took = Vec::new();
    for pod in &pods {
        took.push(one(programs, &issuing, &bundle, pod).await?);
        sleep(PAUSE).await;
    }
    issuing.check()?;
    operator.stop().await?;
    let took = took.split_off(WARM_UP);
    let of = |which: fn(&Took) -> f64| took.iter().map(which).collect::<Vec<_>>();
    let (served, written, bare) = (of(|it| it.served), of(|it| it.written), of(|it| it.bare));
    let mut entries = Vec::new();
    for (what, times) in [("served on its socket", served), ("in files", written)] {
        for percent in [50, 99] {
            let name = format!("sidecar's start to a certificate {what}, p{percent}");
            let entry = Entry::new(&name, percentile(times.clone(), percent), "ms")
                .against(BARE, percentile(bare.clone(), percent));
            entries.push(entry.at_most(GOAL));
        }
    }
    Ok(entries)
}

async fn one(programs: &Programs, issuing: &Issuing, bundle: &Bundle, pod: &Pod) -> Result<Took> {
    let sidecar = Sidecar::start(programs, issuing, bundle, pod)?;
    let both = async { tokio::try_join!(sidecar.served(pod), sidecar.written()) };
    let (served, written) = match timeout(PATIENCE, both).await {
        Ok(both) => both?,
        Err(_) => {
            let log = sidecar.process.log_end();
            anyhow::bail!("no certificate within {PATIENCE:?}:\n{log}")
        }
    };
    drop(sidecar);
    let bare = bare(programs, issuing, bundle, pod).await?;
    Ok(Took {
        served,
        written,
        bare,
    })
}

impl Sidecar {
    fn start(programs: &Programs, issuing: &Issuing, bundle: &Bundle, pod: &Pod) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("bundle.crt"), bundle.pem())?;
        std::fs::write(path("token"), &pod.token)?;
        let flag = |name: &str, file: &str| format!("--{name}={}", path(file).display());
        let arguments = [
            "agent".to_owned(),
            format!("--issuer=https://{}", issuing.address()),
            format!("--trust-domain={TRUST_DOMAIN}"),
            "--health-listen=none".to_owned(),
            flag("trust-bundle", "bundle.crt"),
            flag("token", "token"),
            flag("socket", "agent.sock"),
            flag("files", "tls"),
        ];
        let started = Instant::now();
        let process = Leashed::start(programs.operator(), &arguments, &[], &path("log"))?;
        Ok(Self {
            started,
            process,
            folder,
        })
    }

    /// Until a program in the pod has it by the Workload API.
    async fn served(&self, pod: &Pod) -> Result<f64> {
        let socket = self.folder.path().join("agent.sock");
        until_there(&socket).await;
        let client = WorkloadApiClient::connect_to(format!("unix://{}", socket.display())).await?;
        let svid = client.fetch_x509_svid().await?;
        let took = self.elapsed();
        let id = svid.spiffe_id().to_string();
        ensure!(id.contains(&pod.name), "another's: {id}");
        Ok(took)
    }

    /// Until all of it is there as files: the last one is the roots'.
    async fn written(&self) -> Result<f64> {
        until_there(&self.folder.path().join("tls").join("ca.crt")).await;
        Ok(self.elapsed())
    }

    fn elapsed(&self) -> f64 {
        milliseconds(self.started)
    }
}

async fn until_there(path: &Path) {
    while !path.exists() {
        sleep(EVERY).await;
    }
}

async fn bare(programs: &Programs, issuing: &Issuing, bundle: &Bundle, pod: &Pod) -> Result<f64> {
    let started = Instant::now();
    let ended = Command::new(programs.operator())
        .arg("--version")
        .stdout(Stdio::null())
        .status()?;
    ensure!(ended.success(), "--version: {ended}");
    let request = request()?;
    let mut client = issuing.try_connect(bundle).await?;
    client.issue_x509(&pod.token, request).await?;
    Ok(milliseconds(started))
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
