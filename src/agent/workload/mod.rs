//! The SPIFFE Workload API (<https://spiffe.io/docs/latest/spiffe-specs/spiffe_workload_api/>).
//!
//! Every request carries the header `workload.spiffe.io: true`, which no browser and no server that
//! was tricked into a request can set; without it the answer is INVALID_ARGUMENT (section 4.2 there).

mod claims;
mod jwt;
pub(crate) mod messages;
mod x509;

use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::serving::Serving;

const HEADER: &str = "workload.spiffe.io";

pub(crate) fn routes() -> Router<Arc<Serving>> {
    let path = |method: &str| format!("/SpiffeWorkloadAPI/{method}");
    Router::new()
        .route(&path("FetchX509SVID"), post(x509::svids))
        .route(&path("FetchX509Bundles"), post(x509::bundles))
        .route(&path("FetchJWTSVID"), post(jwt::svid))
        .route(&path("FetchJWTBundles"), post(jwt::bundles))
        .route(&path("ValidateJWTSVID"), post(jwt::validate))
}

fn check_header(metadata: &MetadataMap) -> Result<(), Status> {
    match metadata.get(HEADER) {
        Some(value) if value == "true" => Ok(()),
        _ => Err(Status::invalid_argument(
            "security header missing from request: workload.spiffe.io: true",
        )),
    }
}
