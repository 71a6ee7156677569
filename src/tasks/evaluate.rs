//! Evaluates a rule on an object.
//!
//! This is CEL's semantics on a borrowed object, with two things that cel 0.15's own evaluator
//! doesn't offer: a bound on the work, since a task's object is written by tenants, and a
//! difference between "a key is missing" and any other error that doesn't depend on which of them
//! came last. The tests hold it against cel's evaluator.

use std::rc::Rc;

use serde_json::{Map, Value as Json};

use crate::{
    Rule, RuleError,
    expression::{Expression, Quantifier},
    operate::negate,
    value::{Elements, Value},
};

/// The most steps for one rule on one object. A step is an expression evaluated, an element walked
/// over or some bytes of text looked at. A condition takes some ten, so that a rule can look at
/// ten thousand of them; all steps take about 6 ms.
const MAX_STEPS: usize = 100_000;

/// Evaluates a rule. A missing key is false.
pub(crate) fn evaluate(
    rule: Rule,
    expression: &Expression,
    object: &Json,
) -> Result<bool, RuleError> {
    let object = Value::from(object);
    let mut evaluation = Evaluation {
        object,
        variables: Vec::new(),
        steps: MAX_STEPS,
    };
    match evaluation.value(expression) {
        Ok(Value::Bool(holds)) => Ok(holds),
        Ok(other) => Err(RuleError::NotBoolean {
            rule,
            got: other.type_name(),
        }),
        Err(Fault::Missing) => Ok(false),
        Err(Fault::Broken(message)) => Err(RuleError::Evaluation { rule, message }),
        Err(Fault::Exhausted) => Err(RuleError::TooCostly {
            rule,
            limit: MAX_STEPS,
        }),
    }
}

/// Why an expression has no value.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A key, or an index, that isn't there.
    Missing,
    /// Types that don't go together, or arithmetic without a result. The message names types and
    /// parts of the rule, never the object's content.
    Broken(String),
    /// The steps are used up. Nothing makes up for it.
    Exhausted,
}

impl Fault {
    /// Of two faults the one to tell: a missing key must not hide a rule that is wrong.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Missing, other) => other,
            (fault, _) => fault,
        }
    }
}

/// What an evaluation gives.
pub(crate) type Evaluated<T> = Result<T, Fault>;

/// One rule on one object.
pub(crate) struct Evaluation<'a> {
    object: Value<'a>,
    /// The values of the macros' variables, outermost first.
    variables: Vec<Value<'a>>,
    /// What is left.
    steps: usize,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn charge(&mut self, steps: usize) -> Evaluated<()> {
        self.steps = self.steps.checked_sub(steps).ok_or(Fault::Exhausted)?;
        Ok(())
    }

    pub(crate) fn value(&mut self, expression: &'a Expression) -> Evaluated<Value<'a>> {
        self.charge(1)?;
        Ok(match expression {
            Expression::Null => Value::Null,
            Expression::Bool(value) => Value::Bool(*value),
            Expression::Int(value) => Value::Int(*value),
            Expression::Uint(value) => Value::Uint(*value),
            Expression::Double(value) => Value::Double(*value),
            Expression::Text(text) => Value::Text(text),
            Expression::List(elements) => {
                let elements: Result<_, _> = elements.iter().map(|e| self.value(e)).collect();
                Value::List(Rc::new(elements?))
            }
            Expression::Object => self.object.clone(),
            Expression::Variable(level) => self
                .variables
                .get(*level)
                .cloned()
                .ok_or_else(|| Fault::Broken("a variable outside of its macro".to_owned()))?,
            Expression::Field { of, name } => {
                let map = self.map(of, name)?;
                self.entry(map, name)?.ok_or(Fault::Missing)?
            }
            Expression::Has { of, name } => {
                let map = self.map(of, name)?;
                Value::Bool(self.entry(map, name)?.is_some())
            }
            Expression::Index { of, at } => {
                let (of, at) = (self.value(of)?, self.value(at)?);
                self.index(&of, &at)?
            }
            Expression::Not(of) => Value::Bool(!self.truth(of)?),
            Expression::Negate(of) => negate(&self.value(of)?)?,
            Expression::Both(operands) => Value::Bool(self.connect(operands, false)?),
            Expression::Either(operands) => Value::Bool(self.connect(operands, true)?),
            Expression::If(parts) => {
                let [condition, then, otherwise] = parts.as_ref();
                let chosen = if self.truth(condition)? {
                    then
                } else {
                    otherwise
                };
                self.value(chosen)?
            }
            Expression::Binary { operator, operands } => {
                let [left, right] = operands.as_ref();
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.binary(*operator, &left, &right)?
            }
            Expression::Call {
                function,
                arguments,
            } => self.call(*function, arguments)?,
            Expression::Each {
                quantifier,
                over,
                filter,
                body,
            } => {
                let over = self.value(over)?;
                let elements = over.elements().ok_or_else(|| {
                    Fault::Broken(format!("a macro can't walk over a {}", over.type_name()))
                })?;
                match quantifier {
                    Quantifier::All => Value::Bool(self.decide(elements, body, false)?),
                    Quantifier::Exists => Value::Bool(self.decide(elements, body, true)?),
                    Quantifier::ExistsOne => Value::Bool(self.keep(elements, body)?.len() == 1),
                    Quantifier::Filter => Value::List(Rc::new(self.keep(elements, body)?)),
                    Quantifier::Map => {
                        let elements = self.transform(elements, filter.as_deref(), body)?;
                        Value::List(Rc::new(elements))
                    }
                }
            }
        })
    }

    fn truth(&mut self, expression: &'a Expression) -> Evaluated<bool> {
        match self.value(expression)? {
            Value::Bool(value) => Ok(value),
            other => Err(Fault::Broken(format!(
                "a {} where a bool is needed",
                other.type_name()
            ))),
        }
    }

    /// `&&` and `||`: an operand that decides, decides whatever is wrong with the other.
    fn connect(&mut self, operands: &'a [Expression; 2], deciding: bool) -> Evaluated<bool> {
        let mut fault = None;
        for operand in operands {
            let truth = self.truth(operand);
            if note(truth, &mut fault)? == Some(deciding) {
                return Ok(deciding);
            }
        }
        fault.map_or(Ok(!deciding), Err)
    }

    /// `all` and `exists`: an element that decides, decides whatever is wrong with others.
    fn decide(
        &mut self,
        elements: Elements<'a>,
        body: &'a Expression,
        deciding: bool,
    ) -> Evaluated<bool> {
        let mut fault = None;
        for element in elements {
            let truth = self.with(element, |evaluation| evaluation.truth(body));
            if note(truth, &mut fault)? == Some(deciding) {
                return Ok(deciding);
            }
        }
        fault.map_or(Ok(!deciding), Err)
    }

    /// The elements for which the body holds.
    fn keep(&mut self, elements: Elements<'a>, body: &'a Expression) -> Evaluated<Vec<Value<'a>>> {
        let mut kept = Vec::new();
        for element in elements {
            if self.with(element.clone(), |evaluation| evaluation.truth(body))? {
                kept.push(element);
            }
        }
        Ok(kept)
    }

    fn transform(
        &mut self,
        elements: Elements<'a>,
        filter: Option<&'a Expression>,
        body: &'a Expression,
    ) -> Evaluated<Vec<Value<'a>>> {
        let mut made = Vec::new();
        for element in elements {
            let value = self.with(element, |evaluation| {
                match filter.map(|filter| evaluation.truth(filter)).transpose()? {
                    Some(false) => Ok(None),
                    Some(true) | None => evaluation.value(body).map(Some),
                }
            })?;
            made.extend(value);
        }
        Ok(made)
    }

    /// Evaluates with one more variable.
    fn with<T>(
        &mut self,
        variable: Value<'a>,
        evaluate: impl FnOnce(&mut Self) -> Evaluated<T>,
    ) -> Evaluated<T> {
        self.charge(1)?;
        self.variables.push(variable);
        let result = evaluate(self);
        self.variables.pop();
        result
    }

    fn map(&mut self, of: &'a Expression, name: &str) -> Evaluated<&'a Map<String, Json>> {
        match self.value(of)? {
            Value::Map(map) => Ok(map),
            other => Err(Fault::Broken(format!(
                "field `{name}` of a {}, which has no fields",
                other.type_name()
            ))),
        }
    }
}

/// Keeps a fault for later, unless nothing can make up for it.
fn note(truth: Evaluated<bool>, fault: &mut Option<Fault>) -> Evaluated<Option<bool>> {
    match truth {
        Ok(value) => Ok(Some(value)),
        Err(Fault::Exhausted) => Err(Fault::Exhausted),
        Err(new) => {
            *fault = Some(match fault.take() {
                Some(old) => old.or(new),
                None => new,
            });
            Ok(None)
        }
    }
}
