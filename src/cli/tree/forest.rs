//! From listed objects to trees of who has what from whom.
//!
//! An owner's tree has its root delegations, below each the agent that holds it, below that its task
//! and what it handed on; then the owner's agents that hold nothing of it.

use std::collections::{BTreeMap, BTreeSet};

use countersign_api::{AgentIdentity, AgentOwner, Delegation, OwnerState, TaskOutcome};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::node::{Node, NodeKind};
use crate::standing::{Standing, State};
use crate::world::{Key, World, delegate_of, is_below, parent_of};

/// Deeper than any chain that is countersigned; what is below is left out, and said to be.
const DEEPEST: usize = 20;

/// The trees of `world` at `now`: one for each owner by name, and one of what has no root in sight.
pub(crate) fn forest(world: &World, now: Timestamp) -> Vec<Node> {
    let mut builder = Builder::new(world, now);
    let mut owners: BTreeMap<&str, Option<&AgentOwner>> = BTreeMap::new();
    for identity in &world.identities {
        owners.insert(&identity.spec.owner_ref.name, None);
    }
    for delegation in &world.delegations {
        if let Some(owner) = &delegation.spec.from.owner {
            owners.insert(&owner.name, None);
        }
    }
    for owner in &world.owners {
        owners.insert(
            owner.metadata.name.as_deref().unwrap_or_default(),
            Some(owner),
        );
    }
    let mut trees: Vec<Node> = owners
        .into_iter()
        .map(|(name, owner)| builder.owner(name, owner))
        .collect();
    trees.extend(builder.rootless());
    trees
}

struct Builder<'a> {
    world: &'a World,
    now: Timestamp,
    agents: BTreeMap<Key, &'a AgentIdentity>,
    below: BTreeMap<Key, Vec<&'a Delegation>>,
    /// Delegations that are in a tree.
    placed: BTreeSet<Key>,
}

impl<'a> Builder<'a> {
    fn new(world: &'a World, now: Timestamp) -> Self {
        let agents = world.identities.iter().map(|it| (Key::of(it), it));
        let mut below: BTreeMap<Key, Vec<&Delegation>> = BTreeMap::new();
        for it in &world.delegations {
            if let Some(parent) = parent_of(it) {
                below.entry(parent).or_default().push(it);
            }
        }
        Self {
            world,
            now,
            agents: agents.collect(),
            below,
            placed: BTreeSet::new(),
        }
    }

    fn owner(&mut self, name: &str, owner: Option<&AgentOwner>) -> Node {
        let mut node = Node::new(NodeKind::Owner, None, name.to_owned(), standing(owner));
        if let Some(owner) = owner {
            node.uid = owner.uid().unwrap_or_default();
            node.grants = countersign_api::to_domain(&owner.spec.grants);
        }
        let mut reached = BTreeSet::new();
        let world = self.world;
        for root in &world.delegations {
            let from = root.spec.from.owner.as_ref();
            if from.is_some_and(|it| it.name == name) && root.spec.parent_ref.is_none() {
                let child = self.delegation(root, name, &mut reached, 0);
                node.children.push(child);
            }
        }
        let others = world
            .identities
            .iter()
            .filter(|it| it.spec.owner_ref.name == name && !reached.contains(&Key::of(*it)));
        node.children.extend(others.map(|it| self.agent(it, name)));
        node
    }

    fn delegation(
        &mut self,
        delegation: &'a Delegation,
        owner: &str,
        reached: &mut BTreeSet<Key>,
        depth: usize,
    ) -> Node {
        let key = Key::of(delegation);
        self.placed.insert(key.clone());
        let mut node = self.alone(delegation);
        let mut agent = self.delegate(delegation, owner);
        reached.insert(delegate_of(delegation));
        if depth >= DEEPEST {
            if self.below.contains_key(&key) {
                agent.message = "there is more below, deeper than any chain that counts".to_owned();
            }
        } else {
            let below = self.below.get(&key).cloned().unwrap_or_default();
            for child in below.into_iter().filter(|it| is_below(it, delegation)) {
                let child = self.delegation(child, owner, reached, depth + 1);
                agent.children.push(child);
            }
        }
        node.children.push(agent);
        node
    }

    /// A delegation with nothing below it.
    fn alone(&self, delegation: &Delegation) -> Node {
        let status = delegation.status.as_ref();
        let ends = status.and_then(|it| it.expiration_time.as_ref().map(|it| it.0));
        let conditions = status
            .map(|it| it.conditions.as_slice())
            .unwrap_or_default();
        let key = Key::of(delegation);
        let mut node = Node::new(
            NodeKind::Delegation,
            Some(key.namespace),
            key.name,
            Standing::at(conditions, ends, self.now),
        );
        node.uid = delegation.uid().unwrap_or_default();
        node.expires = ends;
        node.grants = match status.map(|it| it.grants.as_slice()) {
            Some(effective) if !effective.is_empty() => countersign_api::to_domain(effective),
            _ => countersign_api::to_domain(&delegation.spec.grants),
        };
        node
    }

    /// The agent that holds a delegation.
    fn delegate(&self, delegation: &Delegation, owner: &str) -> Node {
        let key = delegate_of(delegation);
        let missing = |reason, message| {
            Node::new(
                NodeKind::Agent,
                Some(key.namespace.clone()),
                key.name.clone(),
                Standing::unknown(reason, message),
            )
        };
        let Some(identity) = self.agents.get(&key) else {
            return missing("NotFound", "there is no such AgentIdentity in sight");
        };
        let latched = delegation
            .status
            .as_ref()
            .and_then(|it| it.delegate.as_ref());
        if latched.is_some_and(|it| Some(&it.uid) != identity.metadata.uid.as_ref()) {
            return missing("Replaced", "another AgentIdentity has its name now");
        }
        self.agent(identity, owner)
    }

    fn agent(&self, identity: &AgentIdentity, owner: &str) -> Node {
        let status = identity.status.as_ref();
        let conditions = status
            .map(|it| it.conditions.as_slice())
            .unwrap_or_default();
        let key = Key::of(identity);
        let mut node = Node::new(
            NodeKind::Agent,
            Some(key.namespace.clone()),
            key.name,
            Standing::of(conditions),
        );
        node.uid = identity.uid().unwrap_or_default();
        let certificate = status.and_then(|it| it.certificate.as_ref());
        node.expires = certificate.map(|it| it.not_after.0);
        node.spiffe_id = status.and_then(|it| it.spiffe_id.clone());
        let answers = &identity.spec.owner_ref.name;
        node.owner = (answers != owner).then(|| answers.clone());
        node.grants = countersign_api::to_domain(&identity.spec.grants);
        node.children.push(task(identity, key.namespace));
        node
    }

    /// What is in no owner's tree: its parent can't be seen, is another by now, or is itself.
    fn rootless(&mut self) -> Option<Node> {
        let world = self.world;
        let here: BTreeSet<Key> = world.delegations.iter().map(Key::of).collect();
        let mut node = Node::new(
            NodeKind::Rootless,
            None,
            "delegations".to_owned(),
            Standing::unknown("ParentNotFound", "their parent is not in sight"),
        );
        for top in [true, false] {
            for it in &world.delegations {
                let unseen = parent_of(it).is_none_or(|parent| !here.contains(&parent));
                if self.placed.contains(&Key::of(it)) || (top && !unseen) {
                    continue;
                }
                let child = if top {
                    self.delegation(it, "", &mut BTreeSet::new(), 0)
                } else {
                    self.alone(it) // below itself, by whatever detour
                };
                node.children.push(child);
            }
        }
        (!node.children.is_empty()).then_some(node)
    }
}

fn standing(owner: Option<&AgentOwner>) -> Standing {
    let Some(owner) = owner else {
        return Standing::unknown("NotFound", "there is no such AgentOwner in sight");
    };
    let state = match owner.spec.desired_state {
        OwnerState::Active => State::Ready,
        OwnerState::Suspended => State::Suspended,
        OwnerState::Departed => State::Over,
    };
    Standing {
        state,
        reason: format!("{:?}", owner.spec.desired_state),
        message: String::new(),
        since: None,
    }
}

fn task(identity: &AgentIdentity, namespace: String) -> Node {
    let asked = &identity.spec.task_ref;
    let resource = if asked.group.is_empty() {
        asked.resource.clone()
    } else {
        format!("{}.{}", asked.resource, asked.group)
    };
    let status = identity.status.as_ref().and_then(|it| it.task.as_ref());
    let state = match status.and_then(|it| it.outcome) {
        None => State::Waiting,
        Some(TaskOutcome::Running) => State::Ready,
        Some(_) => State::Over,
    };
    let reason = status.and_then(|it| it.outcome);
    let standing = Standing {
        state,
        reason: reason.map_or_else(|| "NotSeen".to_owned(), |it| format!("{it:?}")),
        message: String::new(),
        since: None,
    };
    let mut node = Node::new(
        NodeKind::Task,
        Some(namespace),
        format!("{resource}/{}", asked.name),
        standing,
    );
    node.uid = status.and_then(|it| it.uid.clone()).unwrap_or_default();
    node
}
