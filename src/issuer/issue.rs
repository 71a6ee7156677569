//! The desk: finds the identity, checks that it may, records, signs.

mod jwt;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countersign_audit::Log;
use countersign_authority::{AuthorityId, LeafKey, LeafRequest, RequestedKey};
use countersign_runtime::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tracing::warn;

pub use self::jwt::IssuedJwt;
use crate::chain::{Chains, LONGEST};
use crate::feed::{Domain, Feed, Freshness, Seen, Trusted};
use crate::matching::{Choice, may_have, refused};
use crate::record;
use crate::{IssuedX509, Lifetime, PodRef, Reason, Refused, X509Desk};

/// A signer takes so much off a certificate's begin, for clocks that lag.
const BACKDATE: Duration = Duration::from_secs(10);
/// The least lifetime, as the operator has it.
const MIN_TTL_SECONDS: u64 = 60;
/// Whoever takes any lifetime.
pub(crate) const ANY: Lifetime = Lifetime {
    at_least: Duration::ZERO,
    at_most: Duration::MAX,
};

/// The one place that signs. Clones are the same.
#[derive(Clone)]
pub struct Desk(Arc<Parts>);

struct Parts {
    feed: Arc<Feed>,
    chains: Chains,
    log: Log,
    clock: Clock,
}

/// A certificate that was recorded and signed, with what a sidecar wants to know besides.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) spiffe_id: String,
    /// DER, leaf first, without the root.
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) serial_number: String,
    pub(crate) now: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) trust_domain: String,
    pub(crate) trust: Option<Arc<Trusted>>,
}

impl Desk {
    pub(crate) fn new(feed: Arc<Feed>, chains: Chains, log: Log, clock: Clock) -> Self {
        Self(Arc::new(Parts {
            feed,
            chains,
            log,
            clock,
        }))
    }

    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.0.feed
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Issues a certificate for `key`. `trust_domain` is one that it must be of.
    ///
    /// # Errors
    /// Nothing was issued, and why. It may stand in the audit log that something was, where the
    /// identity was taken away at that very moment.
    pub(crate) async fn certificate(
        &self,
        pod: &PodRef,
        which: Option<&str>,
        trust_domain: Option<&str>,
        key: &RequestedKey,
        bounds: Lifetime,
    ) -> Result<Certificate, Refused> {
        let it = self.identity(pod, which).await?;
        may_have(&it)?;
        if let Some(other) = trust_domain.filter(|name| *name != it.trust_domain) {
            let why = format!("it is of trust domain {}, not of {other}", it.trust_domain);
            return Err(refused(Reason::NoIdentity, &it, &why));
        }
        let now = self.0.clock.now();
        check_time(&it, now)?;
        let domain = self.domain(&it)?;
        let signer = domain.signer.as_ref().map_err(|why| {
            let why = format!("TrustDomain {}: {why}", it.trust_domain);
            refused(Reason::NoAuthority, &it, &why)
        })?;
        let request = LeafRequest {
            spiffe_id: &it.spiffe_id,
            key: LeafKey::Public(key),
            ttl_seconds: ttl(&it, &domain, bounds)?,
            not_after_cap: it.deadline,
        };
        let leaf = signer
            .issue(&request, now)
            .map_err(|why| refused(Reason::NoAuthority, &it, &why.to_string()))?;
        let life = leaf.not_after.duration_since(leaf.not_before);
        if Duration::try_from(life).unwrap_or_default() < bounds.at_least {
            let why = format!("a certificate would be valid for {} s only", life.as_secs());
            return Err(refused(Reason::TtlOutOfBounds, &it, &why));
        }
        let chain = certificates(&leaf.chain_pem)
            .ok_or_else(|| refused(Reason::NoAuthority, &it, "its chain can't be read"))?;
        let entry = record::issued(&it, pod, &leaf, now);
        if let Err(why) = self.0.log.append(entry).await {
            warn!("nothing is issued that can't be recorded: {why}");
            let why = "it can't be recorded now, and must be first";
            return Err(refused(Reason::AuditUnavailable, &it, why));
        }
        self.still(&it)?;
        Ok(Certificate {
            spiffe_id: it.spiffe_id.clone(),
            chain,
            serial_number: leaf.serial_number,
            now,
            not_after: leaf.not_after,
            trust_domain: it.trust_domain.clone(),
            trust: domain.trust.clone(),
        })
    }

    /// The one identity that is for this pod, whatever it may now.
    ///
    /// # Errors
    /// What is known is too old, the pod isn't there, none or several are for it, or it is over.
    pub(crate) async fn identity(
        &self,
        pod: &PodRef,
        which: Option<&str>,
    ) -> Result<Arc<Seen>, Refused> {
        self.fresh()?;
        let feed = &self.0.feed;
        let found = feed.pod(&pod.namespace, &pod.name);
        let found = found.filter(|it| it.uid == pod.uid && !it.ending);
        let found = found.ok_or_else(|| Refused {
            reason: Reason::UnknownPod,
            message: format!(
                "pod {}/{} isn't there, is another of the same name, or ends",
                pod.namespace, pod.name
            ),
        })?;
        let index = feed.index();
        let mut choice = Choice::new(pod, which);
        choice.by_account(index.by_account(&pod.namespace, &pod.service_account));
        if !index.any_for_tasks(&pod.namespace) {
            return choice.made();
        }
        // A pod may be the task itself.
        if choice.by_task(&pod.uid, index.by_task(&pod.uid)) {
            return choice.made();
        }
        let mut next = found.controller.clone();
        for _ in 0..LONGEST {
            let Some(controller) = next else { break };
            if choice.by_task(&controller.uid, index.by_task(&controller.uid)) {
                break;
            }
            let above = self.0.chains.above(&pod.namespace, &controller).await;
            next = above.map_err(|why| {
                warn!(
                    namespace = pod.namespace,
                    "a pod's controllers can't be read: {why}"
                );
                Refused {
                    reason: Reason::Stale,
                    message: format!("the controllers of pod {} can't be read: {why}", pod.name),
                }
            })?;
        }
        choice.made()
    }

    /// Whether what is known may be relied upon.
    pub(crate) fn fresh(&self) -> Result<(), Refused> {
        let message = match self.0.feed.freshness() {
            Freshness::Fresh if self.0.feed.clock_off() => {
                "the issuer's clock and the API server's are too far apart: synchronise them"
                    .to_owned()
            }
            Freshness::Fresh => return Ok(()),
            Freshness::NotReady => {
                "not everything is known yet, or the operator hasn't looked at it: ask again"
                    .to_owned()
            }
            Freshness::Stale(age) => format!(
                "nothing was heard of the operator or the API server for {} s",
                age.as_secs()
            ),
        };
        Err(Refused {
            reason: Reason::Stale,
            message,
        })
    }

    /// The identity's trust domain.
    pub(crate) fn domain(&self, it: &Seen) -> Result<Arc<Domain>, Refused> {
        let domain = self.0.feed.domains().get(&it.trust_domain);
        domain.ok_or_else(|| {
            let why = format!("there is no TrustDomain {}", it.trust_domain);
            refused(Reason::NoAuthority, it, &why)
        })
    }

    /// Recording takes milliseconds, in which somebody may have taken it away.
    fn still(&self, it: &Seen) -> Result<(), Refused> {
        match self.0.feed.index().by_uid(&it.uid) {
            Some(now) => may_have(&now),
            None => Err(refused(Reason::IdentityEnded, it, "it was deleted")),
        }
    }
}

impl X509Desk for Desk {
    async fn x509(
        &self,
        pod: &PodRef,
        which: Option<&str>,
        key: &RequestedKey,
        bounds: Lifetime,
    ) -> Result<IssuedX509, Refused> {
        let it = self.certificate(pod, which, None, key, bounds).await?;
        Ok(IssuedX509 {
            spiffe_id: it.spiffe_id,
            chain: it.chain,
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.feed.changes()
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// Its deadline lies ahead, and the moment from which its certificates count again behind.
fn check_time(it: &Seen, now: Timestamp) -> Result<(), Refused> {
    if it.deadline.is_none_or(|deadline| deadline <= now) {
        let why = "its deadline is over";
        return Err(refused(Reason::IdentityEnded, it, why));
    }
    // By the certificate's begin, which is whole seconds and some before now, nobody could tell.
    if it.resumed.is_some_and(|resumed| now < resumed) {
        let why = "it was resumed this very moment: ask again";
        return Err(refused(Reason::NotReady, it, why));
    }
    Ok(())
}

/// The lifetime from now on, in seconds: the identity's or its trust domain's, within what the caller
/// can take.
fn ttl(it: &Seen, domain: &Domain, bounds: Lifetime) -> Result<u64, Refused> {
    let max = domain.max_ttl_seconds;
    let asked = it
        .ttl_seconds
        .unwrap_or_else(|| domain.default_ttl_seconds.max(MIN_TTL_SECONDS));
    if !(MIN_TTL_SECONDS..=max).contains(&asked) {
        let why = format!(
            "the certificate's lifetime would be {asked} s, but must be from {MIN_TTL_SECONDS} to {max} s (TrustDomain {})",
            domain.name
        );
        return Err(refused(Reason::TtlOutOfBounds, it, &why));
    }
    let whole = Duration::from_secs(asked) + BACKDATE;
    if whole < bounds.at_least {
        let why = format!(
            "its certificates are valid for {} s, and at least {} s are asked for",
            whole.as_secs(),
            bounds.at_least.as_secs()
        );
        return Err(refused(Reason::TtlOutOfBounds, it, &why));
    }
    Ok(whole.min(bounds.at_most).saturating_sub(BACKDATE).as_secs())
}

/// What an identity's certificates are good for, for whoever makes keys ahead of time.
pub(crate) fn usual_ttl(it: &Seen, domain: &Domain) -> u64 {
    let asked = it
        .ttl_seconds
        .unwrap_or_else(|| domain.default_ttl_seconds.max(MIN_TTL_SECONDS));
    asked.min(domain.max_ttl_seconds)
}

/// When to ask again: between two fifths and half of the time from `now` on, so that those who came
/// together don't come back together. `random` is from 0 to 1.
pub(crate) fn renew_at(now: Timestamp, not_after: Timestamp, random: f64) -> Timestamp {
    let left = not_after.duration_since(now).as_secs_f64().max(0.0);
    let part = left * 0.1_f64.mul_add(-random.clamp(0.0, 1.0), 0.5);
    let after = SignedDuration::try_from_secs_f64(part).unwrap_or(SignedDuration::ZERO);
    now.checked_add(after).unwrap_or(now)
}

fn certificates(chain_pem: &str) -> Option<Vec<Vec<u8>>> {
    let blocks = pem::parse_many(chain_pem).ok()?;
    let blocks = blocks.into_iter().map(pem::Pem::into_contents);
    Some(blocks.collect())
}

/// By which authority an identity's certificates are signed now.
pub(crate) fn signed_by(domain: &Domain) -> Option<AuthorityId> {
    let signer = domain.signer.as_ref().ok()?;
    Some(signer.id().clone())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;

    #[test]
    fn those_who_come_together_dont_come_back_together_and_all_in_good_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (now, end) = (at(1_000), at(1_060));
        assert_eq!(renew_at(now, end, 0.0), at(1_030));
        assert_eq!(renew_at(now, end, 1.0), at(1_024));
        assert_eq!(renew_at(now, end, 7.0), at(1_024));
        assert_eq!(renew_at(end, now, 0.5), end);
    }
}
