//! Grants: from the API's types into the domain's, and in one line.

use countersign_api as api;
use countersign_core::{Constraints, DataClass, Grant};
use jiff::Timestamp;

/// Grants of the API. One with a constraint that isn't known here grants nothing, as in the
/// operator.
pub(crate) fn of_api(grants: &[api::Grant]) -> Vec<Grant> {
    grants.iter().filter_map(one).collect()
}

fn one(grant: &api::Grant) -> Option<Grant> {
    let constraints = &grant.constraints;
    constraints.unknown.is_empty().then(|| Grant {
        actions: grant.actions.clone(),
        resources: grant.resources.clone(),
        constraints: Constraints {
            max_data_class: constraints.max_data_class.map(data_class),
            audiences: constraints.audiences.clone(),
            not_after: constraints.not_after.as_ref().map(|it| whole(it.0)),
            max_calls: constraints
                .max_calls
                .map(|calls| u64::try_from(calls).unwrap_or(0)),
        },
    })
}

fn data_class(class: api::DataClass) -> DataClass {
    match class {
        api::DataClass::Public => DataClass::Public,
        api::DataClass::Internal => DataClass::Internal,
        api::DataClass::Confidential => DataClass::Confidential,
        api::DataClass::Restricted => DataClass::Restricted,
    }
}

/// Without the fraction of a second.
pub(crate) fn whole(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

/// `read,list on ledger/* (maxDataClass Internal, maxCalls 5); …`
pub(crate) fn line(grants: &[Grant]) -> String {
    if grants.is_empty() {
        return "nothing".to_owned();
    }
    grants.iter().map(one_line).collect::<Vec<_>>().join("; ")
}

fn one_line(grant: &Grant) -> String {
    let bounds = &grant.constraints;
    let mut shown = Vec::new();
    if let Some(class) = bounds.max_data_class {
        shown.push(format!("maxDataClass {class}"));
    }
    if let Some(audiences) = &bounds.audiences {
        let names = audiences.join(",");
        shown.push(format!(
            "audiences {}",
            if names.is_empty() { "nobody" } else { &names }
        ));
    }
    if let Some(moment) = bounds.not_after {
        shown.push(format!("notAfter {moment}"));
    }
    if let Some(calls) = bounds.max_calls {
        shown.push(format!("maxCalls {calls}"));
    }
    let mut line = format!(
        "{} on {}",
        grant.actions.join(","),
        grant.resources.join(",")
    );
    if !shown.is_empty() {
        line.push_str(&format!(" ({})", shown.join(", ")));
    }
    line
}
