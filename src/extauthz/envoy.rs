//! The messages of `envoy.service.auth.v3`, as far as they are read or written here.
//!
//! By hand rather than generated from all of Envoy's API: a field that isn't listed is skipped when it
//! comes, at no cost, and there are some fifteen messages in place of a thousand. Package, names and
//! numbers are those of Envoy's `external_auth.proto`, `attribute_context.proto`, `base.proto` and
//! `address.proto`; texts that a client can fill with any bytes are bytes here.

use std::collections::HashMap;

use prost::Message;

/// `envoy.service.auth.v3.CheckRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct CheckRequest {
    /// What is known of the request.
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<AttributeContext>,
}

/// `envoy.service.auth.v3.AttributeContext`.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeContext {
    /// Who sent it.
    #[prost(message, optional, tag = "1")]
    pub source: Option<Peer>,
    /// What was sent.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
    /// What the route says.
    #[prost(map = "string, string", tag = "10")]
    pub context_extensions: HashMap<String, String>,
}

/// `envoy.service.auth.v3.AttributeContext.Peer`.
#[derive(Clone, PartialEq, Message)]
pub struct Peer {
    /// Its address.
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
    /// The first URI SAN of its certificate; where there is none a DNS SAN or the subject.
    #[prost(string, tag = "4")]
    pub principal: String,
    /// Its certificate in PEM, URL-encoded.
    #[prost(string, tag = "5")]
    pub certificate: String,
}

/// `envoy.config.core.v3.Address`.
#[derive(Clone, PartialEq, Message)]
pub struct Address {
    /// Of an IP connection.
    #[prost(message, optional, tag = "1")]
    pub socket_address: Option<SocketAddress>,
}

/// `envoy.config.core.v3.SocketAddress`.
#[derive(Clone, PartialEq, Message)]
pub struct SocketAddress {
    /// The IP address.
    #[prost(string, tag = "2")]
    pub address: String,
}

/// `envoy.service.auth.v3.AttributeContext.Request`.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// Of an HTTP request.
    #[prost(message, optional, tag = "2")]
    pub http: Option<HttpRequest>,
}

/// `envoy.service.auth.v3.AttributeContext.HttpRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct HttpRequest {
    /// The method.
    #[prost(bytes = "vec", tag = "2")]
    pub method: Vec<u8>,
    /// Lower-case names; the values of a name that comes twice are joined by commas.
    #[prost(map = "string, bytes", tag = "3")]
    pub headers: HashMap<String, Vec<u8>>,
    /// The request target: path and query.
    #[prost(bytes = "vec", tag = "4")]
    pub path: Vec<u8>,
    /// The headers, where Envoy was told to `encode_raw_headers`; then `headers` is empty.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<HeaderMap>,
}

/// `envoy.config.core.v3.HeaderMap`.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderMap {
    /// In their order.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<HeaderValue>,
}

/// `envoy.config.core.v3.HeaderValue`.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValue {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value, if that is text.
    #[prost(string, tag = "2")]
    pub value: String,
    /// Its value otherwise.
    #[prost(bytes = "vec", tag = "3")]
    pub raw_value: Vec<u8>,
}

/// `envoy.service.auth.v3.CheckResponse`. The two responses are one `oneof` there.
#[derive(Clone, PartialEq, Message)]
pub struct CheckResponse {
    /// 0 is the one allow.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// What the client gets.
    #[prost(message, optional, tag = "2")]
    pub denied_response: Option<DeniedHttpResponse>,
    /// What the service behind gets.
    #[prost(message, optional, tag = "3")]
    pub ok_response: Option<OkHttpResponse>,
    /// For access logs: `%DYNAMIC_METADATA(envoy.filters.http.ext_authz:decision)%` and `:reason`.
    #[prost(message, optional, tag = "4")]
    pub dynamic_metadata: Option<Struct>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// A gRPC code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// `envoy.service.auth.v3.DeniedHttpResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct DeniedHttpResponse {
    /// The HTTP status.
    #[prost(message, optional, tag = "1")]
    pub status: Option<HttpStatus>,
    /// Headers of the response.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// Its body.
    #[prost(string, tag = "3")]
    pub body: String,
}

/// `envoy.type.v3.HttpStatus`.
#[derive(Clone, PartialEq, Message)]
pub struct HttpStatus {
    /// Such as 403.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// `envoy.service.auth.v3.OkHttpResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct OkHttpResponse {
    /// Headers of the request to the service behind.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// Names of headers that it must not have.
    #[prost(string, repeated, tag = "5")]
    pub headers_to_remove: Vec<String>,
}

/// `envoy.config.core.v3.HeaderValueOption`.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValueOption {
    /// The header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<HeaderValue>,
    /// What becomes of others of that name: see [`OVERWRITE`].
    #[prost(int32, tag = "3")]
    pub append_action: i32,
}

/// `HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD`: the default, 0, would append.
pub const OVERWRITE: i32 = 2;

/// `google.protobuf.Struct`.
#[derive(Clone, PartialEq, Message)]
pub struct Struct {
    /// Its members.
    #[prost(map = "string, message", tag = "1")]
    pub fields: HashMap<String, Value>,
}

/// `google.protobuf.Value`, which is one text here.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// The text, which isn't empty.
    #[prost(string, tag = "3")]
    pub string_value: String,
}

impl HttpRequest {
    /// Each header's name, in lower case, and value, however they were sent.
    pub(crate) fn each_header(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let joined = self.headers.iter();
        let raw = self.header_map.iter().flat_map(|it| &it.headers);
        joined
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .chain(raw.map(|it| {
                let text = it.value.as_bytes();
                let value = if text.is_empty() { &it.raw_value } else { text };
                (it.key.as_str(), value)
            }))
    }
}
