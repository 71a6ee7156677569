//! Those who ask by certificates that were issued to agents.

use super::fixture::*;
use crate::*;

fn peer(bed: &Bed, hop: usize) -> Peer {
    Peer::new(agent(hop), bed.certificate(hop).der)
}

#[test]
fn an_agent_that_asks_is_looked_at_as_one_that_acts() {
    let bed = Bed::new();
    let (peer, now) = (peer(&bed, 1), after(1));
    let ask = || bed.engine.check_peer(&peer, now);
    assert_eq!(ask(), Ok(()));
    for (state, reason) in [
        (IdentityState::Suspended, Reason::AgentSuspended),
        (IdentityState::Ended, Reason::AgentEnded),
    ] {
        let facts = identity(1);
        bed.world().put_identity(IdentityFacts { state, ..facts });
        assert_eq!(ask(), Err(reason));
    }
    bed.world().put_identity(identity(1));
    assert_eq!(ask(), Ok(()));
    bed.world().remove_owner("alice");
    assert_eq!(ask(), Err(Reason::OwnerGone));
    bed.world().put_owner(owner("alice"));
    bed.world().remove_identity(&identity(1).uid);
    assert_eq!(ask(), Err(Reason::UnknownAgent));
    let named_so = "spiffe://example.org/ns/agent/agent/task/task/t/i".to_owned();
    let named_so = bed.engine.check_peer(&Peer::new(named_so, Vec::new()), now);
    assert_eq!(named_so, Err(Reason::UnknownAgent));
    bed.world().remove_trust_domain("example.org");
    assert_eq!(ask(), Err(Reason::UnknownAgent), "it was ours");
    bed.world().put_identity(identity(1));
    assert_eq!(ask(), Err(Reason::UnknownTrustDomain));
    bed.world().set_freshness(Freshness::NotReady);
    bed.world().remove_identity(&identity(1).uid);
    assert_eq!(
        ask(),
        Ok(()),
        "nothing is known yet, and nothing is allowed"
    );
}

#[test]
fn a_revoked_certificate_lets_nobody_ask_though_the_agent_has_another() {
    let bed = Bed::new();
    let old = peer(&bed, 1);
    let new = Peer::new(agent(1), bed.issue(&agent(1), start(), 600).der);
    let serial = bed.ask(&bed.question(1)).agent.unwrap().serial_number;
    bed.world().revoke_serial(&serial.unwrap(), after(3600));
    let check = |peer: &Peer, at| bed.engine.check_peer(peer, after(at));
    assert_eq!(check(&old, 1), Err(Reason::CertificateRevoked));
    assert_eq!(check(&new, 1), Ok(()));
    assert_eq!(check(&new, 600), Err(Reason::BadCertificate), "it ended");
    let others = Peer::new(agent(1), bed.certificate(2).der);
    assert_eq!(check(&others, 1), Err(Reason::BadCertificate));
}

#[test]
fn what_somebody_else_issued_is_somebody_elses_to_take_back() {
    let bed = Bed::new();
    let other = authority("corp.example");
    for id in [
        "spiffe://corp.example/gateway",
        "spiffe://corp.example/ns/a/agent/b/task/c/d",
        "spiffe://example.org/gateway",
    ] {
        let peer = Peer::new(id.to_owned(), Vec::new());
        assert_eq!(bed.engine.check_peer(&peer, start()), Ok(()), "{id}");
    }
    let id = "spiffe://corp.example/ns/a/agent/b/task/c/d";
    let der = issue(&other, id, start(), 60).der;
    let peer = Peer::new(id.to_owned(), der);
    assert_eq!(bed.engine.check_peer(&peer, start()), Ok(()));
}
