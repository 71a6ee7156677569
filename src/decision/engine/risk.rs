//! The risk of identities, beside any request.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_statement::Digest;
use jiff::Timestamp;

use super::Engine;
use crate::Risk;
use crate::signals::About;
use crate::signals::concern::Concern;
use crate::world::maps::Principal;

impl Engine {
    /// The risk of an agent: of signals about it, its pod, its owner, its current certificate and
    /// its own delegations, and of its behaviour so far. `None`: there is no such agent.
    pub fn risk_of(&self, spiffe_id: &str, now: Timestamp) -> Option<Risk> {
        let principal = {
            let maps = self.world.read();
            maps.principal(maps.agent(spiffe_id)?)
        };
        let delegations = self.delegations_with_signals();
        let odd = self.behaviour.assess_all(&principal.identity.uid, now);
        let concern = self.concern(&principal, &delegations, now);
        Some(concern.with_behaviour(&odd))
    }

    /// The identities that live signals concern, by UID, with their risk; for their status. Those of
    /// whom all was taken back are among them, with none. Costs a
    /// look at each of those, and at all identities only where a signal is about an owner or a
    /// certificate.
    pub fn risky(&self, now: Timestamp) -> Vec<(String, Risk)> {
        let concerned = self.signals.concerned();
        let delegations = self.delegations_with_signals();
        let principals: Vec<Principal> = {
            let maps = self.world.read();
            if concerned.any_other {
                maps.agents().map(|it| maps.principal(it)).collect()
            } else {
                let named = concerned.agents.iter();
                let named = named.filter_map(|it| maps.agent(it));
                let delegates = delegations.keys().filter_map(|it| maps.identity(it));
                let all = named.chain(delegates);
                let by_uid: BTreeMap<_, _> = all.map(|it| (Arc::clone(&it.uid), it)).collect();
                by_uid.into_values().map(|it| maps.principal(it)).collect()
            }
        };
        let risks = principals.iter().filter_map(|principal| {
            let concern = self.concern(principal, &delegations, now);
            if !concern.heard {
                return None;
            }
            let uid = principal.identity.uid.as_ref();
            let odd = self.behaviour.assess_all(uid, now);
            Some((uid.to_owned(), concern.with_behaviour(&odd)))
        });
        risks.collect()
    }

    fn concern(
        &self,
        principal: &Principal,
        delegations: &BTreeMap<Arc<str>, Vec<Digest>>,
        now: Timestamp,
    ) -> Concern {
        let identity = &principal.identity;
        let mut concern = Concern::default();
        let about = About {
            agent: Some(&identity.spiffe_id),
            owner: Some(principal.owner_names()),
            certificate: identity.serial_number.as_deref(),
        };
        self.signals.about(about, now, &mut concern);
        for digest in delegations.get(&identity.uid).into_iter().flatten() {
            self.signals.about_statement(digest, now, &mut concern);
        }
        concern
    }

    /// Those that signals are about, by the UID of their delegate.
    fn delegations_with_signals(&self) -> BTreeMap<Arc<str>, Vec<Digest>> {
        let named = self.signals.concerned().delegations;
        let digests = named.iter().filter_map(|it| Digest::parse(it).ok());
        let maps = self.world.read();
        let mut delegations: BTreeMap<Arc<str>, Vec<Digest>> = BTreeMap::new();
        for digest in digests {
            if let Some(hop) = maps.statement(&digest) {
                let of = delegations.entry(Arc::clone(&hop.delegate_uid));
                of.or_default().push(digest);
            }
        }
        delegations
    }
}
