//! `delegate`: hands a part of what an owner or an agent has on to an agent.
//!
//! ```text
//!  What ──places──▶ Places ──delegation(parent)──▶ Delegation ──▶ create
//!    └─ look: parent, owner, delegate ──▶ forecast ──▶ refused, cut, waits
//! ```

mod build;
mod check;
mod look;
mod sign;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, ValueEnum};
use countersign_api::{AgentIdentity, Delegation};
use kube::api::{Api, PostParams};

use self::build::{From, Places, What};
use self::check::{Asked, Forecast, forecast};
use self::sign::Signing;
use crate::cluster::{Cluster, Connected, explain, get, is, until};
use crate::failure::{Failure, Outcome};
use crate::standing::{Standing, State};
use crate::text::{clean, relative, time};
use crate::world::Key;
use crate::{clock, output};

/// `--wait` waits so long at most.
const WAIT: Duration = Duration::from_secs(10);
/// Who writes, in managedFields.
const MANAGER: &str = "kubectl-countersign";

/// Hand a part of what an owner or an agent may do on to an agent
#[derive(Debug, Args)]
#[command(after_help = "\
What would widen is refused before anything is created: by the operator's own rules, asked here.

Examples:
  # A root: what alice's planner may do
  kubectl countersign delegate --from owner/alice --to planner -n finance \\
    --action read,list --resource 'ledger/*' --max-depth 1 --expires-after 1h

  # A hop: the planner hands a part of it on; its own delegation is found
  kubectl countersign delegate --from agent/planner --to invoice-reader -n finance \\
    --action read --resource 'ledger/invoices/2026-11/*' --max-data-class Internal

  # Would it widen? As YAML for a repository, and asked of the API server too
  kubectl countersign delegate --from agent/planner --to invoice-reader -n finance \\
    --action write --resource 'ledger/*' --dry-run=server -o yaml

  # Signed by the agent's own key, in its pod
  kubectl countersign delegate --from agent/planner --to invoice-reader --action read \\
    --resource 'ledger/*' --sign /identity/tls.key --certificate /identity/tls.crt")]
pub(crate) struct DelegateArgs {
    #[command(flatten)]
    what: What,
    /// Sign it with the agent's own key as well (PEM)
    #[arg(long, value_name = "KEY", requires = "certificate")]
    sign: Option<PathBuf>,
    /// The agent's certificate chain (PEM, leaf first), for --sign
    #[arg(long, value_name = "CHAIN", requires = "sign")]
    certificate: Option<PathBuf>,
    /// Create nothing: 'client' checks what would widen, 'server' asks the API server too
    #[arg(long, value_enum, default_value = "none", default_missing_value = "client", num_args = 0..=1, require_equals = true)]
    dry_run: DryRun,
    /// Wait at most 10 s until it is Ready, or refused
    #[arg(long)]
    wait: bool,
    #[arg(short, long, default_value = "name")]
    output: DelegateFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DryRun {
    None,
    Client,
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DelegateFormat {
    /// What was done, in a line
    #[value(alias = "table")]
    Name,
    Json,
    Yaml,
}

pub(crate) async fn run(cluster: &Cluster, args: &DelegateArgs) -> Outcome {
    let client = cluster.connect().await?;
    let what = &args.what;
    if args.sign.is_some() && matches!(what.from, From::Owner(_)) {
        return Err(Failure::Usage("--sign: only agents have keys".to_owned()));
    }
    let places = build::places(what, &client.namespace).map_err(Failure::Usage)?;
    let parent = look::parent(&client, what, &places).await?;
    let parent_key = parent.as_ref().map(Key::of);
    let mut delegation = build::delegation(what, &places, parent_key.as_ref());
    let above = look::above(&client, what, parent.as_ref()).await?;
    let (delegate, longest) = look::delegate(&client, &places.delegate).await;
    let asked = Asked {
        grants: countersign_api::to_domain(&delegation.spec.grants),
        expires_after: what.expires_after,
        max_depth: what.max_depth,
        longest,
    };
    let now = clock::now();
    let told = above
        .as_ref()
        .map(|above| forecast(&asked, above, &delegate, now));
    if let Some(told) = &told {
        tell(told, now);
    }
    if told.as_ref().is_some_and(|it| !it.refused.is_empty()) {
        if args.dry_run != DryRun::None && args.output != DelegateFormat::Name {
            show(&delegation, args)?;
        }
        return Err(Failure::Refused(format!(
            "the operator would not countersign it, so nothing was created: {}",
            told.map(|it| it.refused.join("; ")).unwrap_or_default()
        )));
    }
    if let (Some(key), Some(certificate)) = (&args.sign, &args.certificate) {
        let depth = above.map_or(1, |it| it.depth.saturating_add(1));
        let signing = Materials {
            key: sign::read(key)?,
            chain: sign::read(certificate)?,
            delegate: delegate.spiffe_id,
            depth,
        };
        let signed = signed(&client, &delegation, &places, parent.as_ref(), &signing).await?;
        delegation.spec.statement = Some(signed);
    }
    create(&client, delegation, args).await
}

struct Materials {
    key: String,
    chain: String,
    delegate: Option<String>,
    depth: u8,
}

async fn signed(
    client: &Connected,
    delegation: &Delegation,
    places: &Places,
    parent: Option<&Delegation>,
    materials: &Materials,
) -> Result<String> {
    let agent = delegation
        .spec
        .from
        .agent
        .as_ref()
        .map(|it| it.name.clone());
    let identities: Api<AgentIdentity> = client.objects(&places.key.namespace);
    let delegator = get(&identities, "AgentIdentity", &agent.unwrap_or_default()).await?;
    let delegator = delegator.status.and_then(|it| it.spiffe_id);
    let digest = parent
        .and_then(|it| it.status.as_ref())
        .and_then(|it| it.digest.as_deref());
    sign::statement(
        delegation,
        &Signing {
            key: &materials.key,
            chain: &materials.chain,
            delegator: &delegator.context("--sign: the delegator has no SPIFFE ID yet")?,
            delegate: materials
                .delegate
                .as_deref()
                .context("--sign: the delegate has no SPIFFE ID yet")?,
            parent_digest: digest.context("--sign: the parent is not countersigned yet")?,
            depth: materials.depth,
            now: clock::now(),
        },
    )
}

async fn create(client: &Connected, delegation: Delegation, args: &DelegateArgs) -> Outcome {
    let key = Key::of(&delegation);
    if args.dry_run == DryRun::Client {
        return Ok(show(&delegation, args)?);
    }
    let api: Api<Delegation> = client.objects(&key.namespace);
    let params = PostParams {
        dry_run: args.dry_run == DryRun::Server,
        field_manager: Some(MANAGER.to_owned()),
    };
    let created = match api.create(&params, &delegation).await {
        Ok(created) => created,
        Err(why) if is(&why, 409) => {
            return Err(Failure::Error(anyhow!(
                "Delegation {key} is there already, and can't be changed: delete it, or --name another"
            )));
        }
        Err(why) => {
            return Err(Failure::Error(explain(
                why,
                &format!("create Delegation {key}"),
            )));
        }
    };
    show(&created, args)?;
    if args.wait && args.dry_run == DryRun::None {
        return settled(&api, &key).await;
    }
    Ok(())
}

/// Waits until the operator has decided.
async fn settled(api: &Api<Delegation>, key: &Key) -> Outcome {
    let standing = || async {
        let found = get(api, "Delegation", &key.name).await?;
        let status = found.status.unwrap_or_default();
        let standing = Standing::of(&status.conditions);
        Ok((standing.state != State::Waiting).then_some(standing))
    };
    match until(&format!("waiting for Delegation {key}"), WAIT, standing).await? {
        Some(standing) if standing.state == State::Ready => {
            eprintln!("Delegation {key} is Ready");
            Ok(())
        }
        Some(standing) => Err(Failure::Refused(format!(
            "Delegation {key} is {} {}: {}",
            standing.state.as_str(),
            standing.reason,
            standing.message
        ))),
        None => Err(Failure::Error(anyhow!(
            "Delegation {key} is not Ready after {} s: kubectl countersign tree delegation/{} shows what it waits for",
            WAIT.as_secs(),
            key.name
        ))),
    }
}

/// On stderr: stdout is for the object.
fn tell(forecast: &Forecast, now: jiff::Timestamp) {
    let lines = [("cut", &forecast.cut), ("waits", &forecast.waits)];
    for (word, all) in lines {
        for it in all {
            eprintln!("{word}: {}", clean(it));
        }
    }
    for it in &forecast.refused {
        eprintln!("widens or breaks: {}", clean(it));
    }
    if let Some(ends) = forecast.ends.filter(|_| forecast.refused.is_empty()) {
        eprintln!(
            "ends: at the latest {} ({})",
            relative(ends, now),
            time(ends)
        );
    }
}

fn show(delegation: &Delegation, args: &DelegateArgs) -> Result<()> {
    let name = delegation.metadata.name.as_deref().unwrap_or_default();
    let done = match args.dry_run {
        DryRun::None => "created",
        DryRun::Client => "created (dry run)",
        DryRun::Server => "created (server dry run)",
    };
    let mut shown = delegation.clone();
    shown.metadata.managed_fields = None; // as kubectl
    output::print(&match args.output {
        DelegateFormat::Name => format!("delegation.countersign.dev/{} {done}", clean(name)),
        DelegateFormat::Json => serde_json::to_string_pretty(&shown)?,
        DelegateFormat::Yaml => output::yaml(&shown)?,
    })
}
