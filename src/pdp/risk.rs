//! Risk, told to the operator: over the threshold it takes an agent's certificate away.
//!
//! The engine denies such an agent at once and by itself. What is written here makes it last, and is
//! seen by people. One write for a signal would be too many: a score is written when it has moved by
//! ten, and not more often than every ten seconds.
//!
//! Signals are kept in memory only. A replica that has heard nothing of an agent, since it started or
//! since it was cut off from others, says nothing of its risk: that would bring back whom another has
//! suspended.

use std::collections::{HashMap, HashSet};
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
        let mut heard = HashSet::new();
        loop {
            sleep(EVERY).await;
            // Without all policies the threshold isn't known, and nor is that there is none.
            if !this.stores.synced() {
                continue;
            }
            let now = this.clock.now();
            let steps = futures::stream::iter(this.steps(&mut heard, now));
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

    /// `heard` has the UIDs of those that this replica has heard of.
    fn steps(
        &self,
        heard: &mut HashSet<String>,
        now: Timestamp,
    ) -> Vec<(ObjectKey, String, String, Step)> {
        let risky: HashMap<String, Risk> = self.engine.risky(now).into_iter().collect();
        heard.extend(risky.keys().cloned());
        let rules = self.rules.load();
        let mut steps = Vec::new();
        let mut alive = HashSet::new();
        self.stores.identities.for_each(|key, seen| {
            if seen.state == IdentityState::Ended {
                return;
            }
            let heard = heard.contains(&seen.uid);
            if heard {
                alive.insert(seen.uid.clone());
            } else if seen.risk.is_none() {
                return;
            }
            let risk = risky.get(&seen.uid).cloned().unwrap_or_default();
            let step = step(seen, heard.then_some(&risk), &rules, now);
            if let (Some(step), Some(id)) = (step, &seen.spiffe_id) {
                steps.push((key.clone(), seen.uid.clone(), id.clone(), step));
            }
        });
        *heard = alive;
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

/// `risk` is absent where nothing was heard of the agent: then only a person, or that there is no
/// threshold any more, brings it back.
fn step(seen: &Seen, risk: Option<&Risk>, rules: &Rules, now: Timestamp) -> Option<Step> {
    let nothing = Risk::default();
    let heard = risk.is_some();
    let risk = risk.unwrap_or(&nothing);
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
        let faded = heard && rules.resume_below.is_some_and(|below| risk.risk < below);
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
    if !heard {
        return None;
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

#[cfg(test)]
#[allow(clippy::panic, reason = "a failing test should panic")]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        resources: Vec::new(),
        suspend_at: Some(80),
        resume_below: Some(20),
        record_first: countersign_core::DataClass::Confidential,
        stale_until_expiry: false,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    fn seen(state: Option<(api::RiskState, i64)>, desired: api::DesiredState) -> Seen {
        Seen {
            uid: "uid".to_owned(),
            state: IdentityState::Active,
            spiffe_id: Some("spiffe://example.org/a".to_owned()),
            task_uid: None,
            certificate: None,
            desired,
            risk: state.map(|(state, score)| api::RiskStatus {
                state,
                score,
                anomaly: 0,
                reason: "test".to_owned(),
                observed_time: Time(at(0)),
            }),
            facts: None,
        }
    }

    fn risk(risk: u8) -> Risk {
        Risk {
            risk,
            ..Risk::default()
        }
    }

    /// What is written of it after a minute.
    fn written(seen: &Seen, risk: Option<&Risk>, rules: &Rules) -> Option<api::RiskState> {
        match step(seen, risk, rules, at(60))? {
            Step::Write(it) => Some(it.state),
            Step::Clear(it) => panic!("cleared: {it:?}"),
        }
    }

    #[test]
    fn the_threshold_suspends_and_what_has_faded_comes_back() {
        use api::DesiredState::Active;
        use api::RiskState::{Normal, Suspended};
        assert_eq!(
            written(&seen(None, Active), Some(&risk(80)), &RULES),
            Some(Suspended)
        );
        assert_eq!(
            written(&seen(None, Active), Some(&risk(79)), &RULES),
            Some(Normal)
        );
        let suspended = seen(Some((Suspended, 80)), Active);
        assert_eq!(written(&suspended, Some(&risk(75)), &RULES), None);
        assert_eq!(written(&suspended, Some(&risk(19)), &RULES), Some(Normal));
        let by_a_person = Rules {
            resume_below: None,
            ..RULES
        };
        assert_eq!(
            written(&suspended, Some(&risk(0)), &by_a_person),
            Some(Suspended)
        );
    }

    #[test]
    fn who_has_heard_nothing_says_nothing() {
        use api::DesiredState::{Active, Suspended as Stopped};
        use api::RiskState::{Normal, Suspended};
        for before in [(Suspended, 90), (Normal, 40)] {
            assert_eq!(written(&seen(Some(before), Active), None, &RULES), None);
        }
        // What needs no signal to be known.
        let suspended = seen(Some((Suspended, 90)), Active);
        assert_eq!(written(&suspended, None, &Rules::default()), Some(Normal));
        let taken_over = step(&seen(Some((Suspended, 90)), Stopped), None, &RULES, at(60));
        assert!(matches!(taken_over, Some(Step::Clear(_))), "{taken_over:?}");
    }

    #[test]
    fn a_score_is_written_when_it_has_moved_and_not_too_often() {
        use api::DesiredState::Active;
        use api::RiskState::Normal;
        let before = seen(Some((Normal, 40)), Active);
        assert_eq!(written(&before, Some(&risk(49)), &RULES), None);
        assert_eq!(written(&before, Some(&risk(50)), &RULES), Some(Normal));
        assert_eq!(step(&before, Some(&risk(60)), &RULES, at(5)), None);
    }
}
