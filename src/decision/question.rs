//! What is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use countersign_statement::Digest;

/// May this agent do this to that, now?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The agent's SPIFFE ID, whatever it is made of: an unknown one is denied.
    pub agent: String,
    /// The certificate that it showed; `None` where the caller vouches for the agent, who must be
    /// allowed to.
    pub certificate: Option<PresentedCertificate>,
    /// A verb, as in grants.
    pub action: String,
    /// On what.
    pub resource: ResourceRef,
    /// On whose authority; `None`: its own.
    pub authority: Option<Authority>,
    /// What else the caller says about the call.
    pub call: Call,
}

/// A certificate whose key was proved in a handshake that the caller terminated. Whether it is one of
/// the agent's, of a trusted authority and in its time is looked at here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedCertificate {
    /// The whole certificate in DER, to be verified against the trust domain's bundle.
    pub der: Vec<u8>,
}

/// A resource as it is named in a question.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceRef {
    /// Its type, such as `document`; empty if it has none.
    pub kind: String,
    /// Its path, as in grants: `ledger/invoices/7`.
    pub path: String,
    /// What the caller says of it; counts only from a caller that is authoritative.
    pub properties: BTreeMap<String, String>,
}

/// A chain of delegations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// By the digest of its last statement.
    Digest(Digest),
    /// Its statements, from hop 0, each a compact JWS.
    Statements(Vec<String>),
}

/// What a caller says about a call. It can't be checked, and policies know that.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Call {
    /// Where the request comes from.
    pub source_ip: Option<IpAddr>,
    /// The tool that is called.
    pub tool: Option<String>,
    /// Bytes that it sends.
    pub bytes: u64,
    /// Would it destroy something?
    pub destructive: bool,
    /// For whom it is done: compared with the audiences of grants.
    pub audience: Option<String>,
    /// The caller's own name for the request, to find it in both logs.
    pub request_id: Option<String>,
    /// Why the agent may not be who it seems to be. Such a question is never allowed; it is put all the
    /// same, so that its denial is on record under the name that was claimed.
    pub doubt: Option<&'static str>,
    /// The kinds of obligations that can be met by whoever acts upon the answer: with another it is
    /// denied. `None`: they look themselves, and deny what they can't meet.
    pub obligations: Option<Arc<BTreeSet<String>>>,
}

/// Who asks: a policy enforcement point that was authenticated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Its name: a SPIFFE ID, or that of a token.
    pub name: String,
    /// May it ask about agents whose certificate it doesn't show?
    pub vouches: bool,
    /// Do the properties that it gives of resources count?
    pub authoritative: bool,
}

impl Caller {
    /// Is it the one of this name; with `*` at its end, one of those that begin with what is before?
    pub fn is(&self, pattern: &str) -> bool {
        match pattern.strip_suffix('*') {
            Some(prefix) => self.name.starts_with(prefix),
            None => self.name == pattern,
        }
    }
}

/// A search: what is `None` is looked for, and exactly one of the first three is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The agent's SPIFFE ID.
    pub agent: Option<String>,
    /// The action.
    pub action: Option<String>,
    /// The resource.
    pub resource: Option<ResourceRef>,
    /// Of resources that are looked for: their type.
    pub resource_kind: Option<String>,
    /// On whose authority.
    pub authority: Option<Authority>,
    /// What else.
    pub call: Call,
    /// What the page before ended with; `None` for the first.
    pub after: Option<String>,
    /// The most results.
    pub limit: usize,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// SPIFFE IDs, actions or paths, in their order.
    pub results: Vec<String>,
    /// To go on after; `None` at the end.
    pub next: Option<String>,
}
