//! JWT-SVIDs: each is asked for anew at the issuing endpoint.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use countersign_jwtsvid::Keys;
use jiff::Timestamp;
use tonic::server::{Grpc, ServerStreamingService, UnaryService};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::check_header;
use super::claims::{self, ValidateJwtSvidResponse};
use super::messages::{
    JwtBundlesRequest, JwtBundlesResponse, JwtSvid, JwtSvidRequest, JwtSvidResponse,
    ValidateJwtSvidRequest,
};
use crate::call;
use crate::held::Held;
use crate::serving::{MAX_REQUEST_BYTES, Serving};
use crate::stream::{Messages, follow, in_jwt_keys, now};
use crate::trust::Trust;

pub(super) async fn svid(State(serving): State<Arc<Serving>>, request: Request) -> Response {
    let codec = ProstCodec::<JwtSvidResponse, JwtSvidRequest>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES);
    grpc.unary(Svid(serving), request).await.map(Body::new)
}

pub(super) async fn bundles(State(serving): State<Arc<Serving>>, request: Request) -> Response {
    let codec = ProstCodec::<JwtBundlesResponse, JwtBundlesRequest>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES);
    let response = grpc.server_streaming(Bundles(serving), request).await;
    response.map(Body::new)
}

pub(super) async fn validate(State(serving): State<Arc<Serving>>, request: Request) -> Response {
    let codec = ProstCodec::<ValidateJwtSvidResponse, ValidateJwtSvidRequest>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES);
    grpc.unary(Validate(serving), request).await.map(Body::new)
}

struct Svid(Arc<Serving>);
struct Bundles(Arc<Serving>);
struct Validate(Arc<Serving>);

type Answering<T> = Pin<Box<dyn Future<Output = Result<tonic::Response<T>, Status>> + Send>>;

impl UnaryService<JwtSvidRequest> for Svid {
    type Response = JwtSvidResponse;
    type Future = Answering<JwtSvidResponse>;

    fn call(&mut self, request: tonic::Request<JwtSvidRequest>) -> Self::Future {
        let serving = Arc::clone(&self.0);
        Box::pin(async move {
            check_header(request.metadata())?;
            let answer = issue(&serving, request.into_inner()).await?;
            Ok(tonic::Response::new(answer))
        })
    }
}

async fn issue(serving: &Serving, request: JwtSvidRequest) -> Result<JwtSvidResponse, Status> {
    if request.audience.iter().all(String::is_empty) {
        return Err(Status::invalid_argument("no audience is named"));
    }
    // Who has no certificate gets no token, and who is suspended or over neither.
    let (held, _) = now(serving.views.clone()).await?;
    if !request.spiffe_id.is_empty() && request.spiffe_id != held.spiffe_id {
        let other = request.spiffe_id;
        return Err(Status::permission_denied(format!("this isn't {other}")));
    }
    let issued = serving.endpoint.issue_jwt(request.audience).await;
    let issued = issued.map_err(|status| to_workload(&status))?;
    if issued.spiffe_id != held.spiffe_id {
        return Err(Status::internal("a token of somebody else was issued"));
    }
    Ok(JwtSvidResponse {
        svids: vec![JwtSvid {
            spiffe_id: issued.spiffe_id,
            svid: issued.token,
            hint: String::new(),
        }],
    })
}

/// The workload has shown nothing that could be wrong: it is the pod that is refused.
fn to_workload(status: &Status) -> Status {
    let code = match status.code() {
        Code::Unauthenticated => Code::PermissionDenied,
        code => code,
    };
    Status::new(code, call::why(status).to_string())
}

impl ServerStreamingService<JwtBundlesRequest> for Bundles {
    type Response = JwtBundlesResponse;
    type ResponseStream = Messages<JwtBundlesResponse>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<JwtBundlesRequest>) -> Self::Future {
        let (views, metrics) = (self.0.views.clone(), &self.0.metrics);
        ready(
            check_header(request.metadata()).map(|()| {
                tonic::Response::new(follow(views, metrics, bundles_response, in_jwt_keys))
            }),
        )
    }
}

fn bundles_response(_: &Held, trust: &Trust) -> JwtBundlesResponse {
    JwtBundlesResponse {
        bundles: HashMap::from([(trust.id(), trust.jwt_keys.clone().into_bytes())]),
    }
}

impl UnaryService<ValidateJwtSvidRequest> for Validate {
    type Response = ValidateJwtSvidResponse;
    type Future = Answering<ValidateJwtSvidResponse>;

    fn call(&mut self, request: tonic::Request<ValidateJwtSvidRequest>) -> Self::Future {
        let serving = Arc::clone(&self.0);
        Box::pin(async move {
            check_header(request.metadata())?;
            let (_, trust) = now(serving.views.clone()).await?;
            let at = serving.clock.now();
            verify(&trust, &request.into_inner(), at).map(tonic::Response::new)
        })
    }
}

/// Of our own trust domain: the keys of others aren't known here.
fn verify(
    trust: &Trust,
    request: &ValidateJwtSvidRequest,
    now: Timestamp,
) -> Result<ValidateJwtSvidResponse, Status> {
    let keys = Keys::from_bundle_json(&trust.trust_domain, &trust.bundle_json);
    let keys = keys.map_err(|why| Status::unavailable(why.to_string()))?;
    let verified = keys.verify(&request.svid, &request.audience, now);
    let verified = verified.map_err(|why| Status::invalid_argument(why.to_string()))?;
    Ok(ValidateJwtSvidResponse {
        spiffe_id: verified.subject.to_string(),
        claims: Some(claims::of(verified.claims)),
    })
}
