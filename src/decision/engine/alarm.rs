//! What signals deny at once.

use jiff::Timestamp;

use super::chain::Trace;
use super::denial::{Denial, deny};
use super::draft::Draft;
use crate::signals::concern::Concern;
use crate::signals::{About, Signals};
use crate::{OwnerFacts, Reason};

/// Denies what signals about the agent, its pod or its owner deny.
pub(crate) fn denied(concern: &Concern) -> Result<(), Denial> {
    match &concern.denied_by {
        None => Ok(()),
        Some(kind) => deny(
            Reason::AgentSuspended,
            format!("a signal denies everything for now: {kind}"),
        ),
    }
}

/// Denies what began before a signal ended all sessions: a certificate issued by then, and a question
/// without one.
pub(crate) fn sessions(concern: &Concern, issued: Option<Timestamp>) -> Result<(), Denial> {
    match (&concern.sessions_end, issued) {
        (Some((moment, kind)), None) => deny(
            Reason::CertificateRevoked,
            format!(
                "a signal ended the agent's sessions at {moment} ({kind}); without its certificate none can be told from those"
            ),
        ),
        (Some((moment, kind)), Some(issued)) if issued <= *moment => deny(
            Reason::CertificateRevoked,
            format!(
                "a signal ended the agent's sessions at {moment} ({kind}); its certificate is of {issued}"
            ),
        ),
        _ => Ok(()),
    }
}

/// Adds what signals say of a chain's statements and its root's owner to the agent's risk, and denies
/// what they deny; an agent above that would be denied itself denies everything below it.
pub(crate) fn chain(
    trace: &Trace,
    root_owner: &OwnerFacts,
    own_owner: &str,
    signals: &Signals,
    suspend_at: Option<u8>,
    now: Timestamp,
    draft: &mut Draft,
) -> Result<(), Denial> {
    let issued = |hop: &countersign_statement::Statement| hop.claims().issued_at;
    let mut of_chain = Concern::default();
    for digest in trace.chain.digests() {
        signals.about_statement(digest, now, &mut of_chain);
    }
    if of_chain.denied_by.is_some() || of_chain.sessions_end.is_some() {
        return suspended("a signal denies its chain for now");
    }
    draft.concern.merge(of_chain);
    let mut of_owner = Concern::default();
    let about = About {
        owner: Some(root_owner.names()),
        ..About::default()
    };
    signals.about(about, now, &mut of_owner);
    let root = trace.below_zero().next().map(|(statement, _)| statement);
    if of_owner.denied_by.is_some() || root.is_some_and(|it| of_owner.ended(issued(it))) {
        return suspended("a signal denies for now what the owner of its chain handed on");
    }
    // The agent's own owner was looked at before.
    if own_owner != root_owner.name {
        draft.concern.merge(of_owner);
    }
    for (statement, delegator) in trace.delegators() {
        let mut concern = Concern::default();
        let about = About {
            agent: Some(&delegator.identity.spiffe_id),
            owner: Some(delegator.owner_names()),
            certificate: delegator.identity.serial_number.as_deref(),
        };
        signals.about(about, now, &mut concern);
        let risky = suspend_at.is_some_and(|most| concern.risk() >= most);
        if concern.denied_by.is_some() || concern.ended(issued(statement)) || risky {
            return suspended("an agent above in its chain is denied for now by signals");
        }
    }
    Ok(())
}

fn suspended<T>(why: &str) -> Result<T, Denial> {
    deny(Reason::DelegationSuspended, why)
}
