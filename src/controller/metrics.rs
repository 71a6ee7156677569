//! What the operator counts. Labels are bounded: no name, no namespace, no UID.

use std::sync::atomic::AtomicU64;

use countersign_audit::{Standing, Witnessed};
use countersign_runtime::Urgency;
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::policy::Tally;

/// From 5 ms (an idle control plane) to a minute.
const LATENCY_BUCKETS: [f64; 13] = [
    0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];

/// All metrics of the controllers; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    issue_latency: Histogram,
    issued: Counter,
    renewed: Counter,
    retired: Counter,
    retirement_latency: Histogram,
    conflicts: Counter,
    passes: Family<Pass, Counter>,
    queue: Family<Class, Gauge>,
    soonest_expiry: Gauge<f64, AtomicU64>,
    authority_expiry: Family<DomainLabel, Gauge<f64, AtomicU64>>,
    clock_skew: Gauge,
    countersigned: Counter,
    delegations_ended: Counter,
    audit_available: Gauge,
    audit_waiting: Gauge,
    audit_chains: Family<State, Gauge>,
    audit_unwitnessed: Gauge,
    policies: Family<State, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Class {
    urgency: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// Trust domains are few.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DomainLabel {
    trust_domain: String,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            issue_latency: Histogram::new(LATENCY_BUCKETS),
            issued: Counter::default(),
            renewed: Counter::default(),
            retired: Counter::default(),
            retirement_latency: Histogram::new(LATENCY_BUCKETS),
            conflicts: Counter::default(),
            passes: Family::default(),
            queue: Family::default(),
            soonest_expiry: Gauge::default(),
            authority_expiry: Family::default(),
            clock_skew: Gauge::default(),
            countersigned: Counter::default(),
            delegations_ended: Counter::default(),
            audit_available: Gauge::default(),
            audit_waiting: Gauge::default(),
            audit_chains: Family::default(),
            audit_unwitnessed: Gauge::default(),
            policies: Family::default(),
        };
        let Self {
            issue_latency,
            issued,
            renewed,
            retired,
            retirement_latency,
            conflicts,
            passes,
            queue,
            soonest_expiry,
            authority_expiry,
            clock_skew,
            countersigned,
            delegations_ended,
            audit_available,
            audit_waiting,
            audit_chains,
            audit_unwitnessed,
            policies,
        } = metrics.clone();
        registry.register_with_unit(
            "certificate_issue_latency",
            "From an identity's creation to its first certificate; creation is known to the second",
            Unit::Seconds,
            issue_latency,
        );
        registry.register("certificates_issued", "First certificates", issued);
        registry.register("certificates_renewed", "Renewals and re-issues", renewed);
        registry.register("credentials_retired", "Credentials taken away", retired);
        registry.register_with_unit(
            "retirement_latency",
            "From the moment an end was seen, known to the second, to the credential's deletion",
            Unit::Seconds,
            retirement_latency,
        );
        registry.register(
            "write_conflicts",
            "Writes over an outdated version",
            conflicts,
        );
        registry.register("reconcile_passes", "Passes by kind and outcome", passes);
        registry.register("queue_depth", "What waits, by urgency", queue);
        registry.register_with_unit(
            "certificate_soonest_expiry_timestamp",
            "When the first live certificate ends (Unix time)",
            Unit::Seconds,
            soonest_expiry,
        );
        registry.register_with_unit(
            "authority_expiry_timestamp",
            "When the active authority of a trust domain ends (Unix time)",
            Unit::Seconds,
            authority_expiry,
        );
        registry.register_with_unit(
            "clock_skew",
            "By how much this clock is ahead of the API server's",
            Unit::Seconds,
            clock_skew,
        );
        registry.register(
            "delegations_countersigned",
            "Statements of delegations",
            countersigned,
        );
        registry.register("delegations_ended", "Delegations over", delegations_ended);
        registry.register(
            "audit_available",
            "1 while the audit log can be written; nothing is granted while it can't",
            audit_available,
        );
        registry.register(
            "audit_waiting",
            "Records of what ended that wait for the audit log",
            audit_waiting,
        );
        registry.register(
            "audit_chains",
            "Chains of the audit log that others write, such as decision points, by how they stand: what is refused was cut off or rewritten and is not signed any further",
            audit_chains,
        );
        registry.register(
            "audit_unwitnessed",
            "1 while chains that others write can't be looked at, and so aren't signed",
            audit_unwitnessed,
        );
        registry.register(
            "policies",
            "AgentPolicies and ClusterAgentPolicies, by how they stand: those that are stalled may have an older generation in effect",
            policies,
        );
        metrics
    }

    pub(crate) fn issued(&self, first: bool, created: Timestamp, now: Timestamp) {
        if first {
            self.issued.inc();
            self.issue_latency.observe(seconds(created, now));
        } else {
            self.renewed.inc();
        }
    }

    pub(crate) fn retired(&self, ended: Timestamp, now: Timestamp) {
        self.retired.inc();
        self.retirement_latency.observe(seconds(ended, now));
    }

    pub(crate) fn conflict(&self) {
        self.conflicts.inc();
    }

    pub(crate) fn passed(&self, kind: &'static str, outcome: &'static str) {
        self.passes.get_or_create(&Pass { kind, outcome }).inc();
    }

    pub(crate) fn queued(&self, len: impl Fn(Urgency) -> usize) {
        for (urgency, word) in [
            (Urgency::Retire, "retire"),
            (Urgency::Renew, "renew"),
            (Urgency::Issue, "issue"),
        ] {
            let gauge = self.queue.get_or_create(&Class { urgency: word });
            gauge.set(i64::try_from(len(urgency)).unwrap_or(i64::MAX));
        }
    }

    pub(crate) fn soonest_expiry(&self, moment: Option<Timestamp>) {
        self.soonest_expiry.set(moment.map_or(0.0, unix));
    }

    pub(crate) fn authority_expiry(&self, domain: &str, moment: Timestamp) {
        let label = DomainLabel {
            trust_domain: domain.to_owned(),
        };
        self.authority_expiry
            .get_or_create(&label)
            .set(unix(moment));
    }

    pub(crate) fn domain_gone(&self, domain: &str) {
        self.authority_expiry.remove(&DomainLabel {
            trust_domain: domain.to_owned(),
        });
    }

    pub(crate) fn clock_skew(&self, seconds: i64) {
        self.clock_skew.set(seconds);
    }

    pub(crate) fn countersigned(&self) {
        self.countersigned.inc();
    }

    pub(crate) fn delegation_ended(&self) {
        self.delegations_ended.inc();
    }

    pub(crate) fn policies(&self, tally: Tally) {
        let Tally {
            in_effect,
            audit,
            disabled,
            stalled,
            pending,
        } = tally;
        for (state, count) in [
            ("in_effect", in_effect),
            ("audit", audit),
            ("disabled", disabled),
            ("stalled", stalled),
            ("pending", pending),
        ] {
            let gauge = self.policies.get_or_create(&State { state });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Chains that others write can't be looked at.
    pub(crate) fn unwitnessed(&self, unwitnessed: bool) {
        self.audit_unwitnessed.set(i64::from(unwitnessed));
    }

    /// Chains that others write; all of them.
    pub(crate) fn witnessed(&self, chains: &[Witnessed]) {
        for (state, is) in [
            (
                "signed",
                (|it| *it == Standing::Signed) as fn(&Standing) -> bool,
            ),
            ("behind", |it| *it == Standing::Behind),
            ("keyless", |it| *it == Standing::Keyless),
            ("refused", |it| matches!(it, Standing::Refused(_))),
        ] {
            let count = chains.iter().filter(|it| is(&it.standing)).count();
            let gauge = self.audit_chains.get_or_create(&State { state });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    pub(crate) fn audit(&self, available: bool, waiting: usize) {
        self.audit_available.set(i64::from(available));
        let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
        self.audit_waiting.set(waiting);
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

fn unix(moment: Timestamp) -> f64 {
    #[allow(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 are exact in f64"
    )]
    let seconds = moment.as_second() as f64;
    seconds
}
