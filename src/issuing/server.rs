//! Answers: the service around whoever decides.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Service, StdError};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::messages::{
    IssueJwtRequest, IssueJwtResponse, IssueX509Request, IssueX509Response, WatchRequest,
    WatchResponse,
};
use crate::{ISSUE_JWT, ISSUE_X509, SERVICE, WATCH};

/// A certificate request and some names; far more than any needs.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// The messages of a Watch.
pub type Watching = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

/// Whoever issues. Who asks is in the request's metadata ([`crate::bearer_of`]); a refusal is made by
/// [`crate::refusal()`].
pub trait Issuer: Send + Sync + 'static {
    /// Issues a certificate.
    fn issue_x509(
        &self,
        request: Request<IssueX509Request>,
    ) -> impl Future<Output = Result<IssueX509Response, Status>> + Send;

    /// Issues a JWT-SVID.
    fn issue_jwt(
        &self,
        request: Request<IssueJwtRequest>,
    ) -> impl Future<Output = Result<IssueJwtResponse, Status>> + Send;

    /// Tells what is with an identity, until the client goes or the stream ends.
    fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> impl Future<Output = Result<Watching, Status>> + Send;
}

/// The gRPC service over an [`Issuer`]. Needs HTTP/2. `tonic::service::Routes::new` makes a router of
/// it, with other services or alone. A clone shares the issuer.
#[derive(Debug)]
pub struct IssuerServer<T>(Arc<T>);

impl<T> IssuerServer<T> {
    /// The service.
    pub fn new(issuer: Arc<T>) -> Self {
        Self(issuer)
    }
}

impl<T> Clone for IssuerServer<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> NamedService for IssuerServer<T> {
    const NAME: &'static str = SERVICE;
}

type Answering<A, E> = Pin<Box<dyn Future<Output = Result<A, E>> + Send>>;

impl<T, B> Service<http::Request<B>> for IssuerServer<T>
where
    T: Issuer,
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let issuer = Arc::clone(&self.0);
        match request.uri().path() {
            ISSUE_X509 => Box::pin(async move {
                let codec = ProstCodec::<IssueX509Response, IssueX509Request>::default();
                let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES);
                Ok(grpc.unary(IssueX509(issuer), request).await)
            }),
            ISSUE_JWT => Box::pin(async move {
                let codec = ProstCodec::<IssueJwtResponse, IssueJwtRequest>::default();
                let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES);
                Ok(grpc.unary(IssueJwt(issuer), request).await)
            }),
            WATCH => Box::pin(async move {
                let codec = ProstCodec::<WatchResponse, WatchRequest>::default();
                let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES);
                Ok(grpc.server_streaming(Watch(issuer), request).await)
            }),
            _ => Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) }),
        }
    }
}

struct IssueX509<T>(Arc<T>);
struct IssueJwt<T>(Arc<T>);
struct Watch<T>(Arc<T>);

impl<T: Issuer> UnaryService<IssueX509Request> for IssueX509<T> {
    type Response = IssueX509Response;
    type Future = Answering<Response<IssueX509Response>, Status>;

    fn call(&mut self, request: Request<IssueX509Request>) -> Self::Future {
        let issuer = Arc::clone(&self.0);
        Box::pin(async move { issuer.issue_x509(request).await.map(Response::new) })
    }
}

impl<T: Issuer> UnaryService<IssueJwtRequest> for IssueJwt<T> {
    type Response = IssueJwtResponse;
    type Future = Answering<Response<IssueJwtResponse>, Status>;

    fn call(&mut self, request: Request<IssueJwtRequest>) -> Self::Future {
        let issuer = Arc::clone(&self.0);
        Box::pin(async move { issuer.issue_jwt(request).await.map(Response::new) })
    }
}

impl<T: Issuer> ServerStreamingService<WatchRequest> for Watch<T> {
    type Response = WatchResponse;
    type ResponseStream = Watching;
    type Future = Answering<Response<Watching>, Status>;

    fn call(&mut self, request: Request<WatchRequest>) -> Self::Future {
        let issuer = Arc::clone(&self.0);
        Box::pin(async move { issuer.watch(request).await.map(Response::new) })
    }
}
