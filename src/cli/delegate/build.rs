//! From arguments to a Delegation.

use clap::Args;
use countersign_api as api;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::grants::whole;
use crate::world::Key;

/// What is handed on, by whom and to whom.
#[derive(Debug, Clone, Args)]
pub(super) struct What {
    /// Who delegates: owner/NAME, or agent/NAME in the namespace
    #[arg(long, value_parser = From::parse, value_name = "owner/NAME|agent/NAME")]
    pub(super) from: From,
    /// The agent that gets it: NAME, or NAMESPACE/NAME
    #[arg(long, value_name = "AGENT")]
    pub(super) to: String,
    /// The namespace of the agent that gets it; default: the one of --to, or that of -n
    #[arg(long, value_name = "NAMESPACE")]
    pub(super) to_namespace: Option<String>,
    /// What may be done; may be given several times
    #[arg(long, required = true, value_delimiter = ',', value_name = "VERB")]
    pub(super) action: Vec<String>,
    /// On what, such as 'ledger/*'; may be given several times
    #[arg(long, required = true, value_delimiter = ',', value_name = "PATH")]
    pub(super) resource: Vec<String>,
    /// The most sensitive data that may be touched
    #[arg(long, value_name = "CLASS", value_parser = data_class)]
    pub(super) max_data_class: Option<api::DataClass>,
    /// For whom results may be; may be given several times
    #[arg(long, value_name = "AUDIENCE")]
    pub(super) audience: Vec<String>,
    /// How often at most
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(i64).range(0..))]
    pub(super) max_calls: Option<i64>,
    /// Until when, such as 2026-11-30T18:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(super) not_after: Option<Timestamp>,
    /// The Delegation that the agent hands on of: NAME or NAMESPACE/NAME; default: the only one that
    /// it holds
    #[arg(long, value_name = "DELEGATION")]
    pub(super) parent: Option<String>,
    /// How long it lives at most, such as 15m, 1h30m or 90s
    #[arg(long, default_value = "15m", value_parser = seconds, value_name = "SPAN")]
    pub(super) expires_after: i64,
    /// How many hops there may be below
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=15))]
    pub(super) max_depth: i64,
    /// Its name; default: FROM-to-TO
    #[arg(long)]
    pub(super) name: Option<String>,
}

/// Who delegates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    Owner(String),
    Agent(String),
}

impl From {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some(("owner" | "agentowner" | "agown", name)) if is_name(name) => {
                Ok(Self::Owner(name.to_owned()))
            }
            Some(("agent" | "identity" | "agentidentity" | "agid", name)) if is_name(name) => {
                Ok(Self::Agent(name.to_owned()))
            }
            _ => Err("expected owner/NAME or agent/NAME".to_owned()),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Owner(name) | Self::Agent(name) => name,
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains('/')
}

fn data_class(text: &str) -> Result<api::DataClass, String> {
    match text.to_ascii_lowercase().as_str() {
        "public" => Ok(api::DataClass::Public),
        "internal" => Ok(api::DataClass::Internal),
        "confidential" => Ok(api::DataClass::Confidential),
        "restricted" => Ok(api::DataClass::Restricted),
        _ => Err("expected Public, Internal, Confidential or Restricted".to_owned()),
    }
}

/// `15m`, `1h30m`, `90s`, `90`: whole seconds, 1 to a year.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let bad = || "expected a span such as 15m, 1h30m or 90s, of 1s to 365d".to_owned();
    let mut total = 0_i64;
    let mut digits = String::new();
    let mut last = i64::MAX;
    for it in text.chars() {
        if it.is_ascii_digit() {
            digits.push(it);
            continue;
        }
        let unit = match it {
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return Err(bad()),
        };
        // Each unit once, the largest first: `1m1h` is a slip.
        if unit >= last {
            return Err(bad());
        }
        last = unit;
        let count: i64 = digits.parse().map_err(|_| bad())?;
        digits.clear();
        total = count
            .checked_mul(unit)
            .and_then(|it| it.checked_add(total))
            .ok_or_else(bad)?;
    }
    if !digits.is_empty() {
        if last != i64::MAX {
            return Err(bad());
        }
        total = digits.parse().map_err(|_| bad())?;
    }
    if (1..=31_536_000).contains(&total) {
        Ok(total)
    } else {
        Err(bad())
    }
}

/// Where everything is, once it is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    /// Of the Delegation itself.
    pub(super) key: Key,
    pub(super) delegate: Key,
}

/// The name and namespace of the Delegation and its delegate; `namespace` is that of -n.
pub(super) fn places(what: &What, namespace: &str) -> Result<Places, String> {
    let (of_name, to) = match what.to.split_once('/') {
        Some((of, name)) => (Some(of), name),
        None => (None, what.to.as_str()),
    };
    if !is_name(to) || of_name.is_some_and(str::is_empty) {
        return Err(format!(
            "--to {:?}: expected NAME or NAMESPACE/NAME",
            what.to
        ));
    }
    let to_namespace = match (of_name, what.to_namespace.as_deref()) {
        (Some(one), Some(other)) if one != other => {
            return Err(format!("--to says namespace {one}, --to-namespace {other}"));
        }
        (one, other) => one.or(other).unwrap_or(namespace),
    };
    if matches!(what.from, From::Owner(_)) && what.parent.is_some() {
        return Err("--parent: nothing is above what an owner delegates".to_owned());
    }
    let own = match what.from {
        // A root is in the namespace of its delegate.
        From::Owner(_) => to_namespace,
        From::Agent(_) => namespace,
    };
    let name = what.name.clone();
    let name = name.unwrap_or_else(|| format!("{}-to-{to}", what.from.name()));
    Ok(Places {
        key: Key::new(own, &name),
        delegate: Key::new(to_namespace, to),
    })
}

/// The object to create; `parent` is the Delegation above, for a hop.
pub(super) fn delegation(what: &What, places: &Places, parent: Option<&Key>) -> api::Delegation {
    let elsewhere =
        |key: &Key| (key.namespace != places.key.namespace).then(|| key.namespace.clone());
    let reference = |key: &Key| api::NamespacedReference {
        name: key.name.clone(),
        namespace: elsewhere(key),
    };
    let name = |name: &str| {
        Some(api::Reference {
            name: name.to_owned(),
        })
    };
    let from = match &what.from {
        From::Owner(owner) => api::Delegator {
            owner: name(owner),
            agent: None,
        },
        From::Agent(agent) => api::Delegator {
            owner: None,
            agent: name(agent),
        },
    };
    let spec = api::DelegationSpec {
        from,
        to: reference(&places.delegate),
        parent_ref: parent.map(reference),
        grants: vec![api::Grant {
            actions: what.action.clone(),
            resources: what.resource.clone(),
            constraints: api::Constraints {
                max_data_class: what.max_data_class,
                audiences: (!what.audience.is_empty()).then(|| what.audience.clone()),
                not_after: what.not_after.map(|it| Time(whole(it))),
                max_calls: what.max_calls,
                ..api::Constraints::default()
            },
        }],
        expires_after_seconds: what.expires_after,
        max_depth: what.max_depth,
        statement: None,
        desired_state: api::DelegationState::Active,
        requester: None,
    };
    let mut delegation = api::Delegation::new(&places.key.name, spec);
    delegation.metadata.namespace = Some(places.key.namespace.clone());
    delegation
}
