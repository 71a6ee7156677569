use std::{cmp::Ordering, rc::Rc, slice};

use serde_json::{Map, Value as Json, map};

/// A value during evaluation. It borrows from the object and from the rule; only lists can be new.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(&'a str),
    /// A list of the object.
    Array(&'a [Json]),
    /// A list that the rule made.
    List(Rc<Vec<Self>>),
    Map(&'a Map<String, Json>),
}

impl<'a> From<&'a Json> for Value<'a> {
    fn from(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            // Whole numbers are ints, as in the API server's CEL, whatever their sign.
            Json::Number(number) => number
                .as_i64()
                .map(Self::Int)
                .or_else(|| number.as_u64().map(Self::Uint))
                .unwrap_or_else(|| Self::Double(number.as_f64().unwrap_or(f64::NAN))),
            Json::String(text) => Self::Text(text),
            Json::Array(array) => Self::Array(array),
            Json::Object(map) => Self::Map(map),
        }
    }
}

impl<'a> Value<'a> {
    /// CEL's name of the type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Array(_) | Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }

    /// What a macro walks over: a list's elements, a map's keys. `None` for anything else.
    pub(crate) fn elements(&self) -> Option<Elements<'a>> {
        match self {
            Self::Array(array) => Some(Elements::Array(array.iter())),
            Self::List(list) => Some(Elements::List(Rc::clone(list), 0)),
            Self::Map(map) => Some(Elements::Keys(map.iter())),
            _ => None,
        }
    }

    /// How two numbers, strings or bools order; `None` when they don't. Numbers of different types
    /// compare by value, as in CEL.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Double(a), b) => order_double(*a, b.whole()?),
            (a, Self::Double(b)) => order_double(*b, a.whole()?).map(Ordering::reverse),
            (a, b) => Some(a.whole()?.cmp(&b.whole()?)),
        }
    }

    /// A bool or a number.
    pub(crate) fn is_scalar(&self) -> bool {
        matches!(
            self,
            Self::Bool(_) | Self::Int(_) | Self::Uint(_) | Self::Double(_)
        )
    }

    /// The value of an int or uint.
    fn whole(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some(i128::from(*value)),
            Self::Uint(value) => Some(i128::from(*value)),
            _ => None,
        }
    }

    /// The value as a list's index: any whole number. `None` for other types, `Some(None)` for a
    /// number that no list has.
    pub(crate) fn position(&self) -> Option<Option<usize>> {
        match self {
            // A double's cast saturates, and the fraction is asked first.
            Self::Double(value) => {
                (value.fract() == 0.0 && *value >= 0.0).then_some(Some(*value as usize))
            }
            value => value.whole().map(|whole| usize::try_from(whole).ok()),
        }
    }
}

/// The difference of a double and a whole number, without rounding the latter.
fn order_double(double: f64, whole: i128) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // The cast saturates far outside of what an int or uint can be.
    let floor = double.floor() as i128;
    Some(floor.cmp(&whole).then(if double.fract() == 0.0 {
        Ordering::Equal
    } else {
        Ordering::Greater
    }))
}

/// The elements that a macro walks over.
pub(crate) enum Elements<'a> {
    Array(slice::Iter<'a, Json>),
    List(Rc<Vec<Value<'a>>>, usize),
    Keys(map::Iter<'a>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        match self {
            Self::Array(array) => array.next().map(Value::from),
            Self::List(list, position) => {
                let element = list.get(*position).cloned();
                *position += 1;
                element
            }
            Self::Keys(entries) => entries
                .find(|(_, value)| !value.is_null())
                .map(|(key, _)| Value::Text(key)),
        }
    }
}
