//! Every field of every kind keeps the conventions.

use countersign_api::crds;
use serde_json::Value;

use crate::fields::{Field, fields};

#[test]
fn every_field_says_what_it_is() {
    let silent = fields().into_iter().filter(|field| {
        let description = field.schema["description"].as_str();
        !field.is_item() && description.is_none_or(|text| !text.ends_with('.'))
    });
    assert_none(silent.map(|field| field.name()));
}

#[test]
fn every_field_is_bounded_and_has_one_type_of_those_allowed() {
    let bad = fields().into_iter().filter_map(|field| {
        let why = unbounded(&field)?;
        Some(format!("{}: {why}", field.name()))
    });
    assert_none(bad);
}

#[test]
fn enums_are_camel_case() {
    let bad = fields().into_iter().filter(|field| {
        let words = field.schema["enum"].as_array().into_iter().flatten();
        let mut words = words.map(|word| word.as_str().unwrap_or_default().to_owned());
        words.any(|word| {
            !word.starts_with(|first: char| first.is_ascii_uppercase())
                || !word.chars().all(|it| it.is_ascii_alphanumeric())
        })
    });
    assert_none(bad.map(|field| field.name()));
}

#[test]
fn every_spec_field_says_its_default_and_whether_it_may_change() {
    // Below these, the parent says it.
    let parts = ["Ref.", ".grants.", ".subjects.", ".requester.", "Selector."];
    let silent = fields().into_iter().filter(|field| {
        let name = field.name();
        let optional = field.schema["default"] != Value::Null;
        let text = field.schema["description"].as_str().unwrap_or_default();
        field.path.first().is_some_and(|it| it == "spec")
            && !field.is_item()
            && !parts.iter().any(|part| name.contains(part))
            && optional
            && !text.contains("Default: ")
    });
    assert_none(silent.map(|field| field.name()));
}

#[test]
fn no_kind_has_a_phase_and_all_are_in_the_category() {
    for crd in crds() {
        let names = &crd.spec.names;
        assert_eq!(names.categories, Some(vec!["countersign".to_owned()]));
        assert_eq!(names.short_names.as_ref().unwrap().len(), 1);
        assert!(
            crd.spec.versions[0].subresources.is_some(),
            "{}",
            names.kind
        );
        let size = serde_json::to_string(&crd).unwrap().len();
        assert!(size < 100_000, "{} has {size} bytes", names.kind); // client-side apply ends at 256 KiB
    }
    let phases = fields()
        .into_iter()
        .filter(|field| field.path.last().is_some_and(|it| it == "phase"));
    assert_none(phases.map(|field| field.name()));
}

#[test]
fn every_grant_and_its_constraints_refuse_what_they_do_not_know() {
    let is_grant = |field: &Field| field.path.ends_with(&["grants".to_owned(), "0".to_owned()]);
    let closed = |field: &Field| {
        let names = field.schema["properties"].as_object().unwrap().len();
        let always = field.schema["required"].as_array().map_or(0, Vec::len);
        field.schema["x-kubernetes-preserve-unknown-fields"] == true
            && field.schema["anyOf"].as_array().unwrap().len() == 1 << (names - always)
    };
    let mut seen = 0;
    for field in fields() {
        let constraints = field.path.last().is_some_and(|it| it == "constraints");
        if is_grant(&field) || constraints {
            assert!(closed(&field), "{}", field.name());
            seen += 1;
        }
    }
    assert_eq!(seen, 2 * 4);
}

fn unbounded(field: &Field) -> Option<&'static str> {
    let schema = &field.schema;
    let number = |key: &str| schema[key].is_number();
    if !schema["nullable"].is_null() {
        return Some("nullable");
    }
    match schema["type"].as_str() {
        Some("string") => {
            let bounded = number("maxLength") || schema["enum"].is_array();
            (!bounded).then_some("no maxLength")
        }
        Some("integer") => {
            let bounded = number("minimum") && number("maximum");
            (!bounded || schema["format"] != "int64").then_some("no minimum, maximum or format")
        }
        Some("array") if !number("maxItems") => Some("no maxItems"),
        Some("array") if schema["x-kubernetes-list-type"].is_null() => Some("no list type"),
        Some("array") => None,
        Some("object") if schema["properties"].is_object() => None,
        Some("object") if !schema["additionalProperties"].is_object() => Some("holds anything"),
        Some("object") => (!number("maxProperties")).then_some("no maxProperties"),
        _ => Some("a type that the conventions don't have"),
    }
}

fn assert_none(found: impl Iterator<Item = String>) {
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "{found:#?}");
}
