//! Grants as JSON: one spelling, and nothing that isn't understood.

use proptest::prelude::*;
use serde_json::json;

use super::super::{Constraints, DataClass, Grant};
use super::{any_grant, bounded, grant, owned};

fn read(json: &serde_json::Value) -> Result<Grant, serde_json::Error> {
    serde_json::from_str(&json.to_string())
}

fn constraints(json: serde_json::Value) -> serde_json::Value {
    json!({"actions": ["read"], "resources": ["ledger/a"], "constraints": json})
}

#[test]
fn a_grant_is_written_in_one_way() {
    let full = bounded(Constraints {
        max_data_class: Some(DataClass::Confidential),
        audiences: Some(owned(&["auditors"])),
        not_after: Some("2026-11-30T18:00:00Z".parse().unwrap()),
        max_calls: Some(20),
    });
    let text = concat!(
        r#"{"actions":["read"],"resources":["ledger/a"],"constraints":{"#,
        r#""maxDataClass":"Confidential","audiences":["auditors"],"#,
        r#""notAfter":"2026-11-30T18:00:00Z","maxCalls":20}}"#
    );
    assert_eq!(serde_json::to_string(&full).unwrap(), text);
    assert_eq!(serde_json::from_str::<Grant>(text).unwrap(), full);
}

#[test]
fn a_grant_without_constraints_doesnt_mention_them() {
    let text = r#"{"actions":["read"],"resources":["ledger/a"]}"#;
    let plain = grant(&["read"], &["ledger/a"]);
    assert_eq!(serde_json::to_string(&plain).unwrap(), text);
    assert_eq!(serde_json::from_str::<Grant>(text).unwrap(), plain);
}

#[test]
fn what_isnt_understood_is_refused() {
    for (json, why) in [
        (
            json!({"actions": [], "resources": [], "effect": "deny"}),
            "unknown field `effect`",
        ),
        (json!({"actions": []}), "missing field `resources`"),
        (
            json!({"actions": [], "resources": [], "constraints": null}),
            "invalid type: null",
        ),
        (
            constraints(json!({"region": "eu"})),
            "unknown field `region`",
        ),
        (
            constraints(json!({"max_calls": 1})),
            "unknown field `max_calls`",
        ),
        (
            constraints(json!({"maxDataClass": "internal"})),
            "unknown variant `internal`",
        ),
        (constraints(json!({"maxDataClass": 1})), "expected"),
        (constraints(json!({"maxDataClass": null})), "expected"),
        (
            constraints(json!({"audiences": null})),
            "invalid type: null",
        ),
        (
            constraints(json!({"audiences": "auditors"})),
            "invalid type: string",
        ),
        (constraints(json!({"notAfter": null})), "invalid type: null"),
        (constraints(json!({"maxCalls": null})), "invalid type: null"),
        (constraints(json!({"maxCalls": -1})), "invalid value"),
        (
            constraints(json!({"maxCalls": 1.5})),
            "invalid type: floating point",
        ),
    ] {
        let refused = read(&json).unwrap_err().to_string();
        assert!(refused.contains(why), "{json}: {refused}");
    }
    let twice = r#"{"actions":[],"resources":[],"constraints":{"maxCalls":1,"maxCalls":2}}"#;
    serde_json::from_str::<Grant>(twice).unwrap_err();
}

#[test]
fn members_have_their_names_and_a_word_is_a_string() {
    for (json, why) in [
        (json!([["read"], ["ledger/a"]]), "expected an object"),
        (json!([["read"], ["ledger/a"], {}]), "expected an object"),
        (constraints(json!([])), "expected an object"),
        (
            constraints(json!(["Public", [], "2026-11-30T18:00:00Z", 1])),
            "expected an object",
        ),
        (
            constraints(json!({"maxDataClass": {"Public": null}})),
            "expected a string",
        ),
        (
            constraints(json!({"maxDataClass": ["Public"]})),
            "expected a string",
        ),
    ] {
        let refused = read(&json).unwrap_err().to_string();
        assert!(refused.contains(why), "{json}: {refused}");
        let refused = serde_json::from_value::<Grant>(json.clone()).unwrap_err();
        assert!(refused.to_string().contains(why), "{json}: {refused}");
    }
    let escaped = r#"{"actions":[],"resources":[],"constraints":{"maxDataClass":"\u0050ublic"}}"#;
    let grant: Grant = serde_json::from_str(escaped).unwrap();
    assert_eq!(grant.constraints.max_data_class, Some(DataClass::Public));
}

#[test]
fn a_moment_has_one_spelling_in_whole_seconds() {
    for moment in [
        "2026-11-30T18:00:00.5Z",
        "2026-11-30T18:00:00.000Z",
        "2026-11-30T18:00:00+00:00",
        "2026-11-30T19:00:00+01:00",
        "2026-11-30T18:00:00",
        "2026-11-30T18:00Z",
        "2026-11-30 18:00:00Z",
        "2026-11-30t18:00:00z",
        "2026-11-30T23:59:60Z",
        "2026-02-30T18:00:00Z",
        "-002026-11-30T18:00:00Z",
        "2026-11-30",
        "tomorrow",
        "",
    ] {
        let refused = read(&constraints(json!({"notAfter": moment}))).unwrap_err();
        assert!(
            refused.to_string().contains("in whole seconds and UTC"),
            "{moment}"
        );
    }
}

#[test]
fn a_moment_that_would_be_rounded_isnt_written() {
    for moment in ["2026-11-30T18:00:00.5Z", "-000001-11-30T18:00:00Z"] {
        let grant = bounded(Constraints {
            not_after: Some(moment.parse().unwrap()),
            ..Constraints::default()
        });
        serde_json::to_string(&grant).unwrap_err();
    }
}

#[test]
fn classes_of_data_are_ordered_and_shown_as_they_are_written() {
    let all = super::CLASSES;
    assert!(all.is_sorted());
    for class in all {
        let json = serde_json::to_string(&class).unwrap();
        assert_eq!(json, format!("\"{class}\""));
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(grant in any_grant()) {
        let json = serde_json::to_string(&grant).unwrap();
        prop_assert_eq!(serde_json::from_str::<Grant>(&json).unwrap(), grant);
    }
}
