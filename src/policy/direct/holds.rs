//! Evaluates what was read. As Cedar does: what isn't needed for an answer isn't looked at, so it
//! can't fail either.

use std::net::IpAddr;

use super::{Bag, Failed, Number, Optional, Range, Relation, Span, Test, Text, Texts, Time, Who};
use crate::facts::{CertificateFacts, ContextFacts, DelegationFacts, ResourceFacts};
use crate::index::{Key, TypeName};
use crate::prepared::PreparedAgent;
use crate::vocabulary::ANY_ACTION;

/// In milliseconds.
const DAY: i64 = 86_400_000;

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) agent: &'a PreparedAgent,
    /// The action that it is asked as.
    pub(crate) action: &'a str,
    /// The action as it was named.
    pub(crate) verb: &'a str,
    pub(crate) resource: &'a ResourceFacts,
    pub(crate) context: &'a ContextFacts,
}

impl Test {
    /// Does it hold?
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> Result<bool, Failed> {
        Ok(match self {
            Self::Is(it) => *it,
            Self::Mtls => facts.context.certificate.is_some(),
            Self::Destructive => facts.context.call.destructive,
            Self::Has(it) => facts.has(*it),
            Self::DelegationHasRequester => facts.delegation()?.requester.is_some(),
            Self::Not(it) => !it.holds(facts)?,
            Self::And(both) => {
                let [left, right] = &**both;
                left.holds(facts)? && right.holds(facts)?
            }
            Self::Or(either) => {
                let [left, right] = &**either;
                left.holds(facts)? || right.holds(facts)?
            }
            Self::If(all) => {
                let [test, then, otherwise] = &**all;
                if test.holds(facts)? {
                    then.holds(facts)?
                } else {
                    otherwise.holds(facts)?
                }
            }
            Self::Agree(both) => {
                let [left, right] = &**both;
                left.holds(facts)? == right.holds(facts)?
            }
            Self::Numbers(relation, both) => {
                let [left, right] = &**both;
                relation.holds(left.of(facts)?, right.of(facts)?)
            }
            Self::Times(relation, both) => {
                let [left, right] = &**both;
                relation.holds(left.of(facts)?, right.of(facts)?)
            }
            Self::Spans(relation, both) => {
                let [left, right] = &**both;
                relation.holds(left.of(facts)?, right.of(facts)?)
            }
            Self::Equal(both) => {
                let [left, right] = &**both;
                left.of(facts)? == right.of(facts)?
            }
            Self::Like(text, pattern) => pattern.wildcard_match(text.of(facts)?),
            Self::Among(text, texts) => texts.have(text.of(facts)?, facts),
            Self::All(texts, parts) => parts.all(facts, |it| texts.have(it, facts)),
            Self::Any(texts, parts) => !parts.all(facts, |it| !texts.have(it, facts)),
            Self::Empty(texts) => texts.all(facts, |_| false),
            Self::Same(both) => {
                let [left, right] = &**both;
                left.of(facts)? == right.of(facts)?
            }
            Self::Within(who, any) => who.is_within(any, facts)?,
            Self::HasTag(bag, name) => bag.tag(name.of(facts)?, facts).is_some(),
            Self::InRange(any) => {
                let address = facts.context.source_ip.ok_or(Failed)?;
                let address = address.to_canonical();
                any.iter().any(|it| it.has(address))
            }
        })
    }
}

impl<'a> Facts<'a> {
    fn certificate(&self) -> Result<&'a CertificateFacts, Failed> {
        self.context.certificate.as_ref().ok_or(Failed)
    }

    fn delegation(&self) -> Result<&'a DelegationFacts, Failed> {
        self.context.delegation.as_ref().ok_or(Failed)
    }

    fn has(&self, optional: Optional) -> bool {
        let context = self.context;
        match optional {
            Optional::SourceIp => context.source_ip.is_some(),
            Optional::Certificate => context.certificate.is_some(),
            Optional::Tool => context.call.tool.is_some(),
            Optional::Audience => context.call.audience.is_some(),
            Optional::Delegation => context.delegation.is_some(),
            Optional::Requester => {
                let delegation = context.delegation.as_ref();
                delegation.is_some_and(|it| it.requester.is_some())
            }
        }
    }
}

impl Relation {
    fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::AtMost => left <= right,
        }
    }
}

impl Number {
    fn of(&self, facts: &Facts<'_>) -> Result<i64, Failed> {
        let context = facts.context;
        let of_both = |both: &[Self; 2], of: fn(i64, i64) -> Option<i64>| {
            let [left, right] = both;
            of(left.of(facts)?, right.of(facts)?).ok_or(Failed)
        };
        Ok(match self {
            Self::Is(it) => *it,
            Self::Sensitivity => facts.resource.sensitivity as i64,
            Self::Bytes => long(context.call.bytes),
            Self::Risk => context.signals.risk.into(),
            Self::Anomaly => context.signals.anomaly.into(),
            Self::AgeMilliseconds => long(context.signals.age_milliseconds),
            Self::Depth => facts.delegation()?.depth.into(),
            Self::Negative(it) => it.of(facts)?.checked_neg().ok_or(Failed)?,
            Self::Sum(both) => of_both(both, i64::checked_add)?,
            Self::Difference(both) => of_both(both, i64::checked_sub)?,
            Self::Product(both) => of_both(both, i64::checked_mul)?,
        })
    }
}

/// As `crate::entity::long`.
fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Time {
    fn of(&self, facts: &Facts<'_>) -> Result<i64, Failed> {
        match self {
            Self::Is(it) => Ok(*it),
            Self::Now => Ok(facts.context.now.as_millisecond()),
            Self::NotAfter => Ok(facts.certificate()?.not_after.as_millisecond()),
            Self::Expires => Ok(facts.delegation()?.expires.as_millisecond()),
            Self::Offset(both) => {
                let (time, span) = &**both;
                time.of(facts)?.checked_add(span.of(facts)?).ok_or(Failed)
            }
            Self::ToDate(time) => {
                let time = time.of(facts)?;
                time.checked_sub(time.rem_euclid(DAY)).ok_or(Failed)
            }
        }
    }
}

impl Span {
    fn of(&self, facts: &Facts<'_>) -> Result<i64, Failed> {
        match self {
            Self::Is(it) => Ok(*it),
            Self::Since(both) => {
                let [to, from] = &**both;
                to.of(facts)?.checked_sub(from.of(facts)?).ok_or(Failed)
            }
            Self::ToTime(time) => Ok(time.of(facts)?.rem_euclid(DAY)),
        }
    }
}

impl Text {
    fn of<'a>(&'a self, facts: &Facts<'a>) -> Result<&'a str, Failed> {
        let (agent, call) = (facts.agent, &facts.context.call);
        Ok(match self {
            Self::Is(it) => it,
            Self::AgentName => agent.name(),
            Self::Namespace => agent.namespace(),
            Self::SpiffeId => agent.spiffe_id(),
            Self::Task => agent.task(),
            Self::OwnerType => agent.owner().1,
            Self::RootType => &facts.delegation()?.root_owner_type,
            Self::ResourceType => &facts.resource.kind,
            Self::Path => &facts.resource.path,
            Self::SerialNumber => &facts.certificate()?.serial_number,
            Self::Verb => facts.verb,
            Self::Tool => call.tool.as_deref().ok_or(Failed)?,
            Self::Audience => call.audience.as_deref().ok_or(Failed)?,
            Self::Requester => facts.delegation()?.requester.as_deref().ok_or(Failed)?,
            Self::Tag(bag, name) => bag.tag(name.of(facts)?, facts).ok_or(Failed)?,
        })
    }
}

impl Texts {
    fn have(&self, text: &str, facts: &Facts<'_>) -> bool {
        match self {
            Self::Are(all) => all.binary_search_by(|it| it.as_str().cmp(text)).is_ok(),
            Self::Residency | Self::Codes => !self.all(facts, |it| it != text),
        }
    }

    fn all(&self, facts: &Facts<'_>, mut test: impl FnMut(&str) -> bool) -> bool {
        match self {
            Self::Are(all) => all.iter().all(|it| test(it)),
            Self::Residency => facts.resource.residency.iter().all(|it| test(it)),
            Self::Codes => facts.context.signals.codes.iter().all(|it| test(it)),
        }
    }
}

impl Bag {
    fn tag<'a>(self, name: &str, facts: &Facts<'a>) -> Option<&'a str> {
        match self {
            Self::Claimed => facts.agent.claim(name),
            Self::Resource => facts.resource.properties.get(name).map(String::as_str),
        }
    }
}

impl Who {
    fn of<'a>(&'a self, facts: &Facts<'a>) -> Result<(TypeName, &'a str), Failed> {
        let agent = facts.agent;
        Ok(match self {
            Self::Is(key) => (key.of, &key.id),
            Self::Principal => (TypeName::Agent, agent.spiffe_id()),
            Self::Owner => (TypeName::Owner, agent.owner().0),
            Self::Claimed => (TypeName::Claimed, agent.spiffe_id()),
            Self::Action => (TypeName::Action, facts.action),
            Self::Resource => (TypeName::Resource, &facts.resource.path),
            Self::Root => (TypeName::Owner, &facts.delegation()?.root_owner),
        })
    }

    fn is_within(&self, any: &[Key], facts: &Facts<'_>) -> Result<bool, Failed> {
        let (of, id) = self.of(facts)?;
        let is_in = |key: &Key| match self {
            Self::Principal => facts.agent.lineage().contains(&(key.of, &key.id)),
            Self::Action => key.of == TypeName::Action && *key.id == *ANY_ACTION,
            Self::Resource => key.of == TypeName::Collection && is_above(&key.id, id),
            Self::Is(_) | Self::Owner | Self::Claimed | Self::Root => false,
        };
        Ok(any
            .iter()
            .any(|key| (key.of, &*key.id) == (of, id) || is_in(key)))
    }
}

/// Is it one of the paths above `path`?
fn is_above(it: &str, path: &str) -> bool {
    let rest = path.strip_prefix(it);
    !it.is_empty() && rest.is_some_and(|rest| rest.starts_with('/'))
}

impl Range {
    fn has(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::V4 { network, mask }, IpAddr::V4(it)) => (u32::from(it) ^ network) & mask == 0,
            (Self::V6 { network, mask }, IpAddr::V6(it)) => (u128::from(it) ^ network) & mask == 0,
            _ => false,
        }
    }
}
