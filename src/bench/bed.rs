//! A new control plane for each half of a benchmark, with the kinds, a trust domain and an owner.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use countersign_testbed::{ControlPlane, Options};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use crate::api::Api;
use crate::objects::{BEFORE, Delivery, Task, identities, identity, task, tasks, trust_domain};
use crate::operator::Operator;
use crate::sight::Sight;

/// How many tasks are made or ended at a time: about where the API server does most.
const TASK_WRITERS: usize = 64;

/// What is measured, and where its traces go.
#[derive(Debug)]
pub(crate) struct Programs {
    operator: PathBuf,
    crds: PathBuf,
    peers: PathBuf,
    opa: PathBuf,
    spire: PathBuf,
    out: PathBuf,
}

/// A control plane with everything in it but identities.
pub(crate) struct Bed {
    plane: ControlPlane,
    api: Api,
}

impl Programs {
    pub(crate) fn find(
        operator: &Path,
        crds: &Path,
        peers: &Path,
        opa: &Path,
        spire: &Path,
        out: &Path,
    ) -> Result<Self> {
        ensure!(
            operator.is_file(),
            "there is no {}: cargo build --release",
            operator.display()
        );
        fs::create_dir_all(out).with_context(|| format!("make the folder {}", out.display()))?;
        Ok(Self {
            operator: operator.to_owned(),
            crds: crds.to_owned(),
            peers: peers.to_owned(),
            opa: opa.to_owned(),
            spire: spire.to_owned(),
            out: out.to_owned(),
        })
    }

    pub(crate) fn operator(&self) -> &Path {
        &self.operator
    }

    /// Other people's chain verifiers; there only where they were built.
    pub(crate) fn peers(&self) -> &Path {
        &self.peers
    }

    /// OPA; there only where it was built.
    pub(crate) fn opa(&self) -> &Path {
        &self.opa
    }

    /// SPIRE's server; there only where it was built.
    pub(crate) fn spire(&self) -> &Path {
        &self.spire
    }

    /// Where files may be written that are measured: on the disk of the build.
    pub(crate) fn out(&self) -> &Path {
        &self.out
    }

    pub(crate) fn operator_log(&self) -> PathBuf {
        self.out.join("operator.log")
    }
}

impl Bed {
    pub(crate) async fn make(programs: &Programs) -> Result<Self> {
        Self::make_on(programs, Options::durable()).await
    }

    /// One whose API server knows what a node may, as that of a cluster with nodes does.
    pub(crate) async fn with_nodes(programs: &Programs) -> Result<Self> {
        let options = Options {
            // Beside RBAC, which is on already.
            api_server_args: vec![
                "--authorization-mode=Node".to_owned(),
                "--enable-admission-plugins=NodeRestriction".to_owned(),
            ],
            ..Options::durable()
        };
        Self::make_on(programs, options).await
    }

    async fn make_on(programs: &Programs, options: Options) -> Result<Self> {
        let plane = ControlPlane::start(options).await?;
        let api = Api::new(plane.client().await?);
        let crds = programs.crds.to_str().context("the path of crds/")?;
        plane
            .kubectl(&["apply", "--server-side", "-f", crds])
            .await?;
        let bed = Self { plane, api };
        bed.before().await?;
        bed.until_stamped().await?;
        Ok(bed)
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// As the kubelet of this node.
    pub(crate) fn node(&self, name: &str) -> Result<Api> {
        let mut config = self.plane.config()?;
        config.auth_info.impersonate = Some(format!("system:node:{name}"));
        config.auth_info.impersonate_groups = Some(vec!["system:nodes".to_owned()]);
        Ok(Api::new(kube::Client::try_from(config)?))
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.plane.kubeconfig()
    }

    /// Where the operator's audit log is.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.plane.dir().join("audit.db")
    }

    /// Has a process ended if this one dies before it.
    pub(crate) fn end_with_us(&self, pid: u32) -> Result<()> {
        self.plane.watch(Some(pid))
    }

    /// Starts the operator and waits until it can issue.
    pub(crate) async fn operator(&self, programs: &Programs) -> Result<Operator> {
        self.start(programs, None).await
    }

    /// As [`Self::operator`], with bundles and revocation lists served at this address.
    pub(crate) async fn publishing_operator(
        &self,
        programs: &Programs,
        publish: SocketAddr,
    ) -> Result<Operator> {
        self.start(programs, Some(publish)).await
    }

    async fn start(&self, programs: &Programs, publish: Option<SocketAddr>) -> Result<Operator> {
        let mut operator = Operator::start(programs, self, publish)?;
        let started = Instant::now();
        loop {
            operator.check()?;
            let domain: Value = self.api.fetch(&trust_domain()).await?;
            if has_condition(&domain, "Ready") {
                return Ok(operator);
            }
            if started.elapsed() > Duration::from_secs(60) {
                bail!("the trust domain isn't Ready: {}", domain["status"]);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Agents of these names, each with a task and an identity that the operator has issued: until
    /// all of them are Ready.
    pub(crate) async fn agents(&self, names: &[String]) -> Result<()> {
        self.tasks(names.to_vec()).await?;
        let sight = Sight::ready(&self.api).await?;
        stream::iter(names)
            .map(async |name| {
                let awaited = sight.expect(name);
                let object = identity(name, Delivery::Secret, "");
                self.api.create(&identities(), &object).await?;
                awaited.seen().await.map(drop)
            })
            .buffer_unordered(TASK_WRITERS)
            .try_collect()
            .await
    }

    /// Makes tasks of these names.
    pub(crate) async fn tasks(&self, names: Vec<String>) -> Result<Vec<Task>> {
        stream::iter(names)
            .map(async |name| {
                let made: Value = self.api.create_as(&tasks(), &task(&name)).await?;
                let uid = made.pointer("/metadata/uid").and_then(Value::as_str);
                let uid = uid.context("a new object has no UID")?.to_owned();
                anyhow::Ok(Task { name, uid })
            })
            .buffered(TASK_WRITERS)
            .try_collect()
            .await
    }

    /// Ends the tasks well, all at once, and tells when the answer for each came.
    pub(crate) async fn complete(&self, all: &[Task]) -> Result<Vec<Instant>> {
        let over = serde_json::json!({"status": {"phase": "Succeeded"}});
        stream::iter(all)
            .map(async |task| {
                let path = format!("{}/{}/status", tasks(), task.name);
                self.api.patch(&path, &over).await?;
                anyhow::Ok(Instant::now())
            })
            .buffered(TASK_WRITERS)
            .try_collect()
            .await
    }

    /// Retries, because a kind that was just defined isn't served for a moment.
    async fn before(&self) -> Result<()> {
        let started = Instant::now();
        let apply = ["apply", "--server-side", "-f", "-"];
        while let Err(error) = self.plane.kubectl_with_input(&apply, BEFORE).await {
            if started.elapsed() > Duration::from_secs(30) {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Waits until the admission policies work: they are part of what a write costs.
    async fn until_stamped(&self) -> Result<()> {
        let [task] = self
            .tasks(vec!["first".to_owned()])
            .await?
            .try_into()
            .ok()
            .context("one task")?;
        let path = format!("{}?dryRun=All", identities());
        let object = identity(&task.name, Delivery::Secret, "");
        let started = Instant::now();
        loop {
            let made: Result<Value> = self.api.create_as(&path, &object).await;
            if let Ok(made) = &made
                && made.pointer("/spec/requester/username").is_some()
            {
                return Ok(());
            }
            if started.elapsed() > Duration::from_secs(30) {
                bail!("identities get no requester at admission: {made:?}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Whether the condition is there and True.
pub(crate) fn has_condition(object: &Value, kind: &str) -> bool {
    let conditions = object.pointer("/status/conditions");
    let mut conditions = conditions.and_then(Value::as_array).into_iter().flatten();
    conditions.any(|it| it["type"] == kind && it["status"] == "True")
}
