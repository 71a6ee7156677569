//! Risk, told to the operator: over the threshold it takes an agent's certificate away.
//!
//! The engine denies such an agent at once and by itself. What is written here makes it last, and is
//! seen by people. One write for a signal would be too many: a score is written when it has moved by
//! ten, and not more often than every ten seconds.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_api as api;
use countersign_decision::{Engine, IdentityState, Risk, Rules, Signal, SignalSink};
use countersign_runtime::{Clients, Clock, ObjectKey, within};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::feed::{Stores, identity::Seen};

/// Who writes `status.risk`, and nothing else of an identity.
const MANAGER: &str = "countersign-decide";
/// How often agents are looked at.
const EVERY: Duration = Duration::from_millis(500);
/// A score moves at least so much before it is written.
const STEP: i64 = 10;
/// Scores are written so often at most; what suspends and resumes is written at once.
const CALM: SignedDuration = SignedDuration::from_secs(10);
/// An owner's leaving may concern thousands.
const AT_ONCE: usize = 16;
/// No write takes longer.
const WRITE: Duration = Duration::from_secs(5);
/// What telling takes.
pub(crate) struct Telling {
    pub(crate) engine: Arc<Engine>,
    pub(crate) stores: Arc<Stores>,
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    pub(crate) signals: Arc<dyn SignalSink>,
    pub(crate) clients: Clients,
    pub(crate) clock: Clock,
}

/// What is to be done about an agent's risk.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Its status is to say so.
    Write(api::RiskStatus),
    /// A person has taken it over: what was noticed of it counts no more.
    Clear(api::RiskStatus),
}

impl Telling {
    /// Tells for ever.
    pub(crate) async fn run(self) -> Infallible {
        let this = &self;
        loop {
            sleep(EVERY).await;
            let now = this.clock.now();
            let steps = futures::stream::iter(this.steps(now));
            steps
                .for_each_concurrent(AT_ONCE, |(key, uid, spiffe_id, step)| async move {
                    if let Step::Clear(_) = &step {
                        this.clear(&spiffe_id, now);
                    }
                    let (Step::Write(risk) | Step::Clear(risk)) = step;
                    this.write(&key, &uid, risk).await;
                })
                .await;
        }
    }

    fn steps(&self, now: Timestamp) -> Vec<(ObjectKey, String, String, Step)> {
        let risky: HashMap<String, Risk> = self.engine.risky(now).into_iter().collect();
        let rules = self.rules.load();
        let mut steps = Vec::new();
        self.stores.identities.for_each(|key, seen| {
            let risk = risky.get(&seen.uid);
            if seen.state == IdentityState::Ended || (risk.is_none() && seen.risk.is_none()) {
                return;
            }
            let risk = risk.cloned().unwrap_or_default();
            let step = step(seen, &risk, &rules, now);
            if let (Some(step), Some(id)) = (step, &seen.spiffe_id) {
                steps.push((key.clone(), seen.uid.clone(), id.clone(), step));
            }
        });
        steps
    }

    fn clear(&self, spiffe_id: &str, now: Timestamp) {
        if let Err(why) = self.signals.accept(Signal::pardon(spiffe_id, now)) {
            warn!("what was noticed of an agent can't be taken back: {why}");
        }
    }

    async fn write(&self, key: &ObjectKey, uid: &str, risk: api::RiskStatus) {
        let name: &str = &key.name;
        let api: Api<api::AgentIdentity> =
            Api::namespaced(self.clients.writes.clone(), key.namespace());
        // The UID: another object of the same name has done nothing.
        let patch = json!({
            "apiVersion": "countersign.dev/v1alpha1",
            "kind": "AgentIdentity",
            "metadata": {"name": name, "namespace": key.namespace(), "uid": uid},
            "status": {"risk": risk},
        });
        let params = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(&patch);
        let written = within(WRITE, api.patch_status(name, &params, &patch)).await;
        let state = risk.state;
        match written {
            Ok(_) => info!(
                object = ?key, ?state, score = risk.score, "risk: {}", risk.reason
            ),
            Err(why) => warn!(object = ?key, "its risk can't be written, tried again: {why}"),
        }
    }
}

fn step(seen: &Seen, risk: &Risk, rules: &Rules, now: Timestamp) -> Option<Step> {
    let score = i64::from(risk.risk);
    let suspended = (seen.risk.as_ref()).is_some_and(|it| it.state == api::RiskState::Suspended);
    let status = |state, reason: Option<&str>| api::RiskStatus {
        state,
        score,
        anomaly: i64::from(risk.anomaly),
        reason: reason.map_or_else(|| kinds(risk), str::to_owned),
        observed_time: Time(now),
    };
    let over = rules.suspend_at.is_some_and(|at| risk.risk >= at);
    if suspended {
        if seen.desired == api::DesiredState::Suspended {
            let taken_over = status(api::RiskState::Normal, Some("taken over by a person"));
            return Some(Step::Clear(taken_over));
        }
        let faded = rules.resume_below.is_some_and(|below| risk.risk < below);
        if faded || rules.suspend_at.is_none() {
            let why = if faded {
                "faded"
            } else {
                "no threshold any more"
            };
            return Some(Step::Write(status(api::RiskState::Normal, Some(why))));
        }
    } else if over && seen.desired == api::DesiredState::Active {
        return Some(Step::Write(status(api::RiskState::Suspended, None)));
    }
    let before = seen.risk.as_ref();
    let moved = (score - before.map_or(0, |it| it.score)).abs() >= STEP;
    let calm = before.is_none_or(|it| now.duration_since(it.observed_time.0) >= CALM);
    let state = match suspended {
        true => api::RiskState::Suspended,
        false => api::RiskState::Normal,
    };
    (moved && calm).then(|| Step::Write(status(state, None)))
}

/// The kinds that it is made of, the worst first, as far as they fit.
fn kinds(risk: &Risk) -> String {
    let mut text = String::new();
    for part in &risk.parts {
        if text.len() + part.kind.len() > 1000 {
            break;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&part.kind);
    }
    match text.is_empty() {
        true => "faded".to_owned(),
        false => text,
    }
}
