//! Grants of the API and of the domain.

use countersign_api as api;
use countersign_core::{Constraints, DataClass, Grant};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// About so much of what was asked for in vain is recorded.
const MAX_ASKED_BYTES: usize = 2048;

/// Grants of the API. One with a constraint that isn't known here, as a newer version may have
/// stored it, grants nothing.
pub(crate) fn grants(grants: &[api::Grant]) -> Vec<Grant> {
    grants.iter().filter_map(grant).collect()
}

/// The same for the API.
pub(crate) fn to_api(grants: &[Grant]) -> Vec<api::Grant> {
    grants.iter().map(one_to_api).collect()
}

/// Grants that were asked for and refused, as the audit log keeps them: refusals are free for
/// whoever asks, so what is long is left out.
pub(crate) fn asked(grants: &[Grant]) -> Vec<Grant> {
    let texts = |grant: &Grant| {
        let all = grant.actions.iter().chain(&grant.resources);
        all.map(String::len).sum::<usize>()
    };
    let mut left = MAX_ASKED_BYTES;
    let fits = grants.iter().take_while(|grant| {
        let size = texts(grant);
        left = left.saturating_sub(size);
        left > 0
    });
    fits.cloned().collect()
}

fn grant(grant: &api::Grant) -> Option<Grant> {
    let constraints = &grant.constraints;
    if !constraints.unknown.is_empty() {
        return None;
    }
    Some(Grant {
        actions: grant.actions.clone(),
        resources: grant.resources.clone(),
        constraints: Constraints {
            max_data_class: constraints.max_data_class.map(|class| match class {
                api::DataClass::Public => DataClass::Public,
                api::DataClass::Internal => DataClass::Internal,
                api::DataClass::Confidential => DataClass::Confidential,
                api::DataClass::Restricted => DataClass::Restricted,
            }),
            audiences: constraints.audiences.clone(),
            not_after: constraints
                .not_after
                .as_ref()
                .map(|time| whole_seconds(time.0)),
            // The schema refuses what is negative; should it ever not, nothing is left.
            max_calls: constraints
                .max_calls
                .map(|calls| u64::try_from(calls).unwrap_or(0)),
        },
    })
}

fn one_to_api(grant: &Grant) -> api::Grant {
    let constraints = &grant.constraints;
    api::Grant {
        actions: grant.actions.clone(),
        resources: grant.resources.clone(),
        constraints: api::Constraints {
            max_data_class: constraints.max_data_class.map(|class| match class {
                DataClass::Public => api::DataClass::Public,
                DataClass::Internal => api::DataClass::Internal,
                DataClass::Confidential => api::DataClass::Confidential,
                DataClass::Restricted => api::DataClass::Restricted,
            }),
            audiences: constraints.audiences.clone(),
            not_after: constraints.not_after.map(Time),
            max_calls: constraints
                .max_calls
                .map(|calls| i64::try_from(calls).unwrap_or(i64::MAX)),
            unknown: std::collections::BTreeMap::new(),
        },
    }
}

fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}
