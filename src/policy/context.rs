//! `context`, built of facts.

use cedar_policy_core::ast::{Context, EntityUID, Value};
use smol_str::SmolStr;

use crate::datetime::{call, text};
use crate::entity::{Members, long, put, record, set};
use crate::facts::{CallFacts, ContextFacts, DelegationFacts, SignalFacts};
use crate::vocabulary::Vocabulary;

/// The context of a request for `action`; `root` is the owner at the chain's root. `None` if a part
/// of it is nothing that Cedar knows, such as a year before ours.
pub(crate) fn of(
    facts: &ContextFacts,
    action: &str,
    root: Option<&EntityUID>,
    words: &Vocabulary,
) -> Option<Context> {
    let mut members = Members::new();
    put(&mut members, "now", words.datetimes.of(facts.now)?);
    if let Some(address) = facts.source_ip {
        // `::ffff:10.0.0.1` is 10.0.0.1, and in the ranges that 10.0.0.1 is in.
        let address = address.to_canonical().to_string();
        put(&mut members, "sourceIP", call(words.ip, &[text(address)])?);
    }
    put(&mut members, "transport", transport(facts, words)?);
    put(&mut members, "call", of_call(&facts.call, action));
    put(&mut members, "signals", signals(&facts.signals));
    if let Some(delegation) = &facts.delegation {
        put(
            &mut members,
            "delegation",
            of_delegation(delegation, root?, words)?,
        );
    }
    Some(Context::Value(members.into()))
}

fn transport(facts: &ContextFacts, words: &Vocabulary) -> Option<Value> {
    let mut members = Members::new();
    put(
        &mut members,
        "mtls",
        Value::from(facts.certificate.is_some()),
    );
    if let Some(certificate) = &facts.certificate {
        let serial = SmolStr::from(&certificate.serial_number);
        put(&mut members, "serialNumber", Value::from(serial));
        put(
            &mut members,
            "notAfter",
            words.datetimes.of(certificate.not_after)?,
        );
    }
    Some(record(members))
}

fn of_call(facts: &CallFacts, action: &str) -> Value {
    let mut members = Members::new();
    put(&mut members, "action", Value::from(SmolStr::from(action)));
    for (name, said) in [("tool", &facts.tool), ("audience", &facts.audience)] {
        if let Some(said) = said {
            put(&mut members, name, Value::from(SmolStr::from(said)));
        }
    }
    put(&mut members, "bytes", long(facts.bytes));
    put(&mut members, "destructive", Value::from(facts.destructive));
    record(members)
}

fn signals(facts: &SignalFacts) -> Value {
    let mut members = Members::new();
    put(&mut members, "risk", long(facts.risk.into()));
    put(&mut members, "anomaly", long(facts.anomaly.into()));
    put(&mut members, "codes", set(&facts.codes));
    put(
        &mut members,
        "ageMilliseconds",
        long(facts.age_milliseconds),
    );
    record(members)
}

fn of_delegation(facts: &DelegationFacts, root: &EntityUID, words: &Vocabulary) -> Option<Value> {
    let mut members = Members::new();
    put(&mut members, "depth", long(facts.depth.into()));
    put(&mut members, "root", Value::from(root.clone()));
    if let Some(requester) = &facts.requester {
        put(
            &mut members,
            "requester",
            Value::from(SmolStr::from(requester)),
        );
    }
    put(&mut members, "expires", words.datetimes.of(facts.expires)?);
    Some(record(members))
}
