//! Trees of delegations, and what the operator writes into one, so that the plain writer's writes
//! weigh the same.

use anyhow::{Context, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Map, Value, json};

use crate::bed::Bed;
use crate::objects::{From, delegation, delegations};
use crate::sight::Sight;

/// Delegations on their way at a time, where that isn't measured.
const WINDOW: usize = 64;

/// So many agents share the delegations of one depth, the root's only one apart.
const AGENTS: usize = 10;

/// One delegation of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    depth: usize,
    below: usize,
    /// The delegator and its delegation; none at the root.
    from: Option<(String, String)>,
    to: String,
}

/// A root and its descendants, a level for each depth.
#[derive(Debug)]
pub(crate) struct Tree {
    levels: Vec<Vec<Node>>,
}

impl Tree {
    /// A root with so many delegations at each depth below it, spread evenly over those above.
    pub(crate) fn of(prefix: &str, below: &[usize]) -> Self {
        let counts = std::iter::once(1).chain(below.iter().copied());
        let name = |depth: usize, index: usize| format!("{prefix}-{depth}-{index:04}");
        let mut above = 1;
        let mut levels = Vec::new();
        for (depth, count) in (1..).zip(counts) {
            let node = |index: usize| {
                let parent = index % above;
                Node {
                    name: name(depth, index),
                    depth,
                    below: below.len() + 1 - depth,
                    from: (depth > 1).then(|| (agent(depth - 1, parent), name(depth - 1, parent))),
                    to: agent(depth, index),
                }
            };
            levels.push((0..count).map(node).collect());
            above = count;
        }
        Self { levels }
    }

    /// The agents that trees with this many levels below the root are made with.
    pub(crate) fn agents(below: &[usize]) -> Vec<String> {
        let depths = 1..=below.len() + 1;
        depths
            .flat_map(|depth| (0..AGENTS).map(move |index| agent(depth, index)))
            .collect()
    }

    /// All of them, parents first.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.levels.iter().flatten()
    }

    pub(crate) fn root(&self) -> Result<&Node> {
        self.nodes().next().context("a tree has a root")
    }

    /// One of the deepest.
    pub(crate) fn leaf(&self) -> Result<&Node> {
        self.nodes().last().context("a tree has a leaf")
    }

    /// Has the operator countersign all of it.
    pub(crate) async fn grow(&self, bed: &Bed) -> Result<()> {
        let sight = Sight::countersigned(bed.api()).await?;
        for level in &self.levels {
            stream::iter(level)
                .map(async |node| {
                    let awaited = sight.expect(&node.name);
                    bed.api().create(&delegations(), &node.object()).await?;
                    awaited.seen().await.map(drop)
                })
                .buffer_unordered(WINDOW)
                .try_collect::<()>()
                .await?;
        }
        Ok(())
    }

    /// Puts all of it there with this status, without an operator.
    pub(crate) async fn plant(&self, bed: &Bed, status: &Value) -> Result<()> {
        stream::iter(self.nodes())
            .map(async |node| {
                bed.api().create(&delegations(), &node.object()).await?;
                let patch = json!({"status": status});
                bed.api().patch(&status_of(&node.name), &patch).await
            })
            .buffer_unordered(WINDOW)
            .try_collect()
            .await
    }
}

impl Node {
    fn object(&self) -> Value {
        let from = match &self.from {
            None => From::Owner,
            Some((name, parent)) => From::Agent { name, parent },
        };
        delegation(&self.name, from, &self.to, self.depth, self.below)
    }
}

fn agent(depth: usize, index: usize) -> String {
    format!("agent-{depth}-{}", index % AGENTS)
}

/// The path of a delegation's status.
pub(crate) fn status_of(name: &str) -> String {
    format!("{}/{name}/status", delegations())
}

/// A delegation's status as it is.
pub(crate) async fn status(bed: &Bed, name: &str) -> Result<Value> {
    let path = format!("{}/{name}", delegations());
    let object: Value = bed.api().fetch(&path).await?;
    Ok(object["status"].clone())
}

/// The merge patch that makes the one status of the other, as the operator sends it.
pub(crate) fn difference(before: &Value, after: &Value) -> Value {
    let empty = Map::new();
    let before = before.as_object().unwrap_or(&empty);
    let after = after.as_object().unwrap_or(&empty);
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let mut patch: Map<String, Value> = gone.map(|key| (key.clone(), Value::Null)).collect();
    for (key, value) in after {
        if before.get(key) != Some(value) {
            patch.insert(key.clone(), value.clone());
        }
    }
    json!({"status": patch})
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]
mod tests {
    use super::*;

    #[test]
    fn each_delegation_of_a_tree_comes_from_the_delegate_of_its_parent() {
        let tree = Tree::of("t", &[10, 100, 890]);
        assert_eq!(tree.nodes().count(), 1001);
        for levels in tree.levels.windows(2) {
            for node in &levels[1] {
                let (delegator, parent) = node.from.as_ref().unwrap();
                let parent = levels[0].iter().find(|it| it.name == *parent).unwrap();
                assert_eq!(parent.to, *delegator);
                assert_eq!(parent.below, node.below + 1);
            }
        }
        assert_eq!(tree.leaf().unwrap().below, 0);
    }

    #[test]
    fn a_difference_has_what_changed_and_null_for_what_is_gone() {
        let before = json!({"same": 1, "changed": 1, "gone": 1});
        let after = json!({"same": 1, "changed": 2, "new": 1});
        let patch = json!({"status": {"changed": 2, "gone": null, "new": 1}});
        assert_eq!(difference(&before, &after), patch);
    }
}
