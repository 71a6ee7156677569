//! The properties of an entity.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{Error, IgnoredAny, MapAccess};
use serde_json::Number;

use super::said::{Said, Wanted};

/// The most properties of an entity. Each becomes a part of what policies are asked about.
const MOST: usize = 64;

/// The most bytes of their names and values. In a batch, a default is read again for each evaluation.
const MOST_BYTES: usize = 16 << 10;

/// Properties by name, each of which is there once.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Properties {
    /// Those with a value that a policy can be asked about; others are [`Said::Other`].
    pub(crate) members: BTreeMap<String, Said<Scalar>>,
    /// There are more than are read.
    pub(crate) too_many: bool,
}

/// A value that isn't made of others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// A string.
    Text(String),
    /// A number.
    Number(Number),
    /// `true` or `false`.
    Flag(bool),
}

impl Scalar {
    /// What it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::Flag(_) => "a boolean",
        }
    }

    /// A string as it is, anything else as its JSON in its shortest spelling.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }

    /// Bytes that it holds, about.
    fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Number(_) | Self::Flag(_) => 8,
        }
    }
}

impl<'de> Wanted<'de> for Scalar {
    const KIND: &'static str = "a string, number or boolean";

    fn text(text: Cow<'de, str>) -> Option<Self> {
        Some(Self::Text(text.into_owned()))
    }

    fn number(number: Number) -> Option<Self> {
        Some(Self::Number(number))
    }

    fn flag(flag: bool) -> Option<Self> {
        Some(Self::Flag(flag))
    }
}

impl<'de> Wanted<'de> for Properties {
    const KIND: &'static str = "an object";

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut it = Self::default();
        let mut bytes = 0;
        while let Some((name, value)) = object.next_entry::<String, Said<Scalar>>()? {
            bytes += name.len() + value.this().map_or(0, Scalar::size);
            if it.members.len() == MOST || bytes > MOST_BYTES {
                it.too_many = true;
                while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                break;
            }
            if it.members.insert(name, value).is_some() {
                return Err(A::Error::custom("a property is there twice"));
            }
        }
        Ok(Some(it))
    }
}
