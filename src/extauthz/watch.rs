//! The messages of `countersign.decision.v1`. [`PROTO`] is their contract; a test holds both together,
//! so that nobody needs protoc to build this.

use std::collections::HashMap;

use prost::Message;

/// The contract, for other languages.
pub const PROTO: &str = include_str!("watch.proto");

/// `countersign.decision.v1.WatchRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct WatchRequest {
    /// The agent's SPIFFE ID.
    #[prost(string, tag = "1")]
    pub agent: String,
    /// The certificate that it showed, in DER; empty: the caller vouches.
    #[prost(bytes = "vec", tag = "2")]
    pub certificate: Vec<u8>,
    /// A verb.
    #[prost(string, tag = "3")]
    pub action: String,
    /// The resource's path.
    #[prost(string, tag = "4")]
    pub resource: String,
    /// Its type; may be empty.
    #[prost(string, tag = "5")]
    pub resource_type: String,
    /// What an authoritative caller knows of it.
    #[prost(map = "string, string", tag = "6")]
    pub resource_properties: HashMap<String, String>,
    /// A digest, statements joined by `~`, or nothing.
    #[prost(string, tag = "7")]
    pub delegation: String,
    /// What else the caller says.
    #[prost(message, optional, tag = "8")]
    pub context: Option<Context>,
}

/// `countersign.decision.v1.Context`.
#[derive(Clone, PartialEq, Message)]
pub struct Context {
    /// The IP address that the request comes from; empty: unknown.
    #[prost(string, tag = "1")]
    pub source_ip: String,
    /// The tool that is called; empty: none.
    #[prost(string, tag = "2")]
    pub tool: String,
    /// Bytes that are sent.
    #[prost(uint64, tag = "3")]
    pub bytes: u64,
    /// Would something be destroyed?
    #[prost(bool, tag = "4")]
    pub destructive: bool,
    /// For whom it is done; empty: not said.
    #[prost(string, tag = "5")]
    pub audience: String,
    /// The caller's own name for it; empty: none.
    #[prost(string, tag = "6")]
    pub request_id: String,
}

/// `countersign.decision.v1.WatchResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct WatchResponse {
    /// Yes or no.
    #[prost(bool, tag = "1")]
    pub allowed: bool,
    /// Why, in one word.
    #[prost(string, tag = "2")]
    pub reason: String,
    /// The decision's name.
    #[prost(string, tag = "3")]
    pub decision: String,
    /// Why, in a sentence.
    #[prost(string, tag = "4")]
    pub explanation: String,
    /// When, in RFC 3339.
    #[prost(string, tag = "5")]
    pub time: String,
    /// What must be done along with it.
    #[prost(message, repeated, tag = "6")]
    pub obligations: Vec<Obligation>,
}

/// `countersign.decision.v1.Obligation`.
#[derive(Clone, PartialEq, Message)]
pub struct Obligation {
    /// Its type.
    #[prost(string, tag = "1")]
    pub r#type: String,
    /// Its properties, as a JSON object.
    #[prost(string, tag = "2")]
    pub properties: String,
}
