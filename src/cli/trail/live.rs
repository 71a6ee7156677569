//! A trail from live objects: what the cluster still has.

use countersign_api::{AgentIdentity, Delegation};
use countersign_statement::{MAX_STATEMENTS, read_unverified};
use kube::ResourceExt as _;

use super::model::{End, Hop, Identity, Trail};
use super::subject::Subject;
use crate::standing::{Standing, State};
use crate::world::{Key, World, delegate_of, delegator_of, is_below};

/// The trail of `subject` in `world`; `namespace` is where a name without one is looked for. Empty if
/// no object knows of it; an error for what only the log knows.
pub(crate) fn trail(world: &World, subject: &Subject, namespace: &str) -> Result<Trail, String> {
    let mut trail = Trail {
        source: "cluster",
        ..Trail::default()
    };
    let id = match subject {
        Subject::Record { .. } => {
            return Err("a record is in the audit log only: --audit says where that is".to_owned());
        }
        Subject::Serial(serial) => by(world, |it| serial_of(it) == Some(serial.as_str())),
        Subject::SpiffeId(id) => by(world, |it| id_of(it) == Some(id.as_str())),
        Subject::Uid(_) | Subject::Digest(_) | Subject::Name { .. } => None,
    };
    if let Subject::Serial(_) = subject
        && id.is_none()
    {
        trail.gaps.push(
            "no identity has a certificate with this serial number now: earlier ones, and decisions, are in the audit log (--audit)"
                .to_owned(),
        );
    }
    trail.identity = id.map(identity);
    let spiffe_id = match subject {
        Subject::SpiffeId(id) => Some(id.as_str()),
        _ => id.and_then(id_of),
    };
    let is_leaf = |it: &Delegation| match subject {
        Subject::Uid(uid) => it.uid().as_ref() == Some(uid),
        Subject::Digest(digest) => status(it, |it| it.digest.as_deref()) == Some(digest.as_str()),
        Subject::Name {
            namespace: of,
            name,
        } => {
            let namespace = of.as_deref().unwrap_or(namespace);
            Key::of(it) == Key::new(namespace, name)
        }
        _ => spiffe_id.is_some() && delegate_id(it) == spiffe_id,
    };
    for leaf in world.delegations.iter().filter(|it| is_leaf(it)) {
        if trail.identity.is_none() {
            let key = delegate_of(leaf);
            trail.identity = by(world, |it| {
                Key::of(it) == key && id_of(it).is_some() && id_of(it) == delegate_id(leaf)
            })
            .map(identity);
        }
        let (chain, gap) = chain(leaf, world);
        trail.chains.push(chain);
        trail.gaps.extend(gap);
    }
    Ok(trail)
}

fn by(world: &World, is: impl Fn(&AgentIdentity) -> bool) -> Option<&AgentIdentity> {
    world.identities.iter().find(|it| is(it))
}

fn serial_of(identity: &AgentIdentity) -> Option<&str> {
    let certificate = identity.status.as_ref()?.certificate.as_ref()?;
    Some(&certificate.serial_number)
}

fn id_of(identity: &AgentIdentity) -> Option<&str> {
    identity.status.as_ref()?.spiffe_id.as_deref()
}

fn delegate_id(delegation: &Delegation) -> Option<&str> {
    status(delegation, |it| it.delegate.as_ref()?.spiffe_id.as_deref())
}

fn status<'a, T>(
    delegation: &'a Delegation,
    of: impl Fn(&'a countersign_api::DelegationStatus) -> Option<T>,
) -> Option<T> {
    delegation.status.as_ref().and_then(of)
}

/// The Delegation and those above it. Those that are gone are told by the statements that it keeps.
fn chain(leaf: &Delegation, world: &World) -> (Vec<Hop>, Option<String>) {
    let mut chain = vec![hop(leaf)];
    let statements: Vec<&String> = leaf
        .status
        .iter()
        .flat_map(|it| &it.ancestors)
        .rev()
        .collect();
    if statements.is_empty() {
        return by_reference(leaf, world);
    }
    for statement in statements {
        // The API server's word is taken here; `verify` takes nobody's.
        let Ok((claims, digest)) = read_unverified(statement) else {
            let gap = format!("a statement that {} keeps can't be read", Key::of(leaf));
            return (chain, Some(gap));
        };
        if claims.depth == 0 {
            break;
        }
        let live = world
            .delegations
            .iter()
            .find(|it| it.uid().as_ref() == Some(&claims.id));
        chain.push(live.map_or_else(
            || Hop {
                depth: claims.depth,
                delegation: "(deleted, or out of sight)".to_owned(),
                uid: claims.id.clone(),
                from: from(&claims),
                to: claims.subject.to_string(),
                requester: claims.requester.clone(),
                granted: Some(claims.issued_at),
                expires: Some(claims.expires_at),
                digest: digest.to_string(),
                grants: claims.grants.clone(),
                end: None,
                record: None,
            },
            hop,
        ));
    }
    (chain, None)
}

/// By `parentRef`, for what has no statements: not yet, or no more.
fn by_reference(leaf: &Delegation, world: &World) -> (Vec<Hop>, Option<String>) {
    let mut chain = Vec::new();
    let mut at = leaf;
    // References may go round in a circle.
    while chain.len() < MAX_STATEMENTS {
        chain.push(hop(at));
        if at.spec.from.owner.is_some() {
            return (chain, None);
        }
        match world.delegations.iter().find(|it| is_below(at, it)) {
            Some(above) => at = above,
            None => break,
        }
    }
    let root = status(leaf, |it| it.root.as_ref());
    let gap = root.map_or_else(
        || {
            format!(
                "what is above {} is not there, or not to be seen",
                Key::of(at)
            )
        },
        |root| {
            let requester = root.requester.as_ref();
            format!(
                "what is above {} is gone; its root was {}/{} of owner {}, which {} asked for",
                Key::of(at),
                root.delegation.namespace,
                root.delegation.name,
                root.owner.name,
                requester.map_or("somebody whose name was not stamped", |it| &it.username)
            )
        },
    );
    (chain, Some(gap))
}

fn from(claims: &countersign_statement::Claims) -> String {
    match &claims.delegator {
        Some(delegator) if claims.depth > 1 => delegator.to_string(),
        _ => format!("owner {}", claims.owner),
    }
}

fn hop(delegation: &Delegation) -> Hop {
    let status = delegation.status.clone().unwrap_or_default();
    let delegator = status
        .delegator
        .as_ref()
        .and_then(|it| it.spiffe_id.clone());
    let delegate = status.delegate.as_ref().and_then(|it| it.spiffe_id.clone());
    let owner = delegation.spec.from.owner.as_ref();
    let standing = Standing::of(&status.conditions);
    Hop {
        depth: status
            .depth
            .and_then(|it| u8::try_from(it).ok())
            .unwrap_or_default(),
        delegation: Key::of(delegation).to_string(),
        uid: delegation.uid().unwrap_or_default(),
        from: match (owner, delegator) {
            (Some(owner), _) => format!("owner {}", owner.name),
            (None, Some(id)) => id,
            (None, None) => {
                delegator_of(delegation).map_or_else(String::new, |it| format!("agent {it}"))
            }
        },
        to: delegate.unwrap_or_else(|| format!("agent {}", delegate_of(delegation))),
        requester: delegation
            .spec
            .requester
            .as_ref()
            .map(|it| it.username.clone()),
        granted: status.issue_time.map(|it| it.0),
        expires: status.expiration_time.map(|it| it.0),
        digest: status.digest.unwrap_or_default(),
        grants: match status.grants.as_slice() {
            [] => countersign_api::to_domain(&delegation.spec.grants),
            effective => countersign_api::to_domain(effective),
        },
        end: (standing.state == State::Over).then(|| End {
            time: status.finished_time.map(|it| it.0).or(standing.since),
            reason: standing.reason,
        }),
        record: None,
    }
}

fn identity(identity: &AgentIdentity) -> Identity {
    let status = identity.status.clone().unwrap_or_default();
    let standing = Standing::of(&status.conditions);
    let task = &identity.spec.task_ref;
    let resource = if task.group.is_empty() {
        task.resource.clone()
    } else {
        format!("{}.{}", task.resource, task.group)
    };
    let uid = status.task.as_ref().and_then(|it| it.uid.clone());
    let key = Key::of(identity);
    Identity {
        spiffe_id: status.spiffe_id.unwrap_or_default(),
        task: Some(format!(
            "{resource} {}/{} ({})",
            key.namespace,
            task.name,
            uid.as_deref().unwrap_or("not seen")
        )),
        name: key.to_string(),
        owner: Some(identity.spec.owner_ref.name.clone()),
        requester: identity
            .spec
            .requester
            .as_ref()
            .map(|it| it.username.clone()),
        since: status.first_issue_time.map(|it| it.0),
        end: (standing.state == State::Over).then(|| End {
            time: status.task.and_then(|it| it.finished_time).map(|it| it.0),
            reason: standing.reason,
        }),
    }
}
