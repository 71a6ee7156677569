//! What the tests share: a control plane with the operator on it, and a namespace for each test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use countersign_api::{AgentIdentity, AgentOwner, TrustDomain};
use countersign_testbed::{ControlPlane, FaultProxy, Options, ProxyOptions, shared};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// Longer than anything takes on two busy cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The trust domain that every test may use.
pub(crate) const DOMAIN: &str = "example.org";
/// An owner with wide grants.
pub(crate) const OWNER: &str = "alice";

/// A control plane with the kinds, the policies, a trust domain and an owner on it.
pub(crate) struct World {
    plane: Plane,
}

enum Plane {
    Own(Box<ControlPlane>),
    Shared(&'static ControlPlane),
}

/// A running operator; killed when dropped.
pub(crate) struct Operator {
    child: Child,
    log: PathBuf,
}

/// A namespace of one test.
pub(crate) struct Space {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl World {
    /// The world that most tests share, with an operator that may write Secrets everywhere.
    pub(crate) async fn shared() -> &'static Self {
        static SHARED: OnceCell<(World, Operator)> = OnceCell::const_new();
        let (world, _) = SHARED
            .get_or_init(|| async {
                let world = Self {
                    plane: Plane::Shared(shared().await.unwrap()),
                };
                world.furnish().await;
                let operator = world.operator("shared", &["--secret-namespaces", "*", "--issuing"]);
                // It ends with this process, which drops no statics.
                world.plane().watch(Some(operator.pid())).unwrap();
                (world, operator)
            })
            .await;
        world
    }

    /// A world of one's own, to break things in; no operator yet.
    pub(crate) async fn own() -> Self {
        Self::own_with(Options::default()).await
    }

    /// As [`World::own`], on a control plane with these options.
    pub(crate) async fn own_with(options: Options) -> Self {
        let world = Self {
            plane: Plane::Own(Box::new(ControlPlane::start(options).await.unwrap())),
        };
        world.furnish().await;
        world
    }

    pub(crate) fn plane(&self) -> &ControlPlane {
        match &self.plane {
            Plane::Own(plane) => plane,
            Plane::Shared(plane) => plane,
        }
    }

    pub(crate) async fn client(&self) -> Client {
        self.plane().client().await.unwrap()
    }

    /// Starts the operator as the admin, with `countersign run` and these arguments.
    pub(crate) fn operator(&self, name: &str, arguments: &[&str]) -> Operator {
        Operator::start(
            &self.plane().kubeconfig(),
            self.plane().dir(),
            name,
            arguments,
        )
    }

    /// A proxy in front of the API server.
    pub(crate) fn proxy(&self) -> FaultProxy {
        FaultProxy::start(self.plane(), ProxyOptions::default()).unwrap()
    }

    /// Starts the operator as the one that this kubeconfig is for, or through its proxy.
    pub(crate) fn operator_by(
        &self,
        kubeconfig: &Path,
        name: &str,
        arguments: &[&str],
    ) -> Operator {
        Operator::start(kubeconfig, self.plane().dir(), name, arguments)
    }

    /// A namespace that the trust domain admits.
    pub(crate) async fn space(&self, prefix: &str) -> Space {
        let name = self.plane().namespace(prefix).await.unwrap();
        let client = self.client().await;
        let label = json!({"metadata": {"labels": {"trust-domain": DOMAIN}}});
        Api::<Namespace>::all(client.clone())
            .patch(&name, &PatchParams::default(), &Patch::Merge(label))
            .await
            .unwrap();
        Space { client, name }
    }

    /// Installs `crds/`, and makes the trust domain and the owner.
    async fn furnish(&self) {
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        let crds = crds.display().to_string();
        let plane = self.plane();
        let apply = ["apply", "--server-side", "-f", &crds];
        plane.kubectl(&apply).await.unwrap();
        let established = ["wait", "--for=condition=Established", "crd", "--all"];
        plane.kubectl(&established).await.unwrap();
        let client = self.client().await;
        let domains = Api::<TrustDomain>::all(client.clone());
        eventually("the trust domain's kind", async || {
            let made = domains
                .create(&PostParams::default(), &trust_domain(DOMAIN))
                .await;
            made.is_ok_and(|_| true).then_some(())
        })
        .await;
        let owners = Api::<AgentOwner>::all(client.clone());
        owners
            .create(&PostParams::default(), &owner(OWNER))
            .await
            .unwrap();
        self.until_policies_work().await;
    }

    /// A policy just created is not enforced for a moment.
    async fn until_policies_work(&self) {
        let client = self.client().await;
        let probes = Api::<AgentIdentity>::namespaced(client, "default");
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        eventually("the admission policies", async || {
            let probe = identity("probe", "jobs.batch/probe");
            let answer = probes.create(&dry, &probe).await.ok()?;
            let stamped = answer.spec.requester?.username;
            (stamped == "admin").then_some(())
        })
        .await;
    }
}

impl Operator {
    /// Starts `countersign run` against the cluster of a kubeconfig.
    pub(crate) fn start(kubeconfig: &Path, dir: &Path, name: &str, arguments: &[&str]) -> Self {
        let log = dir.join(format!("operator-{name}.log"));
        let file = std::fs::File::create(&log).unwrap();
        let audit = format!("sqlite:{}", dir.join(format!("audit-{name}.db")).display());
        let defaults = [
            ("--metrics-listen", "none"),
            ("--publish-listen", "none"),
            ("--audit", audit.as_str()),
            // Each has a file of its own, so each has chains of its own.
            ("--audit-writer", name),
        ];
        let defaults = defaults
            .into_iter()
            .filter(|(flag, _)| !arguments.contains(flag))
            .flat_map(|(flag, value)| [flag, value]);
        let child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .arg("run")
            .args(defaults)
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_LOG", "info,countersign_controller=debug")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it leads; for longer than a lease lasts.
    pub(crate) async fn until_leading(&self) {
        eventually("the lead", async || {
            self.log().contains("operator: leading").then_some(())
        })
        .await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Has it ended by itself?
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill(&mut self) {
        let _gone = self.child.kill();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&mut self) -> std::process::ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().unwrap()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("the operator's log, newest first:\n{}", tail.join("\n"));
        }
    }
}

impl Space {
    pub(crate) fn identities(&self) -> Api<AgentIdentity> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    pub(crate) fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    pub(crate) async fn create_identity(&self, identity: &AgentIdentity) -> AgentIdentity {
        let params = PostParams::default();
        self.identities().create(&params, identity).await.unwrap()
    }

    pub(crate) async fn create_job(&self, job: &Job) -> Job {
        self.jobs()
            .create(&PostParams::default(), job)
            .await
            .unwrap()
    }

    pub(crate) async fn get(&self, name: &str) -> AgentIdentity {
        self.identities().get(name).await.unwrap()
    }

    pub(crate) async fn secret(&self, name: &str) -> Option<Secret> {
        self.secrets().get_opt(name).await.unwrap()
    }

    /// Changes an identity by a merge patch.
    pub(crate) async fn patch(&self, name: &str, patch: Value) -> AgentIdentity {
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        self.identities()
            .patch(name, &params, &patch)
            .await
            .unwrap()
    }

    pub(crate) async fn delete(&self, name: &str) {
        let params = DeleteParams::default();
        self.identities().delete(name, &params).await.unwrap();
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// The pod that the real Job controller made.
    pub(crate) async fn pod_of(&self, job: &str) -> String {
        let pods = self.pods();
        let selector = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
        eventually("the Job's pod", async || {
            let pods = pods.list(&selector).await.unwrap();
            pods.items.into_iter().next().map(|pod| pod.name_any())
        })
        .await
    }

    /// Has the Job's pod end, so that the real Job controller ends the Job. `Succeeded` or `Failed`.
    pub(crate) async fn finish_job(&self, job: &str, phase: &str) {
        let pod = self.pod_of(job).await;
        let patch = Patch::Merge(json!({"status": {"phase": phase}}));
        self.pods()
            .patch_status(&pod, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub(crate) async fn until_ready(&self, name: &str) -> AgentIdentity {
        self.until(name, "Ready", |it| {
            condition(it, "Ready").is_some_and(|(status, _)| status == "True")
        })
        .await
    }

    /// Waits until it is over; gives the reason.
    pub(crate) async fn until_completed(&self, name: &str) -> String {
        let it = self
            .until(name, "Completed", |it| condition(it, "Completed").is_some())
            .await;
        condition(&it, "Completed").unwrap().1
    }

    /// Waits until it is refused; gives the reason.
    pub(crate) async fn until_stalled(&self, name: &str) -> String {
        let it = self
            .until(name, "Stalled", |it| condition(it, "Stalled").is_some())
            .await;
        condition(&it, "Stalled").unwrap().1
    }

    pub(crate) async fn until(
        &self,
        name: &str,
        what: &str,
        good: impl Fn(&AgentIdentity) -> bool,
    ) -> AgentIdentity {
        let mut last = None;
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let it = self.identities().get_opt(name).await.unwrap_or_default();
            if let Some(it) = &it
                && good(it)
            {
                return it.clone();
            }
            last = it;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{name} does not become {what}: {last:#?}");
    }

    pub(crate) async fn until_no_secret(&self, name: &str) {
        eventually("the Secret's end", async || {
            self.secret(name).await.is_none().then_some(())
        })
        .await;
    }
}

/// Status and reason of a condition.
pub(crate) fn condition(identity: &AgentIdentity, kind: &str) -> Option<(String, String)> {
    let conditions = &identity.status.as_ref()?.conditions;
    let found = conditions.iter().find(|it| it.type_ == kind)?;
    Some((found.status.clone(), found.reason.clone()))
}

/// Asks until there is an answer.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

/// Asks until there is an answer, for so long at most.
pub(crate) async fn within<T>(
    bound: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < bound, "{what}: not within {bound:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An identity for a task given as `<resource>.<group>/<name>`, delivered as a Secret.
pub(crate) fn identity(name: &str, task: &str) -> AgentIdentity {
    let (kind, task) = task.split_once('/').unwrap();
    let (resource, group) = kind.split_once('.').unwrap_or((kind, ""));
    let object = json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "AgentIdentity",
        "metadata": {"name": name},
        "spec": {
            "trustDomainRef": {"name": DOMAIN},
            "ownerRef": {"name": OWNER},
            "taskRef": {"group": group, "resource": resource, "name": task},
            "grants": [{"actions": ["read"], "resources": ["ledger/invoices/*"]}],
            "credential": {"delivery": "Secret", "certificateTTLSeconds": 300},
        },
    });
    serde_json::from_value(object).unwrap()
}

pub(crate) fn trust_domain(name: &str) -> TrustDomain {
    let object = json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "TrustDomain",
        "metadata": {"name": name},
        "spec": {
            "authority": {"builtIn": {}},
            "namespaceSelector": {"matchLabels": {"trust-domain": name}},
        },
    });
    serde_json::from_value(object).unwrap()
}

pub(crate) fn owner(name: &str) -> AgentOwner {
    let object = json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "AgentOwner",
        "metadata": {"name": name},
        "spec": {
            "type": "Person",
            "subjects": [{"kind": "User", "name": "alice@example.com"}, {"kind": "User", "name": "admin"}],
            "grants": [{"actions": ["read", "list"], "resources": ["ledger/*"]}],
        },
    });
    serde_json::from_value(object).unwrap()
}

/// A Job whose pod nobody schedules: it ends when its pod's status says so.
pub(crate) fn job(name: &str) -> Job {
    let object = json!({
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": {
            "restartPolicy": "Never",
            "schedulerName": "nobody",
            "containers": [{"name": "main", "image": "none"}],
        }}},
    });
    serde_json::from_value(object).unwrap()
}
