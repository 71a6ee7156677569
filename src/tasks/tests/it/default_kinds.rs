//! Each default kind on statuses as its controller writes them, traps included.

use countersign_tasks::{Rules, Verdict, defaults};
use serde_json::{Value, json};

use Verdict::{Failed, Running, Succeeded};

/// Judges objects of one kind, each given by its status.
fn check(name: &str, cases: &[(&str, Value, Verdict)]) {
    let default = defaults()
        .iter()
        .find(|kind| match kind.group {
            "" => kind.resource == name,
            group => format!("{}.{group}", kind.resource) == name,
        })
        .unwrap();
    let rules = Rules::compile(default.version, default.succeeded, default.failed).unwrap();
    assert!(rules.needs_object());
    assert_eq!(rules.version(), default.version);
    let api_version = match default.group {
        "" => default.version.to_owned(),
        group => format!("{group}/{}", default.version),
    };
    let object = |status: Option<&Value>| {
        let mut object = json!({
            "apiVersion": api_version,
            "kind": default.kind,
            "metadata": {"name": "t", "namespace": "n", "uid": "u", "generation": 1},
            "spec": {"suspend": false},
        });
        if let Some(status) = status {
            object
                .as_object_mut()
                .unwrap()
                .insert("status".to_owned(), status.clone());
        }
        object
    };
    for (case, status) in [
        ("no status", None),
        ("empty status", Some(json!({}))),
        ("null status", Some(Value::Null)),
        ("no conditions", Some(json!({"conditions": []}))),
        ("null conditions", Some(json!({"conditions": null}))),
    ] {
        assert_eq!(
            rules.judge(&object(status.as_ref())),
            Running,
            "{name}: {case}"
        );
    }
    for (case, status, verdict) in cases {
        assert_eq!(
            rules.judge(&object(Some(status))),
            *verdict,
            "{name}: {case}"
        );
    }
}

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": "…",
        "lastProbeTime": "2026-11-01T10:00:00Z", "lastTransitionTime": "2026-11-01T10:00:00Z",
    })
}

fn conditions(all: &[(&str, &str, &str)]) -> Value {
    let all: Vec<_> = all
        .iter()
        .map(|(kind, status, why)| condition(kind, status, why))
        .collect();
    json!({ "conditions": all })
}

fn phase(phase: &str) -> Value {
    json!({ "phase": phase, "conditions": [condition("Ready", "Unknown", "Whatever")] })
}

#[test]
fn jobs_end_when_their_pods_have_ended() {
    check(
        "jobs.batch",
        &[
            (
                "active",
                json!({"active": 1, "ready": 1, "startTime": "2026-11-01T10:00:00Z"}),
                Running,
            ),
            (
                "suspended",
                conditions(&[("Suspended", "True", "JobSuspended")]),
                Running,
            ),
            (
                "success is decided but pods run",
                conditions(&[("SuccessCriteriaMet", "True", "CompletionsReached")]),
                Running,
            ),
            (
                "failure is decided but pods run",
                conditions(&[("FailureTarget", "True", "BackoffLimitExceeded")]),
                Running,
            ),
            (
                "complete",
                conditions(&[
                    ("SuccessCriteriaMet", "True", "CompletionsReached"),
                    ("Complete", "True", "CompletionsReached"),
                ]),
                Succeeded,
            ),
            (
                "failed",
                conditions(&[
                    ("FailureTarget", "True", "DeadlineExceeded"),
                    ("Failed", "True", "DeadlineExceeded"),
                ]),
                Failed,
            ),
            (
                "complete is False",
                conditions(&[("Complete", "False", "")]),
                Running,
            ),
            (
                "failed is Unknown",
                conditions(&[("Failed", "Unknown", "")]),
                Running,
            ),
            (
                "both: the worse one",
                conditions(&[("Complete", "True", ""), ("Failed", "True", "")]),
                Failed,
            ),
            (
                "a condition without a status beside the one that counts",
                json!({"conditions": [{"type": "Complete"}, condition("Complete", "True", "")]}),
                Succeeded,
            ),
        ],
    );
}

#[test]
fn pods_end_with_their_phase() {
    check(
        "pods",
        &[
            ("pending", phase("Pending"), Running),
            ("running", phase("Running"), Running),
            ("node lost", phase("Unknown"), Running),
            ("succeeded", phase("Succeeded"), Succeeded),
            ("failed", phase("Failed"), Failed),
            (
                "evicted",
                json!({"phase": "Failed", "reason": "Evicted"}),
                Failed,
            ),
            (
                "a container ended but is restarted",
                json!({"phase": "Running", "containerStatuses": [{"restartCount": 3,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
                Running,
            ),
        ],
    );
}

#[test]
fn workflows_end_with_their_phase() {
    check(
        "workflows.argoproj.io",
        &[
            ("not looked at yet", phase(""), Running),
            ("pending", phase("Pending"), Running),
            ("running", phase("Running"), Running),
            ("succeeded", phase("Succeeded"), Succeeded),
            ("failed", phase("Failed"), Failed),
            ("error", phase("Error"), Failed),
            (
                "retried by a person",
                json!({"phase": "Running", "finishedAt": null}),
                Running,
            ),
        ],
    );
}

#[test]
fn tekton_runs_end_when_succeeded_is_decided() {
    for kind in [
        "taskruns.tekton.dev",
        "pipelineruns.tekton.dev",
        "customruns.tekton.dev",
    ] {
        check(
            kind,
            &[
                (
                    "started",
                    conditions(&[("Succeeded", "Unknown", "Started")]),
                    Running,
                ),
                (
                    "to be retried",
                    conditions(&[("Succeeded", "Unknown", "ToBeRetried")]),
                    Running,
                ),
                (
                    "succeeded",
                    conditions(&[("Succeeded", "True", "Completed")]),
                    Succeeded,
                ),
                (
                    "failed",
                    conditions(&[("Succeeded", "False", "TaskRunTimeout")]),
                    Failed,
                ),
                (
                    "cancelled",
                    conditions(&[("Succeeded", "False", "Cancelled")]),
                    Failed,
                ),
            ],
        );
    }
}

#[test]
fn workloads_end_when_finished_and_not_when_evicted() {
    check(
        "workloads.kueue.x-k8s.io",
        &[
            (
                "admitted",
                conditions(&[("Admitted", "True", "Admitted")]),
                Running,
            ),
            (
                "evicted",
                conditions(&[("Evicted", "True", "Preempted")]),
                Running,
            ),
            (
                "preempted",
                conditions(&[("Preempted", "True", "InClusterQueue")]),
                Running,
            ),
            (
                "requeued",
                conditions(&[("Requeued", "True", "BackoffFinished")]),
                Running,
            ),
            (
                "evicted before, finished now",
                conditions(&[("Evicted", "False", "x"), ("Finished", "True", "Succeeded")]),
                Succeeded,
            ),
            (
                "failed",
                conditions(&[("Finished", "True", "Failed")]),
                Failed,
            ),
            (
                "out of sync",
                conditions(&[("Finished", "True", "OutOfSync")]),
                Failed,
            ),
            (
                "owner gone",
                conditions(&[("Finished", "True", "OwnerNotFound")]),
                Failed,
            ),
            (
                "not finished",
                conditions(&[("Finished", "False", "Succeeded")]),
                Running,
            ),
        ],
    );
}

#[test]
fn ray_jobs_end_when_the_deployment_says_so() {
    let ray =
        |deployment: &str, job: &str| json!({"jobDeploymentStatus": deployment, "jobStatus": job});
    check(
        "rayjobs.ray.io",
        &[
            (
                "initializing",
                json!({"jobDeploymentStatus": "Initializing"}),
                Running,
            ),
            ("running", ray("Running", "RUNNING"), Running),
            (
                "job failed, deployment not decided",
                ray("Running", "FAILED"),
                Running,
            ),
            (
                "retrying after a failure",
                ray("Retrying", "FAILED"),
                Running,
            ),
            ("suspended", ray("Suspended", "STOPPED"), Running),
            (
                "waiting",
                json!({"jobDeploymentStatus": "Waiting", "jobStatus": ""}),
                Running,
            ),
            ("never valid", ray("ValidationFailed", ""), Running),
            ("succeeded", ray("Complete", "SUCCEEDED"), Succeeded),
            (
                "complete without success",
                ray("Complete", "FAILED"),
                Failed,
            ),
            ("stopped", ray("Complete", "STOPPED"), Failed),
            ("failed", ray("Failed", "FAILED"), Failed),
            (
                "failed before a job was there",
                json!({"jobDeploymentStatus": "Failed"}),
                Failed,
            ),
            (
                "failed with a job that ran",
                ray("Failed", "RUNNING"),
                Failed,
            ),
        ],
    );
}

#[test]
fn kubeflow_jobs_end_with_their_conditions() {
    check(
        "trainjobs.trainer.kubeflow.org",
        &[
            (
                "suspended",
                conditions(&[("Suspended", "True", "Suspended")]),
                Running,
            ),
            (
                "resumed",
                conditions(&[("Suspended", "False", "Resumed")]),
                Running,
            ),
            (
                "complete",
                conditions(&[("Complete", "True", "JobsCompleted")]),
                Succeeded,
            ),
            (
                "failed",
                conditions(&[("Failed", "True", "FailedJobs")]),
                Failed,
            ),
            (
                "failed False",
                conditions(&[("Failed", "False", "")]),
                Running,
            ),
        ],
    );
    check(
        "mpijobs.kubeflow.org",
        &[
            (
                "running",
                conditions(&[("Created", "True", ""), ("Running", "True", "")]),
                Running,
            ),
            (
                "restarting",
                conditions(&[
                    ("Restarting", "True", "MPIJobRestarting"),
                    ("Failed", "False", ""),
                ]),
                Running,
            ),
            (
                "succeeded",
                conditions(&[("Running", "False", ""), ("Succeeded", "True", "")]),
                Succeeded,
            ),
            (
                "failed",
                conditions(&[("Failed", "True", "MPIJobFailed")]),
                Failed,
            ),
        ],
    );
}

#[test]
fn job_sets_end_with_their_conditions() {
    check(
        "jobsets.jobset.x-k8s.io",
        &[
            (
                "suspended",
                conditions(&[("Suspended", "True", "SuspendedJobs")]),
                Running,
            ),
            (
                "restarting",
                json!({"restarts": 2, "conditions": []}),
                Running,
            ),
            (
                "completed",
                conditions(&[("Completed", "True", "AllJobsCompleted")]),
                Succeeded,
            ),
            (
                "failed",
                conditions(&[("Failed", "True", "ReachedMaxRestarts")]),
                Failed,
            ),
            (
                "completed False",
                conditions(&[("Completed", "False", "")]),
                Running,
            ),
        ],
    );
}

#[test]
fn volcano_jobs_end_after_their_transitions() {
    let state = |phase: &str| json!({"state": {"phase": phase, "reason": "x"}, "running": 1});
    let mut cases: Vec<_> = [
        "Pending",
        "Running",
        "Aborting",
        "Terminating",
        "Completing",
        "Restarting",
    ]
    .map(|phase| (phase, state(phase), Running))
    .into();
    cases.extend([
        ("Completed", state("Completed"), Succeeded),
        ("Failed", state("Failed"), Failed),
        ("Aborted", state("Aborted"), Failed),
        ("Terminated", state("Terminated"), Failed),
    ]);
    check("jobs.batch.volcano.sh", &cases);
}

#[test]
fn spark_applications_end_when_nothing_is_retried_any_more() {
    let state = |state: &str| json!({"applicationState": {"state": state}, "executionAttempts": 1});
    let mut cases: Vec<_> = [
        "",
        "SUBMITTED",
        "RUNNING",
        "PENDING_RERUN",
        "INVALIDATING",
        "SUCCEEDING",
        "FAILING",
        "SUBMISSION_FAILED",
        "SUSPENDED",
        "RESUMING",
        "UNKNOWN",
    ]
    .map(|name| (name, state(name), Running))
    .into();
    cases.extend([
        ("COMPLETED", state("COMPLETED"), Succeeded),
        ("FAILED", state("FAILED"), Failed),
    ]);
    check("sparkapplications.sparkoperator.k8s.io", &cases);
}

#[test]
fn sandboxes_end_with_their_pod_or_by_expiry() {
    for (kind, expired, other) in [
        (
            "sandboxes.agents.x-k8s.io",
            "SandboxExpired",
            "ClaimExpired",
        ),
        (
            "sandboxclaims.extensions.agents.x-k8s.io",
            "ClaimExpired",
            "SandboxExpired",
        ),
    ] {
        check(
            kind,
            &[
                (
                    "ready",
                    conditions(&[("Ready", "True", "DependenciesReady")]),
                    Running,
                ),
                (
                    "suspended",
                    conditions(&[("Ready", "False", "SandboxSuspended")]),
                    Running,
                ),
                (
                    "no pod yet",
                    conditions(&[("Ready", "False", "DependenciesNotReady")]),
                    Running,
                ),
                (
                    "pod succeeded",
                    conditions(&[
                        ("Ready", "False", "PodSucceeded"),
                        ("Finished", "True", "PodSucceeded"),
                    ]),
                    Succeeded,
                ),
                (
                    "pod failed",
                    conditions(&[("Finished", "True", "PodFailed")]),
                    Failed,
                ),
                (
                    "expired",
                    conditions(&[("Ready", "False", expired)]),
                    Failed,
                ),
                (
                    "the other kind's reason",
                    conditions(&[("Ready", "False", other)]),
                    Running,
                ),
                (
                    "expiry that isn't one",
                    conditions(&[("Ready", "True", expired)]),
                    Running,
                ),
                (
                    "not finished",
                    conditions(&[("Finished", "False", "PodSucceeded")]),
                    Running,
                ),
                (
                    "expired after success: the worse one",
                    conditions(&[
                        ("Finished", "True", "PodSucceeded"),
                        ("Ready", "False", expired),
                    ]),
                    Failed,
                ),
            ],
        );
    }
}

#[test]
fn agent_tasks_end_with_their_phase() {
    let cases = |running: &[&'static str], succeeded: &'static str, failed: &[&'static str]| {
        let mut cases: Vec<_> = running
            .iter()
            .map(|name| (*name, phase(name), Running))
            .collect();
        cases.push((succeeded, phase(succeeded), Succeeded));
        cases.extend(failed.iter().map(|name| (*name, phase(name), Failed)));
        cases
    };
    check(
        "tasks.kelos.dev",
        &cases(&["Pending", "Waiting", "Running"], "Succeeded", &["Failed"]),
    );
    check(
        "tasks.kubeopencode.io",
        &cases(&["Pending", "Queued", "Running"], "Completed", &["Failed"]),
    );
    check(
        "queries.ark.mckinsey.com",
        &cases(
            &["pending", "running", "Done"],
            "done",
            &["error", "canceled"],
        ),
    );
    check(
        "tasks.acp.humanlayer.dev",
        &cases(
            &[
                "Initializing",
                "ReadyForLLM",
                "ToolCallsPending",
                "ErrorBackoff",
            ],
            "FinalAnswer",
            &["Failed"],
        ),
    );
}

#[test]
fn default_kinds_have_unique_names_and_short_rules() {
    let mut names: Vec<_> = defaults()
        .iter()
        .map(|kind| (kind.group, kind.resource))
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 19);
    assert_eq!(defaults().len(), 19);
    assert!(
        defaults()
            .iter()
            .all(|kind| kind.succeeded.len() + kind.failed.len() < 1024)
    );
}
