//! What one may do about an answer, by its reason.

/// The agent that an answer is about, as it can be written in a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agent {
    /// `NAMESPACE` where it isn't known.
    pub(crate) namespace: String,
    /// `NAME` where it isn't known.
    pub(crate) name: String,
}

impl Agent {
    /// By `spiffe://<trust domain>/ns/<namespace>/agent/<name>/…`. What can't be a name in Kubernetes
    /// is none: a suggested command is copied into a shell.
    pub(crate) fn of(spiffe_id: Option<&str>) -> Self {
        let mut parts = spiffe_id.unwrap_or_default().split('/').skip(3);
        let mut named = |key: &str, default: &str| {
            let found = (parts.next() == Some(key)).then(|| parts.next()).flatten();
            let good = found.filter(|it| is_name(it));
            good.unwrap_or(default).to_owned()
        };
        Self {
            namespace: named("ns", "NAMESPACE"),
            name: named("agent", "NAME"),
        }
    }
}

fn is_name(text: &str) -> bool {
    let good = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-' || it == b'.';
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(good)
}

/// For the agent's people. `would_deny`: a policy in mode Audit would have denied it. Empty if nothing
/// is to be done.
pub(crate) fn advice(reason: &str, agent: &Agent, would_deny: bool) -> String {
    let Agent { namespace, name } = agent;
    let look = format!("kubectl get agid {name} -n {namespace} -o yaml");
    match reason {
        "Permitted" if would_deny => {
            "a policy in mode Audit would have denied it, and will once its mode is Enforce".to_owned()
        }
        "Permitted" => String::new(),
        "NotReady" => {
            "the decision point has no facts, or none that are fresh: does it reach the API server, and does the operator run? kubectl countersign status"
                .to_owned()
        }
        "BadRequest" => {
            "the enforcement point's question can't be read: the explanation says which part; correct what it sends, or the route's context extensions"
                .to_owned()
        }
        "Overloaded" => {
            "more was asked than the decision point takes at once: ask again in a moment, and give it more replicas if it happens often"
                .to_owned()
        }
        "CallerNotAllowed" => {
            "the enforcement point must show the agent's certificate, or be one that vouches: countersign decide --caller ID,vouches or --token NAME=FILE,vouches"
                .to_owned()
        }
        "UnknownAgent" => {
            "no AgentIdentity has this SPIFFE ID now: it was deleted, never issued, or is of another cluster. kubectl countersign trail with the SPIFFE ID and --audit tells of those that were"
                .to_owned()
        }
        "AgentNotReady" => format!(
            "it has no certificate yet, or no more: its conditions say what is awaited: {look}"
        ),
        "AgentSuspended" => format!(
            "a signal denies it (the explanation names its kind), and its source takes that back; or its condition Suspended says who suspended it: {look}. A person sets desiredState to Active again; a risk fades, or a person ends it: {}",
            resume(agent)
        ),
        "AgentEnded" => {
            "its task is over, or it was revoked: that is for good. A new task takes a new AgentIdentity"
                .to_owned()
        }
        "OwnerGone" => {
            "nobody answers for it: its AgentOwner was deleted, or is not Active. kubectl get agentowners; an identity whose owner departed must be made anew for another"
                .to_owned()
        }
        "UnknownTrustDomain" => {
            "its TrustDomain was deleted, or the bundle of it isn't published: kubectl countersign status".to_owned()
        }
        "BadCertificate" => format!(
            "the agent must show its current certificate, unexpired and of its trust domain's authority; one that was renewed may not have reached the pod (90 s): kubectl countersign verify, and {look}"
        ),
        "CertificateRevoked" => format!(
            "the certificate was revoked, or the agent's sessions were ended: kubectl countersign renew {name} -n {namespace} gets another, unless the identity is over"
        ),
        "UnknownDelegation" => {
            "no Delegation has this digest now: it was deleted, or isn't countersigned yet. kubectl get deleg -A shows those that are; kubectl countersign trail with the digest and --audit tells of those that were"
                .to_owned()
        }
        "BadChain" => {
            "the chain doesn't verify: kubectl countersign verify --chain says at which hop and why".to_owned()
        }
        "NotTheDelegate" => {
            "the chain was given to another agent: let that one ask, or delegate to this one (kubectl countersign delegate)"
                .to_owned()
        }
        "DelegationEnded" => {
            "a hop of the chain expired, was revoked, or its agent's task is over; the hops above say which. Delegate anew: kubectl countersign delegate"
                .to_owned()
        }
        "DelegationSuspended" => {
            "a hop of the chain, or an agent above, isn't in force for now: kubectl get deleg,agid -A, and the conditions of the one that isn't Ready; or a signal is about one of them"
                .to_owned()
        }
        "NotGranted" => format!(
            "policies can't give what isn't granted: add it to spec.grants of the identity ({look}), within those of its owner; under a delegation, to each hop"
        ),
        "BeyondConstraint" => {
            "it is granted within bounds that it exceeds (maxDataClass, audiences, notAfter, maxCalls): ask within them, or have the grant's constraints widened where the explanation says"
                .to_owned()
        }
        "NoPolicyPermits" => format!(
            "write an AgentPolicy in namespace {namespace} that permits it, or a ClusterAgentPolicy; under a delegation each agent of the chain needs one, in its own namespace. kubectl get agpol -n {namespace}; kubectl get cagpol"
        ),
        "ForbiddenByPolicy" => {
            "a forbid wins over each permit: the policies above are where that is changed, or what they ask for is met"
                .to_owned()
        }
        "PolicyFailed" => {
            "a policy that could have forbidden it failed, and that denies: correct the policies above (an overflow, most often), and give them a test with these values"
                .to_owned()
        }
        "RiskTooHigh" => format!(
            "risk fades: wait, and ask again (kubectl countersign can). Where no ClusterAgentPolicy has risk.resumeBelow only a person brings it back: {}",
            resume(agent)
        ),
        "NotRecorded" => {
            "what must be on record first can't be recorded: the decision point's audit store doesn't answer, or is full"
                .to_owned()
        }
        "UnknownObligation" => {
            "a policy permits it with an obligation that whoever enforces can't carry out: take the obligation out of the policy, or ask through what knows it"
                .to_owned()
        }
        // Of a decision point that is newer than this program.
        _ => "the explanation says more".to_owned(),
    }
}

/// A person has looked: by way of Suspended, so that it can't be meant otherwise.
fn resume(agent: &Agent) -> String {
    let Agent { namespace, name } = agent;
    format!(
        r#"kubectl patch agid {name} -n {namespace} --type merge -p '{{"spec":{{"desiredState":"Suspended"}}}}', then the same with Active"#
    )
}
