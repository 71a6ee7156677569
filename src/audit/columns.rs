//! The columns that are searched by. All can be computed again from the body, and verification does.

use crate::entry::{Entry, Kind};

/// What stands beside a body to find it by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Columns {
    /// Milliseconds since 1970.
    pub(crate) time: i64,
    pub(crate) kind: String,
    pub(crate) object_uid: String,
    pub(crate) serial: Option<String>,
    /// The identity's, or that of a delegation's delegate.
    pub(crate) spiffe_id: Option<String>,
    pub(crate) digest: Option<String>,
    pub(crate) parent_digest: Option<String>,
    pub(crate) delegation_uid: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) requester: Option<String>,
    /// The certificate's end, or the delegation's: milliseconds since 1970.
    pub(crate) not_after: Option<i64>,
}

impl Columns {
    /// Of a decision only what it is found by itself, and the agent that acted: under one grant there
    /// may be millions, and none of them may stand between a look-up and what was granted.
    pub(crate) fn of(entry: &Entry) -> Self {
        let delegation = entry.delegation.as_ref();
        let acted_by = entry
            .spiffe_id
            .as_deref()
            .or_else(|| delegation.and_then(|it| it.delegate.as_deref()));
        if entry.kind == Kind::ActionDecided {
            return Self {
                time: entry.time.as_millisecond(),
                kind: entry.kind.as_str().to_owned(),
                object_uid: text(&entry.object.uid),
                spiffe_id: acted_by.map(text),
                owner: entry.owner.as_deref().map(text),
                requester: entry.requester.as_ref().map(|it| text(&it.username)),
                ..Self::default()
            };
        }
        Self {
            time: entry.time.as_millisecond(),
            kind: entry.kind.as_str().to_owned(),
            object_uid: text(&entry.object.uid),
            serial: entry.serial_number.as_deref().map(text),
            spiffe_id: acted_by.map(text),
            digest: delegation.map(|it| text(&it.digest)),
            parent_digest: delegation.and_then(|it| it.parent.as_deref()).map(text),
            delegation_uid: delegation.map(|it| text(&it.uid)),
            owner: entry.owner.as_deref().map(text),
            requester: entry.requester.as_ref().map(|it| text(&it.username)),
            not_after: entry
                .not_after
                .or_else(|| delegation.map(|it| it.expires))
                .map(|it| it.as_millisecond()),
        }
    }

    /// The first column in which two differ.
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        [
            ("time", self.time == other.time),
            ("kind", self.kind == other.kind),
            ("object_uid", self.object_uid == other.object_uid),
            ("serial", self.serial == other.serial),
            ("spiffe_id", self.spiffe_id == other.spiffe_id),
            ("digest", self.digest == other.digest),
            ("parent_digest", self.parent_digest == other.parent_digest),
            (
                "delegation_uid",
                self.delegation_uid == other.delegation_uid,
            ),
            ("owner", self.owner == other.owner),
            ("requester", self.requester == other.requester),
            ("not_after", self.not_after == other.not_after),
        ]
        .into_iter()
        .find_map(|(name, same)| (!same).then_some(name))
    }
}

/// PostgreSQL's text has no NUL; one entry with one must not hold up all that follow.
pub(crate) fn text(value: &str) -> String {
    value.replace('\0', "\u{fffd}")
}
