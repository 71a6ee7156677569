//! What the handlers of the Workload API and of SDS share.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use tokio::sync::watch;
use tonic::Status;

use crate::call::Endpoint;
use crate::metrics::Metrics;
use crate::view::View;
use crate::{sds, workload};

/// Requests are small: names, audiences, a token.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) views: watch::Receiver<Arc<View>>,
    pub(crate) endpoint: Endpoint,
    pub(crate) clock: countersign_runtime::Clock,
    pub(crate) metrics: Metrics,
}

/// All that is served on the socket. Needs HTTP/2.
pub(crate) fn router(serving: Serving) -> Router {
    let unknown = async || -> Response {
        let status = Status::unimplemented("no such method");
        status.into_http::<tonic::body::Body>().map(Body::new)
    };
    workload::routes()
        .merge(sds::routes())
        .fallback(unknown)
        .with_state(Arc::new(serving))
}
