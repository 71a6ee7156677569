//! The messages of `countersign.issuing.v1`. [`PROTO`] is their contract; a test holds both together,
//! so that nobody needs protoc to build this.

use prost::bytes::Bytes;
use prost::{Enumeration, Message};

/// The contract, for other languages.
pub const PROTO: &str = include_str!("issuing.proto");

/// `countersign.issuing.v1.IssueX509Request`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct IssueX509Request {
    /// PKCS#10 in DER. Its public key counts; what else it asks for is ignored.
    #[prost(bytes = "vec", tag = "1")]
    pub pkcs10: Vec<u8>,
    /// Empty: whichever the pod's one identity is of.
    #[prost(string, tag = "2")]
    pub trust_domain: String,
    /// The AgentIdentity's name, where a pod has several. Empty: the only one.
    #[prost(string, tag = "3")]
    pub identity: String,
}

/// `countersign.issuing.v1.IssueX509Response`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct IssueX509Response {
    /// The leaf's one URI.
    #[prost(string, tag = "1")]
    pub spiffe_id: String,
    /// DER, leaf first, without the root.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub chain: Vec<Vec<u8>>,
    /// Unix seconds.
    #[prost(int64, tag = "3")]
    pub not_after: i64,
    /// When to ask again, in Unix seconds: different for each that asks.
    #[prost(int64, tag = "4")]
    pub renew_at: i64,
    /// Whom to trust.
    #[prost(message, optional, tag = "5")]
    pub trust: Option<Trust>,
    /// The leaf's, in lower-case hex.
    #[prost(string, tag = "6")]
    pub serial_number: String,
}

/// `countersign.issuing.v1.Trust`: what verifies others of a trust domain.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Trust {
    /// Its name, such as `example.org`.
    #[prost(string, tag = "1")]
    pub trust_domain: String,
    /// DER.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub roots: Vec<Vec<u8>>,
    /// The same as a SPIFFE bundle, and with them the keys of JWT-SVIDs.
    #[prost(string, tag = "3")]
    pub bundle_json: String,
    /// Goes up with each change of it.
    #[prost(int64, tag = "4")]
    pub sequence: i64,
    /// Lists of revoked certificates in DER, at most 256 KiB in all: at most one of each authority. May be
    /// empty, and may be past their time: the endpoint has no later ones then.
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub crls: Vec<Bytes>,
    /// The authorities below the roots, in DER: theirs may be lists, too.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub intermediates: Vec<Vec<u8>>,
}

/// `countersign.issuing.v1.IssueJwtRequest`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct IssueJwtRequest {
    /// For whom; at least one.
    #[prost(string, repeated, tag = "1")]
    pub audience: Vec<String>,
    /// As in [`IssueX509Request`].
    #[prost(string, tag = "2")]
    pub identity: String,
}

/// `countersign.issuing.v1.IssueJwtResponse`: its `Debug` leaves the token out, which is a credential.
#[derive(Clone, PartialEq, Eq, Message)]
#[prost(skip_debug)]
pub struct IssueJwtResponse {
    /// A JWT-SVID.
    #[prost(string, tag = "1")]
    pub token: String,
    /// Unix seconds.
    #[prost(int64, tag = "2")]
    pub not_after: i64,
    /// Its `sub`.
    #[prost(string, tag = "3")]
    pub spiffe_id: String,
}

/// `countersign.issuing.v1.WatchRequest`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WatchRequest {
    /// As in [`IssueX509Request`].
    #[prost(string, tag = "1")]
    pub identity: String,
}

/// `countersign.issuing.v1.WatchResponse`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WatchResponse {
    /// Where the identity is in its life.
    #[prost(enumeration = "State", tag = "1")]
    pub state: i32,
    /// Empty while there is no identity.
    #[prost(string, tag = "2")]
    pub spiffe_id: String,
    /// Why it is there, in one word.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// And in a sentence.
    #[prost(string, tag = "4")]
    pub message: String,
    /// In the first message, and whenever it changed; lists of revoked certificates that changed alone
    /// wait until it is time to say the same again.
    #[prost(message, optional, tag = "5")]
    pub trust: Option<Trust>,
    /// `ECDSAP256`, `ECDSAP384` or `Ed25519`.
    #[prost(string, tag = "6")]
    pub key_algorithm: String,
    /// How long a certificate is good.
    #[prost(int64, tag = "7")]
    pub certificate_ttl_seconds: i64,
    /// The authority was rotated or is no longer trusted: ask now. Said in one message, once.
    #[prost(bool, tag = "8")]
    pub reissue: bool,
}

/// `countersign.issuing.v1.State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum State {
    /// Nobody says this.
    Unspecified = 0,
    /// No identity yet, or it isn't ready.
    Waiting = 1,
    /// Certificates may be had.
    Active = 2,
    /// None for now, and those that are out count no more.
    Suspended = 3,
    /// The same for good.
    Ended = 4,
}

impl std::fmt::Debug for IssueJwtResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssueJwtResponse")
            .field("token", &"[redacted]")
            .field("not_after", &self.not_after)
            .field("spiffe_id", &self.spiffe_id)
            .finish()
    }
}
