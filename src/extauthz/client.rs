//! Asks, for those who hold a Watch and for tests.

use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::envoy::{CheckRequest, CheckResponse};
use crate::watch::{WatchRequest, WatchResponse};
use crate::{CHECK, WATCH};

/// A client of both services. A clone shares the connection.
#[derive(Debug, Clone)]
pub struct Client(Grpc<Channel>);

impl Client {
    /// Over a channel, which says where and how the caller authenticates.
    pub fn new(channel: Channel) -> Self {
        Self(Grpc::new(channel))
    }

    /// Asks as Envoy does.
    ///
    /// # Errors
    /// There is no connection, the caller isn't authenticated, or the request is too large. Each of
    /// them is a deny.
    pub async fn check(&mut self, request: CheckRequest) -> Result<CheckResponse, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(CHECK);
        let codec = ProstCodec::default();
        let response = self.0.unary(Request::new(request), path, codec).await?;
        Ok(response.into_inner())
    }

    /// Subscribes to a question. An error, or the end of the stream, is a deny.
    ///
    /// # Errors
    /// There is no connection, the caller isn't authenticated or has too many subscriptions, or there
    /// is no question in the request.
    pub async fn watch(
        &mut self,
        request: WatchRequest,
    ) -> Result<Streaming<WatchResponse>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(WATCH);
        let codec = ProstCodec::default();
        let response = self.0.server_streaming(Request::new(request), path, codec);
        Ok(response.await?.into_inner())
    }

    async fn ready(&mut self) -> Result<(), Status> {
        let ready = self.0.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))
    }
}
