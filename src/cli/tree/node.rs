//! What a tree is made of.

use std::collections::BTreeSet;

use countersign_core::Grant;
use jiff::Timestamp;
use serde::Serialize;

use crate::standing::{Standing, State};
use crate::text::qualified;

/// An object and what hangs on it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) uid: String,
    pub(crate) state: State,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
    /// Its end: of the certificate for an agent, else of the delegation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    #[serde(rename = "spiffeID", skip_serializing_if = "Option::is_none")]
    pub(crate) spiffe_id: Option<String>,
    /// The owner of an agent that is below another's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) grants: Vec<Grant>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) children: Vec<Self>,
}

/// What a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) enum NodeKind {
    /// An AgentOwner.
    Owner,
    /// An AgentIdentity.
    Agent,
    /// A Delegation.
    Delegation,
    /// A task.
    Task,
    /// Delegations whose parent can't be seen.
    Rootless,
}

impl Node {
    pub(crate) fn new(
        kind: NodeKind,
        namespace: Option<String>,
        name: String,
        standing: Standing,
    ) -> Self {
        Self {
            kind,
            namespace,
            name,
            uid: String::new(),
            state: standing.state,
            reason: standing.reason,
            message: standing.message,
            expires: None,
            spiffe_id: None,
            owner: None,
            grants: Vec::new(),
            children: Vec::new(),
        }
    }

    pub(crate) fn qualified(&self) -> String {
        qualified(self.namespace.as_deref(), &self.name)
    }
}

impl NodeKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Agent => "agent",
            Self::Delegation => "delegation",
            Self::Task => "task",
            Self::Rootless => "without a root",
        }
    }
}

/// Boxes and arrows: each object once, however often it is in the trees.
#[derive(Debug, Default)]
pub(crate) struct Graph<'a> {
    pub(crate) nodes: Vec<&'a Node>,
    /// From and to, as places in `nodes`.
    pub(crate) edges: BTreeSet<(usize, usize)>,
}

impl<'a> Graph<'a> {
    pub(crate) fn of(trees: &'a [Node]) -> Self {
        let mut graph = Self::default();
        let mut places = std::collections::BTreeMap::new();
        let mut open: Vec<(Option<usize>, &Node)> =
            trees.iter().rev().map(|tree| (None, tree)).collect();
        while let Some((above, node)) = open.pop() {
            let key = (node.kind, &node.namespace, &node.name, &node.uid);
            let place = *places.entry(key).or_insert_with(|| {
                graph.nodes.push(node);
                graph.nodes.len() - 1
            });
            if let Some(above) = above {
                graph.edges.insert((above, place));
            }
            open.extend(node.children.iter().rev().map(|it| (Some(place), it)));
        }
        graph
    }
}
