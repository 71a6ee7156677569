//! `why`: what a decision point answered, and what that rested on.
//!
//! ```text
//!  id ──▶ audit log ──▶ its record ───────────┬─ model::explained ──▶ Why ──▶ text, JSON, YAML
//!                  └──▶ trail of the record ──┘        └─ advice
//! ```

mod advice;
mod model;
mod show;
#[cfg(test)]
mod tests;

use anyhow::anyhow;
use clap::Args;
use countersign_audit::{AuditError, Reader};

pub(crate) use self::advice::{Agent, advice};
use self::model::{Why, explained};
use crate::cluster::slowly;
use crate::failure::{Failure, Outcome};
use crate::output::{self, Format};
use crate::trail::{self, LastWord, Subject};

/// Explain a decision: who asked for what, on whose authority, why it was answered as it was, and
/// what one may do about it
#[derive(Debug, Args)]
#[command(after_help = "\
A decision's id is in each answer of a decision point: context.id by AuthZEN, the header
x-countersign-decision through Envoy. Nothing is asked but the audit log.

Examples:
  export COUNTERSIGN_AUDIT=postgres://reader@db/audit
  kubectl countersign why 9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d

  # The policies that decided
  kubectl countersign why 9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d -o json | jq .policies")]
pub(crate) struct WhyArgs {
    /// The id of the decision: 32 hex digits
    #[arg(value_parser = id)]
    decision: String,
    /// The audit log: sqlite:PATH or postgres://…
    #[arg(
        long,
        env = "COUNTERSIGN_AUDIT",
        hide_env_values = true,
        value_name = "URL"
    )]
    audit: String,
    #[arg(short, long, default_value = "table")]
    output: Format,
}

/// As it is written everywhere, whatever it looks like where it was copied from.
fn id(text: &str) -> Result<String, String> {
    let digits = text.trim().to_ascii_lowercase();
    let hex = digits.bytes().all(|it| it.is_ascii_hexdigit());
    if digits.len() != 32 || !hex {
        return Err("expected 32 hex digits, as in an answer".to_owned());
    }
    Ok(digits)
}

pub(crate) async fn run(args: &WhyArgs) -> Outcome {
    let reading = read(&args.audit, &args.decision);
    let found = slowly("reading the audit log", reading).await;
    let Some(why) = found.map_err(anyhow::Error::from)? else {
        return Err(Failure::Error(anyhow!(
            "the audit log has no decision {}: is it the log that the decision point writes (--audit)? \
             An allow of sensitive data is there before it is answered; a denial and any other allow a \
             moment later. Not there are allows with --record sensitive, what was denied because there \
             was too much (Overloaded), a request that Envoy could not make a question of (BadRequest; \
             the decision point's own log has it), and what its metrics count as dropped. Old records \
             are in sealed segments",
            args.decision
        )));
    };
    Ok(output::print(&output::shown(
        args.output,
        &why,
        show::text,
    )?)?)
}

/// The decision with this id, explained; `None` if the log hasn't got it.
async fn read(url: &str, id: &str) -> Result<Option<Why>, AuditError> {
    let reader = Reader::open(url).await?;
    let Some(LastWord { record, .. }) = trail::decision(&reader, id).await? else {
        return Ok(None);
    };
    let subject = Subject::Record {
        chain: record.position.chain.clone(),
        seq: record.position.seq,
    };
    let trail = trail::read(&reader, subject).await?;
    Ok(Some(explained(&record, trail)))
}
