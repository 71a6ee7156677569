//! Rules that keep a field as it is. They are written for the struct that has the field: a rule at
//! the field itself isn't asked when the field is added or removed.

use kube::core::{Reason, Rule};

const CREATE_ANOTHER: &str = "must not be changed: delete the object and create another";

/// Keeps a field that is always there, by requirement or by default.
pub(crate) fn always_there(field: &str) -> Rule {
    rule(field, format!("self.{field} == oldSelf.{field}"))
}

/// Keeps an optional field: there or not, and with the same value.
pub(crate) fn optional(field: &str) -> Rule {
    let expression = format!(
        "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    );
    rule(field, expression)
}

/// Keeps an optional field from when it is there on.
pub(crate) fn once_there(field: &str) -> Rule {
    let expression =
        format!("!has(oldSelf.{field}) || has(self.{field}) && self.{field} == oldSelf.{field}");
    rule(field, expression)
}

fn rule(field: &str, expression: String) -> Rule {
    Rule::new(expression)
        .message(CREATE_ANOTHER)
        .field_path(format!(".{field}"))
        .reason(Reason::FieldValueForbidden)
}
