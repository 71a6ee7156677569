//! The metadata of the policy decision point.

use serde::Serialize;

use crate::settings::BaseUrl;

/// Before the base URL's path (AuthZEN 1.0, obtaining policy decision point metadata).
pub(crate) const WELL_KNOWN: &str = "/.well-known/authzen-configuration";

pub(crate) const EVALUATION: &str = "/access/v1/evaluation";
pub(crate) const EVALUATIONS: &str = "/access/v1/evaluations";
pub(crate) const SEARCH_SUBJECT: &str = "/access/v1/search/subject";
pub(crate) const SEARCH_RESOURCE: &str = "/access/v1/search/resource";
pub(crate) const SEARCH_ACTION: &str = "/access/v1/search/action";

#[derive(Serialize)]
struct Metadata<'a> {
    policy_decision_point: &'a str,
    access_evaluation_endpoint: String,
    access_evaluations_endpoint: String,
    search_subject_endpoint: String,
    search_resource_endpoint: String,
    search_action_endpoint: String,
}

/// The document.
pub(crate) fn metadata(base: &BaseUrl) -> impl Serialize + '_ {
    Metadata {
        policy_decision_point: base.as_str(),
        access_evaluation_endpoint: format!("{base}{EVALUATION}"),
        access_evaluations_endpoint: format!("{base}{EVALUATIONS}"),
        search_subject_endpoint: format!("{base}{SEARCH_SUBJECT}"),
        search_resource_endpoint: format!("{base}{SEARCH_RESOURCE}"),
        search_action_endpoint: format!("{base}{SEARCH_ACTION}"),
    }
}
