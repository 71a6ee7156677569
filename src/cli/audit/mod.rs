//! `audit`: is the log what was written to it, and what is in it?

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use countersign_api::TrustDomain;
use countersign_audit as audit;
use countersign_audit::{Filter, Kind, Reader, Report, SealedSegment, SegmentReport};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::Api;
use serde::Serialize;

use crate::anchors::{self, Believed};
use crate::cluster::{Cluster, list, slowly};
use crate::failure::{Failure, Outcome};
use crate::output::{self, Format};
use crate::text::clean;

/// Verify or export the audit log
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    Verify(VerifyArgs),
    Export(ExportArgs),
}

/// Verify every record, its place, and the signed checkpoints: names the first record that was
/// edited, removed, reordered, inserted or cut off
#[derive(Debug, Args)]
#[command(after_help = "\
Bundles and anchors come from the cluster unless files are given. An anchor is a checkpoint that was
kept outside of the log: without one, records at the end that no checkpoint in the log covers could
be missing unseen.

Examples:
  kubectl countersign audit verify --audit sqlite:/var/lib/countersign/audit.db

  # Without any cluster, against a checkpoint that was kept elsewhere
  kubectl countersign audit verify --audit postgres://reader@db/audit \\
    --bundle example.org=bundle.json --anchor checkpoint.jwt

  # A sealed segment
  kubectl countersign audit verify --segment example.org-0-1-50000.jsonl --bundle example.org=bundle.json

Exit code 3 if something was tampered with.")]
struct VerifyArgs {
    /// The audit log: sqlite:PATH or postgres://…
    #[arg(
        long,
        env = "COUNTERSIGN_AUDIT",
        hide_env_values = true,
        value_name = "URL",
        required_unless_present = "segment"
    )]
    audit: Option<String>,
    /// A sealed segment; may be given several times
    #[arg(long, value_name = "FILE")]
    segment: Vec<PathBuf>,
    /// A trust domain's SPIFFE bundle, as NAME=FILE; may be given several times
    #[arg(long, value_name = "NAME=FILE", value_parser = bundle)]
    bundle: Vec<(String, PathBuf)>,
    /// A checkpoint that was kept elsewhere; may be given several times
    #[arg(long, value_name = "FILE")]
    anchor: Vec<PathBuf>,
    #[arg(short, long, default_value = "table")]
    output: Format,
}

/// Write records to stdout, one JSON object on each line
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Everything, with the exact text that was hashed
  kubectl countersign audit export --audit sqlite:audit.db > audit.jsonl

  # What was granted to alice's agents since Monday, for a SIEM
  kubectl countersign audit export --audit sqlite:audit.db --format ocsf \\
    --owner alice --kind DelegationGranted --since 2026-11-23T00:00:00Z")]
struct ExportArgs {
    /// The audit log: sqlite:PATH or postgres://…
    #[arg(
        long,
        env = "COUNTERSIGN_AUDIT",
        hide_env_values = true,
        value_name = "URL"
    )]
    audit: String,
    /// How records are written
    #[arg(long, default_value = "jsonl")]
    format: ExportFormat,
    /// Not before
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// And before
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Only what this owner answers for
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Only of this kind, such as DelegationGranted
    #[arg(long, value_parser = kind)]
    kind: Option<Kind>,
    /// Only of this chain, TRUST-DOMAIN/WRITER
    #[arg(long)]
    chain: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// The records as they are
    Jsonl,
    /// Open Cybersecurity Schema Framework
    Ocsf,
}

fn bundle(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), path.into()))
        }
        _ => Err("expected TRUST-DOMAIN=FILE".to_owned()),
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|why| why.to_string())
}

pub(crate) async fn run(cluster: &Cluster, args: &AuditArgs) -> Outcome {
    match &args.command {
        AuditCommand::Verify(args) => verify(cluster, args).await,
        AuditCommand::Export(args) => Ok(export(args).await?),
    }
}

/// What was found, of the log and of segments.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Report>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    segments: Vec<Segment>,
    /// How many checkpoints from elsewhere it was held against.
    anchors: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Segment {
    file: PathBuf,
    #[serde(flatten)]
    report: SegmentReport,
}

async fn verify(cluster: &Cluster, args: &VerifyArgs) -> Outcome {
    let mut believed = Believed::default();
    for (name, path) in &args.bundle {
        believed.add(name, &read(path)?)?;
    }
    let mut tokens = Vec::new();
    for path in &args.anchor {
        // A file may hold several, one on each line.
        tokens.extend(
            read(path)?
                .lines()
                .map(str::trim)
                .filter(|it| !it.is_empty())
                .map(str::to_owned),
        );
    }
    let reader = match args.audit.as_deref().filter(|it| !it.is_empty()) {
        Some(url) => Some(Reader::open(url).await.map_err(anyhow::Error::from)?),
        None => None,
    };
    if args.bundle.is_empty() {
        from_cluster(cluster, reader.as_ref(), &mut believed, &mut tokens, args).await?;
    }
    let log = match &reader {
        Some(reader) => {
            let verifying = audit::verify(reader, &believed, &tokens);
            Some(
                slowly("verifying the audit log", verifying)
                    .await
                    .map_err(anyhow::Error::from)?,
            )
        }
        None => None,
    };
    let mut segments = Vec::new();
    for file in &args.segment {
        let report = audit::verify_segment(file, &believed).map_err(anyhow::Error::from)?;
        segments.push(Segment {
            file: file.clone(),
            report,
        });
    }
    let found = Found {
        log,
        segments,
        anchors: tokens.len(),
    };
    output::print(&output::shown(args.output, &found, text)?)?;
    match first(&found) {
        None => Ok(()),
        Some(first) => Err(Failure::Refused(format!(
            "the audit log was tampered with: {first}"
        ))),
    }
}

/// Bundles of the trust domains whose records these are, and the anchors that the operator keeps.
async fn from_cluster(
    cluster: &Cluster,
    reader: Option<&Reader>,
    believed: &mut Believed,
    tokens: &mut Vec<String>,
    args: &VerifyArgs,
) -> Result<()> {
    let help = "for the bundle (--bundle NAME=FILE needs no cluster)";
    let client = cluster.connect().await.context(help)?;
    if args.anchor.is_empty() && reader.is_some() {
        match anchors::published(&client).await {
            Ok(found) => tokens.extend(found.into_iter().map(|it| it.token)),
            Err(why) => eprintln!("without anchors: {}", clean(&format!("{why:#}"))),
        }
    }
    let mut domains = BTreeSet::new();
    // All of them: of a chain that is gone from the log only its anchor tells.
    let known: Api<TrustDomain> = Api::all(client.client.clone());
    match list(&known, "trustdomains").await {
        Ok(found) => domains.extend(found.iter().map(ResourceExt::name_any)),
        Err(why) => eprintln!("{}", clean(&format!("{why:#}"))),
    }
    let mut chains = match reader {
        Some(reader) => reader.chains().await?,
        None => Vec::new(),
    };
    for path in &args.segment {
        chains.extend(chain_of(path)?);
    }
    let named = chains.iter().filter_map(|it| it.split_once('/'));
    domains.extend(named.map(|(domain, _)| domain.to_owned()));
    // Records of no trust domain are signed for by any.
    for domain in domains.iter().filter(|it| !it.is_empty()) {
        match client.bundle(domain).await {
            Ok(bundle) => believed.add(domain, &bundle)?,
            Err(why) => eprintln!("{}", clean(&format!("{why:#}"))),
        }
    }
    Ok(())
}

/// The chain that a segment says it is of.
fn chain_of(path: &Path) -> Result<Option<String>> {
    #[derive(serde::Deserialize)]
    struct Header {
        chain: String,
    }
    let file = File::open(path).with_context(|| format!("read {}", path.display()))?;
    let mut first = String::new();
    let read = BufReader::new(file.take(1024 * 1024)).read_line(&mut first);
    read.with_context(|| format!("read {}", path.display()))?;
    Ok(serde_json::from_str(&first).ok().map(|it: Header| it.chain))
}

fn text(found: &Found) -> String {
    let mut lines = Vec::new();
    if let Some(report) = &found.log {
        lines.extend(report.to_string().lines().map(clean));
        if report.is_honest() && found.anchors == 0 {
            lines.push("note: held against no checkpoint from elsewhere: a log that was cut off together with its checkpoints looks the same".to_owned());
        }
    }
    for Segment { file, report } in &found.segments {
        let verdict = match &report.finding {
            None if report.signed => "intact".to_owned(),
            None => "intact, and not signed: its log alone vouches for it (--audit)".to_owned(),
            Some(finding) => finding.to_string(),
        };
        lines.push(clean(&format!(
            "{}: {} of chain {}, {} to {}: {verdict}",
            file.display(),
            report.records,
            report.chain,
            report.segment.first_seq,
            report.segment.last_seq
        )));
    }
    lines.join("\n")
}

/// What is wrong first.
fn first(found: &Found) -> Option<String> {
    let chains = found.log.iter().flat_map(|it| &it.chains);
    let in_log = chains
        .clone()
        .filter_map(|it| Some((&it.chain, it.findings.first()?)));
    let segments = found.segments.iter();
    let in_segments =
        segments.filter_map(|it| Some((&it.report.chain, it.report.finding.as_ref()?)));
    let mut all = in_log.chain(in_segments);
    if let Some((chain, finding)) = all.next() {
        return Some(format!("chain {chain}, {finding}"));
    }
    // A good file of other records than those that were sealed.
    let other = |Segment { report, .. }: &&Segment| {
        let of_chain = chains.clone().filter(|chain| chain.chain == report.chain);
        let mut sealed = of_chain.flat_map(|chain| &chain.sealed);
        let same = |sealed: &SealedSegment| sealed.first_seq == report.segment.first_seq;
        match report.signed {
            true => sealed.any(|sealed| same(sealed) && *sealed != report.segment),
            // Anybody could have written it: the log must know it.
            false => found.log.is_some() && sealed.all(|sealed| *sealed != report.segment),
        }
    };
    let it = found.segments.iter().find(other)?;
    Some(format!(
        "{} is not the file that the log sealed",
        it.file.display()
    ))
}

async fn export(args: &ExportArgs) -> Result<()> {
    let reader = Reader::open(&args.audit).await?;
    let filter = Filter {
        chain: args.chain.clone(),
        kind: args.kind,
        owner: args.owner.clone(),
        from: args.since,
        until: args.until,
    };
    let format = match args.format {
        ExportFormat::Jsonl => audit::Format::JsonLines,
        ExportFormat::Ocsf => audit::Format::Ocsf,
    };
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let written = audit::export(&reader, &filter, format, &mut out).await;
    match written {
        // Whoever reads may have had enough.
        Err(audit::AuditError::Export(why)) if why.kind() == std::io::ErrorKind::BrokenPipe => {
            return Ok(());
        }
        Err(why) => return Err(anyhow!(why)),
        Ok(count) => eprintln!("{count} records"),
    }
    match out.flush() {
        Err(why) if why.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("write to stdout"),
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}
