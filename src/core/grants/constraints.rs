//! Bounds on grants, each of its own type.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::widening::Part;
use crate::json::{Object, Word, present};

/// Bounds on a grant. What is absent doesn't bound; each one that is there only takes away.
///
/// As JSON, each is absent or has a value: `null` is refused, so that nobody reads it as "none
/// allowed" where it would mean "no bound". An unknown one is refused: who doesn't understand a bound
/// can't keep it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "Object<Members>")]
pub struct Constraints {
    /// The most sensitive data that may be met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_data_class: Option<DataClass>,
    /// Those for whom it may be used, by name, compared byte for byte; the order and repeats don't
    /// count. An empty list is nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audiences: Option<Vec<String>>,
    /// The last moment of use. As JSON `YYYY-MM-DDThh:mm:ssZ` (RFC 3339, one spelling for each
    /// moment): a fraction of a second, another offset and a leap second are refused, in reading as
    /// in writing, so that what is signed is what was compared.
    #[serde(
        serialize_with = "whole_seconds::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_after: Option<Timestamp>,
    /// The most calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_calls: Option<u64>,
}

/// Constraints as they are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Members {
    #[serde(default, deserialize_with = "present")]
    max_data_class: Option<Word<DataClass>>,
    #[serde(default, deserialize_with = "present")]
    audiences: Option<Vec<String>>,
    #[serde(default, deserialize_with = "whole_seconds::deserialize")]
    not_after: Option<Timestamp>,
    #[serde(default, deserialize_with = "present")]
    max_calls: Option<u64>,
}

/// How sensitive data is, from the least on. As JSON the variant's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DataClass {
    /// For everyone.
    Public,
    /// For those inside.
    Internal,
    /// For those who need it.
    Confidential,
    /// For those who are named.
    Restricted,
}

impl From<Object<Members>> for Constraints {
    fn from(Object(members): Object<Members>) -> Self {
        let Members {
            max_data_class,
            audiences,
            not_after,
            max_calls,
        } = members;
        Self {
            max_data_class: max_data_class.map(|Word(class)| class),
            audiences,
            not_after,
            max_calls,
        }
    }
}

impl Constraints {
    /// Is nothing bounded?
    pub fn is_empty(&self) -> bool {
        let Self {
            max_data_class,
            audiences,
            not_after,
            max_calls,
        } = self;
        max_data_class.is_none()
            && audiences.is_none()
            && not_after.is_none()
            && max_calls.is_none()
    }

    /// Does each bound of `above` hold below `self` too?
    pub(super) fn within(&self, above: &Self) -> bool {
        beyond(self.max_data_class, above.max_data_class).is_none()
            && beyond(self.not_after, above.not_after).is_none()
            && beyond(self.max_calls, above.max_calls).is_none()
            && self.extra_audience(above).is_none()
    }

    /// Each bound of `above` that doesn't hold below `self`, in the order of the fields.
    pub(super) fn widening(&self, above: &Self) -> [Option<Part>; 4] {
        let class = beyond(self.max_data_class, above.max_data_class);
        let audience = self.extra_audience(above);
        let moment = beyond(self.not_after, above.not_after);
        let calls = beyond(self.max_calls, above.max_calls);
        [
            class.map(|(asked, above)| Part::DataClass { asked, above }),
            audience.map(|asked| Part::Audience {
                asked: asked.map(str::to_owned),
                above: above.audiences.clone().unwrap_or_default(),
            }),
            moment.map(|(asked, above)| Part::NotAfter { asked, above }),
            calls.map(|(asked, above)| Part::MaxCalls { asked, above }),
        ]
    }

    /// `None`: the audiences are within those of `above`. `Some(None)`: only `above` names any.
    /// Otherwise the first that `above` doesn't name.
    fn extra_audience(&self, above: &Self) -> Option<Option<&str>> {
        let above = above.audiences.as_ref()?;
        let Some(audiences) = &self.audiences else {
            return Some(None);
        };
        let extra = audiences.iter().find(|it| !above.contains(it))?;
        Some(Some(extra))
    }

    /// Those that hold exactly where both hold.
    pub(super) fn both(&self, other: &Self) -> Self {
        Self {
            max_data_class: least(self.max_data_class, other.max_data_class),
            audiences: match (&self.audiences, &other.audiences) {
                (Some(one), Some(other)) => {
                    let common = one.iter().filter(|it| other.contains(it));
                    Some(common.cloned().collect())
                }
                (one, other) => one.as_ref().or(other.as_ref()).cloned(),
            },
            not_after: least(self.not_after, other.not_after),
            max_calls: least(self.max_calls, other.max_calls),
        }
    }
}

impl fmt::Display for DataClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "Public",
            Self::Internal => "Internal",
            Self::Confidential => "Confidential",
            Self::Restricted => "Restricted",
        })
    }
}

/// Both bounds, if the one below is laxer.
fn beyond<T: Ord>(below: Option<T>, above: Option<T>) -> Option<(Option<T>, T)> {
    match (below, above) {
        (Some(below), Some(above)) if below <= above => None,
        (below, above) => above.map(|above| (below, above)),
    }
}

/// The stricter of two bounds.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// `YYYY-MM-DDThh:mm:ssZ`.
mod whole_seconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    /// Years 0000 to 9999 have four digits (RFC 3339, section 5.6).
    const LENGTH: usize = "YYYY-MM-DDThh:mm:ssZ".len();

    pub(super) fn serialize<S: Serializer>(
        moment: &Option<Timestamp>,
        into: S,
    ) -> Result<S::Ok, S::Error> {
        let Some(moment) = moment else {
            return into.serialize_none();
        };
        let text = moment.to_string();
        if text.len() != LENGTH {
            return Err(ser::Error::custom(format_args!(
                "notAfter {text} must be in whole seconds of the years 0000 to 9999"
            )));
        }
        into.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = String::deserialize(from)?;
        let moment: Option<Timestamp> = text.parse().ok();
        match moment {
            Some(moment) if text.len() == LENGTH && moment.to_string() == text => Ok(Some(moment)),
            _ => Err(de::Error::custom(format_args!(
                "notAfter {text:?} must be a moment such as 2026-11-30T18:00:00Z, in whole seconds and UTC"
            ))),
        }
    }
}
