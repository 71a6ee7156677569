//! Pieces of schema that the derives don't give: types of Kubernetes with bounds, and maps.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::bounds;

/// Takes the description of an enum away, so that of a field of its type stays: a derived schema of
/// `Option<Enum>` would show the enum's in its place.
pub(crate) fn undescribed(schema: &mut Schema) {
    schema.remove("description");
}

/// A point in time.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "maxLength": bounds::MAX_TIME})
}

/// A point in time in UTC, in whole seconds.
pub(crate) fn whole_seconds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "format": "date-time",
        "maxLength": bounds::MAX_TIME,
        "pattern": bounds::WHOLE_SECONDS,
    })
}

/// Compact JWSs, one after the other.
pub(crate) fn statements(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": bounds::MAX_DEPTH,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "string",
            "maxLength": bounds::MAX_STATEMENT,
            "pattern": bounds::COMPACT_JWS,
        },
    })
}

/// `status.conditions`, with the bounds of `metav1.Condition`.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "description": "One aspect of the object's state.",
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {
                    "description": "The aspect, such as `Ready`.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 316,
                    "pattern": bounds::CONDITION_TYPE,
                },
                "status": {
                    "description": "Whether it is so.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "observedGeneration": {
                    "description": "The `metadata.generation` that this was said of.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "maximum": bounds::MAX_EXACT_INTEGER,
                },
                "lastTransitionTime": {
                    "description": "When `status` changed last.",
                    "type": "string",
                    "format": "date-time",
                    "maxLength": bounds::MAX_TIME,
                },
                "reason": {
                    "description": "Why, in one word for programs.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": bounds::CONDITION_REASON,
                },
                "message": {
                    "description": "Why, for people, and what to do about it.",
                    "type": "string",
                    "maxLength": 32768,
                },
            },
        },
    })
}

/// A label selector.
pub(crate) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that must be there with these values.",
                "type": "object",
                "maxProperties": 32,
                "additionalProperties": label_value(),
                "x-kubernetes-validations": [{
                    "rule": "self.all(key, key.size() >= 1 && key.size() <= 317)",
                    "message": "keys must be label keys of at most 317 characters",
                }],
            },
            "matchExpressions": {
                "description": "Requirements on labels; all must hold.",
                "type": "array",
                "maxItems": 32,
                "x-kubernetes-list-type": "atomic",
                "items": label_requirement(),
            },
        },
    })
}

/// What an agent claims of itself.
pub(crate) fn attributes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 256},
        "x-kubernetes-validations": [{
            "rule": "self.all(key, key.size() >= 1 && key.size() <= 63)",
            "message": "keys must have 1 to 63 characters",
        }],
    })
}

fn label_requirement() -> Schema {
    json_schema!({
        "description": "One requirement.",
        "type": "object",
        "required": ["key", "operator"],
        "properties": {
            "key": {
                "description": "The label's key.",
                "type": "string",
                "minLength": 1,
                "maxLength": 317,
                "pattern": bounds::LABEL_KEY,
            },
            "operator": {
                "description": "How the label relates to `values`.",
                "type": "string",
                "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
            },
            "values": {
                "description": "Values: at least one for In and NotIn, none for the others.",
                "type": "array",
                "maxItems": 64,
                "x-kubernetes-list-type": "atomic",
                "items": label_value(),
            },
        },
        "x-kubernetes-validations": [{
            "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            "message": "`values` must be set for In and NotIn, and for them only",
        }],
    })
}

fn label_value() -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": bounds::MAX_LABEL,
        "pattern": bounds::LABEL_VALUE,
    })
}
