//! From the parser's tree to an [`Expression`]: the place where everything that rules can't do is
//! refused, so that people hear of it when they write a rule and not when a task runs.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue, operators},
};

use crate::{
    Rule, RuleError,
    expression::{Expression, Function, Operator, Quantifier},
    parse::Parsed,
};

/// The deepest tree. It bounds the recursion here and in the evaluator, for which a stack of
/// 512 KiB is enough in a debug build (a test).
const MAX_DEPTH: usize = 64;

/// The most macros inside each other.
const MAX_MACROS: usize = 2;

/// What an error says there is.
const KNOWN: &str = "has, exists, exists_one, all, filter, map, size, contains, startsWith, \
                     endsWith";

/// Turns a parsed rule into one that can be evaluated.
pub(crate) fn lower(rule: Rule, parsed: &Parsed) -> Result<Expression, RuleError> {
    Lowering {
        rule,
        parsed,
        variables: Vec::new(),
        depth: 0,
    }
    .expression(&parsed.root)
}

struct Lowering<'a> {
    rule: Rule,
    parsed: &'a Parsed,
    /// The variables of the macros around, outermost first.
    variables: Vec<&'a str>,
    depth: usize,
}

impl<'a> Lowering<'a> {
    fn expression(&mut self, node: &'a IdedExpr) -> Result<Expression, RuleError> {
        if self.depth >= MAX_DEPTH {
            let what = "operators, fields or calls nested deeper";
            return Err(RuleError::TooDeep {
                rule: self.rule,
                what,
                limit: MAX_DEPTH,
            });
        }
        self.depth += 1;
        let lowered = match &node.expr {
            Expr::Literal(literal) => self.literal(node, literal),
            Expr::Ident(name) => self.name(node, name),
            Expr::Select(select) => Ok(Expression::Field {
                of: self.boxed(&select.operand)?,
                name: select.field.as_str().into(),
            }),
            Expr::List(list) => Ok(Expression::List(
                list.elements
                    .iter()
                    .map(|e| self.expression(e))
                    .collect::<Result<_, _>>()?,
            )),
            Expr::Call(call) => self.call(node, call),
            Expr::Map(_) => Err(self.unsupported(node, "a map in braces")),
            Expr::Struct(_) => Err(self.unsupported(node, "a message in braces")),
            // Only made by the parser's own macros, which are off, and by its mistakes.
            Expr::Comprehension(_) | Expr::Unspecified => {
                Err(self.unsupported(node, "this expression"))
            }
        };
        self.depth -= 1;
        lowered
    }

    fn boxed(&mut self, node: &'a IdedExpr) -> Result<Box<Expression>, RuleError> {
        self.expression(node).map(Box::new)
    }

    fn literal(&self, node: &IdedExpr, literal: &LiteralValue) -> Result<Expression, RuleError> {
        Ok(match literal {
            LiteralValue::Null => Expression::Null,
            LiteralValue::Boolean(value) => Expression::Bool(*value.inner()),
            LiteralValue::Int(value) => Expression::Int(*value.inner()),
            LiteralValue::UInt(value) => Expression::Uint(*value.inner()),
            LiteralValue::Double(value) => Expression::Double(*value.inner()),
            LiteralValue::String(value) => Expression::Text(value.inner().into()),
            LiteralValue::Bytes(_) => return Err(self.unsupported(node, "a bytes literal")),
        })
    }

    fn name(&self, node: &IdedExpr, name: &str) -> Result<Expression, RuleError> {
        if let Some(level) = self
            .variables
            .iter()
            .rposition(|variable| *variable == name)
        {
            return Ok(Expression::Variable(level));
        }
        if name == "object" {
            return Ok(Expression::Object);
        }
        let (line, column) = self.parsed.position(node);
        Err(RuleError::UndeclaredName {
            rule: self.rule,
            name: name.to_owned(),
            line,
            column,
        })
    }

    fn call(&mut self, node: &'a IdedExpr, call: &'a CallExpr) -> Result<Expression, RuleError> {
        match (
            call.func_name.as_str(),
            call.target.as_deref(),
            call.args.as_slice(),
        ) {
            (operators::LOGICAL_NOT, None, [of]) => Ok(Expression::Not(self.boxed(of)?)),
            (operators::NEGATE, None, [of]) => Ok(Expression::Negate(self.boxed(of)?)),
            (operators::LOGICAL_AND, None, [a, b]) => Ok(Expression::Both(self.pair(a, b)?)),
            (operators::LOGICAL_OR, None, [a, b]) => Ok(Expression::Either(self.pair(a, b)?)),
            (operators::CONDITIONAL, None, [condition, then, otherwise]) => {
                Ok(Expression::If(Box::new([
                    self.expression(condition)?,
                    self.expression(then)?,
                    self.expression(otherwise)?,
                ])))
            }
            (operators::INDEX, None, [of, at]) => Ok(Expression::Index {
                of: self.boxed(of)?,
                at: self.boxed(at)?,
            }),
            (
                operators::HAS,
                None,
                [
                    IdedExpr {
                        expr: Expr::Select(select),
                        ..
                    },
                ],
            ) => {
                let of = self.boxed(&select.operand)?;
                Ok(Expression::Has {
                    of,
                    name: select.field.as_str().into(),
                })
            }
            (name, None, [a, b]) if let Some(operator) = operator(name) => Ok(Expression::Binary {
                operator,
                operands: self.pair(a, b)?,
            }),
            (name, Some(over), [variable, body]) if let Some(quantifier) = quantifier(name) => {
                self.each(node, quantifier, over, variable, None, body)
            }
            ("map", Some(over), [variable, filter, body]) => {
                self.each(node, Quantifier::Map, over, variable, Some(filter), body)
            }
            (name, target, arguments) => self.function(node, name, target, arguments),
        }
    }

    fn pair(
        &mut self,
        a: &'a IdedExpr,
        b: &'a IdedExpr,
    ) -> Result<Box<[Expression; 2]>, RuleError> {
        Ok(Box::new([self.expression(a)?, self.expression(b)?]))
    }

    fn each(
        &mut self,
        node: &IdedExpr,
        quantifier: Quantifier,
        over: &'a IdedExpr,
        variable: &'a IdedExpr,
        filter: Option<&'a IdedExpr>,
        body: &'a IdedExpr,
    ) -> Result<Expression, RuleError> {
        let over = self.boxed(over)?;
        let Expr::Ident(name) = &variable.expr else {
            return Err(self.unsupported(node, "a macro whose first argument isn't a plain name"));
        };
        if self.variables.len() >= MAX_MACROS {
            let what = "macros nested deeper";
            return Err(RuleError::TooDeep {
                rule: self.rule,
                what,
                limit: MAX_MACROS,
            });
        }
        self.variables.push(name);
        let filter = filter.map(|filter| self.boxed(filter)).transpose()?;
        let body = self.boxed(body)?;
        self.variables.pop();
        Ok(Expression::Each {
            quantifier,
            over,
            filter,
            body,
        })
    }

    fn function(
        &mut self,
        node: &IdedExpr,
        name: &str,
        target: Option<&'a IdedExpr>,
        arguments: &'a [IdedExpr],
    ) -> Result<Expression, RuleError> {
        let function = match (name, target, arguments) {
            ("size", Some(_), []) | ("size", None, [_]) => Function::Size,
            ("contains", Some(_), [_]) => Function::Contains,
            ("startsWith", Some(_), [_]) => Function::StartsWith,
            ("endsWith", Some(_), [_]) => Function::EndsWith,
            _ => {
                let (line, column) = self.parsed.position(node);
                return Err(RuleError::UnknownFunction {
                    rule: self.rule,
                    name: name.to_owned(),
                    arguments: arguments.len(),
                    line,
                    column,
                    known: KNOWN,
                });
            }
        };
        let arguments = target
            .into_iter()
            .chain(arguments)
            .map(|a| self.expression(a));
        Ok(Expression::Call {
            function,
            arguments: arguments.collect::<Result<_, _>>()?,
        })
    }

    fn unsupported(&self, node: &IdedExpr, what: &'static str) -> RuleError {
        let (line, column) = self.parsed.position(node);
        RuleError::Unsupported {
            rule: self.rule,
            what,
            line,
            column,
        }
    }
}

fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        operators::EQUALS => Operator::Equal,
        operators::NOT_EQUALS => Operator::NotEqual,
        operators::LESS => Operator::Less,
        operators::LESS_EQUALS => Operator::LessOrEqual,
        operators::GREATER => Operator::Greater,
        operators::GREATER_EQUALS => Operator::GreaterOrEqual,
        operators::IN => Operator::In,
        operators::ADD => Operator::Add,
        operators::SUBSTRACT => Operator::Subtract,
        operators::MULTIPLY => Operator::Multiply,
        operators::DIVIDE => Operator::Divide,
        operators::MODULO => Operator::Remainder,
        _ => return None,
    })
}

fn quantifier(name: &str) -> Option<Quantifier> {
    Some(match name {
        operators::ALL => Quantifier::All,
        operators::EXISTS => Quantifier::Exists,
        operators::EXISTS_ONE | "existsOne" => Quantifier::ExistsOne,
        operators::FILTER => Quantifier::Filter,
        operators::MAP => Quantifier::Map,
        _ => return None,
    })
}
