//! The files' form.

use serde::Serialize;
use serde_json::Value;

/// A file of vectors.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct File {
    pub(crate) trust_domain: String,
    /// Seconds, where a vector doesn't say.
    pub(crate) now: i64,
    pub(crate) bundle: Value,
    pub(crate) vectors: Vec<Vector>,
}

/// One chain and what is to be said of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) now: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bundle: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) revocation_lists: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) agent_statements: bool,
    pub(crate) statements: Vec<String>,
    pub(crate) expect: Expect,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Expect {
    Valid {
        sub: String,
        grants: Value,
        expires: i64,
    },
    Broken {
        hop: Option<usize>,
        category: String,
    },
}

impl File {
    /// In one form, whatever features serde_json is built with.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap() + "\n"
    }
}

impl Vector {
    /// A chain that breaks.
    pub(crate) fn broken(
        name: &str,
        description: &str,
        statements: Vec<String>,
        hop: impl Into<Option<usize>>,
        category: &str,
    ) -> Self {
        let expect = Expect::Broken {
            hop: hop.into(),
            category: category.to_owned(),
        };
        Self::new(name, description, statements, expect)
    }

    /// A good chain, whose last claims are `leaf`.
    pub(crate) fn valid(
        name: &str,
        description: &str,
        statements: Vec<String>,
        leaf: &Value,
    ) -> Self {
        let expect = Expect::Valid {
            sub: leaf["sub"].as_str().unwrap().to_owned(),
            grants: sorted(leaf["authorization_details"].clone()),
            expires: leaf["exp"].as_i64().unwrap(),
        };
        Self::new(name, description, statements, expect)
    }

    fn new(name: &str, description: &str, statements: Vec<String>, expect: Expect) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            now: None,
            bundle: None,
            revocation_lists: Vec::new(),
            agent_statements: false,
            statements,
            expect,
        }
    }

    pub(crate) fn at(self, now: i64) -> Self {
        Self {
            now: Some(now),
            ..self
        }
    }

    pub(crate) fn with_bundle(self, bundle: Value) -> Self {
        Self {
            bundle: Some(sorted(bundle)),
            ..self
        }
    }

    pub(crate) fn with_lists(self, revocation_lists: Vec<String>) -> Self {
        Self {
            revocation_lists,
            ..self
        }
    }

    pub(crate) fn with_agents(self) -> Self {
        Self {
            agent_statements: true,
            ..self
        }
    }
}

/// With members in the order of their names: serde_json may or may not keep another one, as the
/// crates that are built beside it want.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            members
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}
