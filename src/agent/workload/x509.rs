//! Certificates and bundles.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tonic::Status;
use tonic::server::{Grpc, ServerStreamingService};
use tonic_prost::ProstCodec;

use super::check_header;
use super::messages::{
    X509BundlesRequest, X509BundlesResponse, X509Svid, X509SvidRequest, X509SvidResponse,
};
use crate::held::Held;
use crate::serving::{MAX_REQUEST_BYTES, Serving};
use crate::stream::{Messages, follow, in_anything, in_trust};
use crate::trust::Trust;

pub(super) async fn svids(State(serving): State<Arc<Serving>>, request: Request) -> Response {
    let codec = ProstCodec::<X509SvidResponse, X509SvidRequest>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES);
    let response = grpc.server_streaming(Svids(serving), request).await;
    response.map(Body::new)
}

pub(super) async fn bundles(State(serving): State<Arc<Serving>>, request: Request) -> Response {
    let codec = ProstCodec::<X509BundlesResponse, X509BundlesRequest>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES);
    let response = grpc.server_streaming(Bundles(serving), request).await;
    response.map(Body::new)
}

struct Svids(Arc<Serving>);
struct Bundles(Arc<Serving>);

type Answer<T> = Ready<Result<tonic::Response<Messages<T>>, Status>>;

impl ServerStreamingService<X509SvidRequest> for Svids {
    type Response = X509SvidResponse;
    type ResponseStream = Messages<X509SvidResponse>;
    type Future = Answer<X509SvidResponse>;

    fn call(&mut self, request: tonic::Request<X509SvidRequest>) -> Self::Future {
        let (views, metrics) = (self.0.views.clone(), &self.0.metrics);
        ready(
            check_header(request.metadata())
                .map(|()| tonic::Response::new(follow(views, metrics, svid_response, in_anything))),
        )
    }
}

impl ServerStreamingService<X509BundlesRequest> for Bundles {
    type Response = X509BundlesResponse;
    type ResponseStream = Messages<X509BundlesResponse>;
    type Future = Answer<X509BundlesResponse>;

    fn call(&mut self, request: tonic::Request<X509BundlesRequest>) -> Self::Future {
        let (views, metrics) = (self.0.views.clone(), &self.0.metrics);
        ready(
            check_header(request.metadata())
                .map(|()| tonic::Response::new(follow(views, metrics, bundles_response, in_trust))),
        )
    }
}

fn svid_response(held: &Held, trust: &Trust) -> X509SvidResponse {
    X509SvidResponse {
        svids: vec![X509Svid {
            spiffe_id: held.spiffe_id.clone(),
            x509_svid: held.chain.concat(),
            x509_svid_key: held.key.pkcs8().to_vec(),
            bundle: trust.roots_der(),
            hint: String::new(),
        }],
        crl: trust.crls.ders(),
        federated_bundles: HashMap::new(),
    }
}

fn bundles_response(_: &Held, trust: &Trust) -> X509BundlesResponse {
    X509BundlesResponse {
        crl: trust.crls.ders(),
        bundles: HashMap::from([(trust.id(), trust.roots_der())]),
    }
}
