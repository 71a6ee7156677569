//! What is set beside policies, and what counts when several objects set it.

use countersign_api as api;
use countersign_core::DataClass;
use countersign_decision::{ResourceRule, Rules};
use countersign_policy::Mode;

use crate::good::Good;

/// What one ClusterAgentPolicy sets beside its policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRules {
    /// How sensitive resources are.
    pub resources: Vec<ResourceRule>,
    /// At which risk an agent is suspended, and below which it comes back by itself.
    pub risk: Option<(u8, Option<u8>)>,
    /// From which sensitivity on an allow is on record first.
    pub record_first: Option<DataClass>,
    /// With facts that may be old: go on until certificates expire?
    pub stale_until_expiry: Option<bool>,
}

impl ObjectRules {
    pub(crate) fn of(
        resources: &[api::ResourceClass],
        risk: Option<&api::RiskThreshold>,
        record_first: Option<api::DataClass>,
        on_stale: Option<api::OnStale>,
    ) -> Self {
        let rule = |class: &api::ResourceClass| ResourceRule {
            pattern: class.pattern.clone(),
            sensitivity: api::class_to_domain(class.sensitivity),
            residency: class.residency.clone(),
        };
        Self {
            resources: resources.iter().map(rule).collect(),
            risk: risk.map(|it| {
                // Out of bounds, which the schema refuses, nobody comes back by itself.
                let below = it.resume_below.and_then(|below| u8::try_from(below).ok());
                (suspend_at(it.suspend_at), below)
            }),
            record_first: record_first.map(api::class_to_domain),
            stale_until_expiry: on_stale.map(|it| it == api::OnStale::UntilCertificatesExpire),
        }
    }
}

/// The schema refuses what isn't from 1 to 100; should it ever not, any risk suspends.
fn suspend_at(value: i64) -> u8 {
    u8::try_from(value)
        .ok()
        .filter(|it| *it <= 100)
        .unwrap_or(0)
}

/// What counts of what all set: only of those in [`Mode::Enforce`], and of each the strictest. What
/// none sets is as [`Rules::default`] has it.
#[must_use]
pub fn rules_of<'a>(all: impl IntoIterator<Item = &'a Good>) -> Rules {
    let all = all
        .into_iter()
        .filter(|good| good.compiled.mode() == Mode::Enforce);
    let all: Vec<&ObjectRules> = all.filter_map(|good| good.rules.as_ref()).collect();
    let risks = || all.iter().filter_map(|rules| rules.risk);
    let default = Rules::default();
    Rules {
        resources: all.iter().flat_map(|it| it.resources.clone()).collect(),
        suspend_at: risks().map(|(at, _)| at).min(),
        // Where one leaves it to a person, a person it takes: none is less than some.
        resume_below: risks().map(|(_, below)| below).min().flatten(),
        record_first: all
            .iter()
            .filter_map(|rules| rules.record_first)
            .min()
            .unwrap_or(default.record_first),
        stale_until_expiry: all
            .iter()
            .filter_map(|rules| rules.stale_until_expiry)
            .reduce(|one, other| one && other)
            .unwrap_or(default.stale_until_expiry),
    }
}
