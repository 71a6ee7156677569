//! What agents may do.
//!
//! The API server drops members that a schema doesn't have. Of a constraint, misspelled or newer
//! than the schema, that would leave more granted than was written. So both structs here are closed
//! (see `closed.rs`): what isn't known is refused.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{bounds, schema};

/// Actions on resources, each action on each resource, as far as the constraints let. A member that
/// isn't known is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct Grant {
    /// What may be done: verbs such as `read`. `*` stands for any.
    #[schemars(
        length(min = 1, max = 32),
        inner(length(min = 1, max = 64), regex(pattern = bounds::ACTION))
    )]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub actions: Vec<String>,
    /// On what it may be done: paths such as `ledger/invoices/*`. `*` stands for one segment, and as
    /// the last segment for one or more.
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 256), regex(pattern = bounds::RESOURCE))
    )]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub resources: Vec<String>,
    /// How far it may be done. Default: absent, no constraint. A constraint that isn't known is
    /// refused, as one too many.
    #[serde(default, skip_serializing_if = "Constraints::is_empty")]
    pub constraints: Constraints,
}

/// How far a grant reaches. What is absent isn't constrained; what is granted further down may be
/// constrained further, never less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct Constraints {
    /// The most sensitive data that may be touched: `Public`, `Internal`, `Confidential` or
    /// `Restricted`, from the least to the most sensitive. Default: absent, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_data_class: Option<DataClass>,
    /// For whom the results may be, such as `https://reports.example.org`. An empty list is nobody.
    /// Default: absent, anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 32),
        inner(length(min = 1, max = 256), regex(pattern = bounds::AUDIENCE))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub audiences: Option<Vec<String>>,
    /// Until when it may be done: a time in UTC in whole seconds, such as `2026-11-30T18:00:00Z`.
    /// Default: absent, as long as the grant is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::whole_seconds")]
    pub not_after: Option<Time>,
    /// How often it may be done at most: calls. Default: absent, any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = bounds::MAX_EXACT_INTEGER))]
    pub max_calls: Option<i64>,
    /// Constraints that this version doesn't know, such as those of an object that was stored under
    /// a newer definition: no part of the schema. A reader that finds any must take nothing for
    /// granted.
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: BTreeMap<String, Value>,
}

/// How sensitive data is, from the least to the most.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[schemars(transform = schema::undescribed)]
pub enum DataClass {
    /// For everybody.
    Public,
    /// For one's own organisation.
    Internal,
    /// For those who need it.
    Confidential,
    /// For those who are named.
    Restricted,
}

impl Constraints {
    /// Does it constrain nothing? With a constraint that isn't known, it does something.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
