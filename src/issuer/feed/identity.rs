//! AgentIdentities with delivery `Workload`.

use countersign_api as api;
use countersign_audit::{Requester, Task};
use countersign_authority::KeyAlgorithm;
use countersign_core::{Grant, SpiffeId, TrustDomainName};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;

/// What is kept of one.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) uid: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) trust_domain: String,
    pub(crate) pods: Pods,
    pub(crate) service_account: Option<String>,
    /// As the operator found it.
    pub(crate) task_uid: Option<String>,
    pub(crate) standing: Standing,
    /// Made of facts of the API server again, not read: whoever may write a status gives nobody
    /// another's name. Empty while there is no task.
    pub(crate) spiffe_id: String,
    pub(crate) ttl_seconds: Option<u64>,
    pub(crate) key_algorithm: KeyAlgorithm,
    pub(crate) deadline: Option<Timestamp>,
    /// What was issued before counts no more.
    pub(crate) resumed: Option<Timestamp>,
    pub(crate) record: OnRecord,
}

/// Which pods it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pods {
    Task,
    ServiceAccount,
}

/// May it be issued for? With what a person should read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Active,
    NotReady(String),
    Suspended(String),
    /// For good.
    TaskOver(String),
    /// For good.
    Ended(String),
}

/// What the audit log keeps of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OnRecord {
    pub(crate) owner: String,
    pub(crate) requester: Option<Requester>,
    pub(crate) task: Task,
    pub(crate) grants: Vec<Grant>,
}

/// `None` for one of another delivery, and for an object that the API server would not have: without
/// a UID.
pub(crate) fn reduce(object: &api::AgentIdentity) -> Option<Seen> {
    let (spec, credential) = (&object.spec, &object.spec.credential);
    if credential.delivery != api::Delivery::Workload {
        return None;
    }
    let uid = object.uid()?;
    let namespace = object.namespace()?;
    let name = object.name_any();
    let status = object.status.as_ref();
    let task_uid = status.and_then(|it| it.task.as_ref()?.uid.clone());
    let spiffe_id = task_uid
        .as_deref()
        .and_then(|task| spiffe_id(&spec.trust_domain_ref.name, &namespace, &name, task, &uid))
        .unwrap_or_default();
    let workload = credential.workload.clone().unwrap_or_default();
    Some(Seen {
        standing: standing(object, &spiffe_id),
        pods: match workload.pods {
            api::WorkloadPods::Task => Pods::Task,
            api::WorkloadPods::ServiceAccount => Pods::ServiceAccount,
        },
        service_account: workload.service_account_name,
        trust_domain: spec.trust_domain_ref.name.clone(),
        ttl_seconds: credential
            .certificate_ttl_seconds
            .map(|it| u64::try_from(it).unwrap_or(0)),
        key_algorithm: match credential.key_algorithm {
            api::KeyAlgorithm::EcdsaP256 => KeyAlgorithm::EcdsaP256,
            api::KeyAlgorithm::EcdsaP384 => KeyAlgorithm::EcdsaP384,
            api::KeyAlgorithm::Ed25519 => KeyAlgorithm::Ed25519,
        },
        deadline: status.and_then(|it| Some(it.deadline_time.as_ref()?.0)),
        resumed: status.and_then(|it| Some(it.resumed_time.as_ref()?.0)),
        record: OnRecord {
            owner: spec.owner_ref.name.clone(),
            requester: spec.requester.as_ref().map(|it| Requester {
                username: it.username.clone(),
                uid: it.uid.clone(),
            }),
            task: Task {
                group: spec.task_ref.group.clone(),
                resource: spec.task_ref.resource.clone(),
                namespace: namespace.clone(),
                name: spec.task_ref.name.clone(),
                uid: task_uid.clone().unwrap_or_default(),
            },
            grants: api::to_domain(&spec.grants),
        },
        task_uid,
        spiffe_id,
        uid,
        namespace,
        name,
    })
}

fn spiffe_id(domain: &str, namespace: &str, name: &str, task: &str, uid: &str) -> Option<String> {
    let domain = TrustDomainName::parse(domain).ok()?;
    let id = SpiffeId::for_task(&domain, namespace, name, task, uid).ok()?;
    Some(id.to_string())
}

/// By what people want and by what the operator found, whichever says less: a patch counts before the
/// operator has seen it.
fn standing(object: &api::AgentIdentity, spiffe_id: &str) -> Standing {
    let desired = object.spec.desired_state;
    if object.metadata.deletion_timestamp.is_some() {
        return Standing::Ended("it is being deleted".to_owned());
    }
    if desired == api::DesiredState::Revoked {
        return Standing::Ended("it was revoked".to_owned());
    }
    let Some(status) = &object.status else {
        return waiting(desired, "the operator hasn't looked at it yet".to_owned());
    };
    let found = |kind: &str| {
        let mut conditions = status.conditions.iter();
        conditions.find(|it| it.type_ == kind && it.status == "True")
    };
    if let Some(over) = over(status, found("Completed")) {
        return over;
    }
    if status
        .risk
        .as_ref()
        .is_some_and(|it| it.state == api::RiskState::Suspended)
    {
        return Standing::Suspended("its risk is too high".to_owned());
    }
    if let Some(why) = found("Suspended") {
        return Standing::Suspended(told(why));
    }
    let running = status.task.as_ref().and_then(|it| it.outcome);
    let whole = running == Some(api::TaskOutcome::Running)
        && status.spiffe_id.as_deref() == Some(spiffe_id)
        && !spiffe_id.is_empty()
        && status.deadline_time.is_some()
        && found("Stalled").is_none();
    match (found("Ready"), desired) {
        (Some(_), api::DesiredState::Active) if whole => Standing::Active,
        (ready, _) => {
            let why = found("Stalled").or_else(|| found("Reconciling"));
            let why = why.map_or_else(
                || match ready {
                    Some(_) => "its status is not whole".to_owned(),
                    None => "it isn't Ready yet".to_owned(),
                },
                told,
            );
            waiting(desired, why)
        }
    }
}

fn waiting(desired: api::DesiredState, why: String) -> Standing {
    match desired {
        api::DesiredState::Suspended => Standing::Suspended("it is to be suspended".to_owned()),
        _ => Standing::NotReady(why),
    }
}

fn over(status: &api::AgentIdentityStatus, completed: Option<&Condition>) -> Option<Standing> {
    use api::TaskOutcome::{DeadlineExceeded, Deleted, Failed, Replaced, Running, Succeeded};
    let outcome = status.task.as_ref().and_then(|it| it.outcome);
    let of_task = match outcome {
        Some(Succeeded | Failed | Deleted | Replaced) => true,
        Some(DeadlineExceeded) => false,
        Some(Running) | None => {
            // Revoked, say: the task runs on.
            return completed.map(|why| Standing::Ended(told(why)));
        }
    };
    let why = completed.map_or_else(|| "it is over".to_owned(), told);
    Some(if of_task {
        Standing::TaskOver(why)
    } else {
        Standing::Ended(why)
    })
}

fn told(condition: &Condition) -> String {
    format!("{}: {}", condition.reason, condition.message)
}

#[cfg(test)]
#[path = "identity/tests.rs"]
pub(crate) mod tests;
