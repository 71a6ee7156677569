//! What operators and functions do with values.

use std::cmp::Ordering;

use serde_json::{Map, Value as Json};

use crate::{
    evaluate::{Evaluated, Evaluation, Fault},
    expression::{Expression, Function, Operator},
    value::Value,
};

/// How deep values are compared, which is recursion that the object's author decides about.
const MAX_COMPARE_DEPTH: usize = 64;

impl<'a> Evaluation<'a> {
    /// An entry of a map. Null counts as missing, as in the API server's CEL: controllers write
    /// `conditions: null` for what isn't there.
    pub(crate) fn entry(
        &mut self,
        map: &'a Map<String, Json>,
        key: &str,
    ) -> Evaluated<Option<Value<'a>>> {
        // A lookup compares the key with some of the map's, each up to its whole length.
        self.charge(key.len() / 4)?;
        Ok(map
            .get(key)
            .filter(|value| !value.is_null())
            .map(Value::from))
    }

    pub(crate) fn index(&mut self, of: &Value<'a>, at: &Value<'a>) -> Evaluated<Value<'a>> {
        let unfit = || {
            Fault::Broken(format!(
                "a {} can't be indexed with a {}",
                of.type_name(),
                at.type_name()
            ))
        };
        match (of, at) {
            (Value::Map(map), Value::Text(key)) => self.entry(map, key)?.ok_or(Fault::Missing),
            (Value::Map(_), key) if key.is_scalar() => Err(Fault::Missing),
            (Value::Array(array), at) => {
                let position = at.position().ok_or_else(unfit)?;
                let element = position.and_then(|position| array.get(position));
                element.map(Value::from).ok_or(Fault::Missing)
            }
            (Value::List(list), at) => {
                let position = at.position().ok_or_else(unfit)?;
                position
                    .and_then(|position| list.get(position))
                    .cloned()
                    .ok_or(Fault::Missing)
            }
            _ => Err(unfit()),
        }
    }

    pub(crate) fn binary(
        &mut self,
        operator: Operator,
        left: &Value<'a>,
        right: &Value<'a>,
    ) -> Evaluated<Value<'a>> {
        Ok(match operator {
            Operator::Equal => Value::Bool(self.equal(left, right, 0)?),
            Operator::NotEqual => Value::Bool(!self.equal(left, right, 0)?),
            Operator::Less => Value::Bool(self.order(operator, left, right)?.is_lt()),
            Operator::LessOrEqual => Value::Bool(self.order(operator, left, right)?.is_le()),
            Operator::Greater => Value::Bool(self.order(operator, left, right)?.is_gt()),
            Operator::GreaterOrEqual => Value::Bool(self.order(operator, left, right)?.is_ge()),
            Operator::In => Value::Bool(self.is_in(left, right)?),
            _ => arithmetic(operator, left, right)?,
        })
    }

    fn order(
        &mut self,
        operator: Operator,
        left: &Value<'a>,
        right: &Value<'a>,
    ) -> Evaluated<Ordering> {
        if let (Value::Text(left), Value::Text(right)) = (left, right) {
            self.charge(left.len().min(right.len()) / 32)?;
        }
        left.order(right)
            .ok_or_else(|| unfit(operator, left, right))
    }

    /// CEL's equality: numbers by value, and values of different types differ.
    fn equal(&mut self, left: &Value<'a>, right: &Value<'a>, depth: usize) -> Evaluated<bool> {
        self.charge(1)?;
        if depth > MAX_COMPARE_DEPTH {
            let message = format!("values nested more than {MAX_COMPARE_DEPTH} deep in `==`");
            return Err(Fault::Broken(message));
        }
        match (left, right) {
            (Value::Null, Value::Null) => Ok(true),
            (Value::Text(left), Value::Text(right)) => {
                self.charge(left.len().min(right.len()) / 32)?;
                Ok(left == right)
            }
            (Value::Map(left), Value::Map(right)) => {
                if left.len() != right.len() {
                    return Ok(false);
                }
                for ((left_key, left), (right_key, right)) in left.iter().zip(right.iter()) {
                    self.charge(left_key.len().min(right_key.len()) / 32)?;
                    if left_key != right_key
                        || !self.equal(&left.into(), &right.into(), depth + 1)?
                    {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Array(_) | Value::List(_), Value::Array(_) | Value::List(_)) => {
                let (Some(mut left), Some(mut right)) = (left.elements(), right.elements()) else {
                    return Ok(false);
                };
                loop {
                    match (left.next(), right.next()) {
                        (Some(left), Some(right)) if self.equal(&left, &right, depth + 1)? => {}
                        (None, None) => return Ok(true),
                        _ => return Ok(false),
                    }
                }
            }
            (left, right) => Ok(left.order(right) == Some(Ordering::Equal)),
        }
    }

    fn is_in(&mut self, element: &Value<'a>, container: &Value<'a>) -> Evaluated<bool> {
        match (element, container) {
            (Value::Text(key), Value::Map(map)) => Ok(self.entry(map, key)?.is_some()),
            // As in CEL: these could be keys of other maps.
            (key, Value::Map(_)) if key.is_scalar() => Ok(false),
            (_, Value::Array(_) | Value::List(_)) => {
                for other in container.elements().into_iter().flatten() {
                    if self.equal(&other, element, 0)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => Err(unfit(Operator::In, element, container)),
        }
    }

    pub(crate) fn call(
        &mut self,
        function: Function,
        arguments: &'a [Expression],
    ) -> Evaluated<Value<'a>> {
        let arguments: Vec<Value<'a>> = arguments
            .iter()
            .map(|argument| self.value(argument))
            .collect::<Result<_, _>>()?;
        match (function, arguments.as_slice()) {
            (Function::Size, [of]) => self.size(of),
            (_, [Value::Text(text), Value::Text(part)]) => {
                self.charge((text.len() + part.len()) / 16)?;
                Ok(Value::Bool(match function {
                    Function::StartsWith => text.starts_with(part),
                    Function::EndsWith => text.ends_with(part),
                    Function::Contains | Function::Size => text.contains(part),
                }))
            }
            (function, arguments) => {
                let types: Vec<_> = arguments.iter().map(Value::type_name).collect();
                let message = format!("`{}` doesn't take {}", function.name(), types.join(", "));
                Err(Fault::Broken(message))
            }
        }
    }

    fn size(&mut self, of: &Value<'a>) -> Evaluated<Value<'a>> {
        let size = match of {
            Value::Text(text) => {
                self.charge(text.len() / 16)?;
                text.chars().count()
            }
            Value::Array(array) => array.len(),
            Value::List(list) => list.len(),
            Value::Map(map) => {
                self.charge(map.len())?;
                map.values().filter(|value| !value.is_null()).count()
            }
            other => {
                return Err(Fault::Broken(format!(
                    "`size` doesn't take {}",
                    other.type_name()
                )));
            }
        };
        Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
    }
}

/// Unary minus.
pub(crate) fn negate<'a>(value: &Value<'a>) -> Evaluated<Value<'a>> {
    match value {
        Value::Int(value) => value.checked_neg().map(Value::Int),
        Value::Double(value) => Some(Value::Double(-value)),
        _ => None,
    }
    .ok_or_else(|| Fault::Broken(format!("`-` of a {} has no result", value.type_name())))
}

/// Numbers of one type only, as in CEL. Not strings and lists: they could double at each `+`.
fn arithmetic<'a>(operator: Operator, left: &Value<'a>, right: &Value<'a>) -> Evaluated<Value<'a>> {
    let result = match (left, right) {
        (Value::Int(a), Value::Int(b)) => match operator {
            Operator::Add => a.checked_add(*b),
            Operator::Subtract => a.checked_sub(*b),
            Operator::Multiply => a.checked_mul(*b),
            Operator::Divide => a.checked_div(*b),
            Operator::Remainder => a.checked_rem(*b),
            _ => None,
        }
        .map(Value::Int),
        (Value::Uint(a), Value::Uint(b)) => match operator {
            Operator::Add => a.checked_add(*b),
            Operator::Subtract => a.checked_sub(*b),
            Operator::Multiply => a.checked_mul(*b),
            Operator::Divide => a.checked_div(*b),
            Operator::Remainder => a.checked_rem(*b),
            _ => None,
        }
        .map(Value::Uint),
        (Value::Double(a), Value::Double(b)) => match operator {
            Operator::Add => Some(a + b),
            Operator::Subtract => Some(a - b),
            Operator::Multiply => Some(a * b),
            Operator::Divide => Some(a / b),
            _ => None,
        }
        .map(Value::Double),
        _ => None,
    };
    result.ok_or_else(|| unfit(operator, left, right))
}

fn unfit(operator: Operator, left: &Value<'_>, right: &Value<'_>) -> Fault {
    let (left, right) = (left.type_name(), right.type_name());
    Fault::Broken(format!(
        "{left} `{}` {right} has no result",
        operator.symbol()
    ))
}
