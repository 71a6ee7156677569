//! The wire between an issuing endpoint and the sidecar of a pod that keeps its own key.
//!
//! ```text
//!  sidecar ─ Client ══ token, PKCS#10 ══▶ IssuerServer ─▶ Issuer (whoever decides and signs)
//!                   ◀═ chain, trust ════
//!                   ◀═ Watch: what is with the identity ══
//! ```
//!
//! [`PROTO`] is the contract. What this must not do: open a connection, decide, keep anything.

mod client;
mod messages;
mod refusal;
mod server;

pub use client::Client;
pub use messages::{
    IssueJwtRequest, IssueJwtResponse, IssueX509Request, IssueX509Response, PROTO, State, Trust,
    WatchRequest, WatchResponse,
};
pub use prost::bytes::Bytes;
pub use refusal::{REASON, bearer_of, put_bearer, reason_of, refusal};
pub use server::{Issuer, IssuerServer, Watching};

/// The service's name.
pub const SERVICE: &str = "countersign.issuing.v1.Issuer";

/// The path of IssueX509.
pub const ISSUE_X509: &str = "/countersign.issuing.v1.Issuer/IssueX509";

/// The path of IssueJwt.
pub const ISSUE_JWT: &str = "/countersign.issuing.v1.Issuer/IssueJwt";

/// The path of Watch.
pub const WATCH: &str = "/countersign.issuing.v1.Issuer/Watch";
