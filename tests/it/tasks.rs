//! Any resource as a task. The CRDs are small ones of the same group and kind as the real ones.

use countersign_api::TaskKind;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::{Space, World, condition, eventually, identity};
use crate::support::{
    OPERATOR_NAMESPACE, Tasks, create, delete, find, is, put_status, serial, unique, until,
    until_gone, with,
};

/// A kind of task for a test.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
}

impl Kind {
    pub(crate) const fn new(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            kind,
            plural,
        }
    }

    fn crd_name(self) -> String {
        format!("{}.{}", self.plural, self.group)
    }

    async fn install_as(self, world: &World, scope: &str, preserved: bool) {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": preserved});
        let crd = json!({
            "metadata": {"name": self.crd_name()},
            "spec": {
                "group": self.group,
                "scope": scope,
                "names": {"kind": self.kind, "plural": self.plural, "singular": self.kind.to_lowercase()},
                "versions": [{
                    "name": self.version, "served": true, "storage": true,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }],
            },
        });
        let crds = Api::<CustomResourceDefinition>::all(world.client().await);
        create(&crds, crd).await.unwrap();
        until(&crds, &self.crd_name(), "established", |it| {
            is(it, "Established")
        })
        .await;
    }

    pub(crate) async fn install(self, world: &World) {
        self.install_as(world, "Namespaced", true).await;
    }

    async fn remove(self, world: &World) {
        let crds = Api::<CustomResourceDefinition>::all(world.client().await);
        delete(&crds, &self.crd_name()).await;
        until_gone(&crds, &self.crd_name()).await;
    }

    pub(crate) fn tasks(self, space: &Space) -> Tasks {
        space.objects(self.group, self.version, self.kind, self.plural)
    }

    fn task_ref(self, name: &str) -> String {
        format!("{}.{}/{name}", self.plural, self.group)
    }

    fn task(self, name: &str) -> Value {
        let api_version = format!("{}/{}", self.group, self.version);
        json!({"apiVersion": api_version, "kind": self.kind, "metadata": {"name": name}})
    }

    /// A task called `work`. Right after the definition's creation it may not be served yet.
    async fn start(self, space: &Space) -> Tasks {
        let tasks = self.tasks(space);
        eventually("the task", async || {
            create(&tasks, self.task("work")).await.ok()
        })
        .await;
        tasks
    }
}

async fn task_kind(world: &World, kind: Kind, spec: Value) {
    let kinds = Api::<TaskKind>::all(world.client().await);
    let object = json!({"metadata": {"name": kind.crd_name()}, "spec": spec});
    create(&kinds, object).await.unwrap();
}

async fn change_rules(world: &World, kind: Kind, spec: Value) {
    let kinds = Api::<TaskKind>::all(world.client().await);
    let patch = Patch::Merge(json!({"spec": spec}));
    kinds
        .patch(&kind.crd_name(), &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// Runs a task through these states, where its identity stays Ready, and then into an end.
async fn lives_through(kind: Kind, states: &[Value], end: Value, reason: &str) {
    let world = World::shared().await;
    let space = world.space("tasks").await;
    kind.install(world).await;
    let tasks = kind.start(&space).await;
    space
        .create_identity(&identity("agent", &kind.task_ref("work")))
        .await;
    let before = space.until_ready("agent").await;
    for state in states {
        put_status(&tasks, "work", state.clone()).await;
        let it = space.looked_at("agent").await;
        assert!(is(&it, "Ready"), "{state}");
    }
    put_status(&tasks, "work", end).await;
    assert_eq!(space.until_completed("agent").await, reason);
    space.until_no_secret("agent-identity").await;

    // Whatever it says later: it was over.
    put_status(
        &tasks,
        "work",
        states.last().cloned().unwrap_or_else(|| json!({})),
    )
    .await;
    let it = space.looked_at("agent").await;
    assert_eq!(condition(&it, "Completed").unwrap().1, reason);
    assert_eq!(serial(&it), serial(&before));
    assert!(space.secret("agent-identity").await.is_none());
}

fn conditions(kind: &str, status: &str, reason: &str) -> Value {
    json!({"conditions": [{"type": kind, "status": status, "reason": reason}]})
}

#[tokio::test]
async fn a_tekton_task_run() {
    let kind = Kind::new("tekton.dev", "v1", "TaskRun", "taskruns");
    let states = [
        conditions("Succeeded", "Unknown", "Running"),
        conditions("Succeeded", "Unknown", "ToBeRetried"),
    ];
    let end = conditions("Succeeded", "False", "Failed");
    lives_through(kind, &states, end, "TaskFailed").await;
}

#[tokio::test]
async fn a_ray_job_that_failed_and_is_tried_again() {
    let kind = Kind::new("ray.io", "v1", "RayJob", "rayjobs");
    let states = [
        json!({"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}),
        json!({"jobDeploymentStatus": "Running", "jobStatus": "FAILED"}),
        json!({"jobDeploymentStatus": "Retrying", "jobStatus": "FAILED"}),
        json!({"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}),
    ];
    let end = json!({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"});
    lives_through(kind, &states, end, "TaskSucceeded").await;
}

#[tokio::test]
async fn a_sandbox_that_takes_its_end_back() {
    let kind = Kind::new("agents.x-k8s.io", "v1beta1", "Sandbox", "sandboxes");
    let states = [
        conditions("Ready", "True", "PodRunning"),
        conditions("Ready", "False", "PodGone"),
    ];
    let end = conditions("Finished", "True", "PodSucceeded");
    lives_through(kind, &states, end, "TaskSucceeded").await;
}

#[tokio::test]
async fn an_argo_workflow() {
    let kind = Kind::new("argoproj.io", "v1alpha1", "Workflow", "workflows");
    let states = [json!({"phase": "Pending"}), json!({"phase": "Running"})];
    lives_through(kind, &states, json!({"phase": "Error"}), "TaskFailed").await;
}

#[tokio::test]
async fn a_pod() {
    let world = World::shared().await;
    let space = world.space("pods").await;
    let pods = space.objects("", "v1", "Pod", "pods");
    let spec =
        json!({"schedulerName": "nobody", "containers": [{"name": "main", "image": "none"}]});
    create(&pods, json!({"metadata": {"name": "work"}, "spec": spec}))
        .await
        .unwrap();
    space.create_identity(&identity("agent", "pods/work")).await;
    space.until_ready("agent").await;
    let secret = space.secret("agent-identity").await.unwrap();
    let owner = &secret.metadata.owner_references.unwrap()[0];
    assert_eq!(
        (owner.api_version.as_str(), owner.kind.as_str()),
        ("v1", "Pod")
    );
    let patch = Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
    pods.patch_status("work", &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(space.until_completed("agent").await, "TaskSucceeded");
    space.until_no_secret("agent-identity").await;
}

#[tokio::test]
async fn a_kind_of_ones_own_by_a_task_kind() {
    let world = World::shared().await;
    let space = world.space("own").await;
    let kind = Kind::new("own.example.com", "v1", "Errand", "errands");
    kind.install(world).await;
    let tasks = kind.start(&space).await;
    space
        .create_identity(&identity("agent", &kind.task_ref("work")))
        .await;
    let message = space.until_refused("agent", "UnknownTaskKind").await;
    assert!(message.contains("by a TaskKind of that name"), "{message}");
    assert!(message.contains("errands.own.example.com"), "{message}");

    let rules = json!({
        "version": "v1",
        "succeeded": "object.status.done == true",
        "failed": "object.status.done == true && object.status.errors > 0",
    });
    task_kind(world, kind, rules).await;
    space.until_ready("agent").await;
    put_status(&tasks, "work", json!({"done": true, "errors": 2})).await;
    assert_eq!(space.until_completed("agent").await, "TaskFailed");
    space.until_no_secret("agent-identity").await;
}

#[tokio::test]
async fn a_kind_that_is_installed_later_removed_and_installed_again() {
    let world = World::shared().await;
    let space = world.space("later").await;
    let kind = Kind::new("later.example.com", "v1", "Errand", "errands");
    task_kind(
        world,
        kind,
        json!({"version": "v1", "succeeded": "object.status.done"}),
    )
    .await;
    space
        .create_identity(&identity("first", &kind.task_ref("work")))
        .await;
    let it = space
        .until("first", "waiting", |it| is(it, "Reconciling"))
        .await;
    assert_eq!(condition(&it, "Reconciling").unwrap().1, "TaskNotFound");

    kind.install(world).await;
    kind.start(&space).await;
    space.until_ready("first").await;
    kind.remove(world).await;
    assert_eq!(space.until_completed("first").await, "TaskDeleted");
    space.until_no_secret("first-identity").await;

    kind.install(world).await;
    kind.start(&space).await;
    space
        .create_identity(&identity("second", &kind.task_ref("work")))
        .await;
    space.until_ready("second").await;
    let first = space.looked_at("first").await;
    assert_eq!(condition(&first, "Completed").unwrap().1, "TaskDeleted");
}

#[tokio::test]
async fn a_rule_that_does_not_compile_is_told_and_issues_nothing() {
    let world = World::shared().await;
    let space = world.space("rules").await;
    let kind = Kind::new("bad.example.com", "v1", "Errand", "errands");
    kind.install(world).await;
    task_kind(
        world,
        kind,
        json!({"version": "v1", "succeeded": "object.status.("}),
    )
    .await;
    let kinds = Api::<TaskKind>::all(world.client().await);
    let told = until(&kinds, &kind.crd_name(), "stalled", |it| is(it, "Stalled")).await;
    assert!(!is(&told, "Ready"));
    assert_eq!(
        told.status.as_ref().unwrap().observed_generation,
        told.metadata.generation
    );

    kind.start(&space).await;
    space
        .create_identity(&identity("agent", &kind.task_ref("work")))
        .await;
    let it = space
        .until("agent", "refused", |it| is(it, "Stalled"))
        .await;
    let refused = find(&it, "Stalled").unwrap();
    assert_eq!(refused.reason, find(&told, "Stalled").unwrap().reason);
    assert!(
        refused.message.contains("errands.bad.example.com"),
        "{}",
        refused.message
    );
    assert!(space.secret("agent-identity").await.is_none());

    change_rules(world, kind, json!({"succeeded": "object.status.done"})).await;
    until(&kinds, &kind.crd_name(), "ready", |it| is(it, "Ready")).await;
    space.until_ready("agent").await;
}

#[tokio::test]
async fn a_rule_that_errs_on_an_object_issues_nothing_and_keeps_what_is_good() {
    let world = World::shared().await;
    let space = world.space("errs").await;
    let kind = Kind::new("errs.example.com", "v1", "Errand", "errands");
    kind.install(world).await;
    task_kind(
        world,
        kind,
        json!({"version": "v1", "succeeded": "object.status.count > 3"}),
    )
    .await;
    let tasks = kind.start(&space).await;
    put_status(&tasks, "work", json!({"count": "many"})).await;
    space
        .create_identity(&identity("agent", &kind.task_ref("work")))
        .await;
    let message = space.until_refused("agent", "TaskRuleError").await;
    assert!(message.contains("work"), "{message}");
    assert!(space.secret("agent-identity").await.is_none());

    put_status(&tasks, "work", json!({"count": 1})).await;
    let before = space.until_ready("agent").await;
    put_status(&tasks, "work", json!({"count": "many"})).await;
    space.until_refused("agent", "TaskRuleError").await;
    let shorter = json!({"spec": {"credential": {"certificateTTLSeconds": 600}}});
    space.patch("agent", shorter).await;
    let it = space.looked_at("agent").await;
    assert!(is(&it, "Ready"), "a good certificate stays");
    assert_eq!(serial(&it), serial(&before), "and isn't renewed");
    put_status(&tasks, "work", json!({"count": 4})).await;
    assert_eq!(space.until_completed("agent").await, "TaskSucceeded");
}

#[tokio::test]
async fn a_task_kind_overrides_the_one_that_is_compiled_in() {
    let world = World::shared().await;
    let space = world.space("override").await;
    let kind = Kind::new("ark.mckinsey.com", "v1alpha1", "Query", "queries");
    kind.install(world).await;
    let tasks = kind.start(&space).await;
    space
        .create_identity(&identity("agent", &kind.task_ref("work")))
        .await;
    space.until_ready("agent").await;
    task_kind(
        world,
        kind,
        json!({"version": "v1alpha1", "failed": "object.status.phase == 'done'"}),
    )
    .await;
    let kinds = Api::<TaskKind>::all(world.client().await);
    until(&kinds, &kind.crd_name(), "ready", |it| is(it, "Ready")).await;
    put_status(&tasks, "work", json!({"phase": "done"})).await;
    assert_eq!(space.until_completed("agent").await, "TaskFailed");

    // Without it the rules that are compiled in count again.
    delete(&kinds, &kind.crd_name()).await;
    create(&tasks, kind.task("again")).await.unwrap();
    put_status(&tasks, "again", json!({"phase": "done"})).await;
    eventually("the rules that are compiled in", async || {
        let name = unique("again");
        space
            .create_identity(&identity(&name, &kind.task_ref("again")))
            .await;
        (space.until_completed(&name).await == "TaskSucceeded").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_cluster_scoped_task_is_refused() {
    let world = World::shared().await;
    let space = world.space("scope").await;
    let kind = Kind::new("scope.example.com", "v1", "Errand", "errands");
    kind.install_as(world, "Cluster", true).await;
    task_kind(world, kind, json!({"version": "v1"})).await;
    space
        .create_identity(&identity("agent", &kind.task_ref("work")))
        .await;
    let message = space.until_refused("agent", "ClusterScopedTask").await;
    assert!(
        message.contains("the identity's own namespace"),
        "{message}"
    );
}

#[tokio::test]
async fn a_version_that_is_not_served_is_named_with_those_that_are() {
    let world = World::shared().await;
    let space = world.space("version").await;
    let kind = Kind::new("version.example.com", "v1", "Errand", "errands");
    kind.install(world).await;
    kind.start(&space).await;
    task_kind(world, kind, json!({"version": "v2"})).await;
    space
        .create_identity(&identity("agent", &kind.task_ref("work")))
        .await;
    let message = space.until_refused("agent", "TaskVersionNotServed").await;
    assert!(message.contains("served as v1, not v2"), "{message}");
    change_rules(world, kind, json!({"version": "v1"})).await;
    space.until_ready("agent").await;
}

#[tokio::test]
async fn identities_of_one_task_share_it_and_end_together() {
    let world = World::shared().await;
    let space = world.space("shared").await;
    let agents = ["a", "b", "c", "d"];
    for agent in agents {
        let object = with(&identity(agent, "jobs.batch/work"), &json!({}));
        space.create_identity(&object).await;
    }
    space.create_job(&crate::harness::job("work")).await;
    for agent in agents {
        space.until_ready(agent).await;
    }
    space.finish_job("work", "Succeeded").await;
    for agent in agents {
        assert_eq!(space.until_completed(agent).await, "TaskSucceeded");
        space.until_no_secret(&format!("{agent}-identity")).await;
    }
}

#[tokio::test]
async fn a_task_kind_made_while_nobody_leads_is_judged_by_who_leads_next() {
    let world = World::own().await;
    let kind = Kind::new("early.example.com", "v1", "Errand", "errands");
    let namespaces = Api::<Namespace>::all(world.client().await);
    let namespace = json!({"metadata": {"name": OPERATOR_NAMESPACE}});
    create(&namespaces, namespace).await.unwrap();
    // Somebody who was killed a moment ago.
    let lease = json!({
        "metadata": {"name": "countersign-operator"},
        "spec": {"holderIdentity": "ghost", "leaseDurationSeconds": 3},
    });
    let leases = Api::<Lease>::namespaced(world.client().await, OPERATOR_NAMESPACE);
    create(&leases, lease).await.unwrap();
    task_kind(&world, kind, json!({"version": "v1"})).await;
    let _operator = world.operator("next", &[]);
    let kinds = Api::<TaskKind>::all(world.client().await);
    until(&kinds, &kind.crd_name(), "ready", |it| is(it, "Ready")).await;
}
