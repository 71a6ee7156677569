//! A part of the trees.

use anyhow::{Result, bail};

use super::node::{Node, NodeKind};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Any of them if absent.
    kind: Option<NodeKind>,
    namespace: Option<String>,
    name: String,
}

impl Target {
    /// Reads `owner/NAME`, `agent/NAME`, `agent/NAMESPACE/NAME`, `delegation/…` or a name alone,
    /// which is whatever has it.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let kind = |word: &str| match word {
            "owner" | "agown" | "agentowner" => Some(NodeKind::Owner),
            "agent" | "identity" | "agid" | "agentidentity" => Some(NodeKind::Agent),
            "delegation" | "deleg" => Some(NodeKind::Delegation),
            _ => None,
        };
        let target = match parts.as_slice() {
            [name] => (None, None, *name),
            [word, name] if kind(word).is_some() => (kind(word), None, *name),
            [namespace, name] => (None, Some(*namespace), *name),
            [word, namespace, name] if kind(word).is_some() => {
                (kind(word), Some(*namespace), *name)
            }
            _ => bail!(
                "{text:?} names nothing: expected owner/NAME, agent/NAME, agent/NAMESPACE/NAME or NAME"
            ),
        };
        let (kind, namespace, name) = target;
        if name.is_empty() {
            bail!("{text:?} has no name");
        }
        Ok(Self {
            kind,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        })
    }

    fn is(&self, node: &Node) -> bool {
        let kinds = match self.kind {
            Some(kind) => node.kind == kind,
            None => node.kind != NodeKind::Task && node.kind != NodeKind::Rootless,
        };
        kinds
            && node.name == self.name
            && (self.namespace.is_none() || self.namespace == node.namespace)
    }
}

/// The branches that lead to `target`, and all below it.
pub(crate) fn prune(trees: Vec<Node>, target: &Target) -> Vec<Node> {
    let keep = trees.into_iter().filter_map(|tree| keep(tree, target));
    keep.collect()
}

fn keep(mut node: Node, target: &Target) -> Option<Node> {
    if target.is(&node) {
        return Some(node);
    }
    node.children = prune(std::mem::take(&mut node.children), target);
    (!node.children.is_empty()).then_some(node)
}
