//! Asks, for sidecars and for tests.

use http::uri::PathAndQuery;
use prost::Message;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::messages::{
    IssueJwtRequest, IssueJwtResponse, IssueX509Request, IssueX509Response, WatchRequest,
    WatchResponse,
};
use crate::refusal::put_bearer;
use crate::{ISSUE_JWT, ISSUE_X509, WATCH};

/// The largest answer: a bundle and the revocation lists of a busy trust domain.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A client of an issuing endpoint. A clone shares the connection.
#[derive(Debug, Clone)]
pub struct Client<T = Channel>(Grpc<T>);

impl<T> Client<T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    /// Over a channel, which says where the endpoint is and who it must be.
    pub fn new(channel: T) -> Self {
        Self(Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES))
    }

    /// Asks for a certificate. `token` is the pod's.
    ///
    /// # Errors
    /// There is no connection, or it was refused: see [`crate::reason_of`].
    pub async fn issue_x509(
        &mut self,
        token: &str,
        request: IssueX509Request,
    ) -> Result<IssueX509Response, Status> {
        self.unary(token, request, ISSUE_X509).await
    }

    /// Asks for a JWT-SVID.
    ///
    /// # Errors
    /// As [`Client::issue_x509`].
    pub async fn issue_jwt(
        &mut self,
        token: &str,
        request: IssueJwtRequest,
    ) -> Result<IssueJwtResponse, Status> {
        self.unary(token, request, ISSUE_JWT).await
    }

    /// Asks to be told what is with the identity. The token is looked at when the stream begins; the
    /// server may end the stream for a new one at any time.
    ///
    /// # Errors
    /// As [`Client::issue_x509`].
    pub async fn watch(
        &mut self,
        token: &str,
        request: WatchRequest,
    ) -> Result<Streaming<WatchResponse>, Status> {
        let request = self.request(token, request).await?;
        let path = PathAndQuery::from_static(WATCH);
        let codec = ProstCodec::default();
        let response = self.0.server_streaming(request, path, codec).await?;
        Ok(response.into_inner())
    }

    async fn unary<Q, A>(
        &mut self,
        token: &str,
        request: Q,
        path: &'static str,
    ) -> Result<A, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let request = self.request(token, request).await?;
        let path = PathAndQuery::from_static(path);
        let codec = ProstCodec::<Q, A>::default();
        Ok(self.0.unary(request, path, codec).await?.into_inner())
    }

    async fn request<Q>(&mut self, token: &str, message: Q) -> Result<Request<Q>, Status> {
        let mut request = Request::new(message);
        put_bearer(request.metadata_mut(), token)?;
        let ready = self.0.ready().await;
        ready.map_err(|error| Status::unavailable(error.into().to_string()))?;
        Ok(request)
    }
}
