//! `tree`: owner → delegations → agents → tasks.
//!
//! ```text
//!  World ──forest(now)──▶ [Node] ──prune(target)──▶ [Node] ──▶ text, mermaid, dot, JSON, YAML
//! ```

mod draw;
mod forest;
mod node;
mod prune;
#[cfg(test)]
mod tests;

use anyhow::Result;
use clap::{Args, ValueEnum};

use self::node::Node;
use self::prune::{Target, prune};
use crate::cluster::Cluster;
use crate::failure::{Failure, Outcome};
use crate::{clock, output};

/// Show who has what from whom: owners, their delegations, the agents that hold them, and their
/// tasks
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Everything in the current namespace
  kubectl countersign tree

  # What comes from alice, in every namespace
  kubectl countersign tree owner/alice -A

  # The branches that lead to an agent, as a drawing for a pull request
  kubectl countersign tree agent/invoice-reader -n finance -o mermaid")]
pub(crate) struct TreeArgs {
    /// Only what leads to this, and all below: owner/NAME, agent/NAME, delegation/NAME, or NAME
    target: Option<String>,
    /// Every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// How to show it
    #[arg(short, long, default_value = "text")]
    output: TreeFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TreeFormat {
    /// Lines and branches
    #[value(alias = "table")]
    Text,
    Json,
    Yaml,
    /// A flowchart for Markdown
    Mermaid,
    /// For Graphviz
    Dot,
}

pub(crate) async fn run(cluster: &Cluster, args: &TreeArgs) -> Outcome {
    let target = args.target.as_deref().map(Target::parse).transpose();
    let target = target.map_err(|why| Failure::Usage(why.to_string()))?;
    let client = cluster.connect().await?;
    let world = client.world(args.all_namespaces).await?;
    let now = clock::now();
    let mut trees = forest::forest(&world, now);
    match &target {
        Some(target) => trees = prune(trees, target),
        // In one namespace, owners that have nothing there are noise.
        None if !args.all_namespaces => trees.retain(|it| !it.children.is_empty()),
        None => {}
    }
    if trees.is_empty() {
        let where_ = if args.all_namespaces {
            "any namespace".to_owned()
        } else {
            format!("namespace {}: -A looks in all", client.namespace)
        };
        return match &args.target {
            Some(target) => Err(Failure::Error(anyhow::anyhow!(
                "there is no owner, agent or delegation {target} in {where_}"
            ))),
            None if args.output == TreeFormat::Text => {
                eprintln!("nothing found in {where_}");
                Ok(())
            }
            None => Ok(output::print(&shown(&trees, args.output, now)?)?),
        };
    }
    Ok(output::print(&shown(&trees, args.output, now)?)?)
}

fn shown(trees: &[Node], format: TreeFormat, now: jiff::Timestamp) -> Result<String> {
    Ok(match format {
        TreeFormat::Text => draw::text(trees, now, output::colours()),
        TreeFormat::Mermaid => draw::mermaid(trees),
        TreeFormat::Dot => draw::dot(trees),
        TreeFormat::Json => serde_json::to_string_pretty(trees)?,
        TreeFormat::Yaml => output::yaml(&trees)?,
    })
}
