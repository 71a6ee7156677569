//! `verify`: a chain, a certificate and a bundle, without asking anybody; or all of it from the
//! cluster.

mod check;
mod input;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Subcommand};
use countersign_api::{AgentIdentity, Delegation};
use jiff::Timestamp;
use kube::api::Api;

use self::check::{Evidence, Report, check};
use crate::clock;
use crate::cluster::{Cluster, Connected, get};
use crate::failure::{Failure, Outcome};
use crate::output::{self, Format};
use crate::standing::{Standing, State};
use crate::world::delegate_of;

/// Verify a chain of delegations: every signature, link, depth, expiry and grant
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
With --chain nothing is asked of any cluster: the bundle is all that is trusted.

Examples:
  # Offline, from what an agent showed
  kubectl countersign verify --chain chain.json --bundle bundle.json --trust-domain example.org \\
    --certificate agent.pem --revocations list-0.jwt --revocations list-1.jwt

  # A Delegation as kubectl shows it
  kubectl get delegation planner-to-reader -o yaml > deleg.yaml
  kubectl countersign verify --chain deleg.yaml --bundle bundle.json --trust-domain example.org

  # As the cluster has it now
  kubectl countersign verify delegation planner-to-reader -n finance"
)]
pub(crate) struct VerifyArgs {
    #[command(subcommand)]
    from_cluster: Option<FromCluster>,
    /// The chain: a JSON array of statements, a statement on each line, or a Delegation; '-' for stdin
    #[arg(long, value_name = "FILE", required = true)]
    chain: Option<PathBuf>,
    /// The trust domain's SPIFFE bundle
    #[arg(long, value_name = "FILE", required = true)]
    bundle: Option<PathBuf>,
    /// Whose bundle it is, such as example.org
    #[arg(long, value_name = "NAME", required = true)]
    trust_domain: Option<String>,
    #[command(flatten)]
    more: More,
}

/// What else is verified.
#[derive(Debug, Clone, Args)]
struct More {
    /// The certificate of whoever shows the chain, leaf first: it must be the delegate's
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// A signed list of revoked statements; may be given several times, and must cover each hop
    #[arg(long, value_name = "FILE")]
    revocations: Vec<PathBuf>,
    /// At this moment instead of now, such as 2026-11-24T12:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Verify what agents signed themselves, too, as of when it was countersigned: needs the roots of
    /// that time in the bundle
    #[arg(long)]
    agent_signatures: bool,
    #[arg(short, long, default_value = "table")]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum FromCluster {
    /// Verify a Delegation and its bundle as the cluster has them
    #[command(visible_alias = "deleg")]
    Delegation {
        /// Its name
        name: String,
        /// The bundle, instead of the one that the operator publishes
        #[arg(long, value_name = "FILE")]
        bundle: Option<PathBuf>,
        #[command(flatten)]
        more: More,
    },
}

pub(crate) async fn run(cluster: &Cluster, args: &VerifyArgs) -> Outcome {
    if let Some(FromCluster::Delegation { name, bundle, more }) = &args.from_cluster {
        let client = cluster.connect().await?;
        return from_cluster(&client, name, bundle.as_deref(), more).await;
    }
    let (Some(chain), Some(bundle), Some(trust_domain)) =
        (&args.chain, &args.bundle, &args.trust_domain)
    else {
        return Err(Failure::Usage(
            "--chain, --bundle and --trust-domain are needed".to_owned(),
        ));
    };
    let statements = input::chain(&read(chain)?)?;
    let report = verify(&statements, &read(bundle)?, trust_domain, None, &args.more)?;
    answer(&report, args.more.output)
}

async fn from_cluster(
    client: &Connected,
    name: &str,
    bundle: Option<&Path>,
    more: &More,
) -> Outcome {
    let api: Api<Delegation> = client.objects(&client.namespace);
    let delegation = get(&api, "Delegation", name).await?;
    let status = delegation.status.clone().unwrap_or_default();
    let Some(own) = status.statement else {
        let standing = Standing::of(&status.conditions);
        return Err(Failure::Refused(format!(
            "Delegation {name} has no statement, it is {} {}: {}",
            standing.state.as_str(),
            standing.reason,
            standing.message
        )));
    };
    let statements: Vec<String> = status.ancestors.into_iter().chain([own]).collect();
    let delegate = delegate_of(&delegation);
    let identities: Api<AgentIdentity> = client.objects(&delegate.namespace);
    let identity = identities.get_opt(&delegate.name).await.ok().flatten();
    // Which trust domain is not the chain's to say, unless nobody else does.
    let trust_domain = match &identity {
        Some(identity) => identity.spec.trust_domain_ref.name.clone(),
        None => statements
            .first()
            .and_then(|it| countersign_statement::read_unverified(it).ok())
            .map(|(claims, _)| claims.issuer.to_string())
            .ok_or_else(|| anyhow!("the first statement of Delegation {name} can't be read"))?,
    };
    let bundle = match bundle {
        Some(path) => read(path)?,
        None => client.bundle(&trust_domain).await?,
    };
    let certificate = identity
        .and_then(|it| it.status)
        .and_then(|it| it.certificate)
        .and_then(|it| it.chain);
    let mut report = verify(&statements, &bundle, &trust_domain, certificate, more)?;
    let standing = Standing::of(&status.conditions);
    // The statements may be good and the delegation over: the API server knows at once.
    if report.valid && standing.state != State::Ready && more.at.is_none() {
        report.valid = false;
        report.delegate = None;
        report.category = Some("not-ready");
        report.reason = Some(format!(
            "its statements verify, but the cluster says {} {}: {}",
            standing.state.as_str(),
            standing.reason,
            standing.message
        ));
    }
    answer(&report, more.output)
}

fn verify(
    statements: &[String],
    bundle: &str,
    trust_domain: &str,
    certificate: Option<String>,
    more: &More,
) -> Result<Report> {
    let certificate = match &more.certificate {
        Some(path) => Some(read(path)?),
        None => certificate,
    };
    let revocations = more.revocations.iter().map(|it| read(it));
    let revocations = revocations.collect::<Result<Vec<_>>>()?;
    let evidence = Evidence {
        statements,
        bundle,
        trust_domain,
        certificate: certificate.as_deref(),
        revocations: &revocations,
        agent_signatures: more.agent_signatures,
        at: more.at.unwrap_or_else(clock::now),
    };
    check(&evidence).map_err(|why| anyhow!(why))
}

fn answer(report: &Report, format: Format) -> Outcome {
    output::print(&output::shown(format, report, check::text)?)?;
    match &report.reason {
        None => Ok(()),
        Some(reason) => Err(Failure::Refused(reason.clone())),
    }
}

/// A file's text, or stdin's.
fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    // A list of revocations is the longest.
    let most = input::MAX_BYTES.max(countersign_statement::revocation::MAX_LIST_BYTES as u64) + 1;
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    read.with_context(|| format!("read {}", path.display()))?;
    if text.len() as u64 >= most {
        return Err(anyhow!("{} is too large", path.display()));
    }
    Ok(text)
}
