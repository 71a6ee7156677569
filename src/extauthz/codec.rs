//! Reads a request so that one that can't be read still gets an answer.

use prost::Message as _;
use prost::bytes::Buf as _;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::envoy::{CheckRequest, CheckResponse};

/// Protobuf, but what doesn't decode is a message too: gRPC would answer it with an error, which an
/// Envoy with `failure_mode_allow` takes for an allow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CheckCodec;

/// The request, or that there was one.
pub(crate) type Received = Result<CheckRequest, prost::DecodeError>;

impl Codec for CheckCodec {
    type Encode = CheckResponse;
    type Decode = Received;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for CheckCodec {
    type Item = CheckResponse;
    type Error = Status;

    fn encode(&mut self, item: CheckResponse, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(to)
            .map_err(|_| Status::internal("the response doesn't fit"))
    }
}

impl Decoder for CheckCodec {
    type Item = Received;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Received>, Status> {
        let received = CheckRequest::decode(&mut *from);
        from.advance(from.remaining());
        Ok(Some(received))
    }
}
