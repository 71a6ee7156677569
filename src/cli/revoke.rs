//! `revoke`: takes back for good, with all that hangs on it.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, ValueEnum};
use countersign_api::{AgentIdentity, Delegation};
use futures::future::try_join_all;
use kube::Resource;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::cluster::{Cluster, Connected, explain, get, is, until};
use crate::failure::{Failure, Outcome};
use crate::output::columns;
use crate::standing::{Standing, State};
use crate::text::count;
use crate::world::{Key, delegate_of, delegator_of, descendants};
use crate::{clock, grants, output};

/// Ends are waited for so long.
const WAIT: Duration = Duration::from_secs(10);
const MANAGER: &str = "kubectl-countersign";

/// Revoke a delegation or an identity, and all that hangs on it, for good
#[derive(Debug, Args)]
#[command(after_help = "\
It is shown what goes along, and asked first. Nothing brings it back: what is wanted again is made
anew.

Examples:
  # A delegation, and each one below it
  kubectl countersign revoke delegation alice-to-planner -n finance

  # An identity, with what it holds and handed on, in a script
  kubectl countersign revoke identity planner -n finance --yes

Exit code 2 if there is nobody to ask and no --yes; 3 if it is not all over after 10 s.")]
pub(crate) struct RevokeArgs {
    /// What it is
    kind: RevokeKind,
    /// Its name
    name: String,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RevokeKind {
    #[value(alias = "deleg", alias = "delegations")]
    Delegation,
    #[value(alias = "agent", alias = "agid", alias = "agentidentity")]
    Identity,
}

pub(crate) async fn run(cluster: &Cluster, args: &RevokeArgs) -> Outcome {
    let client = cluster.connect().await?;
    let key = Key::new(&client.namespace, &args.name);
    let (uid, over) = match args.kind {
        RevokeKind::Delegation => {
            let api: Api<Delegation> = client.objects(&key.namespace);
            let found = get(&api, "Delegation", &key.name).await?;
            (found.uid(), is_over(&found))
        }
        RevokeKind::Identity => {
            let api: Api<AgentIdentity> = client.objects(&key.namespace);
            let found = get(&api, "AgentIdentity", &key.name).await?;
            let conditions = found.status.as_ref().map(|it| it.conditions.as_slice());
            let state = Standing::of(conditions.unwrap_or_default()).state;
            (found.uid(), state == State::Over)
        }
    };
    let (all, everywhere) = client.delegations().await?;
    let taken = taken(&all, args.kind, &key);
    let kind = match args.kind {
        RevokeKind::Delegation => "delegation",
        RevokeKind::Identity => "identity",
    };
    if taken.is_empty() && over {
        return Ok(output::print(&format!("{kind} {key} is over already"))?);
    }
    let others = taken
        .iter()
        .filter(|it| args.kind == RevokeKind::Identity || Key::of(**it) != key);
    let others = count(others.count(), "delegation");
    match args.kind {
        RevokeKind::Delegation => {
            eprintln!("This ends delegation {key} for good, and the {others} below it:")
        }
        RevokeKind::Identity => {
            eprintln!("This ends identity {key} for good, and {others} with it:")
        }
    }
    if !taken.is_empty() {
        eprintln!("{}", table(&taken));
    }
    if !everywhere {
        eprintln!(
            "You may not list the delegations of other namespaces: what is below in those ends too."
        );
    }
    confirm(args.yes)?;
    let started = tokio::time::Instant::now();
    patch(&client, args.kind, &key, uid.as_deref()).await?;
    let ends = ended(&client, args.kind, &key, &taken);
    let done = until("waiting for the operator to end them", WAIT, || async {
        Ok(ends.look().await?.then_some(()))
    })
    .await?;
    let took = started.elapsed().as_secs_f64();
    if done.is_none() {
        return Err(Failure::Refused(format!(
            "{kind} {key} is marked as Revoked, but not all is over after {} s: is the operator running? kubectl countersign status",
            WAIT.as_secs()
        )));
    }
    let and = match (args.kind, taken.len()) {
        (RevokeKind::Delegation, number) => count(number.max(1), "delegation"),
        (RevokeKind::Identity, number) => format!("1 identity and {}", count(number, "delegation")),
    };
    output::print(&format!(
        "{kind}.countersign.dev/{} revoked: {and} ended in {took:.2} s",
        key.name
    ))?;
    Ok(())
}

/// All delegations that go along and aren't over, nearest first. For a delegation it is among them.
fn taken<'a>(all: &'a [Delegation], kind: RevokeKind, key: &Key) -> Vec<&'a Delegation> {
    let found = descendants(all, |it| match kind {
        RevokeKind::Delegation => Key::of(it) == *key,
        RevokeKind::Identity => delegate_of(it) == *key || delegator_of(it).as_ref() == Some(key),
    });
    found.into_iter().filter(|it| !is_over(it)).collect()
}

fn is_over(delegation: &Delegation) -> bool {
    let conditions = delegation
        .status
        .as_ref()
        .map(|it| it.conditions.as_slice());
    Standing::of(conditions.unwrap_or_default()).state == State::Over
}

fn table(taken: &[&Delegation]) -> String {
    const SHOWN: usize = 50;
    let now = clock::now();
    let rows = taken.iter().take(SHOWN).map(|it| {
        let status = it.status.clone().unwrap_or_default();
        let ends = status.expiration_time.map(|it| it.0);
        let from = match delegator_of(it) {
            Some(agent) => format!("agent {agent}"),
            None => it
                .spec
                .from
                .owner
                .as_ref()
                .map_or_else(String::new, |it| format!("owner {}", it.name)),
        };
        [
            Key::of(*it).to_string(),
            from,
            format!("agent {}", delegate_of(it)),
            Standing::at(&status.conditions, ends, now)
                .state
                .as_str()
                .to_owned(),
            grants::line(&countersign_api::to_domain(&it.spec.grants)),
        ]
    });
    let mut text = columns(
        ["DELEGATION", "FROM", "TO", "STATE", "GRANTS"],
        rows.collect(),
    );
    if taken.len() > SHOWN {
        text.push_str(&format!("\n… and {} more", taken.len() - SHOWN));
    }
    text
}

/// Asks, on a terminal.
fn confirm(yes: bool) -> Outcome {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "there is nobody to ask: --yes says that it is meant; nothing was revoked".to_owned(),
        ));
    }
    eprint!("Revoke? [y/N] ");
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("read the answer")?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::Error(anyhow!("nothing was revoked")))
}

/// Marks it; the UID is that of the object that was shown.
async fn patch(client: &Connected, kind: RevokeKind, key: &Key, uid: Option<&str>) -> Result<()> {
    match kind {
        RevokeKind::Delegation => {
            mark::<Delegation>(&client.objects(&key.namespace), key, uid).await
        }
        RevokeKind::Identity => {
            mark::<AgentIdentity>(&client.objects(&key.namespace), key, uid).await
        }
    }
}

async fn mark<K>(api: &Api<K>, key: &Key, uid: Option<&str>) -> Result<()>
where
    K: Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    // A patch with another UID is refused: what was shown is what ends.
    let patch = json!({"metadata": {"uid": uid}, "spec": {"desiredState": "Revoked"}});
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match api.patch(&key.name, &params, &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(why) if is(&why, 409) => Err(anyhow!("{key} is another object by now: look again")),
        Err(why) => Err(explain(why, &format!("revoke {key}"))),
    }
}

/// What has to be over.
struct Ends<'a> {
    client: &'a Connected,
    identity: Option<Key>,
    /// With the UIDs that were shown.
    delegations: Vec<(Key, String)>,
}

fn ended<'a>(
    client: &'a Connected,
    kind: RevokeKind,
    key: &Key,
    taken: &[&Delegation],
) -> Ends<'a> {
    Ends {
        client,
        identity: (kind == RevokeKind::Identity).then(|| key.clone()),
        delegations: taken
            .iter()
            .map(|it| (Key::of(*it), it.uid().unwrap_or_default()))
            .collect(),
    }
}

/// More than so many are listed rather than read one by one.
const ONE_BY_ONE: usize = 8;

impl Ends<'_> {
    /// Is all of it over? What was deleted is.
    async fn look(&self) -> Result<bool> {
        if let Some(key) = &self.identity {
            let api: Api<AgentIdentity> = self.client.objects(&key.namespace);
            let found = api.get_opt(&key.name).await;
            let status = found
                .map_err(|why| explain(why, "read the identity"))?
                .map(|it| it.status);
            let over = status.is_none_or(|it| {
                Standing::of(&it.unwrap_or_default().conditions).state == State::Over
            });
            if !over {
                return Ok(false);
            }
        }
        let live: Vec<Delegation> = if self.delegations.len() <= ONE_BY_ONE {
            let reads = self.delegations.iter().map(|(key, _)| async move {
                let api: Api<Delegation> = self.client.objects(&key.namespace);
                api.get_opt(&key.name).await
            });
            let found = try_join_all(reads)
                .await
                .map_err(|why| explain(why, "read delegations"))?;
            found.into_iter().flatten().collect()
        } else {
            self.client.delegations().await?.0
        };
        let wanted: std::collections::BTreeSet<&str> = self
            .delegations
            .iter()
            .map(|(_, uid)| uid.as_str())
            .collect();
        let waiting = |it: &Delegation| {
            it.metadata
                .uid
                .as_deref()
                .is_some_and(|uid| wanted.contains(uid))
                && !is_over(it)
        };
        Ok(!live.iter().any(waiting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_revoked_delegation_takes_all_below_and_nothing_beside_it() {
        let world = fixture::world();
        let names = |kind, key: Key| -> Vec<String> {
            let taken = taken(&world.delegations, kind, &key);
            taken.iter().map(|it| it.name_any()).collect()
        };
        let finance = |name: &str| Key::new("finance", name);
        assert_eq!(
            names(RevokeKind::Delegation, finance("alice-to-planner")),
            ["alice-to-planner", "planner-to-reader", "reader-to-clerk"]
        );
        assert_eq!(
            names(RevokeKind::Delegation, finance("planner-to-reader")),
            ["planner-to-reader", "reader-to-clerk"]
        );
        assert_eq!(
            names(RevokeKind::Identity, finance("invoice-reader")),
            ["planner-to-reader", "reader-to-clerk"]
        );
    }

    #[test]
    fn what_is_over_is_not_counted_again() {
        let world = fixture::world();
        let taken = taken(
            &world.delegations,
            RevokeKind::Delegation,
            &Key::new("finance", "old"),
        );
        assert!(taken.is_empty());
    }
}
