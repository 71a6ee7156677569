//! One pass over one delegation.

use countersign_runtime::{ObjectKey, Outcome, Urgency};

use super::execute::{Step, execute, tie_to_parent};
use super::observe::observe;
use super::plan::plan;
use crate::context::Context;
use crate::identity::{PassError, instant};

/// More than so many turns of one pass mean that somebody is changing it all the time: later.
const MAX_TURNS: usize = 5;

/// Brings one delegation to where it should be.
pub(crate) async fn reconcile(ctx: &Context, key: &ObjectKey) -> Result<Outcome, PassError> {
    for _ in 0..MAX_TURNS {
        let Some(object) = ctx.delegations.get(key).and_then(|it| it.unpack()) else {
            return Ok(Outcome::Settled { again: None });
        };
        let mut seen = observe(ctx, &object).await?;
        for _ in 0..MAX_TURNS {
            let decided = plan(&seen);
            let again = decided.again;
            let ready = decided.status.as_ref().is_some_and(|status| {
                let mut conditions = status.conditions.iter();
                conditions.any(|it| it.kind == "Ready" && it.status)
            });
            match execute(ctx, key, &object, &seen, decided).await? {
                Step::Done => {
                    if ready {
                        tie_to_parent(ctx, key, &seen).await?;
                    }
                    let again = again.map(|moment| (instant(ctx, moment), Urgency::Retire));
                    return Ok(Outcome::Settled { again });
                }
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
