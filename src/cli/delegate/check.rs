//! What the operator will make of a delegation, by the same rules: pure.

use countersign_core::{Grant, narrow};
use countersign_statement::MAX_DEPTH;
use jiff::{SignedDuration, Timestamp};

use crate::text::{relative, time};

/// What stands above.
#[derive(Debug, Clone)]
pub(super) struct Above {
    /// As a person calls it: `owner alice`, `delegation finance/alice-to-planner`.
    pub(super) name: String,
    pub(super) grants: Vec<Grant>,
    /// When it ends; an owner's grants don't.
    pub(super) ends: Option<Timestamp>,
    /// Hops that lead to it; 0 for an owner.
    pub(super) depth: u8,
    /// The deepest hop that may follow.
    pub(super) max_depth: u8,
    /// Who is above, by SPIFFE ID.
    pub(super) subjects: Vec<String>,
    /// Why it can't be delegated of now, if it can't.
    pub(super) not_ready: Option<String>,
}

/// Who gets it, as far as that is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Delegate {
    pub(super) spiffe_id: Option<String>,
    pub(super) deadline: Option<Timestamp>,
    /// Why it can't hold a delegation now, if it can't.
    pub(super) not_ready: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) grants: Vec<Grant>,
    pub(super) expires_after: i64,
    /// Hops below.
    pub(super) max_depth: i64,
    /// What the trust domain allows, in seconds.
    pub(super) longest: Option<i64>,
}

/// What will become of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Forecast {
    /// It would be refused for these.
    pub(super) refused: Vec<String>,
    /// It would be cut to these.
    pub(super) cut: Vec<String>,
    /// It would wait for these.
    pub(super) waits: Vec<String>,
    /// Its end.
    pub(super) ends: Option<Timestamp>,
}

/// Asks each rule.
pub(super) fn forecast(
    asked: &Asked,
    above: &Above,
    delegate: &Delegate,
    now: Timestamp,
) -> Forecast {
    let mut forecast = Forecast::default();
    // Each grant alone, so that all that widens is named and not the first alone.
    for (place, grant) in asked.grants.iter().enumerate() {
        if let Err(mut widening) = narrow(&above.grants, std::slice::from_ref(grant)) {
            widening.grant = place;
            forecast
                .refused
                .push(format!("{widening} ({} is above)", above.name));
        }
    }
    depth(asked, above, &mut forecast);
    end(asked, above, delegate, now, &mut forecast);
    if let Some(id) = &delegate.spiffe_id
        && above.subjects.contains(id)
    {
        forecast
            .refused
            .push(format!("{id} is above already: a cycle"));
    }
    forecast.waits.extend(above.not_ready.clone());
    forecast.waits.extend(delegate.not_ready.clone());
    forecast
}

fn depth(asked: &Asked, above: &Above, forecast: &mut Forecast) {
    let depth = above.depth.saturating_add(1);
    let most = above.max_depth.min(MAX_DEPTH);
    if depth > most {
        forecast.refused.push(format!(
            "it would be hop {depth}, and {} allows {most} at most: whoever delegated that must set a larger maxDepth",
            above.name
        ));
        return;
    }
    let below = i64::from(most - depth);
    if asked.max_depth > below {
        forecast.cut.push(format!(
            "maxDepth {} is cut to {below}: that is what {} leaves",
            asked.max_depth, above.name
        ));
    }
}

fn end(asked: &Asked, above: &Above, delegate: &Delegate, now: Timestamp, forecast: &mut Forecast) {
    let after = |seconds: i64| now.checked_add(SignedDuration::from_secs(seconds)).ok();
    let wanted = after(asked.expires_after);
    let caps = [
        (
            asked.longest.and_then(after),
            "the trust domain's maxDelegationLifetimeSeconds".to_owned(),
        ),
        (above.ends, format!("the end of {}", above.name)),
        (delegate.deadline, "the delegate's deadline".to_owned()),
    ];
    let least = caps
        .into_iter()
        .filter_map(|(end, name)| Some((end?, name)))
        .min_by_key(|(end, _)| *end);
    forecast.ends = wanted;
    if let (Some(wanted), Some((end, name))) = (wanted, least)
        && end < wanted
    {
        forecast.ends = Some(end);
        if end <= now {
            forecast.refused.push(format!(
                "{name} was {}: there is nothing left to delegate",
                relative(end, now)
            ));
        } else {
            forecast.cut.push(format!(
                "it ends {} ({}): that is {name}",
                relative(end, now),
                time(end)
            ));
        }
    }
}
