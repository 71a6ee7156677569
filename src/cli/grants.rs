//! Grants in one line.

use countersign_core::Grant;
use jiff::Timestamp;

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
