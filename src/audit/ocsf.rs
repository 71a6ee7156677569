//! Records in the Open Cybersecurity Schema Framework (<https://schema.ocsf.io>), version 1.9: what
//! happens to identities and delegations is Entity Management (3004), a decision is API Activity
//! (6003). The `delegation` object and the profile `ai_operation` are of that version.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::entry::{DelegationRef, Entry, Kind, Outcome};
use crate::record::Record;

const VERSION: &str = "1.9.0-dev";
const ENTITY_MANAGEMENT: (u32, &str, u32, &str) =
    (3004, "Entity Management", 3, "Identity & Access Management");
const API_ACTIVITY: (u32, &str, u32, &str) = (6003, "API Activity", 6, "Application Activity");

/// A record as an OCSF event.
pub fn ocsf(record: &Record) -> Value {
    let entry = &record.entry;
    let (class, activity) = class_of(entry.kind);
    let (class_uid, class_name, category_uid, category_name) = class;
    let (activity_id, activity_name) = activity;
    let refused = entry.outcome == Outcome::Refused;
    let (status_id, status) = if refused {
        (2, "Failure")
    } else {
        (1, "Success")
    };
    let (severity_id, severity) = if refused {
        (3, "Medium")
    } else {
        (1, "Informational")
    };
    let mut event = json!({
        "class_uid": class_uid, "class_name": class_name,
        "category_uid": category_uid, "category_name": category_name,
        "activity_id": activity_id, "activity_name": activity_name,
        "type_uid": class_uid * 100 + activity_id,
        "type_name": format!("{class_name}: {activity_name}"),
        "time": entry.time.as_millisecond(),
        "severity_id": severity_id, "severity": severity,
        "status_id": status_id, "status": status,
        "metadata": {
            "version": VERSION,
            "product": {"name": "Countersign", "vendor_name": "Countersign"},
            "profiles": ["ai_operation"],
            "uid": format!("{}/{}", record.position.chain, record.position.seq),
            "log_name": record.position.chain,
            "sequence": record.position.seq,
            "event_code": entry.kind.as_str(),
        },
        "actor": actor(entry),
        "unmapped": unmapped(record),
    });
    let Some(object) = event.as_object_mut() else {
        return event;
    };
    if class_uid == API_ACTIVITY.0 {
        object.insert(
            "api".to_owned(),
            json!({"operation": entry.action.as_deref().unwrap_or("")}),
        );
        object.insert("src_endpoint".to_owned(), json!({"name": entry.spiffe_id}));
        if let Some(resource) = &entry.resource {
            object.insert("resources".to_owned(), json!([{"name": resource}]));
        }
        let (action_id, action) = if refused {
            (2, "Denied")
        } else {
            (1, "Allowed")
        };
        object.insert("action_id".to_owned(), json!(action_id));
        object.insert("action".to_owned(), json!(action));
    } else {
        object.insert("entity".to_owned(), entity(entry));
    }
    if let Some(it) = &entry.delegation {
        object.insert("delegation".to_owned(), delegation(entry, it));
    }
    for (name, text) in [
        ("status_detail", &entry.reason),
        ("message", &entry.message),
    ] {
        if !text.is_empty() {
            object.insert(name.to_owned(), json!(text));
        }
    }
    event
}

type Class = (u32, &'static str, u32, &'static str);

fn class_of(kind: Kind) -> (Class, (u32, &'static str)) {
    let activity = match kind {
        Kind::ActionDecided => return (API_ACTIVITY, (99, "Other")),
        Kind::IdentityIssued | Kind::IdentityRefused => (1, "Create"),
        Kind::DelegationGranted | Kind::DelegationRefused => (1, "Create"),
        Kind::IdentityRenewed | Kind::AuthorityChanged | Kind::KeysChanged => (3, "Update"),
        Kind::IdentityEnded | Kind::DelegationEnded => (4, "Delete"),
        Kind::IdentitySuspended => (12, "Suspend"),
        Kind::IdentityResumed => (13, "Resume"),
        Kind::LogResumed | Kind::RecordsSealed => (99, "Other"),
    };
    (ENTITY_MANAGEMENT, activity)
}

fn actor(entry: &Entry) -> Value {
    match &entry.requester {
        Some(it) => json!({"user": present([
            ("name", Some(json!(it.username))),
            ("uid", it.uid.as_ref().map(|uid| json!(uid))),
        ])}),
        None => json!({"app_name": "countersign"}),
    }
}

fn entity(entry: &Entry) -> Value {
    let object = &entry.object;
    let name = match &object.namespace {
        Some(namespace) => format!("{namespace}/{}", object.name),
        None => object.name.clone(),
    };
    json!({"name": name, "uid": object.uid, "type": object.kind})
}

fn delegation(entry: &Entry, it: &DelegationRef) -> Value {
    let scopes: Vec<String> = (entry.permissions.iter())
        .flat_map(|grant| {
            let pairs = grant.actions.iter();
            pairs.flat_map(|action| {
                grant
                    .resources
                    .iter()
                    .map(move |on| format!("{action}:{on}"))
            })
        })
        .collect();
    let created =
        (entry.kind == Kind::DelegationGranted).then(|| json!(entry.time.as_millisecond()));
    let issuer = it.delegator.as_ref().or(entry.owner.as_ref());
    present([
        ("uid", Some(json!(it.uid))),
        ("parent_uid", it.parent_uid.as_ref().map(|uid| json!(uid))),
        ("issuer_uid", issuer.map(|uid| json!(uid))),
        ("audience", it.delegate.as_ref().map(|uid| json!([uid]))),
        ("created_time", created),
        ("expiration_time", Some(json!(it.expires.as_millisecond()))),
        ("scopes", (!scopes.is_empty()).then(|| json!(scopes))),
    ])
}

/// What the schema has no place for, under our own names.
fn unmapped(record: &Record) -> Value {
    let entry = &record.entry;
    let delegation = entry.delegation.as_ref();
    present([
        ("hash", Some(json!(record.position.hash))),
        ("trust_domain", Some(json!(entry.trust_domain))),
        ("spiffe_id", entry.spiffe_id.as_ref().map(|it| json!(it))),
        (
            "serial_number",
            entry.serial_number.as_ref().map(|it| json!(it)),
        ),
        (
            "not_after",
            entry
                .not_after
                .map(|it: Timestamp| json!(it.as_millisecond())),
        ),
        ("owner", entry.owner.as_ref().map(|it| json!(it))),
        ("task", entry.task.as_ref().map(|it| json!(it))),
        ("delegation_digest", delegation.map(|it| json!(it.digest))),
        (
            "delegation_parent_digest",
            delegation
                .and_then(|it| it.parent.as_ref())
                .map(|it| json!(it)),
        ),
        (
            "delegation_root_digest",
            delegation
                .and_then(|it| it.root.as_ref())
                .map(|it| json!(it)),
        ),
        ("delegation_depth", delegation.map(|it| json!(it.depth))),
        ("decision", entry.decision.as_ref().map(|it| json!(it))),
    ])
}

fn present<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields.into_iter();
    Value::Object(Map::from_iter(
        fields.filter_map(|(name, value)| Some((name.to_owned(), value?))),
    ))
}
