/// A kind of task that is known without a TaskKind object; one of the same name overrides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindDefault {
    /// The API group, empty for the core group.
    pub group: &'static str,
    /// The plural resource name.
    pub resource: &'static str,
    /// The API version that the rules are written for.
    pub version: &'static str,
    /// The kind, as owner references spell it.
    pub kind: &'static str,
    /// The task is over, and well. See the crate's documentation for the language.
    pub succeeded: &'static str,
    /// The task is over, and not well. Asked first.
    pub failed: &'static str,
}

/// The kinds that are compiled in.
///
/// The rules follow the types of each project and, where it knows the kind, kueue's
/// `GenericJob.Finished()`. Of a state that the project may leave again by itself (a retry, an
/// eviction, a suspension) none is an end. Some ends can be taken back by people (`argo retry`,
/// volcano's resume, a RayJob's retry): whoever asks must keep the first answer for a task's UID.
#[must_use]
pub fn defaults() -> &'static [KindDefault] {
    DEFAULTS
}

/// True while the object has a condition of this type and status.
macro_rules! condition {
    ($type:literal) => {
        condition!($type, "True")
    };
    ($type:literal, $status:literal) => {
        concat!(
            r#"object.status.conditions.exists(c, c.type == ""#,
            $type,
            r#"" && c.status == ""#,
            $status,
            r#"")"#
        )
    };
}

/// `Finished` disappears again while a sandbox has no pod, and an expired one never had it.
macro_rules! sandbox_failed {
    ($expired:literal) => {
        concat!(
            r#"object.status.conditions.exists(c, "#,
            r#"c.type == "Finished" && c.status == "True" && c.reason == "PodFailed""#,
            r#" || c.type == "Ready" && c.status == "False" && c.reason == ""#,
            $expired,
            r#"")"#
        )
    };
}

const SANDBOX_SUCCEEDED: &str = r#"object.status.conditions.exists(c, c.type == "Finished" && c.status == "True" && c.reason == "PodSucceeded")"#;

const DEFAULTS: &[KindDefault] = &[
    KindDefault {
        group: "",
        resource: "pods",
        version: "v1",
        kind: "Pod",
        succeeded: r#"object.status.phase == "Succeeded""#,
        failed: r#"object.status.phase == "Failed""#,
    },
    // SuccessCriteriaMet and FailureTarget come before the pods have ended.
    KindDefault {
        group: "batch",
        resource: "jobs",
        version: "v1",
        kind: "Job",
        succeeded: condition!("Complete"),
        failed: condition!("Failed"),
    },
    KindDefault {
        group: "argoproj.io",
        resource: "workflows",
        version: "v1alpha1",
        kind: "Workflow",
        succeeded: r#"object.status.phase == "Succeeded""#,
        failed: r#"object.status.phase in ["Failed", "Error"]"#,
    },
    KindDefault {
        group: "tekton.dev",
        resource: "taskruns",
        version: "v1",
        kind: "TaskRun",
        succeeded: condition!("Succeeded"),
        failed: condition!("Succeeded", "False"),
    },
    KindDefault {
        group: "tekton.dev",
        resource: "pipelineruns",
        version: "v1",
        kind: "PipelineRun",
        succeeded: condition!("Succeeded"),
        failed: condition!("Succeeded", "False"),
    },
    KindDefault {
        group: "tekton.dev",
        resource: "customruns",
        version: "v1beta1",
        kind: "CustomRun",
        succeeded: condition!("Succeeded"),
        failed: condition!("Succeeded", "False"),
    },
    // Evicted, Preempted and Requeued workloads come back.
    KindDefault {
        group: "kueue.x-k8s.io",
        resource: "workloads",
        version: "v1beta2",
        kind: "Workload",
        succeeded: r#"object.status.conditions.exists(c, c.type == "Finished" && c.status == "True" && c.reason == "Succeeded")"#,
        failed: r#"object.status.conditions.exists(c, c.type == "Finished" && c.status == "True" && c.reason in ["Failed", "OutOfSync", "OwnerNotFound"])"#,
    },
    // jobStatus FAILED alone may be followed by Retrying: the deployment's status tells.
    KindDefault {
        group: "ray.io",
        resource: "rayjobs",
        version: "v1",
        kind: "RayJob",
        succeeded: r#"object.status.jobDeploymentStatus == "Complete" && object.status.jobStatus == "SUCCEEDED""#,
        failed: r#"object.status.jobDeploymentStatus == "Failed" || object.status.jobDeploymentStatus == "Complete" && object.status.jobStatus in ["FAILED", "STOPPED"]"#,
    },
    KindDefault {
        group: "trainer.kubeflow.org",
        resource: "trainjobs",
        version: "v1alpha1",
        kind: "TrainJob",
        succeeded: condition!("Complete"),
        failed: condition!("Failed"),
    },
    KindDefault {
        group: "kubeflow.org",
        resource: "mpijobs",
        version: "v2beta1",
        kind: "MPIJob",
        succeeded: condition!("Succeeded"),
        failed: condition!("Failed"),
    },
    KindDefault {
        group: "jobset.x-k8s.io",
        resource: "jobsets",
        version: "v1alpha2",
        kind: "JobSet",
        succeeded: condition!("Completed"),
        failed: condition!("Failed"),
    },
    // Aborting, Terminating, Completing and Restarting are on the way to somewhere.
    KindDefault {
        group: "batch.volcano.sh",
        resource: "jobs",
        version: "v1alpha1",
        kind: "Job",
        succeeded: r#"object.status.state.phase == "Completed""#,
        failed: r#"object.status.state.phase in ["Failed", "Aborted", "Terminated"]"#,
    },
    // SUBMISSION_FAILED and FAILING may be retried; without a retry they become FAILED.
    KindDefault {
        group: "sparkoperator.k8s.io",
        resource: "sparkapplications",
        version: "v1beta2",
        kind: "SparkApplication",
        succeeded: r#"object.status.applicationState.state == "COMPLETED""#,
        failed: r#"object.status.applicationState.state == "FAILED""#,
    },
    KindDefault {
        group: "agents.x-k8s.io",
        resource: "sandboxes",
        version: "v1beta1",
        kind: "Sandbox",
        succeeded: SANDBOX_SUCCEEDED,
        failed: sandbox_failed!("SandboxExpired"),
    },
    KindDefault {
        group: "extensions.agents.x-k8s.io",
        resource: "sandboxclaims",
        version: "v1beta1",
        kind: "SandboxClaim",
        succeeded: SANDBOX_SUCCEEDED,
        failed: sandbox_failed!("ClaimExpired"),
    },
    KindDefault {
        group: "kelos.dev",
        resource: "tasks",
        version: "v1alpha2",
        kind: "Task",
        succeeded: r#"object.status.phase == "Succeeded""#,
        failed: r#"object.status.phase == "Failed""#,
    },
    // Completed says that the agent has ended, not that it got anywhere.
    KindDefault {
        group: "kubeopencode.io",
        resource: "tasks",
        version: "v1alpha1",
        kind: "Task",
        succeeded: r#"object.status.phase == "Completed""#,
        failed: r#"object.status.phase == "Failed""#,
    },
    KindDefault {
        group: "ark.mckinsey.com",
        resource: "queries",
        version: "v1alpha1",
        kind: "Query",
        succeeded: r#"object.status.phase == "done""#,
        failed: r#"object.status.phase in ["error", "canceled"]"#,
    },
    // ErrorBackoff is tried again.
    KindDefault {
        group: "acp.humanlayer.dev",
        resource: "tasks",
        version: "v1alpha1",
        kind: "Task",
        succeeded: r#"object.status.phase == "FinalAnswer""#,
        failed: r#"object.status.phase == "Failed""#,
    },
];
