//! Those who ask by a certificate that was issued to an agent: whether it still counts is looked at with
//! each of their requests, as for any other agent.

use jiff::Timestamp;

use super::Engine;
use super::draft::Draft;
use super::seen::Seen;
use crate::{Call, Freshness, PresentedCertificate, Question, Reason, ResourceRef};

/// The other end of a connection: a certificate whose chain, time and key a TLS handshake has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The question that it would ask about itself.
    itself: Question,
}

impl Peer {
    /// By the SPIFFE ID and the DER of a certificate.
    pub fn new(spiffe_id: String, certificate: Vec<u8>) -> Self {
        Self {
            itself: Question {
                agent: spiffe_id,
                certificate: Some(PresentedCertificate { der: certificate }),
                action: String::new(),
                resource: ResourceRef::default(),
                authority: None,
                call: Call::default(),
            },
        }
    }

    /// Its SPIFFE ID.
    pub fn spiffe_id(&self) -> &str {
        &self.itself.agent
    }

    /// The trust domain, if its name is one that agents have (`/ns/…/agent/…/task/…/…`): nobody but the
    /// operator gives such names out there.
    fn agents_domain(&self) -> Option<&str> {
        let rest = self.spiffe_id().strip_prefix("spiffe://")?;
        let parts: Vec<&str> = rest.split('/').collect();
        match *parts {
            [domain, "ns", _, "agent", _, "task", _, _] => Some(domain),
            _ => None,
        }
    }
}

impl Engine {
    /// Does the certificate still count at `now`? The same is asked as of an agent that acts: its
    /// identity is active, its owner there, the certificate of a trusted authority and not revoked, and
    /// no signal denies it.
    ///
    /// What the operator didn't issue is none of this engine's: it counts. Of a trust domain that it has
    /// known once everything is its own, whatever became of that. So does everything while the
    /// facts were never complete, and all questions are denied.
    ///
    /// # Errors
    /// It doesn't count any more, for this reason.
    pub fn check_peer(&self, peer: &Peer, now: Timestamp) -> Result<(), Reason> {
        let seen = Seen::of(&self.world, peer.spiffe_id());
        if seen.freshness == Freshness::NotReady {
            return Ok(());
        }
        if seen.principal.is_none() {
            let domain = peer.agents_domain();
            let ours = domain.is_some_and(|it| self.world.read().has_known_domain(it));
            return if ours {
                Err(Reason::UnknownAgent)
            } else {
                Ok(())
            };
        }
        let mut draft = Draft::new();
        let found = self.identify(&seen, &peer.itself, now, &mut draft);
        found.map(drop).map_err(|denial| denial.reason)
    }
}
