//! Envoy's secret discovery, v3: its certificate and the roots by gRPC, over the same socket.
//!
//! | name                                    | secret |
//! |-----------------------------------------|--------|
//! | `default`, or the SPIFFE ID             | the certificate and its key |
//! | `ROOTCA`, or `spiffe://<trust domain>`  | the roots, as a validation context |
//!
//! An identity that is suspended or over gets nothing: the stream ends. Envoy goes on with what it has
//! then, so that whoever is behind it must ask the decision point, which says no.
//!
//! # No revocation lists
//! The Workload API has them, and Envoy gets none. With a `crl` it refuses every certificate whose authority
//! has no list, or one that is past its time: a minute without the operator would cut off everybody, and so
//! would an authority that was rotated out, which signs no list any more though its certificates still run.
//! And each new list would be a new TLS context for all listeners, several times a minute.

mod messages;
mod secrets;

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use futures::stream::{StreamExt as _, unfold};
use tokio::sync::watch;
use tonic::server::{Grpc, StreamingService, UnaryService};
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;
use tracing::{debug, warn};

use self::messages::{DiscoveryRequest, DiscoveryResponse};
use crate::serving::{MAX_REQUEST_BYTES, Serving};
use crate::stream::{Messages, Open, both, now};
use crate::view::View;

type Codec = ProstCodec<DiscoveryResponse, DiscoveryRequest>;

pub(crate) fn routes() -> Router<Arc<Serving>> {
    let path = |method: &str| format!("/envoy.service.secret.v3.SecretDiscoveryService/{method}");
    Router::new()
        .route(&path("StreamSecrets"), post(stream))
        .route(&path("FetchSecrets"), post(fetch))
}

async fn stream(State(serving): State<Arc<Serving>>, request: Request) -> Response {
    let mut grpc = Grpc::new(Codec::default()).max_decoding_message_size(MAX_REQUEST_BYTES);
    let response = grpc.streaming(Stream(serving), request).await;
    response.map(Body::new)
}

async fn fetch(State(serving): State<Arc<Serving>>, request: Request) -> Response {
    let mut grpc = Grpc::new(Codec::default()).max_decoding_message_size(MAX_REQUEST_BYTES);
    grpc.unary(Fetch(serving), request).await.map(Body::new)
}

struct Stream(Arc<Serving>);
struct Fetch(Arc<Serving>);

type Answering<T> = Pin<Box<dyn Future<Output = Result<tonic::Response<T>, Status>> + Send>>;

impl UnaryService<DiscoveryRequest> for Fetch {
    type Response = DiscoveryResponse;
    type Future = Answering<DiscoveryResponse>;

    fn call(&mut self, request: tonic::Request<DiscoveryRequest>) -> Self::Future {
        let views = self.0.views.clone();
        Box::pin(async move {
            let request = request.into_inner();
            secrets::check(&request)?;
            let both = now(views).await?;
            let response = secrets::response(&request.resource_names, &both, String::new())?;
            Ok(tonic::Response::new(response))
        })
    }
}

impl StreamingService<DiscoveryRequest> for Stream {
    type Response = DiscoveryResponse;
    type ResponseStream = Messages<DiscoveryResponse>;
    type Future = Answering<Self::ResponseStream>;

    fn call(&mut self, request: tonic::Request<Streaming<DiscoveryRequest>>) -> Self::Future {
        let talk = Talk {
            requests: request.into_inner(),
            views: self.0.views.clone(),
            asked: None,
            sent: String::new(),
            nonce: 0,
            ended: false,
            _open: Open::new(&self.0.metrics),
        };
        let answers = unfold(talk, Talk::next).boxed();
        Box::pin(async move { Ok(tonic::Response::new(answers)) })
    }
}

/// One stream: what was asked for, and what was sent.
struct Talk {
    requests: Streaming<DiscoveryRequest>,
    views: watch::Receiver<Arc<View>>,
    /// The names of the last request.
    asked: Option<Vec<String>>,
    /// The version of what was sent last; empty: nothing, or for other names.
    sent: String,
    nonce: u64,
    ended: bool,
    _open: Open,
}

impl Talk {
    async fn next(mut self) -> Option<(Result<DiscoveryResponse, Status>, Self)> {
        if self.ended {
            return None;
        }
        let next = self.answer().await.transpose()?;
        self.ended = next.is_err();
        Some((next, self))
    }

    /// The next answer; `None` when nobody asks any more.
    async fn answer(&mut self) -> Result<Option<DiscoveryResponse>, Status> {
        loop {
            let view = Arc::clone(&self.views.borrow_and_update());
            let both = both(&view)?;
            if let (Some(names), Some(both)) = (&self.asked, both) {
                let version = secrets::version(names, &both);
                if self.sent != version || self.sent.is_empty() {
                    self.nonce += 1;
                    self.sent = version;
                    let nonce = self.nonce.to_string();
                    return secrets::response(names, &both, nonce).map(Some);
                }
            }
            tokio::select! {
                request = self.requests.message() => match request {
                    Ok(Some(request)) => self.hear(request)?,
                    Ok(None) => return Ok(None),
                    Err(why) => {
                        debug!("a client of SDS went: {why}");
                        return Ok(None);
                    }
                },
                changed = self.views.changed() => {
                    changed.map_err(|_| Status::unavailable("stopping"))?;
                }
            }
        }
    }

    /// The first request, a yes or no to an answer, or other names.
    fn hear(&mut self, request: DiscoveryRequest) -> Result<(), Status> {
        secrets::check(&request)?;
        if self.nonce > 0 && request.response_nonce != self.nonce.to_string() {
            debug!("a request of SDS to an answer that isn't the last");
            return Ok(());
        }
        if let Some(error) = request.error_detail {
            // What was refused isn't sent again: the next version is.
            warn!(
                code = error.code,
                "Envoy refused secrets: {}", error.message
            );
        }
        if self.asked.as_ref() != Some(&request.resource_names) {
            self.asked = Some(request.resource_names);
            self.sent.clear();
        }
        Ok(())
    }
}

/// What a log would show of all secrets: for the test that it is no key.
#[cfg(test)]
pub(crate) struct DebugOfSecrets;

#[cfg(test)]
impl DebugOfSecrets {
    #[allow(clippy::unwrap_used, reason = "a failing test should panic")]
    pub(crate) fn of(held: crate::held::Held, trust: crate::trust::Trust) -> String {
        use prost::Message as _;
        let both = (Arc::new(held), Arc::new(trust));
        let response = secrets::response(&[], &both, String::new()).unwrap();
        let secrets = response.resources.iter();
        let secrets = secrets.map(|it| messages::Secret::decode(it.value.as_slice()).unwrap());
        format!("{response:?} {:?}", secrets.collect::<Vec<_>>())
    }
}
