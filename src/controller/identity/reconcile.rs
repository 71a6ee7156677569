//! One pass over one identity, or over a Secret whose identity is gone.

use std::time::Duration;

use countersign_api as api;
use countersign_runtime::{ObjectKey, Outcome, Urgency};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::Api;
use tokio::time::Instant;
use tracing::info;

use super::delivery;
use super::execute::{PassError, Step, delete_identity, execute};
use super::observe::observe;
use super::plan::plan;
use crate::context::Context;

/// More than so many turns of one pass mean that somebody is changing it all the time: later.
const MAX_TURNS: usize = 5;
/// Timers fire a little early by the wall clock; a look that comes too early would come again.
const SLACK: Duration = Duration::from_millis(20);

/// Brings one identity to where it should be.
pub(crate) async fn reconcile(ctx: &Context, key: &ObjectKey) -> Result<Outcome, PassError> {
    for _ in 0..MAX_TURNS {
        let Some(object) = ctx.identities.get(key).and_then(|it| it.unpack()) else {
            return Ok(Outcome::Settled { again: None });
        };
        let mut seen = observe(ctx, key, &object).await?;
        for _ in 0..MAX_TURNS {
            let decided = plan(&seen);
            let (again, delete) = (decided.again, decided.delete_identity);
            let deadline = decided.status.as_ref().and_then(|status| status.deadline);
            let next = if again.is_some() && again == deadline {
                Urgency::Retire
            } else {
                Urgency::Renew
            };
            match execute(ctx, key, &object, &seen, decided).await? {
                Step::Done => {
                    if delete {
                        delete_identity(ctx, &object).await?;
                    }
                    let again = again.map(|moment| instant(ctx, moment));
                    return Ok(Outcome::Settled {
                        again: again.map(|moment| (moment, next)),
                    });
                }
                Step::Learned(credential) => seen.learn(credential),
                Step::Refused(why) => seen.closed = Some(why),
                Step::Again => break,
                Step::Gone => return Ok(Outcome::Settled { again: None }),
            }
        }
    }
    Ok(Outcome::Failed {
        urgency: Urgency::Renew,
    })
}

/// Deletes a Secret of ours whose identity doesn't exist any more.
pub(crate) async fn sweep(ctx: &Context, key: &ObjectKey) -> Result<Outcome, PassError> {
    let settled = Outcome::Settled { again: None };
    let Some(held) = ctx.secrets.get(key) else {
        return Ok(settled);
    };
    if let Some(identity) = ctx.index.with_uid(&held.identity) {
        // Its own pass decides.
        ctx.look_at(&identity);
        return Ok(settled);
    }
    // That the watch doesn't show it proves nothing.
    let identities: Api<api::AgentIdentity> =
        Api::namespaced(ctx.clients.reads.clone(), key.namespace());
    let live = match &held.name {
        Some(name) => identities.get_metadata_opt(name).await?,
        None => None,
    };
    if live.is_some_and(|live| live.uid().is_some_and(|uid| held.identity.is(&uid))) {
        return Ok(Outcome::Failed {
            urgency: Urgency::Retire,
        });
    }
    info!(secret = %key, "deleting the Secret of an identity that is gone");
    delivery::delete(ctx, key.namespace(), &held.version(&key.name)).await?;
    ctx.look_at_all(ctx.index.of_secret(key));
    Ok(settled)
}

/// When a moment by the wall clock is, by the one that never jumps.
pub(crate) fn instant(ctx: &Context, moment: Timestamp) -> Instant {
    let wait = moment.duration_since(ctx.clock.now());
    let wait = Duration::try_from(wait).unwrap_or_default();
    Instant::now() + wait + SLACK
}
