//! What the cluster has above a delegation and at its end.

use anyhow::{Result, bail};
use countersign_api::{
    AgentIdentity, AgentOwner, Delegation, DesiredState, OwnerState, TrustDomain,
};
use countersign_statement::{MAX_DEPTH, read_unverified};
use kube::api::Api;

use super::build::{From, Places, What};
use super::check::{Above, Delegate};
use crate::cluster::{Connected, explain, get};
use crate::standing::{Standing, State};
use crate::world::{Key, delegate_of};

/// The Delegation above: the one that is named, or the only one that the agent holds.
pub(super) async fn parent(
    client: &Connected,
    what: &What,
    places: &Places,
) -> Result<Option<Delegation>> {
    let From::Agent(agent) = &what.from else {
        return Ok(None);
    };
    if let Some(named) = &what.parent {
        let (namespace, name) = named
            .split_once('/')
            .unwrap_or((&places.key.namespace, named));
        let api: Api<Delegation> = client.objects(namespace);
        return get(&api, "Delegation", name).await.map(Some);
    }
    let (all, everywhere) = client.delegations().await?;
    let agent = Key::new(&places.key.namespace, agent);
    only(all, &agent, everywhere).map(Some)
}

/// The only Delegation in force that `agent` holds.
pub(super) fn only(all: Vec<Delegation>, agent: &Key, everywhere: bool) -> Result<Delegation> {
    let holds = |it: &Delegation| {
        let conditions = it.status.as_ref().map(|it| it.conditions.as_slice());
        delegate_of(it) == *agent
            && Standing::of(conditions.unwrap_or_default()).state == State::Ready
    };
    let mut held: Vec<Delegation> = all.into_iter().filter(|it| holds(it)).collect();
    match (held.pop(), held.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(one), false) => {
            held.push(one);
            let names: Vec<String> = held.iter().map(|it| Key::of(it).to_string()).collect();
            bail!(
                "agent {agent} holds {}: --parent says which ({})",
                held.len(),
                names.join(", ")
            );
        }
        (None, _) => {
            let seen = if everywhere {
                ""
            } else {
                " in this namespace, and you may not list others"
            };
            bail!(
                "agent {agent} holds no delegation that is Ready{seen}: it can only hand on what it was given; --parent names one to wait for"
            );
        }
    }
}

/// What stands above: `None` if it may not be read, which is said on stderr.
pub(super) async fn above(
    client: &Connected,
    what: &What,
    parent: Option<&Delegation>,
) -> Result<Option<Above>> {
    match (&what.from, parent) {
        (From::Owner(name), _) => {
            let api: Api<AgentOwner> = Api::all(client.client.clone());
            match api.get_opt(name).await {
                Ok(Some(owner)) => Ok(Some(of_owner(name, &owner))),
                Ok(None) => bail!("there is no AgentOwner {name}: an admin creates it"),
                Err(why) => {
                    eprintln!(
                        "not checked: {:#}",
                        explain(why, &format!("read AgentOwner {name}"))
                    );
                    Ok(None)
                }
            }
        }
        (From::Agent(_), Some(parent)) => Ok(Some(of_parent(parent))),
        (From::Agent(_), None) => Ok(None),
    }
}

fn of_owner(name: &str, owner: &AgentOwner) -> Above {
    let active = owner.spec.desired_state == OwnerState::Active;
    Above {
        name: format!("owner {name}"),
        grants: countersign_api::to_domain(&owner.spec.grants),
        ends: None,
        depth: 0,
        max_depth: MAX_DEPTH,
        subjects: Vec::new(),
        not_ready: (!active).then(|| format!("owner {name} is {:?}", owner.spec.desired_state)),
    }
}

/// By the statements that it keeps: a depth is absolute in them.
pub(super) fn of_parent(parent: &Delegation) -> Above {
    let status = parent.status.clone().unwrap_or_default();
    let standing = Standing::of(&status.conditions);
    let key = Key::of(parent);
    let own = status
        .statement
        .as_deref()
        .and_then(|it| read_unverified(it).ok());
    let depth = status
        .depth
        .and_then(|it| u8::try_from(it).ok())
        .unwrap_or(1);
    let below = u8::try_from(parent.spec.max_depth).unwrap_or_default();
    let statements = status.ancestors.iter().chain(&status.statement);
    let subjects = statements.filter_map(|it| read_unverified(it).ok());
    let ready = standing.state == State::Ready;
    Above {
        name: format!("delegation {key}"),
        grants: match status.grants.as_slice() {
            [] => countersign_api::to_domain(&parent.spec.grants),
            effective => countersign_api::to_domain(effective),
        },
        ends: status.expiration_time.map(|it| it.0),
        depth: own.as_ref().map_or(depth, |(claims, _)| claims.depth),
        max_depth: own.map_or_else(
            || depth.saturating_add(below),
            |(claims, _)| claims.max_depth,
        ),
        subjects: subjects
            .map(|(claims, _)| claims.subject.to_string())
            .collect(),
        not_ready: (!ready).then(|| {
            format!(
                "delegation {key} is {} {}: {}",
                standing.state.as_str(),
                standing.reason,
                standing.message
            )
        }),
    }
}

/// Who gets it, and how long its trust domain lets delegations live.
pub(super) async fn delegate(client: &Connected, key: &Key) -> (Delegate, Option<i64>) {
    let api: Api<AgentIdentity> = client.objects(&key.namespace);
    let identity = match api.get_opt(&key.name).await {
        Ok(Some(identity)) => identity,
        Ok(None) => {
            let not_ready = Some(format!("there is no AgentIdentity {key} yet"));
            return (
                Delegate {
                    not_ready,
                    ..Delegate::default()
                },
                None,
            );
        }
        Err(why) => {
            eprintln!(
                "not checked: {:#}",
                explain(why, &format!("read AgentIdentity {key}"))
            );
            return (Delegate::default(), None);
        }
    };
    let domains: Api<TrustDomain> = Api::all(client.client.clone());
    let domain = domains.get_opt(&identity.spec.trust_domain_ref.name).await;
    let longest = domain
        .ok()
        .flatten()
        .map(|it| it.spec.max_delegation_lifetime_seconds);
    (of_identity(key, &identity), longest)
}

pub(super) fn of_identity(key: &Key, identity: &AgentIdentity) -> Delegate {
    let status = identity.status.clone().unwrap_or_default();
    let standing = Standing::of(&status.conditions);
    let over =
        standing.state == State::Over || identity.spec.desired_state == DesiredState::Revoked;
    let not_ready = if over {
        Some(format!("agent {key} is over: {}", standing.reason))
    } else if status.spiffe_id.is_none() {
        Some(format!(
            "agent {key} has no SPIFFE ID yet: {}",
            standing.reason
        ))
    } else {
        None
    };
    Delegate {
        spiffe_id: status.spiffe_id,
        deadline: status.deadline_time.map(|it| it.0),
        not_ready,
    }
}
