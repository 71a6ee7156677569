//! `trail`: from something seen back to the authenticated requester of the root.
//!
//! ```text
//!  text ──Subject::parse──▶ Subject ──▶ audit log ──record::trail──▶ Trail ──▶ text, JSON, YAML
//!                              └──────▶ cluster ────live::trail─────────┘
//! ```

mod live;
mod model;
mod record;
mod show;
mod subject;
#[cfg(test)]
mod tests;

pub(crate) use self::model::{Hop, Identity, Trail};
pub(crate) use self::record::position;
pub(crate) use self::subject::Subject;

use anyhow::{Context as _, anyhow};
use clap::Args;
use countersign_api::Delegation;
use countersign_audit::{self as audit, AuditError, Kind, Reader, Record, TrailStart};
use kube::ResourceExt as _;

use crate::cluster::{Cluster, get, slowly};
use crate::failure::{Failure, Outcome};
use crate::output::{self, Format};

/// Walk from a certificate, an identity, a delegation, a decision or a record back to who first
/// allowed it
#[derive(Debug, Args)]
#[command(after_help = "\
With --audit it is the log that tells, also of what is long gone; without it, the objects that the
cluster still has.

Examples:
  # Who allowed the agent that showed this certificate?
  kubectl countersign trail 7f3a09c44be1d02283a1c0ffee5eed00 --audit sqlite:/var/lib/countersign/audit.db

  # The same for a delegation, by what the cluster has
  kubectl countersign trail finance/planner-to-reader

  # From what a decision point answered
  kubectl countersign trail 9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d --audit postgres://reader@db/audit

  # From a record of the log
  kubectl countersign trail example.org/countersign-0:4711 --audit postgres://reader@db/audit -o json")]
pub(crate) struct TrailArgs {
    /// A serial number in hex, a SPIFFE ID, a delegation (NAME, NAMESPACE/NAME or UID), the digest of
    /// a statement, the id of a decision, or a record as CHAIN:NUMBER
    subject: String,
    /// The audit log: sqlite:PATH or postgres://…
    #[arg(
        long,
        env = "COUNTERSIGN_AUDIT",
        hide_env_values = true,
        value_name = "URL"
    )]
    audit: Option<String>,
    /// Show each record too
    #[arg(long)]
    records: bool,
    #[arg(short, long, default_value = "table")]
    output: Format,
}

pub(crate) async fn run(cluster: &Cluster, args: &TrailArgs) -> Outcome {
    let subject = Subject::parse(&args.subject).map_err(Failure::Usage)?;
    let trail = match args.audit.as_deref().filter(|it| !it.is_empty()) {
        Some(url) => from_log(cluster, url, &subject).await?,
        None => {
            let client = cluster.connect().await?;
            let world = match client.world(true).await {
                Ok(world) => world,
                // Who may not see every namespace sees its own.
                Err(_) => client.world(false).await?,
            };
            live::trail(&world, &subject, &client.namespace).map_err(Failure::Usage)?
        }
    };
    if trail.is_empty() {
        let hint = match (args.audit.is_some(), trail.gaps.first()) {
            (_, Some(gap)) => gap.clone(),
            (true, None) => {
                "the audit log has no record of it; sealed records are in their segments".to_owned()
            }
            (false, None) => "the cluster has no such object; --audit asks the log".to_owned(),
        };
        return Err(Failure::Error(anyhow!(
            "nothing is known of {}: {hint}",
            args.subject
        )));
    }
    let shown = output::shown(args.output, &trail, |it| show::text(it, args.records))?;
    Ok(output::print(&shown)?)
}

async fn from_log(cluster: &Cluster, url: &str, subject: &Subject) -> anyhow::Result<Trail> {
    let mut subject = subject.clone();
    if let Subject::Name { namespace, name } = &subject {
        subject = Subject::Uid(uid_of(cluster, namespace.as_deref(), name).await?);
    }
    let reading = async {
        let reader = Reader::open(url).await?;
        read(&reader, subject).await
    };
    Ok(slowly("reading the audit log", reading).await?)
}

/// The trail of `subject`, which has no name of an object any more.
pub(crate) async fn read(reader: &Reader, subject: Subject) -> Result<Trail, AuditError> {
    let mut subject = subject;
    let id = match &subject {
        // Decisions and certificates are both named by 16 random bytes.
        Subject::Serial(id) => Some(id.clone()),
        Subject::Record { chain, seq } => (reader.by_position(chain, *seq).await?)
            .filter(|it| it.entry.kind == Kind::ActionDecided)
            .map(|it| it.entry.object.uid),
        _ => None,
    };
    let decided = match id {
        Some(id) => decision(reader, &id).await?,
        None => None,
    };
    if let Some(LastWord { record, .. }) = &decided {
        subject = Subject::Record {
            chain: record.position.chain.clone(),
            seq: record.position.seq,
        };
    }
    let start = match subject.clone() {
        Subject::Serial(serial) => TrailStart::Serial(serial),
        Subject::SpiffeId(id) => TrailStart::SpiffeId(id),
        Subject::Uid(uid) | Subject::Name { name: uid, .. } => TrailStart::DelegationUid(uid),
        Subject::Digest(digest) => TrailStart::Digest(digest),
        Subject::Record { chain, seq } => TrailStart::Position { chain, seq },
    };
    let records = reader.trail(&start).await?;
    let mut trail = record::trail(&records, &subject);
    if let Some(decision) = &mut trail.decision {
        decision.not_given_out = decided.and_then(|it| it.not_given_out);
    }
    Ok(trail)
}

/// What the log has of a decision.
pub(crate) struct LastWord {
    /// How it was answered.
    pub(crate) record: Record,
    /// An allow on record that was never given out, as `<chain>:<seq>`: its commit took longer than an
    /// answer waits for, so that the answer was a denial.
    pub(crate) not_given_out: Option<String>,
}

/// The last word on the decision with this id. Where there are two it is the denial: nothing is allowed
/// by who has denied it.
pub(crate) async fn decision(reader: &Reader, id: &str) -> Result<Option<LastWord>, AuditError> {
    let found = reader.by_object_uid(id).await?;
    let decisions = found
        .into_iter()
        .filter(|it| it.entry.kind == Kind::ActionDecided);
    let (allows, denials): (Vec<Record>, Vec<Record>) =
        decisions.partition(|it| it.entry.outcome == audit::Outcome::Allowed);
    let allow = allows.into_iter().next_back();
    Ok(match denials.into_iter().next_back() {
        Some(record) => Some(LastWord {
            record,
            not_given_out: allow.as_ref().map(position),
        }),
        None => allow.map(|record| LastWord {
            record,
            not_given_out: None,
        }),
    })
}

/// Of a Delegation that still is.
async fn uid_of(cluster: &Cluster, namespace: Option<&str>, name: &str) -> anyhow::Result<String> {
    let help = "look up the delegation's UID (one that is gone is found by its UID or its digest)";
    let client = cluster.connect().await.context(help)?;
    let namespace = namespace.unwrap_or(&client.namespace);
    let found = get::<Delegation>(&client.objects(namespace), "Delegation", name).await;
    Ok(found.context(help)?.uid().unwrap_or_default())
}
