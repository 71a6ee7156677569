//! `status`: is the installation well, and what needs somebody?

mod show;
mod summary;
#[cfg(test)]
mod tests;

use clap::Args;
use countersign_api::TrustDomain;
use countersign_audit::CheckpointVerifier as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use kube::api::Api;

use self::summary::{CheckpointAge, Operator, summarise};
use crate::anchors::{self, Anchor, Believed};
use crate::clock;
use crate::cluster::{Cluster, Connected, explain, list};
use crate::failure::{Failure, Outcome};
use crate::output::{self, Format};
use crate::text::clean;

/// The operator's Lease.
const LEASE: &str = "countersign-operator";

/// Show trust domains and their keys, counts by state, what is stalled and why, and who leads
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl countersign status

  # For a probe: exit code 3 if something needs somebody
  kubectl countersign status --check -o json")]
pub(crate) struct StatusArgs {
    /// Exit with 3 if there is a problem
    #[arg(long)]
    check: bool,
    #[arg(short, long, default_value = "table")]
    output: Format,
}

pub(crate) async fn run(cluster: &Cluster, args: &StatusArgs) -> Outcome {
    let client = cluster.connect().await?;
    let domains: Api<TrustDomain> = Api::all(client.client.clone());
    let domains = list(&domains, "trustdomains").await?;
    let world = match client.world(true).await {
        Ok(world) => world,
        Err(why) => {
            eprintln!("only namespace {} is counted: {why:#}", client.namespace);
            client.world(false).await?
        }
    };
    let operator = operator(&client).await;
    let checkpoints = checkpoints(&client, &domains).await;
    let summary = summarise(&domains, &world, operator, checkpoints, clock::now());
    output::print(&output::shown(args.output, &summary, show::text)?)?;
    if args.check && !summary.problems.is_empty() {
        return Err(Failure::Refused(summary.problems.join("; ")));
    }
    Ok(())
}

async fn operator(client: &Connected) -> Operator {
    let api: Api<Lease> = client.objects(&client.operator_namespace);
    let lease = match api.get_opt(LEASE).await {
        Ok(lease) => lease,
        Err(why) => {
            let why = explain(
                why,
                &format!("read Lease {}/{LEASE}", client.operator_namespace),
            );
            return Operator {
                unknown: Some(format!("{why:#}")),
                ..Operator::default()
            };
        }
    };
    let spec = lease.and_then(|it| it.spec).unwrap_or_default();
    Operator {
        holder: spec.holder_identity.filter(|it| !it.is_empty()),
        renewed: spec.renew_time.map(|it| it.0),
        lease_seconds: spec.lease_duration_seconds.map(i64::from),
        unknown: None,
    }
}

/// Of each chain the one that the operator keeps in the cluster, and whether it is to be believed.
async fn checkpoints(client: &Connected, domains: &[TrustDomain]) -> Vec<CheckpointAge> {
    let Ok(found) = anchors::published(client).await else {
        return Vec::new();
    };
    if found.is_empty() {
        return Vec::new();
    }
    let mut believed = Believed::default();
    for domain in domains {
        let name = domain.name_any();
        if let Ok(bundle) = client.bundle(&name).await
            && let Err(why) = believed.add(&name, &bundle)
        {
            eprintln!("{}", clean(&format!("{why:#}")));
        }
    }
    found.into_iter().map(|it| age(&believed, it)).collect()
}

fn age(believed: &Believed, anchor: Anchor) -> CheckpointAge {
    match believed.verify(&anchor.token) {
        Ok(checkpoint) => CheckpointAge {
            chain: checkpoint.chain,
            sequence: Some(checkpoint.seq),
            time: Some(checkpoint.time),
            refused: None,
        },
        Err(why) => CheckpointAge {
            chain: anchor.name,
            sequence: None,
            time: None,
            refused: Some(why),
        },
    }
}
