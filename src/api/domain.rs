//! Grants of the API as those of the domain, and back.

use std::collections::BTreeMap;

use countersign_core as core;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff;

use crate::{Constraints, DataClass, Grant};

/// Grants as the domain has them. One with a constraint that isn't known here, as a newer version
/// may have stored it, grants nothing.
#[must_use]
pub fn to_domain(grants: &[Grant]) -> Vec<core::Grant> {
    grants.iter().filter_map(one_to_domain).collect()
}

/// Grants as the API has them.
#[must_use]
pub fn of_domain(grants: &[core::Grant]) -> Vec<Grant> {
    grants.iter().map(one_of_domain).collect()
}

/// A class of data as the domain has it.
#[must_use]
pub fn class_to_domain(class: DataClass) -> core::DataClass {
    match class {
        DataClass::Public => core::DataClass::Public,
        DataClass::Internal => core::DataClass::Internal,
        DataClass::Confidential => core::DataClass::Confidential,
        DataClass::Restricted => core::DataClass::Restricted,
    }
}

fn one_to_domain(grant: &Grant) -> Option<core::Grant> {
    let constraints = &grant.constraints;
    constraints.unknown.is_empty().then(|| core::Grant {
        actions: grant.actions.clone(),
        resources: grant.resources.clone(),
        constraints: core::Constraints {
            max_data_class: constraints.max_data_class.map(class_to_domain),
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

fn one_of_domain(grant: &core::Grant) -> Grant {
    let constraints = &grant.constraints;
    Grant {
        actions: grant.actions.clone(),
        resources: grant.resources.clone(),
        constraints: Constraints {
            max_data_class: constraints.max_data_class.map(|class| match class {
                core::DataClass::Public => DataClass::Public,
                core::DataClass::Internal => DataClass::Internal,
                core::DataClass::Confidential => DataClass::Confidential,
                core::DataClass::Restricted => DataClass::Restricted,
            }),
            audiences: constraints.audiences.clone(),
            not_after: constraints.not_after.map(Time),
            max_calls: constraints
                .max_calls
                .map(|calls| i64::try_from(calls).unwrap_or(i64::MAX)),
            unknown: BTreeMap::new(),
        },
    }
}

fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}
