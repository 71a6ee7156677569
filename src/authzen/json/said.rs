//! What is said where something is wanted.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use crate::refused::Refused;

/// A member of an object: absent, as it is wanted, or something else, which is skipped whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Said<T> {
    /// It isn't there.
    #[default]
    Nothing,
    /// It is what is wanted.
    This(T),
    /// It is this instead, such as `a number`.
    Other(&'static str),
}

/// What can be wanted. Each method takes one kind of JSON value; by default it isn't wanted.
pub(crate) trait Wanted<'de>: Sized {
    /// For people, such as `a string`.
    const KIND: &'static str;

    /// A string.
    fn text(_text: Cow<'de, str>) -> Option<Self> {
        None
    }

    /// A number.
    fn number(_number: Number) -> Option<Self> {
        None
    }

    /// `true` or `false`.
    fn flag(_flag: bool) -> Option<Self> {
        None
    }

    /// A list; it must be read to its end.
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    /// An object; it must be read to its end.
    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<T> Said<T> {
    /// This, or the default if nothing is said.
    pub(crate) fn or<'a>(&'a self, default: Option<&'a Self>) -> &'a Self {
        match (self, default) {
            (Self::Nothing, Some(default)) => default,
            _ => self,
        }
    }

    /// What is said, if it is what was wanted.
    pub(crate) fn this(&self) -> Option<&T> {
        match self {
            Self::This(it) => Some(it),
            Self::Nothing | Self::Other(_) => None,
        }
    }
}

impl<'de, T: Wanted<'de>> Said<T> {
    /// What is said, if anything.
    ///
    /// # Errors
    /// It is of another type.
    pub(crate) fn optional(&self, at: &str) -> Result<Option<&T>, Refused> {
        match self {
            Self::Nothing => Ok(None),
            Self::This(it) => Ok(Some(it)),
            Self::Other(kind) => Err(Refused::bad(format!(
                "{at} must be {}, not {kind}",
                T::KIND
            ))),
        }
    }

    /// What is said.
    ///
    /// # Errors
    /// Nothing is, or something of another type.
    pub(crate) fn required(&self, at: &str) -> Result<&T, Refused> {
        let there = self.optional(at)?;
        there.ok_or_else(|| Refused::bad(format!("{at} is missing")))
    }
}

impl<'de, T: Wanted<'de>> Deserialize<'de> for Said<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Look(PhantomData))
    }
}

struct Look<T>(PhantomData<T>);

impl<T> Look<T> {
    fn found(it: Option<T>, kind: &'static str) -> Said<T> {
        it.map_or(Said::Other(kind), Said::This)
    }
}

impl<'de, T: Wanted<'de>> Visitor<'de> for Look<T> {
    type Value = Said<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::KIND)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Self::found(T::text(Cow::Borrowed(text)), "a string"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Self::found(
            T::text(Cow::Owned(text.to_owned())),
            "a string",
        ))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Self::found(T::number(number.into()), "a number"))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Self::found(T::number(number.into()), "a number"))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        let number = Number::from_f64(number).and_then(T::number);
        Ok(Self::found(number, "a number"))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Self::found(T::flag(flag), "a boolean"))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Said::Other("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Ok(Self::found(T::list(list)?, "a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        Ok(Self::found(T::object(object)?, "an object"))
    }
}

impl<'de: 'a, 'a> Wanted<'de> for Cow<'a, str> {
    const KIND: &'static str = "a string";

    fn text(text: Cow<'de, str>) -> Option<Self> {
        Some(text)
    }
}

impl Wanted<'_> for u64 {
    const KIND: &'static str = "a whole number from 0 on";

    fn number(number: Number) -> Option<Self> {
        number.as_u64()
    }
}

impl Wanted<'_> for bool {
    const KIND: &'static str = "a boolean";

    fn flag(flag: bool) -> Option<Self> {
        Some(flag)
    }
}
