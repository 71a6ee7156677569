//! `renew`: a new certificate now.
//!
//! The spec has no field for it, and needs none: the operator issues anew whatever a Secret lacks. So
//! the Secret is deleted, the very one that the identity's status names, and comes back at once.

use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use countersign_api::{AgentIdentity, Delivery};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Preconditions};

use crate::cluster::{Cluster, explain, get, is, until};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::standing::{Standing, State};
use crate::text::clean;

/// The new certificate is waited for so long.
const WAIT: Duration = Duration::from_secs(30);

/// Have an identity's certificate issued anew, now
#[derive(Debug, Args)]
#[command(after_help = "\
Its Secret is deleted, and the operator writes it anew. The old certificate stays valid until its
end: revoke takes one back. A kubelet takes up to 90 s to show a pod the new one.

Examples:
  kubectl countersign renew invoice-reader -n finance")]
pub(crate) struct RenewArgs {
    /// The AgentIdentity
    identity: String,
}

pub(crate) async fn run(cluster: &Cluster, args: &RenewArgs) -> Outcome {
    let client = cluster.connect().await?;
    let name = &args.identity;
    let api: Api<AgentIdentity> = client.objects(&client.namespace);
    let identity = get(&api, "AgentIdentity", name).await?;
    let (secret, uid, old) = renewable(&identity).map_err(|why| Failure::Error(anyhow!(why)))?;
    let secrets: Api<Secret> = client.objects(&client.namespace);
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let started = tokio::time::Instant::now();
    match secrets.delete(&secret, &params).await {
        Ok(_) => {}
        // Gone already: the operator is at it.
        Err(why) if is(&why, 404) => {}
        Err(why) if is(&why, 409) => {
            return Err(Failure::Error(anyhow!(
                "Secret {secret} is not the one that the operator wrote: it was left alone; look at the conditions of AgentIdentity {name}"
            )));
        }
        Err(why) => {
            return Err(Failure::Error(explain(
                why,
                &format!("delete Secret {secret}"),
            )));
        }
    }
    let new = until(
        &format!("waiting for a new certificate of {name}"),
        WAIT,
        || async {
            let now = get(&api, "AgentIdentity", name).await?;
            let status = now.status.unwrap_or_default();
            let standing = Standing::of(&status.conditions);
            if matches!(standing.state, State::Over | State::Stalled) {
                anyhow::bail!(
                    "it is {} {}: {}",
                    standing.state.as_str(),
                    standing.reason,
                    standing.message
                );
            }
            let serial = status.certificate.map(|it| it.serial_number);
            Ok(serial.filter(|serial| *serial != old))
        },
    )
    .await?;
    let Some(new) = new else {
        return Err(Failure::Error(anyhow!(
            "no new certificate after {} s: is the operator running? kubectl countersign status",
            WAIT.as_secs()
        )));
    };
    let took = started.elapsed().as_secs_f64();
    let answer = format!(
        "agentidentity.countersign.dev/{name} renewed in {took:.2} s: serial {old} → {new}"
    );
    Ok(output::print(&clean(&answer))?)
}

/// The Secret's name and UID, and the serial number of now; or why it can't be renewed.
fn renewable(identity: &AgentIdentity) -> Result<(String, String, String), String> {
    let name = identity.metadata.name.as_deref().unwrap_or_default();
    match identity.spec.credential.delivery {
        Delivery::Secret => {}
        Delivery::Request => {
            return Err(format!(
                "{name} is delivered by Request: its certificate is for the one key it asked with; make a new AgentIdentity with a new request"
            ));
        }
        Delivery::Workload => {
            return Err(format!(
                "{name} is delivered into its pods: they ask anew by themselves"
            ));
        }
    }
    let status = identity.status.clone().unwrap_or_default();
    let standing = Standing::of(&status.conditions);
    if standing.state != State::Ready {
        return Err(format!(
            "{name} is {} {}: only what is Ready can be renewed. {}",
            standing.state.as_str(),
            standing.reason,
            standing.message
        ));
    }
    match (status.secret, status.certificate) {
        (Some(secret), Some(certificate)) => {
            Ok((secret.name, secret.uid, certificate.serial_number))
        }
        _ => Err(format!("{name} has no Secret yet: wait until it is issued")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn only_a_ready_identity_in_a_secret_is_renewed() {
        let world = fixture::world();
        let by = |name: &str| {
            let mut found = world.identities.iter();
            found
                .find(|it| it.metadata.name.as_deref() == Some(name))
                .unwrap()
                .clone()
        };
        let mut planner = by("planner");
        let (secret, uid, serial) = renewable(&planner).unwrap();
        assert_eq!(
            (secret.as_str(), uid.as_str()),
            ("planner-identity", "uid-secret-planner")
        );
        assert_eq!(serial.len(), 32);
        planner.spec.credential.delivery = Delivery::Request;
        assert!(
            renewable(&planner)
                .unwrap_err()
                .contains("new AgentIdentity")
        );
        assert!(renewable(&by("stuck")).unwrap_err().contains("GrantsWiden"));
    }
}
