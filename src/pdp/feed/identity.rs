//! AgentIdentities as the engine takes them.

use std::collections::HashMap;

use countersign_api as api;
use countersign_decision::{CurrentCertificate, IdentityFacts, IdentityState, InPods};
use jiff::Timestamp;
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
    /// Its pods hold its certificates, which nobody recorded.
    pub(crate) in_pods: bool,
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
        in_pods: in_pods(object),
        desired: object.spec.desired_state,
        risk: status.and_then(|it| it.risk.clone()),
        facts: facts(object, &uid, state).map(Handed::new),
        uid,
    })
}

/// What identities held that were stopped, by UID.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Certificates of those that may not act now.
    certificates: HashMap<String, CurrentCertificate>,
    /// Since when those may act again whose pods hold certificates that nobody recorded; `None`: they
    /// may not.
    in_pods: HashMap<String, Option<Timestamp>>,
}

impl Taken {
    /// The certificate that counts no more: of an identity that is back with another one. One that is
    /// back with the same was never taken away.
    pub(crate) fn changed(
        &mut self,
        old: Option<&Seen>,
        new: Option<&Seen>,
        now: Timestamp,
    ) -> Option<CurrentCertificate> {
        let active = |it: &&Seen| it.state == IdentityState::Active;
        let same = |it: &Seen| new.is_some_and(|new| new.uid == it.uid);
        if let Some(old) = old {
            if !same(old) {
                // Gone, and so is its SPIFFE ID.
                self.certificates.remove(&old.uid);
                self.in_pods.remove(&old.uid);
            } else if active(&old) && new.filter(active).is_none() {
                let certificate = old.certificate.clone();
                self.certificates
                    .extend(certificate.map(|it| (old.uid.clone(), it)));
                if old.in_pods {
                    self.in_pods.insert(old.uid.clone(), None);
                }
            }
        }
        let back = new.filter(active)?;
        if let Some(since @ None) = self.in_pods.get_mut(&back.uid) {
            *since = Some(now);
        }
        let before = self.certificates.remove(&back.uid)?;
        let kept = back.certificate.as_ref() == Some(&before);
        (!kept).then_some(before)
    }

    /// When the identity was seen to be back, whose pods hold certificates that nobody recorded: those
    /// of before don't count.
    pub(crate) fn resumed(&self, uid: &str) -> Option<Timestamp> {
        self.in_pods.get(uid).copied().flatten()
    }
}

fn in_pods(object: &api::AgentIdentity) -> bool {
    object.spec.credential.delivery == api::Delivery::Workload
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
        in_pods: in_pods(object).then(InPods::default),
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
    let is_true = |kind: &str| {
        let mut conditions = status.conditions.iter();
        conditions.any(|it| it.type_ == kind && it.status == "True")
    };
    let over = (status.task.as_ref())
        .and_then(|it| it.outcome)
        .is_some_and(|it| it != api::TaskOutcome::Running);
    let risky = (status.risk.as_ref()).is_some_and(|it| it.state == api::RiskState::Suspended);
    if object.metadata.deletion_timestamp.is_some()
        || desired == api::DesiredState::Revoked
        || over
        || is_true("Completed")
    {
        IdentityState::Ended
    } else if desired == api::DesiredState::Suspended || risky || is_true("Suspended") {
        IdentityState::Suspended
    } else if status.certificate.is_some() || in_pods(object) && status.spiffe_id.is_some() {
        IdentityState::Active
    } else {
        IdentityState::Pending
    }
}
