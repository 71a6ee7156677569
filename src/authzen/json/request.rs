//! A request's body, whatever endpoint it is for, and each of its evaluations.

use std::borrow::Cow;

use countersign_statement::MAX_STATEMENTS;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::properties::Properties;
use super::said::{Said, Wanted};

/// All that any endpoint reads of a body; each looks only at what is its own.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Request<'a> {
    #[serde(borrow, default)]
    pub(crate) subject: Said<Entity<'a, Anything>>,
    #[serde(borrow, default)]
    pub(crate) action: Said<Action<'a>>,
    #[serde(borrow, default)]
    pub(crate) resource: Said<Entity<'a, Properties>>,
    #[serde(borrow, default)]
    pub(crate) context: Said<Context<'a>>,
    #[serde(borrow, default)]
    pub(crate) evaluations: Said<Evaluations<'a>>,
    #[serde(borrow, default)]
    pub(crate) options: Said<Options<'a>>,
    #[serde(borrow, default)]
    pub(crate) page: Said<Page<'a>>,
}

/// A subject or a resource.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a, P: Wanted<'de>"))]
pub(crate) struct Entity<'a, P> {
    #[serde(borrow, default, rename = "type")]
    pub(crate) kind: Said<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) id: Said<Cow<'a, str>>,
    #[serde(default = "nothing")]
    pub(crate) properties: Said<P>,
}

/// An action.
#[derive(Debug, Deserialize)]
pub(crate) struct Action<'a> {
    #[serde(borrow, default)]
    pub(crate) name: Said<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) properties: Said<Properties>,
}

/// The context, as far as it is known here.
#[derive(Debug, Deserialize)]
pub(crate) struct Context<'a> {
    #[serde(borrow, default)]
    pub(crate) delegation: Said<Delegation<'a>>,
    #[serde(borrow, default)]
    pub(crate) certificate: Said<Cow<'a, str>>,
    #[serde(borrow, default, rename = "sourceIP")]
    pub(crate) source_ip: Said<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) tool: Said<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) bytes: Said<u64>,
    #[serde(default)]
    pub(crate) destructive: Said<bool>,
    #[serde(borrow, default)]
    pub(crate) audience: Said<Cow<'a, str>>,
}

/// A chain, by name or whole.
#[derive(Debug)]
pub(crate) enum Delegation<'a> {
    /// By its digest.
    Digest(Cow<'a, str>),
    /// Its statements.
    Statements(Vec<Said<Cow<'a, str>>>),
    /// More statements than a chain can have.
    TooMany,
}

/// The evaluations of a batch, each as it is written: one that can't be read fails by itself.
#[derive(Debug)]
pub(crate) struct Evaluations<'a>(pub(crate) Vec<&'a RawValue>);

/// The options of a batch.
#[derive(Debug, Deserialize)]
pub(crate) struct Options<'a> {
    #[serde(borrow, default)]
    pub(crate) evaluations_semantic: Said<Cow<'a, str>>,
}

/// The page of a search.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<'a> {
    #[serde(borrow, default)]
    pub(crate) token: Said<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) limit: Said<u64>,
    #[serde(default)]
    pub(crate) properties: Said<Anything>,
}

/// An object of which nothing counts.
#[derive(Debug)]
pub(crate) struct Anything;

fn nothing<T>() -> Said<T> {
    Said::Nothing
}

macro_rules! objects {
    ($($name:ident),*) => {$(
        impl<'de: 'a, 'a> Wanted<'de> for $name<'a> {
            const KIND: &'static str = "an object";

            fn object<A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
                Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
            }
        }
    )*};
}

objects!(Request, Action, Context, Options, Page);

impl<'de: 'a, 'a, P: Wanted<'de>> Wanted<'de> for Entity<'a, P> {
    const KIND: &'static str = "an object";

    fn object<A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
    }
}

impl<'de> Wanted<'de> for Anything {
    const KIND: &'static str = "an object";

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Some(Self))
    }
}

impl<'de: 'a, 'a> Wanted<'de> for Evaluations<'a> {
    const KIND: &'static str = "a list";

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut evaluations = Vec::new();
        while let Some(evaluation) = list.next_element::<&'de RawValue>()? {
            evaluations.push(evaluation);
        }
        Ok(Some(Self(evaluations)))
    }
}

impl<'de: 'a, 'a> Wanted<'de> for Delegation<'a> {
    const KIND: &'static str = "a string or a list of strings";

    fn text(text: Cow<'de, str>) -> Option<Self> {
        Some(Self::Digest(text))
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut statements = Vec::new();
        while let Some(statement) = list.next_element::<Said<Cow<'a, str>>>()? {
            if statements.len() == MAX_STATEMENTS {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Some(Self::TooMany));
            }
            statements.push(statement);
        }
        Ok(Some(Self::Statements(statements)))
    }
}
