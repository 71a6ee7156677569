//! From the API's types into what `plan` works with, and back.

use countersign_api as api;
use countersign_authority::KeyAlgorithm;
use countersign_core::{Outcome, Requester};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as ApiCondition, Time};
use kube::ResourceExt as _;

use super::observed::{
    Certificate, Delivery, Desired, Identity, Recorded, Risk, SecretVersion, TaskRef,
};
use super::plan::Status;

/// What an object asks for.
pub(crate) fn identity(object: &api::AgentIdentity) -> Identity {
    let spec = &object.spec;
    let name = object.name_any();
    let credential = &spec.credential;
    Identity {
        uid: object.uid().unwrap_or_default(),
        namespace: object.namespace().unwrap_or_default(),
        generation: object.metadata.generation.unwrap_or_default(),
        created: created(object),
        deleting: object.metadata.deletion_timestamp.is_some(),
        trust_domain: spec.trust_domain_ref.name.clone(),
        owner: spec.owner_ref.name.clone(),
        task: TaskRef {
            group: spec.task_ref.group.clone(),
            resource: spec.task_ref.resource.clone(),
            name: spec.task_ref.name.clone(),
            uid: spec.task_ref.uid.clone(),
        },
        grants: api::to_domain(&spec.grants),
        delivery: match credential.delivery {
            api::Delivery::Secret => Delivery::Secret {
                name: secret_name(object),
            },
            api::Delivery::Request => Delivery::Request {
                pkcs10: credential
                    .request
                    .as_ref()
                    .map(|request| request.pkcs10.clone())
                    .unwrap_or_default(),
            },
            api::Delivery::Workload => Delivery::Workload,
        },
        ttl_seconds: seconds(credential.certificate_ttl_seconds),
        key_algorithm: match credential.key_algorithm {
            api::KeyAlgorithm::EcdsaP256 => KeyAlgorithm::EcdsaP256,
            api::KeyAlgorithm::EcdsaP384 => KeyAlgorithm::EcdsaP384,
            api::KeyAlgorithm::Ed25519 => KeyAlgorithm::Ed25519,
        },
        deadline_seconds: seconds(spec.active_deadline_seconds),
        ttl_after_finished_seconds: seconds(spec.ttl_seconds_after_finished),
        desired: match spec.desired_state {
            api::DesiredState::Active => Desired::Active,
            api::DesiredState::Suspended => Desired::Suspended,
            api::DesiredState::Revoked => Desired::Revoked,
        },
        requester: spec.requester.as_ref().map(requester),
        name,
    }
}

/// The name of its Secret, for delivery `Secret`.
pub(crate) fn secret_name(object: &api::AgentIdentity) -> String {
    match &object.spec.credential.secret {
        Some(secret) => secret.name.clone(),
        None => format!("{}-identity", object.name_any()),
    }
}

/// Where its Secret is, for delivery `Secret`.
pub(crate) fn secret_key(object: &api::AgentIdentity) -> countersign_runtime::ObjectKey {
    countersign_runtime::ObjectKey::new(object.namespace().as_deref(), &secret_name(object))
}

/// The stamp of admission.
pub(crate) fn requester(stamp: &api::Requester) -> Requester {
    Requester {
        username: stamp.username.clone(),
        uid: stamp.uid.clone(),
        groups: stamp.groups.clone(),
    }
}

/// When an object was created; the beginning of time where that isn't said.
pub(crate) fn created(object: &impl kube::Resource) -> Timestamp {
    let created = object.meta().creation_timestamp.as_ref();
    created.map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

/// What the status holds.
pub(crate) fn recorded(object: &api::AgentIdentity) -> Recorded {
    let Some(status) = &object.status else {
        return Recorded::default();
    };
    let task = status.task.as_ref();
    let completed = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Completed" && condition.status == "True");
    Recorded {
        observed_generation: status.observed_generation.unwrap_or_default(),
        task_uid: task.and_then(|task| task.uid.clone()),
        outcome: task.and_then(|task| task.outcome).map(outcome_from),
        finished: task.and_then(|task| time_from(task.finished_time.as_ref())),
        first_issue: time_from(status.first_issue_time.as_ref()),
        deadline: time_from(status.deadline_time.as_ref()),
        offered: match status.certificate {
            None => status.spiffe_id.clone(),
            Some(_) => None,
        },
        resumed: time_from(status.resumed_time.as_ref()),
        suspended: crate::condition::is_true(&status.conditions, "Suspended"),
        certificate: status.certificate.as_ref().map(|certificate| Certificate {
            spiffe_id: status.spiffe_id.clone().unwrap_or_default(),
            serial_number: certificate.serial_number.clone(),
            not_before: certificate.not_before.0,
            not_after: certificate.not_after.0,
            renewal: time_from(certificate.renewal_time.as_ref()),
            public_key_sha256: certificate.public_key_sha256.clone(),
            authority_id: certificate.authority_id.clone(),
            chain: certificate.chain.clone(),
        }),
        secret: status.secret.as_ref().map(|secret| SecretVersion {
            name: secret.name.clone(),
            uid: secret.uid.clone(),
            resource_version: secret.resource_version.clone(),
        }),
        bundle_sequence: status.secret.as_ref().and_then(|it| it.bundle_sequence),
        completed: completed.map(|it| (it.reason.clone(), it.message.clone())),
    }
}

/// The risk that suspends it, if one does.
pub(crate) fn risk(object: &api::AgentIdentity) -> Option<Risk> {
    let risk = object.status.as_ref()?.risk.as_ref()?;
    let percent = |it: i64| u8::try_from(it.clamp(0, 100)).unwrap_or(100);
    (risk.state == api::RiskState::Suspended).then(|| Risk {
        score: percent(risk.score),
        anomaly: percent(risk.anomaly),
        reason: risk.reason.clone(),
    })
}

/// The status to write over `before` at `now`. A condition whose status didn't change keeps the
/// time of its last transition, so that an equal plan gives an equal status.
pub(crate) fn status(
    plan: &Status,
    before: Option<&api::AgentIdentityStatus>,
    now: Timestamp,
) -> api::AgentIdentityStatus {
    let old = before.map(|status| status.conditions.as_slice());
    let task = plan.task_uid.is_some() || plan.outcome.is_some() || plan.finished.is_some();
    api::AgentIdentityStatus {
        observed_generation: Some(plan.observed_generation),
        spiffe_id: match &plan.certificate {
            Some(certificate) => Some(certificate.spiffe_id.clone()),
            None => plan.offered.clone(),
        },
        task: task.then(|| api::TaskStatus {
            uid: plan.task_uid.clone(),
            outcome: plan.outcome.map(outcome_to),
            finished_time: plan.finished.map(Time),
        }),
        first_issue_time: plan.first_issue.map(Time),
        deadline_time: plan.deadline.map(Time),
        resumed_time: plan.resumed.map(Time),
        secret: plan.secret.as_ref().map(|secret| api::SecretStatus {
            name: secret.name.clone(),
            uid: secret.uid.clone(),
            resource_version: secret.resource_version.clone(),
            bundle_sequence: plan.bundle_sequence,
        }),
        certificate: plan.certificate.as_ref().map(|it| api::CertificateStatus {
            serial_number: it.serial_number.clone(),
            not_before: Time(it.not_before),
            not_after: Time(it.not_after),
            renewal_time: it.renewal.map(Time),
            public_key_sha256: it.public_key_sha256.clone(),
            authority_id: it.authority_id.clone(),
            chain: it.chain.clone(),
        }),
        // The decision point's: it stays as it is.
        risk: before.and_then(|status| status.risk.clone()),
        conditions: plan
            .conditions
            .iter()
            .map(|it| {
                crate::condition::condition(
                    it.kind,
                    it.status,
                    &it.reason,
                    &it.message,
                    plan.observed_generation,
                    old.unwrap_or_default(),
                    now,
                )
            })
            .collect::<Vec<ApiCondition>>(),
    }
}

fn outcome_from(outcome: api::TaskOutcome) -> Outcome {
    match outcome {
        api::TaskOutcome::Running => Outcome::Running,
        api::TaskOutcome::Succeeded => Outcome::Succeeded,
        api::TaskOutcome::Failed => Outcome::Failed,
        api::TaskOutcome::Deleted => Outcome::Deleted,
        api::TaskOutcome::Replaced => Outcome::Replaced,
        api::TaskOutcome::DeadlineExceeded => Outcome::DeadlineExceeded,
    }
}

fn outcome_to(outcome: Outcome) -> api::TaskOutcome {
    match outcome {
        Outcome::Running => api::TaskOutcome::Running,
        Outcome::Succeeded => api::TaskOutcome::Succeeded,
        Outcome::Failed => api::TaskOutcome::Failed,
        Outcome::Deleted => api::TaskOutcome::Deleted,
        Outcome::Replaced => api::TaskOutcome::Replaced,
        Outcome::DeadlineExceeded => api::TaskOutcome::DeadlineExceeded,
    }
}

fn time_from(time: Option<&Time>) -> Option<Timestamp> {
    time.map(|time| time.0)
}

/// The schema refuses what is negative.
fn seconds(seconds: Option<i64>) -> Option<u64> {
    seconds.and_then(|seconds| u64::try_from(seconds).ok())
}
