//! How things stand, in numbers and in what needs somebody: pure.

use std::collections::BTreeMap;

use countersign_api::{OwnerState, SlotState, TrustDomain};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::standing::{Standing, State};
use crate::world::{Key, World};

/// A checkpoint older than this is one that should have been followed by another, if anything was
/// recorded since.
const OLD_CHECKPOINT_SECONDS: i64 = 600;

/// Everything at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) at: Timestamp,
    pub(crate) operator: Operator,
    pub(crate) trust_domains: Vec<Domain>,
    pub(crate) identities: BTreeMap<&'static str, usize>,
    pub(crate) delegations: BTreeMap<&'static str, usize>,
    pub(crate) owners: BTreeMap<&'static str, usize>,
    /// Refused until a person acts.
    pub(crate) stalled: Vec<Stalled>,
    pub(crate) checkpoints: Vec<CheckpointAge>,
    /// What needs somebody.
    pub(crate) problems: Vec<String>,
}

/// Who leads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Operator {
    /// The replica that holds the lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) holder: Option<String>,
    /// When it last said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) renewed: Option<Timestamp>,
    /// How long that holds, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lease_seconds: Option<i64>,
    /// Why nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unknown: Option<String>,
}

/// A trust domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Domain {
    pub(crate) name: String,
    pub(crate) ready: bool,
    pub(crate) reason: String,
    /// By condition: `PoliciesInstalled`, `BundlePublished`, `ClockSynchronized`.
    pub(crate) conditions: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bundle_sequence: Option<i64>,
    pub(crate) keys: Vec<SigningKey>,
}

/// An authority or a signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SigningKey {
    /// `Certificates`, or what else it signs.
    pub(crate) signs: String,
    pub(crate) id: String,
    pub(crate) slot: SlotState,
    pub(crate) expires: Timestamp,
}

/// An object that a person has to see to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stalled {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Timestamp>,
}

/// How old the newest checkpoint of a chain is that was kept outside of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckpointAge {
    pub(crate) chain: String,
    /// The last record that it covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time: Option<Timestamp>,
    /// Why it isn't to be believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
}

/// Puts it together.
pub(crate) fn summarise(
    domains: &[TrustDomain],
    world: &World,
    operator: Operator,
    checkpoints: Vec<CheckpointAge>,
    now: Timestamp,
) -> Summary {
    let mut summary = Summary {
        at: now,
        operator,
        trust_domains: domains.iter().map(domain).collect(),
        identities: BTreeMap::new(),
        delegations: BTreeMap::new(),
        owners: BTreeMap::new(),
        stalled: Vec::new(),
        checkpoints,
        problems: Vec::new(),
    };
    for it in &world.identities {
        let conditions = it.status.as_ref().map(|it| it.conditions.as_slice());
        let standing = Standing::of(conditions.unwrap_or_default());
        *summary
            .identities
            .entry(standing.state.as_str())
            .or_default() += 1;
        summary
            .stalled
            .extend(stalled("AgentIdentity", &Key::of(it), standing));
    }
    for it in &world.delegations {
        let status = it.status.as_ref();
        let conditions = status
            .map(|it| it.conditions.as_slice())
            .unwrap_or_default();
        let ends = status
            .and_then(|it| it.expiration_time.as_ref())
            .map(|it| it.0);
        let standing = Standing::at(conditions, ends, now);
        *summary
            .delegations
            .entry(standing.state.as_str())
            .or_default() += 1;
        summary
            .stalled
            .extend(stalled("Delegation", &Key::of(it), standing));
    }
    for it in &world.owners {
        let word = match it.spec.desired_state {
            OwnerState::Active => "Active",
            OwnerState::Suspended => "Suspended",
            OwnerState::Departed => "Departed",
        };
        *summary.owners.entry(word).or_default() += 1;
    }
    summary.problems = problems(&summary);
    summary
}

/// A word as the API has it.
fn word(word: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(word).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn domain(domain: &TrustDomain) -> Domain {
    let status = domain.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().find(|it| it.type_ == "Ready");
    let authorities = status.authorities.iter().map(|it| SigningKey {
        signs: "Certificates".to_owned(),
        id: it.id.clone(),
        slot: it.slot,
        expires: it.not_after.0,
    });
    let keys = status.signing_keys.iter().map(|it| SigningKey {
        signs: word(&it.purpose),
        id: it.id.clone(),
        slot: it.slot,
        expires: it.not_after.0,
    });
    let other = |it: &&Condition| it.type_ != "Ready";
    Domain {
        name: domain.name_any(),
        ready: ready.is_some_and(|it| it.status == "True"),
        reason: ready.map_or_else(
            || "Pending".to_owned(),
            |it| {
                if it.status == "True" || it.message.is_empty() {
                    it.reason.clone()
                } else {
                    format!("{}: {}", it.reason, it.message)
                }
            },
        ),
        keys: authorities.chain(keys).collect(),
        conditions: status
            .conditions
            .iter()
            .filter(other)
            .map(|it| {
                let more = if it.status == "True" {
                    String::new()
                } else {
                    format!(" {}: {}", it.reason, it.message)
                };
                (it.type_.clone(), format!("{}{more}", it.status))
            })
            .collect(),
        bundle_sequence: status.bundle_sequence,
    }
}

fn stalled(kind: &'static str, key: &Key, standing: Standing) -> Option<Stalled> {
    (standing.state == State::Stalled).then(|| Stalled {
        kind,
        name: key.to_string(),
        reason: standing.reason,
        message: standing.message,
        since: standing.since,
    })
}

/// What a person should see to, the gravest first.
fn problems(summary: &Summary) -> Vec<String> {
    let mut problems = Vec::new();
    let now = summary.at;
    let operator = &summary.operator;
    match (&operator.unknown, &operator.holder, operator.renewed) {
        (Some(_), ..) => {} // not to be seen is not to be down
        (None, None, _) => {
            problems.push("no operator leads: nothing is granted, renewed or ended".to_owned())
        }
        (None, Some(holder), renewed) => {
            let silent = renewed.map(|it| now.duration_since(it).as_secs());
            let bound = operator.lease_seconds.unwrap_or(10);
            if silent.is_none_or(|it| it > 2 * bound) {
                problems.push(format!(
                    "{holder} holds the lease and doesn't renew it: the operator is down"
                ));
            }
        }
    }
    if summary.trust_domains.is_empty() {
        problems.push("there is no TrustDomain: nothing can be issued".to_owned());
    }
    for domain in &summary.trust_domains {
        if !domain.ready {
            problems.push(format!(
                "trust domain {} is not ready: {}",
                domain.name, domain.reason
            ));
        }
        for (kind, value) in &domain.conditions {
            if kind != "Stalled" && value.starts_with("False") {
                problems.push(format!("trust domain {}: {kind} is {value}", domain.name));
            }
        }
        for key in &domain.keys {
            if key.slot == SlotState::Active && key.expires <= now {
                problems.push(format!(
                    "trust domain {}: its key for {} has expired",
                    domain.name, key.signs
                ));
            }
        }
    }
    for it in &summary.checkpoints {
        if let Some(why) = &it.refused {
            problems.push(format!(
                "audit chain {}: its checkpoint is not to be believed: {why}",
                it.chain
            ));
        }
    }
    problems
}

impl CheckpointAge {
    /// Worth a look, though nothing may have been recorded since.
    pub(crate) fn is_old(&self, now: Timestamp) -> bool {
        let age = self.time.map(|it| now.duration_since(it).as_secs());
        age.is_some_and(|it| it > OLD_CHECKPOINT_SECONDS)
    }
}
