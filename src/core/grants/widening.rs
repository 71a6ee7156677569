//! What a child's grants have that its parent's don't.

use std::fmt;

use jiff::Timestamp;

use super::constraints::DataClass;

/// The first part of a child's grants that its parent doesn't have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Widening {
    /// Which of the child's grants, from 0.
    pub grant: usize,
    /// The action.
    pub action: String,
    /// On which resource.
    pub resource: String,
    /// What of it is too much, beside the parent's grant that comes closest.
    pub part: Part,
}

/// What is too much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// No grant above has the action on all of the resource, whatever the constraints.
    NotGranted,
    /// More sensitive data.
    DataClass {
        /// The child's bound, if it has one.
        asked: Option<DataClass>,
        /// The parent's.
        above: DataClass,
    },
    /// One more audience.
    Audience {
        /// The child's first that the parent doesn't name; none if the child names none at all.
        asked: Option<String>,
        /// The parent's.
        above: Vec<String>,
    },
    /// A later moment.
    NotAfter {
        /// The child's bound, if it has one.
        asked: Option<Timestamp>,
        /// The parent's.
        above: Timestamp,
    },
    /// More calls.
    MaxCalls {
        /// The child's bound, if it has one.
        asked: Option<u64>,
        /// The parent's.
        above: u64,
    },
}

impl fmt::Display for Widening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            grant,
            action,
            resource,
            part,
        } = self;
        write!(f, "grants[{grant}] widens: ")?;
        match part {
            Part::NotGranted => write!(f, "{action:?} on {resource:?} is not granted above"),
            Part::DataClass {
                asked: Some(asked),
                above,
            } => write!(
                f,
                "maxDataClass {asked} for {action:?} on {resource:?} is more than the {above} granted above"
            ),
            Part::DataClass { asked: None, above } => write!(
                f,
                "{action:?} on {resource:?} has no maxDataClass, but {above} at most is granted above"
            ),
            Part::Audience {
                asked: Some(asked),
                above,
            } => write!(
                f,
                "audience {asked:?} for {action:?} on {resource:?} is not among the audiences granted above ({})",
                Names(above)
            ),
            Part::Audience { asked: None, above } => write!(
                f,
                "{action:?} on {resource:?} has no audiences, but only some are granted above ({})",
                Names(above)
            ),
            Part::NotAfter {
                asked: Some(asked),
                above,
            } => write!(
                f,
                "notAfter {asked} for {action:?} on {resource:?} is later than the {above} granted above"
            ),
            Part::NotAfter { asked: None, above } => write!(
                f,
                "{action:?} on {resource:?} has no notAfter, but nothing after {above} is granted above"
            ),
            Part::MaxCalls {
                asked: Some(asked),
                above,
            } => write!(
                f,
                "maxCalls {asked} for {action:?} on {resource:?} is more than the {above} granted above"
            ),
            Part::MaxCalls { asked: None, above } => write!(
                f,
                "{action:?} on {resource:?} has no maxCalls, but {above} at most are granted above"
            ),
        }
    }
}

/// A few of the names: a message has to fit into an Event.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        if self.0.is_empty() {
            return f.write_str("nobody");
        }
        for (index, name) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name:?}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
