//! Looks at everything that decides about one delegation.

use std::sync::Arc;

use countersign_api as api;
use countersign_core::Requester;
use countersign_runtime::{ObjectKey, Urgency};
use countersign_statement::{Chain, Options, Task};
use jiff::Timestamp;
use kube::api::Api;
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tracing::debug;

use super::observed::{
    Agent, AgentSeen, Delegation, DelegatorSeen, DomainSeen, From, Life, ObjectName, Observed,
    OwnerSeen, Parent, ParentSeen, Recorded, Standing,
};
use super::standing::standing;
use super::{parse, signed};
use crate::audit::Of;
use crate::context::Context;
use crate::identity::{Admits, OwnerState, Refusal, Stage};
use crate::owner::Owner;
use crate::trust_domain::Domain;
use crate::uid::Uid;

/// Looks, mostly at what the watches have brought. The API server itself is asked where absence
/// would end something: that a watch doesn't show an object proves nothing.
pub(crate) async fn observe(ctx: &Context, object: &api::Delegation) -> kube::Result<Observed> {
    let now = crate::identity::whole_seconds(ctx.clock.now());
    let delegation = parse::delegation(object);
    let delegate = agent(
        ctx,
        &delegation.to,
        latched(object, |it| it.delegate.as_ref().map(|it| it.uid.as_str())),
    )
    .await?;
    // One look at it: its keys may change from one moment to the next.
    let known = match &delegate {
        AgentSeen::Found(agent) => ctx.domains.get(&agent.trust_domain),
        AgentSeen::Missing => None,
    };
    let mut domain = domain(&delegate, known.as_deref());
    let chain = known.and_then(|known| verified(&known, &parse::statements(object), now));
    let recorded = parse::recorded(object, chain);
    if delegation.statement.is_some() && !recorded.granted && !ctx.revocations.complete() {
        domain.ready = Err(Refusal {
            reason: "RevocationsUnknown",
            message: "what ended before this replica led is being looked up: whether the certificate of spec.statement is revoked can't be said yet".to_owned(),
        });
    }
    let over = recorded.completed.is_some() || delegation.revoked || delegation.deleting;
    let (delegator, parent) = if over {
        (DelegatorSeen::Agent(AgentSeen::Missing), ParentSeen::None)
    } else {
        let delegator = delegator(ctx, &delegation, &recorded).await?;
        let parent = parent(ctx, &delegation, &recorded, now).await?;
        let parent = known_to(&delegator, &recorded, parent);
        (delegator, parent)
    };
    let admits = if over || recorded.granted {
        Admits::Yes
    } else {
        admits(ctx, &delegation, &delegator).await
    };
    let accepted =
        delegation.to.namespace == delegation.namespace || accepts(ctx, &delegation.to.namespace);
    let signed = match &delegation.statement {
        Some(statement) if !over && (!recorded.granted || recorded.chain.is_none()) => {
            Some(signed::look(ctx, &recorded, &domain, statement, now))
        }
        _ => None,
    };
    Ok(Observed {
        now,
        closed: ctx
            .installation
            .closed(delegation.created, recorded.granted),
        before: ctx.audit.before(Of::Delegation, &delegation.uid),
        clock_off: ctx.skew.off(),
        delegation,
        recorded,
        delegator,
        delegate,
        parent,
        accepted,
        admits,
        domain,
        signed,
    })
}

/// How soon to look: ends before what is there before what is new.
pub(crate) fn urgency(ctx: &Context, key: &ObjectKey) -> Urgency {
    let Some(object) = ctx.delegations.get(key) else {
        return Urgency::Retire;
    };
    if object.facts.completed.is_some() {
        return Urgency::Issue;
    }
    match standing(ctx, key, ctx.clock.now()) {
        Some(Standing::Over(_) | Standing::Suspended(_)) | None => Urgency::Retire,
        Some(_) if object.facts.digest.is_some() => Urgency::Renew,
        Some(_) => Urgency::Issue,
    }
}

fn latched<'a>(
    object: &'a api::Delegation,
    of: impl Fn(&'a api::DelegationStatus) -> Option<&'a str>,
) -> Option<&'a str> {
    object.status.as_ref().and_then(of)
}

fn key(name: &ObjectName) -> ObjectKey {
    ObjectKey::new(Some(&name.namespace), &name.name)
}

/// An agent's identity. One that was latched and isn't in memory any more, or is another one there,
/// is asked for at the API server before anything ends.
async fn agent(ctx: &Context, name: &ObjectName, latched: Option<&str>) -> kube::Result<AgentSeen> {
    let known = ctx.identities.get(&key(name));
    let other = |uid: &Uid| latched.is_some_and(|latched| !uid.is(latched));
    let object = match known {
        Some(known) if !other(known.uid()) => known.unpack().map(|object| (known.stage(), object)),
        None if latched.is_none() => None,
        _ => ask::<api::AgentIdentity>(ctx, name)
            .await?
            .map(|object| (Stage::of(&object), object)),
    };
    Ok(object.map_or(AgentSeen::Missing, |(stage, object)| {
        AgentSeen::Found(seen(stage, &object))
    }))
}

fn seen(stage: Stage, object: &api::AgentIdentity) -> Agent {
    let status = object.status.as_ref();
    let spiffe_id = status.and_then(|status| status.spiffe_id.clone());
    let (reference, task) = (
        &object.spec.task_ref,
        status.and_then(|status| status.task.as_ref()),
    );
    Agent {
        uid: object.uid().unwrap_or_default(),
        life: match (stage, spiffe_id) {
            (Stage::Over, _) => Life::Over(end(object)),
            (Stage::Suspended, spiffe_id) => Life::Suspended { spiffe_id },
            (Stage::Live, Some(spiffe_id)) => Life::Live { spiffe_id },
            _ => Life::Waiting,
        },
        trust_domain: object.spec.trust_domain_ref.name.clone(),
        owner: object.spec.owner_ref.name.clone(),
        grants: api::to_domain(&object.spec.grants),
        deadline: status
            .and_then(|status| status.deadline_time.as_ref())
            .map(|time| time.0),
        task: task.and_then(|task| task.uid.clone()).map(|uid| Task {
            group: reference.group.clone(),
            resource: reference.resource.clone(),
            namespace: object.namespace().unwrap_or_default(),
            name: reference.name.clone(),
            uid,
        }),
    }
}

fn end(object: &api::AgentIdentity) -> String {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let mut completed = conditions.filter(|it| it.type_ == "Completed");
    match completed.next() {
        Some(condition) => condition.message.clone(),
        None if object.metadata.deletion_timestamp.is_some() => "it is being deleted".to_owned(),
        None => "it is revoked".to_owned(),
    }
}

async fn ask<K>(ctx: &Context, name: &ObjectName) -> kube::Result<Option<K>>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(ctx.clients.reads.clone(), &name.namespace);
    api.get_opt(&name.name).await
}

async fn delegator(
    ctx: &Context,
    delegation: &Delegation,
    recorded: &Recorded,
) -> kube::Result<DelegatorSeen> {
    let latched = recorded.delegator.as_deref();
    match &delegation.from {
        From::Agent(name) => {
            let name = ObjectName {
                namespace: delegation.namespace.clone(),
                name: name.clone(),
            };
            Ok(DelegatorSeen::Agent(agent(ctx, &name, latched).await?))
        }
        From::Owner(name) => {
            let known = ctx.owners.get(&ObjectKey::new(None, name));
            let owner = match known {
                Some(owner) if latched.is_none_or(|uid| uid == owner.uid) => {
                    Some(Owner::clone(&owner))
                }
                None if latched.is_none() => None,
                _ => {
                    let owners: Api<api::AgentOwner> = Api::all(ctx.clients.reads.clone());
                    owners.get_opt(name).await?.map(|object| Owner::of(&object))
                }
            };
            Ok(DelegatorSeen::Owner(owner.map_or(
                OwnerSeen::Missing,
                |owner| OwnerSeen::Found {
                    uid: owner.uid,
                    state: owner.state,
                    grants: owner.grants,
                },
            )))
        }
    }
}

async fn parent(
    ctx: &Context,
    delegation: &Delegation,
    recorded: &Recorded,
    now: Timestamp,
) -> kube::Result<ParentSeen> {
    let Some(name) = &delegation.parent else {
        return Ok(ParentSeen::None);
    };
    let latched = recorded.parent.as_deref();
    let key = key(name);
    let known = ctx.delegations.get(&key);
    let known = known.filter(|known| latched.is_none_or(|uid| uid == &*known.facts.uid));
    let object = match known {
        Some(known) => known.unpack(),
        None if latched.is_none() => None,
        None => ask::<api::Delegation>(ctx, name).await?,
    };
    let Some(object) = object else {
        return Ok(ParentSeen::Missing);
    };
    let status = object.status.as_ref();
    let domain = status
        .and_then(|status| status.delegate.as_ref())
        .and_then(|delegate| delegate.spiffe_id.as_deref())
        .and_then(|id| id.strip_prefix("spiffe://")?.split_once('/'))
        .map(|(domain, _)| domain);
    Ok(ParentSeen::Found(Box::new(Parent {
        uid: object.uid().unwrap_or_default(),
        delegate: status
            .and_then(|status| status.delegate.as_ref())
            .map(|delegate| delegate.uid.clone()),
        standing: standing(ctx, &key, now).unwrap_or(Standing::Waiting),
        chain: domain
            .and_then(|domain| ctx.domains.get(domain))
            .and_then(|domain| verified(&domain, &parse::statements(&object), now)),
        root: status
            .and_then(|status| status.root.as_ref())
            .map(parse::root),
    })))
}

/// Whoever names somebody else's delegation as a parent learns nothing of it.
fn known_to(delegator: &DelegatorSeen, recorded: &Recorded, parent: ParentSeen) -> ParentSeen {
    let uid = match delegator {
        DelegatorSeen::Agent(AgentSeen::Found(agent)) => Some(&agent.uid),
        _ => None,
    };
    match &parent {
        ParentSeen::Found(found)
            if recorded.parent.is_none()
                && found.delegate.is_some()
                && found.delegate.as_ref() != uid =>
        {
            ParentSeen::Stranger
        }
        _ => parent,
    }
}

/// The chain, if it verifies with what the trust domain trusts now.
fn verified(domain: &Domain, statements: &[&str], now: Timestamp) -> Option<Arc<Chain>> {
    if statements.is_empty() {
        return None;
    }
    let keys = domain.keys.as_ref().ok()?;
    let verified = keys.verifier.verify(statements, now, &Options::default());
    verified
        .inspect_err(|why| debug!("a recorded chain doesn't verify: {why}"))
        .ok()
}

fn domain(delegate: &AgentSeen, known: Option<&Domain>) -> DomainSeen {
    let AgentSeen::Found(agent) = delegate else {
        return DomainSeen {
            name: None,
            max_lifetime_seconds: 0,
            ready: Ok(()),
        };
    };
    let name = &agent.trust_domain;
    DomainSeen {
        name: parse::trust_domain(name),
        max_lifetime_seconds: known.map_or(0, |known| known.max_delegation_seconds),
        ready: match known.map(|known| &known.keys) {
            Some(Ok(_)) => Ok(()),
            Some(Err(why)) => Err(Refusal::clone(why)),
            None => Err(Refusal {
                reason: "TrustDomainNotReady",
                message: format!("TrustDomain {name} is not ready yet: see its conditions"),
            }),
        },
    }
}

fn accepts(ctx: &Context, namespace: &str) -> bool {
    let labels = ctx.namespaces.get(&ObjectKey::new(None, namespace));
    labels.is_some_and(|labels| {
        labels
            .get(api::ACCEPT_DELEGATIONS_LABEL)
            .map(String::as_str)
            == Some("true")
    })
}

/// May the requester delegate here? An owner's subjects may, and whoever holds the verb.
async fn admits(ctx: &Context, delegation: &Delegation, delegator: &DelegatorSeen) -> Admits {
    let Some(requester) = &delegation.requester else {
        return Admits::No;
    };
    match (&delegation.from, delegator) {
        (From::Owner(name), DelegatorSeen::Owner(OwnerSeen::Found { state, .. })) => {
            if *state != OwnerState::Active {
                return Admits::No;
            }
            if is_subject(ctx, name, requester) {
                return Admits::Yes;
            }
            ctx.reviews.may_bind(requester, name).await
        }
        (From::Agent(name), DelegatorSeen::Agent(AgentSeen::Found(agent))) => {
            if is_subject(ctx, &agent.owner, requester) {
                return Admits::Yes;
            }
            let namespace = &delegation.namespace;
            ctx.reviews.may_delegate(requester, namespace, name).await
        }
        _ => Admits::No,
    }
}

fn is_subject(ctx: &Context, owner: &str, requester: &Requester) -> bool {
    let owner = ctx.owners.get(&ObjectKey::new(None, owner));
    owner.is_some_and(|owner| owner.has(requester))
}
