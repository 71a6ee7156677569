//! `google.protobuf.Struct`, and claims as one.

use std::collections::HashMap;

use prost::{Message, Oneof};
use serde_json::Value as Json;

/// `ValidateJWTSVIDResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValidateJwtSvidResponse {
    #[prost(string, tag = "1")]
    pub(crate) spiffe_id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) claims: Option<Struct>,
}

/// `google.protobuf.Struct`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Struct {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) fields: HashMap<String, Value>,
}

/// `google.protobuf.ListValue`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct List {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<Value>,
}

/// `google.protobuf.Value`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub(crate) kind: Option<Kind>,
}

/// `google.protobuf.Value.kind`.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Kind {
    /// Its only value is 0.
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(List),
}

/// Numbers become doubles, as in every `Struct`.
pub(super) fn of(claims: impl IntoIterator<Item = (String, Json)>) -> Struct {
    let claims = claims.into_iter();
    Struct {
        fields: claims.map(|(name, json)| (name, value(json))).collect(),
    }
}

fn value(json: Json) -> Value {
    let kind = match json {
        Json::Null => Kind::Null(0),
        Json::Bool(it) => Kind::Bool(it),
        Json::Number(it) => Kind::Number(it.as_f64().unwrap_or(f64::NAN)),
        Json::String(it) => Kind::Text(it),
        Json::Array(items) => Kind::List(List {
            values: items.into_iter().map(value).collect(),
        }),
        Json::Object(claims) => Kind::Struct(of(claims)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a failing test should panic"
    )]

    use serde_json::json;

    use super::*;

    #[test]
    fn claims_of_every_kind_become_fields() {
        let Json::Object(claims) = json!({
            "sub": "spiffe://example.org/a", "exp": 1_700_000_000, "aud": ["a", "b"],
            "nothing": null, "yes": true, "act": { "sub": "b" }
        }) else {
            panic!("an object");
        };
        let read = Struct::decode(of(claims).encode_to_vec().as_slice()).unwrap();
        let kind = |name: &str| read.fields[name].kind.clone().unwrap();
        assert_eq!(kind("exp"), Kind::Number(1.7e9));
        assert_eq!(kind("nothing"), Kind::Null(0));
        assert_eq!(kind("yes"), Kind::Bool(true));
        assert!(matches!(kind("aud"), Kind::List(it) if it.values.len() == 2));
        assert!(matches!(kind("act"), Kind::Struct(it) if it.fields.contains_key("sub")));
    }
}
