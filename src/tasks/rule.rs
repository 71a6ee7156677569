use crate::{Rule, RuleError, evaluate, expression::Expression, lower, parse};

/// One compiled rule: an expression over `object` that gives a boolean.
#[derive(Debug)]
pub(crate) struct CompiledRule {
    rule: Rule,
    expression: Expression,
}

impl CompiledRule {
    pub(crate) fn compile(rule: Rule, source: &str) -> Result<Self, RuleError> {
        let parsed = parse::parse(rule, source)?;
        let expression = lower::lower(rule, &parsed)?;
        match expression.result_type() {
            None | Some("bool") => Ok(Self { rule, expression }),
            Some(got) => Err(RuleError::NotBoolean { rule, got }),
        }
    }

    /// True when the rule never looks at the object and never holds.
    pub(crate) fn is_false(&self) -> bool {
        matches!(self.expression, Expression::Bool(false))
    }

    /// Whether the rule holds for the object. A missing key makes the whole rule false, wherever
    /// in the expression it is: under a negation it must not turn a running task into a finished
    /// one.
    pub(crate) fn holds(&self, object: &serde_json::Value) -> Result<bool, RuleError> {
        evaluate::evaluate(self.rule, &self.expression, object)
    }
}
