//! `can`: a decision point is asked beforehand what it would answer.
//!
//! ```text
//!  arguments ─▶ question ─▶ ask (AuthZEN, HTTPS) ─▶ answer ─▶ text, JSON, YAML and an exit code
//!     └─ agent, delegation: by name in the cluster, or as they are
//! ```

mod answer;
mod ask;
mod question;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use self::ask::ask;
use crate::cluster::{Cluster, slowly};
use crate::failure::{Failure, Outcome};
use crate::output::{self, Format};

/// Ask a decision point whether an agent may do something now
#[derive(Debug, Args)]
#[command(after_help = "\
It is a question as any other: answered by what holds now, counted, and recorded. No certificate is
shown, so the token must be one that vouches (countersign decide --token NAME=FILE,vouches).

Examples:
  export COUNTERSIGN_DECISION_POINT=https://decide.countersign-system.svc:9443
  export COUNTERSIGN_DECISION_POINT_TOKEN_FILE=token

  kubectl countersign can read ledger/invoices/2026/11/7 --as-agent finance/invoice-reader

  # On the authority of a delegation, and with what there is to know
  kubectl countersign can read ledger/invoices/2026/11/7 --as-agent finance/report-writer \\
    --delegation finance/reader-to-writer --explain

  # Without a cluster
  kubectl countersign can invoke ledger/close --tool close_books \\
    --spiffe-id spiffe://example.org/ns/finance/agent/closer/task/t/u

Exit codes:
  0  yes
  1  no
  2  error: it could not be asked, or was asked for in a way that can't be")]
pub(crate) struct CanArgs {
    /// The action, such as read
    action: String,
    /// The resource's path, such as ledger/invoices/7
    resource: String,
    #[command(flatten)]
    agent: AgentArgs,
    /// On the authority of this delegation: the digest of its statement, NAMESPACE/NAME, or NAME
    #[arg(long, value_name = "DELEGATION")]
    delegation: Option<String>,
    #[command(flatten)]
    call: CallArgs,
    #[command(flatten)]
    decision_point: DecisionPointArgs,
    /// Tell of the risk and what one may do about the answer, too
    #[arg(long)]
    explain: bool,
    #[arg(short, long, default_value = "table")]
    output: Format,
}

/// Who would do it.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct AgentArgs {
    /// The AgentIdentity that would do it: NAMESPACE/NAME, or NAME; it is looked up in the cluster
    #[arg(long, value_name = "AGENT")]
    as_agent: Option<String>,
    /// The SPIFFE ID of the agent that would do it
    #[arg(long, value_name = "ID")]
    spiffe_id: Option<String>,
}

/// What else is known of the call.
#[derive(Debug, Args)]
#[command(next_help_heading = "Call")]
struct CallArgs {
    /// The resource's type, such as document
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// The tool that would be called
    #[arg(long)]
    tool: Option<String>,
    /// For whom it would be done, as in the audiences of grants
    #[arg(long)]
    audience: Option<String>,
    /// Bytes that it would send
    #[arg(long)]
    bytes: Option<u64>,
    /// It would destroy something
    #[arg(long)]
    destructive: bool,
    /// Where the request would come from
    #[arg(long, value_name = "ADDRESS")]
    source_ip: Option<IpAddr>,
}

/// Whom to ask.
#[derive(Debug, Args)]
#[command(next_help_heading = "Decision point")]
struct DecisionPointArgs {
    /// Its address, an https URL such as that of --url of `countersign decide`
    #[arg(long, env = "COUNTERSIGN_DECISION_POINT", value_name = "URL")]
    decision_point: String,
    /// A file with the bearer token to ask with
    #[arg(
        long,
        env = "COUNTERSIGN_DECISION_POINT_TOKEN_FILE",
        value_name = "FILE"
    )]
    token_file: Option<PathBuf>,
    /// The authorities that its certificate may be of, PEM; default: the system's
    #[arg(long, env = "COUNTERSIGN_DECISION_POINT_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Allow http:// to this machine itself: a port-forward, a test
    #[arg(long)]
    insecure_http: bool,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
}

pub(crate) async fn run(cluster: &Cluster, args: &CanArgs) -> Outcome {
    match asked(cluster, args).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::No),
        // 1 means no.
        Err(why) => Err(Failure::Usage(format!("{why:#}"))),
    }
}

/// Asks and prints: may it?
async fn asked(cluster: &Cluster, args: &CanArgs) -> Result<bool> {
    let from = &args.decision_point;
    let target = ask::Target::new(from)?;
    let question = question::of(cluster, args).await?;
    let bound = Duration::from_secs(from.timeout);
    let answer = slowly("asking the decision point", ask(&target, &question, bound)).await?;
    let shown = output::shown(args.output, &answer, |it| {
        answer::text(it, &question.subject.id, args.explain)
    })?;
    output::print(&shown)?;
    Ok(answer.decision)
}
