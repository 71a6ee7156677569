//! From the API's types into what `plan` works with, and back.

use std::sync::Arc;

use countersign_api as api;
use countersign_core::TrustDomainName;
use countersign_statement::{Chain, Digest};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use super::observed::{Delegation, From, ObjectName, Recorded, Root, Shown};
use super::plan::Status;
use crate::condition::condition;
use crate::identity::{created, requester};

/// What an object asks for.
pub(crate) fn delegation(object: &api::Delegation) -> Delegation {
    let spec = &object.spec;
    let namespace = object.namespace().unwrap_or_default();
    let named = |reference: &api::NamespacedReference| ObjectName {
        namespace: reference
            .namespace
            .clone()
            .unwrap_or_else(|| namespace.clone()),
        name: reference.name.clone(),
    };
    Delegation {
        uid: object.uid().unwrap_or_default(),
        name: object.name_any(),
        generation: object.metadata.generation.unwrap_or_default(),
        created: created(object),
        deleting: object.metadata.deletion_timestamp.is_some(),
        from: match (&spec.from.owner, &spec.from.agent) {
            (None, Some(agent)) => From::Agent(agent.name.clone()),
            (owner, _) => From::Owner(owner.as_ref().map(|it| it.name.clone()).unwrap_or_default()),
        },
        to: named(&spec.to),
        parent: spec.parent_ref.as_ref().map(named),
        grants: api::to_domain(&spec.grants),
        unknown_constraint: spec
            .grants
            .iter()
            .any(|grant| !grant.constraints.unknown.is_empty()),
        expires_after_seconds: u64::try_from(spec.expires_after_seconds).unwrap_or(0),
        max_depth: u8::try_from(spec.max_depth).unwrap_or(0),
        statement: spec.statement.clone(),
        revoked: spec.desired_state == api::DelegationState::Revoked,
        requester: spec.requester.as_ref().map(requester),
        namespace,
    }
}

/// What the status holds; `chain` is what its statements were verified to be.
pub(crate) fn recorded(object: &api::Delegation, chain: Option<Arc<Chain>>) -> Recorded {
    let Some(status) = &object.status else {
        return Recorded::default();
    };
    let completed = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Completed" && condition.status == "True");
    let time = |time: &Option<Time>| time.as_ref().map(|time| time.0);
    let digest = status.digest.as_deref();
    Recorded {
        delegator: status.delegator.as_ref().map(|it| it.uid.clone()),
        delegate: status.delegate.as_ref().map(|it| it.uid.clone()),
        parent: status.parent.as_ref().map(|it| it.uid.clone()),
        granted: digest.is_some(),
        digest: digest.and_then(|digest| Digest::parse(digest).ok()),
        statements: statements(object).into_iter().map(str::to_owned).collect(),
        chain,
        expires: time(&status.expiration_time),
        issued: time(&status.issue_time),
        finished: time(&status.finished_time),
        shown: Shown {
            depth: status.depth.and_then(|depth| u8::try_from(depth).ok()),
            grants: api::to_domain(&status.grants),
            root: status.root.as_ref().map(root),
            delegator: status
                .delegator
                .as_ref()
                .and_then(|it| it.spiffe_id.clone()),
            delegate: status.delegate.as_ref().and_then(|it| it.spiffe_id.clone()),
        },
        completed: completed.map(|it| (it.reason.clone(), it.message.clone())),
    }
}

/// The statements that status holds, in order.
pub(crate) fn statements(object: &api::Delegation) -> Vec<&str> {
    let Some(status) = &object.status else {
        return Vec::new();
    };
    let Some(own) = &status.statement else {
        return Vec::new();
    };
    let above = status.ancestors.iter().map(String::as_str);
    above.chain([own.as_str()]).collect()
}

/// The trust domain of a SPIFFE ID.
pub(crate) fn trust_domain(name: &str) -> Option<TrustDomainName> {
    TrustDomainName::parse(name).ok()
}

pub(crate) fn root(root: &api::RootStatus) -> Root {
    Root {
        delegation: ObjectName {
            namespace: root.delegation.namespace.clone(),
            name: root.delegation.name.clone(),
        },
        uid: root.delegation.uid.clone(),
        owner: root.owner.name.clone(),
        owner_uid: root.owner.uid.clone(),
        requester: root.requester.as_ref().map(|it| it.username.clone()),
    }
}

/// The status to write over `before` at `now`.
pub(crate) fn status(
    plan: &Status,
    asked: &Delegation,
    before: Option<&api::DelegationStatus>,
    now: Timestamp,
) -> api::DelegationStatus {
    let old = before.map(|status| status.conditions.as_slice());
    let (delegator_namespace, delegator_name) = match &asked.from {
        From::Owner(name) => (None, name),
        From::Agent(name) => (Some(asked.namespace.clone()), name),
    };
    let mut statements = plan.statements.clone();
    let own = statements.pop();
    let spiffe_id = |id: &Option<String>| id.clone();
    api::DelegationStatus {
        observed_generation: Some(plan.observed_generation),
        depth: plan.shown.depth.map(i64::from),
        root: plan.shown.root.as_ref().map(root_to),
        delegator: plan.delegator.as_ref().map(|uid| api::DelegatorStatus {
            spiffe_id: delegator_namespace
                .as_ref()
                .and_then(|_| spiffe_id(&plan.shown.delegator)),
            namespace: delegator_namespace.clone(),
            name: delegator_name.clone(),
            uid: uid.clone(),
        }),
        delegate: plan.delegate.as_ref().map(|uid| api::DelegateStatus {
            namespace: asked.to.namespace.clone(),
            name: asked.to.name.clone(),
            uid: uid.clone(),
            spiffe_id: spiffe_id(&plan.shown.delegate),
        }),
        parent: plan
            .parent
            .as_ref()
            .zip(asked.parent.as_ref())
            .map(|(uid, parent)| api::DelegationReference {
                namespace: parent.namespace.clone(),
                name: parent.name.clone(),
                uid: uid.clone(),
            }),
        grants: api::of_domain(&plan.shown.grants),
        issue_time: plan.issued.map(Time),
        expiration_time: plan.expires.map(Time),
        digest: plan.digest.as_ref().map(ToString::to_string),
        statement: own,
        ancestors: statements,
        finished_time: plan.finished.map(Time),
        conditions: plan
            .conditions
            .iter()
            .map(|it| {
                condition(
                    it.kind,
                    it.status,
                    &it.reason,
                    &it.message,
                    plan.observed_generation,
                    old.unwrap_or_default(),
                    now,
                )
            })
            .collect(),
    }
}

fn root_to(root: &Root) -> api::RootStatus {
    api::RootStatus {
        delegation: api::DelegationReference {
            namespace: root.delegation.namespace.clone(),
            name: root.delegation.name.clone(),
            uid: root.uid.clone(),
        },
        owner: api::RootOwner {
            name: root.owner.clone(),
            uid: root.owner_uid.clone(),
        },
        requester: root.requester.as_ref().map(|username| api::RootRequester {
            username: username.clone(),
            uid: None,
        }),
    }
}
