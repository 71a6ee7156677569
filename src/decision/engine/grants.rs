//! Is it granted, within all constraints?

use std::slice;

use countersign_core::{DataClass, Grant, permits};
use jiff::Timestamp;

use super::denial::{Denial, deny};
use crate::Reason;
use crate::world::calls::{Calls, Holder, Level, Use};

/// What is held against grants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) action: &'a str,
    pub(crate) path: &'a str,
    pub(crate) sensitivity: DataClass,
    pub(crate) audience: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// Goes through lists of grants, each of which must have what is asked for, and collects the calls
/// to count.
#[derive(Debug)]
pub(crate) struct Granting<'a> {
    pub(crate) ask: Ask<'a>,
    pub(crate) calls: &'a Calls,
    pub(crate) uses: Vec<Use>,
}

impl Granting<'_> {
    /// `whose` names the list for a person: `the agent's grants`.
    pub(crate) fn check(
        &mut self,
        grants: &[Grant],
        holder: &Holder,
        level: Level,
        whose: impl FnOnce() -> String,
    ) -> Result<(), Denial> {
        let Ask { action, path, .. } = self.ask;
        let mut beyond: Option<String> = None;
        let mut counted: Option<Use> = None;
        let covering = grants
            .iter()
            .filter(|it| permits(slice::from_ref(it), action, path));
        for grant in covering {
            if let Some(why) = self.ask.beyond(grant) {
                beyond.get_or_insert(why);
                continue;
            }
            match Use::of(holder, level, grant) {
                // Without a bound on calls: nothing is better.
                None => return Ok(()),
                Some(it) if counted.is_some() || self.calls.has_left(&it) => {
                    counted.get_or_insert(it);
                }
                Some(_) => {
                    beyond.get_or_insert_with(|| no_more_calls(grant));
                }
            }
        }
        if let Some(it) = counted {
            self.uses.push(it);
            return Ok(());
        }
        match beyond {
            Some(why) => deny(
                Reason::BeyondConstraint,
                format!("{} have {action} on {path}, but {why}", whose()),
            ),
            None => deny(
                Reason::NotGranted,
                format!("{} don't have {action} on {path}", whose()),
            ),
        }
    }
}

impl Ask<'_> {
    /// The first bound of a grant that this exceeds.
    fn beyond(&self, grant: &Grant) -> Option<String> {
        let bounds = &grant.constraints;
        if let Some(most) = bounds.max_data_class.filter(|it| *it < self.sensitivity) {
            return Some(format!(
                "for data up to {most}, and this is {}",
                self.sensitivity
            ));
        }
        if let Some(audiences) = &bounds.audiences {
            let named = self.audience.filter(|it| audiences.iter().any(|a| a == it));
            if named.is_none() {
                return Some(match self.audience {
                    None => "for certain audiences, and the call names none".to_owned(),
                    Some(it) => format!("not for the audience {it}"),
                });
            }
        }
        let end = bounds.not_after.filter(|it| *it <= self.now);
        end.map(|end| format!("until {end}"))
    }
}

fn no_more_calls(grant: &Grant) -> String {
    let most = grant.constraints.max_calls.unwrap_or(0);
    format!("for {most} calls, which were made")
}
