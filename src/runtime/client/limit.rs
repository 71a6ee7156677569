//! A time limit for whatever isn't a watch.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use kube::client::{Body, DynBody};
use tokio::time::timeout;
use tower::{BoxError, Layer, Service};

use crate::progress::is_watch;

/// Limits plain calls, retries and the whole answer included, and the time until a watch is
/// answered. kube's own `read_timeout` is one of the connection and would end quiet watches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(pub(super) Duration);

#[derive(Debug)]
pub(super) struct Limited<S> {
    inner: S,
    limit: Duration,
}

/// The API server was too slow, or is gone.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct TooSlow(Duration);

impl<S> Layer<S> for Limit {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited {
            inner,
            limit: self.0,
        }
    }
}

impl<S> Service<Request<Body>> for Limited<S>
where
    S: Service<Request<Body>, Response = Response<Box<DynBody>>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<Box<DynBody>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let watch = is_watch(&request);
        let answer = self.inner.call(request);
        let limit = self.limit;
        Box::pin(async move {
            let whole = async {
                let answer = answer.await?;
                if watch {
                    Ok(answer)
                } else {
                    collect(answer).await
                }
            };
            timeout(limit, whole).await.map_err(|_| TooSlow(limit))?
        })
    }
}

/// Reads the body to its end: whoever asked would do so anyway.
async fn collect(answer: Response<Box<DynBody>>) -> Result<Response<Box<DynBody>>, BoxError> {
    let (parts, body) = answer.into_parts();
    let bytes = body.collect().await?.to_bytes();
    let body: Box<DynBody> = Box::new(Full::new(bytes).map_err(|never| match never {}));
    Ok(Response::from_parts(parts, body))
}
