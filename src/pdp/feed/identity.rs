//! AgentIdentities as the engine takes them.

use std::collections::HashMap;

use countersign_api as api;
use countersign_decision::{CurrentCertificate, IdentityFacts, IdentityState, InPods};
use kube::ResourceExt as _;

use super::handed::Handed;

/// What is kept of an AgentIdentity.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) uid: String,
    pub(crate) state: IdentityState,
    /// Absent until a certificate was issued.
    pub(crate) spiffe_id: Option<String>,
    pub(crate) task_uid: Option<String>,
    pub(crate) certificate: Option<CurrentCertificate>,
    /// What a person wants.
    pub(crate) desired: api::DesiredState,
    /// What was written of its risk last.
    pub(crate) risk: Option<api::RiskStatus>,
    pub(crate) facts: Option<Handed<IdentityFacts>>,
}

impl Seen {
    /// The UID of its task, and its SPIFFE ID.
    pub(crate) fn runs_for(&self) -> Option<(&str, &str)> {
        Some((self.task_uid.as_deref()?, self.spiffe_id.as_deref()?))
    }
}

/// `None` for an object that the API server would not have: without a UID.
pub(crate) fn reduce(object: &api::AgentIdentity) -> Option<Seen> {
    let uid = object.uid()?;
    let state = state(object);
    let status = object.status.as_ref();
    Some(Seen {
        state,
        spiffe_id: status.and_then(|it| it.spiffe_id.clone()),
        task_uid: status.and_then(|it| it.task.as_ref()?.uid.clone()),
        certificate: status.and_then(certificate),
        desired: object.spec.desired_state,
        risk: status.and_then(|it| it.risk.clone()),
        facts: facts(object, &uid, state).map(Handed::new),
        uid,
    })
}

/// The certificates of identities that may not act now, by UID.
#[derive(Debug, Default)]
pub(crate) struct Taken(HashMap<String, CurrentCertificate>);

impl Taken {
    /// The certificate that counts no more: of an identity that is back with another one. One that is
    /// back with the same was never taken away.
    pub(crate) fn changed(
        &mut self,
        old: Option<&Seen>,
        new: Option<&Seen>,
    ) -> Option<CurrentCertificate> {
        let active = |it: &&Seen| it.state == IdentityState::Active;
        let same = |it: &Seen| new.is_some_and(|new| new.uid == it.uid);
        if let Some(old) = old {
            if !same(old) {
                self.0.remove(&old.uid); // gone, and so is its SPIFFE ID
            } else if active(&old) && new.filter(active).is_none() {
                let certificate = old.certificate.clone();
                self.0.extend(certificate.map(|it| (old.uid.clone(), it)));
            }
        }
        let back = new.filter(active)?;
        let before = self.0.remove(&back.uid)?;
        let kept = back.certificate.as_ref() == Some(&before);
        (!kept).then_some(before)
    }
}

fn is_in_pods(object: &api::AgentIdentity) -> bool {
    object.spec.credential.delivery == api::Delivery::Workload
}

fn in_pods(status: &api::AgentIdentityStatus) -> InPods {
    InPods {
        issuable: is_true(status, "Ready"),
        issued_since: status.resumed_time.as_ref().map(|it| it.0),
    }
}

fn is_true(status: &api::AgentIdentityStatus, kind: &str) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|it| it.type_ == kind && it.status == "True")
}

fn facts(object: &api::AgentIdentity, uid: &str, state: IdentityState) -> Option<IdentityFacts> {
    let status = object.status.as_ref()?;
    let spec = &object.spec;
    let task = &spec.task_ref;
    let kind = match task.group.as_str() {
        "" => task.resource.clone(),
        group => format!("{}.{group}", task.resource),
    };
    Some(IdentityFacts {
        uid: uid.to_owned(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        spiffe_id: status.spiffe_id.clone()?,
        trust_domain: spec.trust_domain_ref.name.clone(),
        owner: spec.owner_ref.name.clone(),
        task: format!("{kind}/{}", task.name),
        requester: spec.requester.as_ref().map(|it| it.username.clone()),
        grants: api::to_domain(&spec.grants),
        attributes: spec.attributes.clone(),
        state,
        certificate: certificate(status),
        in_pods: is_in_pods(object).then(|| in_pods(status)),
        deadline: status.deadline_time.as_ref().map(|it| it.0),
    })
}

fn certificate(status: &api::AgentIdentityStatus) -> Option<CurrentCertificate> {
    let certificate = status.certificate.as_ref()?;
    Some(CurrentCertificate {
        serial_number: certificate.serial_number.clone(),
        not_after: certificate.not_after.0,
    })
}

/// By what people want and by what the operator found, whichever says less: a patch counts before
/// the operator has seen it.
fn state(object: &api::AgentIdentity) -> IdentityState {
    let desired = object.spec.desired_state;
    let Some(status) = &object.status else {
        return IdentityState::Pending;
    };
    let over = (status.task.as_ref())
        .and_then(|it| it.outcome)
        .is_some_and(|it| it != api::TaskOutcome::Running);
    let risky = (status.risk.as_ref()).is_some_and(|it| it.state == api::RiskState::Suspended);
    if object.metadata.deletion_timestamp.is_some()
        || desired == api::DesiredState::Revoked
        || over
        || is_true(status, "Completed")
    {
        IdentityState::Ended
    } else if desired == api::DesiredState::Suspended || risky || is_true(status, "Suspended") {
        IdentityState::Suspended
    } else if status.certificate.is_some() || is_in_pods(object) && status.spiffe_id.is_some() {
        IdentityState::Active
    } else {
        IdentityState::Pending
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn in_pods(status: &Value) -> IdentityFacts {
        let object = json!({
            "apiVersion": "countersign.dev/v1alpha1",
            "kind": "AgentIdentity",
            "metadata": {"name": "reader", "namespace": "finance", "uid": "identity-1"},
            "spec": {
                "taskRef": {"group": "batch", "resource": "jobs", "name": "work"},
                "ownerRef": {"name": "alice"},
                "trustDomainRef": {"name": "example.org"},
                "grants": [{"actions": ["read"], "resources": ["ledger/*"]}],
                "credential": {"delivery": "Workload"},
            },
            "status": status,
        });
        let object = serde_json::from_value(object).unwrap();
        reduce(&object).unwrap().facts.unwrap().take().unwrap()
    }

    #[test]
    fn of_what_is_issued_in_pods_the_status_says_whether_and_since_when() {
        let id = "spiffe://example.org/ns/finance/agent/reader/task/t/identity-1";
        let condition = |kind: &str, status: &str| {
            json!([{"type": kind, "status": status, "reason": "R", "message": "",
                    "lastTransitionTime": "2027-01-15T08:00:00Z"}])
        };
        let ready = in_pods(&json!({"spiffeID": id, "conditions": condition("Ready", "True")}));
        assert_eq!(ready.state, IdentityState::Active);
        let expected = InPods {
            issuable: true,
            issued_since: None,
        };
        assert_eq!((ready.in_pods, ready.certificate), (Some(expected), None));

        // Refused since: what its pods hold counts on, and nobody may vouch for it.
        let refused = in_pods(&json!({"spiffeID": id, "conditions": condition("Ready", "False")}));
        assert_eq!(refused.state, IdentityState::Active);
        assert!(!refused.in_pods.unwrap().issuable);

        let stopped =
            in_pods(&json!({"spiffeID": id, "conditions": condition("Suspended", "True")}));
        assert_eq!(stopped.state, IdentityState::Suspended);

        let resumed = "2027-01-15T08:00:01Z";
        let back = in_pods(&json!({"spiffeID": id, "resumedTime": resumed,
                                   "conditions": condition("Ready", "True")}));
        let since = back.in_pods.unwrap().issued_since.unwrap();
        assert_eq!(since.to_string(), resumed);
    }
}
