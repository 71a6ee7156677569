//! Where an object stands, by its conditions.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) enum State {
    /// In force.
    Ready,
    /// Something is awaited, or nobody has looked yet.
    Waiting,
    /// Refused until a person acts.
    Stalled,
    /// Not in force for now.
    Suspended,
    /// For good.
    Over,
    /// It can't be seen.
    Unknown,
}

/// Where an object stands, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: State,
    /// A word, as in the condition.
    pub(crate) reason: String,
    /// A sentence, as in the condition.
    pub(crate) message: String,
    /// Since when.
    pub(crate) since: Option<Timestamp>,
}

/// In this order the first that is true counts: `Ready` may linger for a moment beside a worse one.
const ORDER: [(&str, State); 5] = [
    ("Completed", State::Over),
    ("Stalled", State::Stalled),
    ("Suspended", State::Suspended),
    ("Ready", State::Ready),
    ("Reconciling", State::Waiting),
];

impl Standing {
    /// By an object's conditions.
    pub(crate) fn of(conditions: &[Condition]) -> Self {
        let is_true = |kind: &str| {
            let mut found = conditions.iter();
            found.find(|it| it.type_ == kind && it.status == "True")
        };
        let found = ORDER
            .into_iter()
            .find_map(|(kind, state)| Some((state, is_true(kind)?)));
        let ready = || conditions.iter().find(|it| it.type_ == "Ready");
        let (state, condition) = match found {
            Some((state, condition)) => (state, Some(condition)),
            None => (State::Waiting, ready()),
        };
        Self {
            state,
            reason: condition.map_or_else(|| "Pending".to_owned(), |it| it.reason.clone()),
            message: condition.map_or_else(String::new, |it| it.message.clone()),
            since: condition.map(|it| it.last_transition_time.0),
        }
    }

    /// The same at `now`, for what ends at `ends`: an operator that is down marks nothing.
    pub(crate) fn at(conditions: &[Condition], ends: Option<Timestamp>, now: Timestamp) -> Self {
        let standing = Self::of(conditions);
        match ends {
            Some(ends) if ends <= now && standing.state != State::Over => Self {
                state: State::Over,
                reason: "Expired".to_owned(),
                message: "its time is up, and the operator hasn't marked it yet".to_owned(),
                since: Some(ends),
            },
            _ => standing,
        }
    }

    /// What can't be seen.
    pub(crate) fn unknown(reason: &str, message: &str) -> Self {
        Self {
            state: State::Unknown,
            reason: reason.to_owned(),
            message: message.to_owned(),
            since: None,
        }
    }
}

impl State {
    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Waiting => "Waiting",
            Self::Stalled => "Stalled",
            Self::Suspended => "Suspended",
            Self::Over => "Over",
            Self::Unknown => "Unknown",
        }
    }

    /// `text` in its colour, for a terminal.
    pub(crate) fn coloured(self, text: &str) -> String {
        let code = match self {
            Self::Ready => "32",
            Self::Waiting | Self::Suspended => "33",
            Self::Stalled => "31",
            Self::Over | Self::Unknown => "90",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
