//! What policies are made of, before they are compiled.

use countersign_core::DataClass;

/// One object with policies: an AgentPolicy of a namespace, or a ClusterAgentPolicy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySource {
    /// Whose agents it is about.
    pub scope: Scope,
    /// The object's name.
    pub name: String,
    /// Does it decide?
    pub mode: Mode,
    /// Its policies.
    pub policies: Vec<PolicyText>,
    /// What must hold before it takes effect.
    pub tests: Vec<PolicyTest>,
}

/// Whose agents a set of policies is about. The order puts the cluster's first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All agents.
    Cluster,
    /// Only the agents of this namespace, whatever the policies say.
    Namespace(String),
}

/// Does it decide?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It decides.
    Enforce,
    /// What it would decide is logged, and decides nothing.
    Audit,
    /// It is checked, and no more.
    Disabled,
}

/// One policy: one `permit` or `forbid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyText {
    /// Its name within the object.
    pub id: String,
    /// Cedar (<https://docs.cedarpolicy.com/policies/syntax-policy.html>): exactly one policy, no
    /// template.
    pub cedar: String,
    /// What comes along when it decides.
    pub obligations: Vec<Obligation>,
}

/// What whoever asks must do along with the answer; who doesn't know its type must deny.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Obligation {
    /// Such as `step-up`, `notification` or `session_termination`, as in the AuthZEN profile of
    /// obligations.
    pub kind: String,
    /// Its properties, as a JSON object.
    pub properties: String,
}

/// A request that a set of policies is asked before it takes effect, and the answer that it must
/// give by itself: its own policies and no others, default deny.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTest {
    /// For people.
    pub name: String,
    /// The agent's facts.
    pub principal: TestPrincipal,
    /// The action.
    pub action: String,
    /// The resource's facts.
    pub resource: TestResource,
    /// What else is known.
    pub context: TestContext,
    /// Must it be allowed?
    pub allowed: bool,
    /// The policies that must have decided it, by their ids; `None`: whichever.
    pub policies: Option<Vec<String>>,
}

/// An agent of a test.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TestPrincipal {
    /// Its name.
    pub name: String,
    /// Its namespace; of an AgentPolicy's test always the policy's own.
    pub namespace: String,
    /// Its owner's name.
    pub owner: String,
    /// What it claims of itself.
    pub attributes: Vec<(String, String)>,
}

/// A resource of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResource {
    /// Its type, such as `document`; empty if it has none.
    pub kind: String,
    /// Its path, such as `ledger/invoices/7`.
    pub path: String,
    /// How sensitive it is.
    pub sensitivity: DataClass,
    /// Where its data may be.
    pub residency: Vec<String>,
    /// Its properties.
    pub properties: Vec<(String, String)>,
}

/// What else is known in a test; what is absent is as harmless as it can be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TestContext {
    /// 0 to 100.
    pub risk: u8,
    /// 0 to 100.
    pub anomaly: u8,
    /// The kinds of the signals that live.
    pub codes: Vec<String>,
    /// Hops above the agent; `None`: it acts on its own authority.
    pub delegation_depth: Option<u8>,
    /// The tool that is called.
    pub tool: Option<String>,
    /// Would it destroy something?
    pub destructive: bool,
    /// Where the request comes from.
    pub source_ip: Option<std::net::IpAddr>,
}
