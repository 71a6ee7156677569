//! Reads conditions. Whatever isn't known to mean the same as to Cedar isn't read.

use std::net::IpAddr;

use cedar_policy_core::ast::{
    BinaryOp, EntityUID, Expr, ExprKind, Literal, Name, UnaryOp, Value, ValueKind, Var,
};
use smol_str::SmolStr;

use super::{Bag, Number, Optional, Range, Relation, Span, Test, Text, Texts, Time, Who};
use crate::datetime::{self, function};
use crate::index::{Key, TypeName};

/// A condition that passed validation, if it can be read. As deep as it is the recursion.
pub(crate) fn read(condition: &Expr) -> Option<Test> {
    test(condition)
}

fn test(expression: &Expr) -> Option<Test> {
    Some(match expression.expr_kind() {
        ExprKind::Lit(Literal::Bool(it)) => Test::Is(*it),
        ExprKind::If {
            test_expr,
            then_expr,
            else_expr,
        } => Test::If(Box::new([
            test(test_expr)?,
            test(then_expr)?,
            test(else_expr)?,
        ])),
        ExprKind::And { left, right } => Test::And(Box::new([test(left)?, test(right)?])),
        ExprKind::Or { left, right } => Test::Or(Box::new([test(left)?, test(right)?])),
        ExprKind::UnaryApp { op, arg } => match op {
            UnaryOp::Not => Test::Not(Box::new(test(arg)?)),
            UnaryOp::IsEmpty => Test::Empty(texts(arg)?),
            UnaryOp::Neg => return None,
        },
        ExprKind::BinaryApp { op, arg1, arg2 } => match op {
            BinaryOp::Eq => equal(arg1, arg2)?,
            BinaryOp::Less => compared(Relation::Less, arg1, arg2)?,
            BinaryOp::LessEq => compared(Relation::AtMost, arg1, arg2)?,
            BinaryOp::In => within(arg1, arg2)?,
            BinaryOp::Contains => Test::Among(Box::new(text(arg2)?), texts(arg1)?),
            BinaryOp::ContainsAll => Test::All(texts(arg1)?, texts(arg2)?),
            BinaryOp::ContainsAny => Test::Any(texts(arg1)?, texts(arg2)?),
            BinaryOp::HasTag => Test::HasTag(bag(arg1)?, Box::new(text(arg2)?)),
            BinaryOp::GetTag | BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul => return None,
        },
        ExprKind::ExtensionFunctionApp { fn_name, args } => {
            let (address, ranges) = args.split_first()?;
            if !is(fn_name, "isInRange") || path(address)? != (Var::Context, vec!["sourceIP"]) {
                return None;
            }
            Test::InRange(ranges.iter().map(range).collect::<Option<_>>()?)
        }
        ExprKind::GetAttr { .. } => match path(expression)? {
            (Var::Context, all) => match *all {
                ["transport", "mtls"] => Test::Mtls,
                ["call", "destructive"] => Test::Destructive,
                _ => return None,
            },
            _ => return None,
        },
        ExprKind::HasAttr { expr, attr } => has(expr, &[attr])?,
        ExprKind::ExtHasAttr { expr, attrs } => {
            let attributes: Vec<&str> = attrs.iter().map(SmolStr::as_str).collect();
            has(expr, &attributes)?
        }
        ExprKind::Like { expr, pattern } => Test::Like(Box::new(text(expr)?), pattern.clone()),
        ExprKind::Is { expr, entity_type } => {
            let of = match who(expr)? {
                Who::Principal => TypeName::Agent,
                Who::Action => TypeName::Action,
                Who::Resource => TypeName::Resource,
                _ => return None,
            };
            Test::Is(entity_type.to_string() == of.qualified())
        }
        _ => return None,
    })
}

/// Of one kind only: of two kinds is never equal, which validation refuses anyway.
fn equal(left: &Expr, right: &Expr) -> Option<Test> {
    if let Some(compared) = compared(Relation::Equal, left, right) {
        return Some(compared);
    }
    if let (Some(left), Some(right)) = (text(left), text(right)) {
        return Some(Test::Equal(Box::new([left, right])));
    }
    if let (Some(left), Some(right)) = (who(left), who(right)) {
        return Some(Test::Same(Box::new([left, right])));
    }
    Some(Test::Agree(Box::new([test(left)?, test(right)?])))
}

fn compared(relation: Relation, left: &Expr, right: &Expr) -> Option<Test> {
    if let (Some(left), Some(right)) = (number(left), number(right)) {
        return Some(Test::Numbers(relation, Box::new([left, right])));
    }
    if let (Some(left), Some(right)) = (time(left), time(right)) {
        return Some(Test::Times(relation, Box::new([left, right])));
    }
    let both = [span(left)?, span(right)?];
    Some(Test::Spans(relation, Box::new(both)))
}

fn within(one: &Expr, all: &Expr) -> Option<Test> {
    let who = who(one)?;
    // What an entity that is named is in isn't known here.
    if matches!(who, Who::Is(_)) {
        return None;
    }
    let entity = |it: &Expr| match it.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(uid)) => key(uid),
        _ => None,
    };
    let keys: Vec<Key> = match all.expr_kind() {
        ExprKind::Set(all) => all.iter().map(entity).collect::<Option<_>>()?,
        _ => vec![entity(all)?],
    };
    Some(Test::Within(who, keys.into()))
}

/// `has`, of one attribute or of a way through several.
fn has(of: &Expr, attributes: &[&str]) -> Option<Test> {
    let (Var::Context, before) = path(of)? else {
        return None;
    };
    // This record may be missing itself, and that fails.
    if *before == ["delegation"] {
        return (attributes == ["requester"]).then_some(Test::DelegationHasRequester);
    }
    let way = [&before, attributes].concat();
    Some(Test::Has(match *way {
        ["sourceIP"] => Optional::SourceIp,
        ["transport", "serialNumber" | "notAfter"] => Optional::Certificate,
        ["call", "tool"] => Optional::Tool,
        ["call", "audience"] => Optional::Audience,
        ["delegation"] | ["delegation", "depth" | "root" | "expires"] => Optional::Delegation,
        ["delegation", "requester"] => Optional::Requester,
        _ => return None,
    }))
}

fn number(expression: &Expr) -> Option<Number> {
    Some(match expression.expr_kind() {
        ExprKind::Lit(Literal::Long(it)) => Number::Is(*it),
        ExprKind::UnaryApp {
            op: UnaryOp::Neg,
            arg,
        } => Number::Negative(Box::new(number(arg)?)),
        ExprKind::BinaryApp { op, arg1, arg2 } => {
            let both = || Some(Box::new([number(arg1)?, number(arg2)?]));
            match op {
                BinaryOp::Add => Number::Sum(both()?),
                BinaryOp::Sub => Number::Difference(both()?),
                BinaryOp::Mul => Number::Product(both()?),
                _ => return None,
            }
        }
        _ => match path(expression)? {
            (Var::Resource, all) if *all == ["sensitivity"] => Number::Sensitivity,
            (Var::Context, all) => match *all {
                ["call", "bytes"] => Number::Bytes,
                ["signals", "risk"] => Number::Risk,
                ["signals", "anomaly"] => Number::Anomaly,
                ["signals", "ageMilliseconds"] => Number::AgeMilliseconds,
                ["delegation", "depth"] => Number::Depth,
                _ => return None,
            },
            _ => return None,
        },
    })
}

fn time(expression: &Expr) -> Option<Time> {
    if let ExprKind::ExtensionFunctionApp { fn_name, args } = expression.expr_kind() {
        return match &***args {
            [it] if is(fn_name, "datetime") => milliseconds_of_datetime(literal(it)?).map(Time::Is),
            [it] if is(fn_name, "toDate") => Some(Time::ToDate(Box::new(time(it)?))),
            [it, by] if is(fn_name, "offset") => {
                Some(Time::Offset(Box::new((time(it)?, span(by)?))))
            }
            _ => None,
        };
    }
    match path(expression)? {
        (Var::Context, all) => match *all {
            ["now"] => Some(Time::Now),
            ["transport", "notAfter"] => Some(Time::NotAfter),
            ["delegation", "expires"] => Some(Time::Expires),
            _ => None,
        },
        _ => None,
    }
}

fn span(expression: &Expr) -> Option<Span> {
    let ExprKind::ExtensionFunctionApp { fn_name, args } = expression.expr_kind() else {
        return None;
    };
    match &***args {
        [it] if is(fn_name, "duration") => {
            let span = called("duration", &[text_value(literal(it)?)])?;
            milliseconds(span).map(Span::Is)
        }
        [it] if is(fn_name, "toTime") => Some(Span::ToTime(Box::new(time(it)?))),
        [to, from] if is(fn_name, "durationSince") => {
            Some(Span::Since(Box::new([time(to)?, time(from)?])))
        }
        _ => None,
    }
}

fn text(expression: &Expr) -> Option<Text> {
    Some(match expression.expr_kind() {
        ExprKind::Lit(Literal::String(it)) => Text::Is(it.clone()),
        ExprKind::BinaryApp {
            op: BinaryOp::GetTag,
            arg1,
            arg2,
        } => Text::Tag(bag(arg1)?, Box::new(text(arg2)?)),
        _ => match path(expression)? {
            (Var::Principal, all) => match *all {
                ["name"] => Text::AgentName,
                ["namespace"] => Text::Namespace,
                ["spiffeID"] => Text::SpiffeId,
                ["task"] => Text::Task,
                ["owner", "type"] => Text::OwnerType,
                _ => return None,
            },
            (Var::Resource, all) => match *all {
                ["type"] => Text::ResourceType,
                ["path"] => Text::Path,
                _ => return None,
            },
            (Var::Context, all) => match *all {
                ["transport", "serialNumber"] => Text::SerialNumber,
                ["call", "action"] => Text::Verb,
                ["call", "tool"] => Text::Tool,
                ["call", "audience"] => Text::Audience,
                ["delegation", "requester"] => Text::Requester,
                ["delegation", "root", "type"] => Text::RootType,
                _ => return None,
            },
            (Var::Action, _) => return None,
        },
    })
}

fn texts(expression: &Expr) -> Option<Texts> {
    match expression.expr_kind() {
        ExprKind::Set(all) => {
            let literals = all.iter().map(|it| literal(it).cloned());
            let mut literals = literals.collect::<Option<Vec<_>>>()?;
            literals.sort_unstable(); // `have` searches
            literals.dedup();
            Some(Texts::Are(literals.into()))
        }
        _ => match path(expression)? {
            (Var::Resource, all) if *all == ["residency"] => Some(Texts::Residency),
            (Var::Context, all) if *all == ["signals", "codes"] => Some(Texts::Codes),
            _ => None,
        },
    }
}

fn bag(expression: &Expr) -> Option<Bag> {
    match who(expression)? {
        Who::Claimed => Some(Bag::Claimed),
        Who::Resource => Some(Bag::Resource),
        _ => None,
    }
}

fn who(expression: &Expr) -> Option<Who> {
    if let ExprKind::Lit(Literal::EntityUID(uid)) = expression.expr_kind() {
        return key(uid).map(Who::Is);
    }
    let (variable, all) = path(expression)?;
    match (variable, &*all) {
        (Var::Principal, []) => Some(Who::Principal),
        (Var::Principal, ["owner"]) => Some(Who::Owner),
        (Var::Principal, ["claimed"]) => Some(Who::Claimed),
        (Var::Action, []) => Some(Who::Action),
        (Var::Resource, []) => Some(Who::Resource),
        (Var::Context, ["delegation", "root"]) => Some(Who::Root),
        _ => None,
    }
}

/// A variable, and the way from it: `context` and `call`, `tool` of `context.call.tool`.
fn path(expression: &Expr) -> Option<(Var, Vec<&str>)> {
    let mut attributes = Vec::new();
    let mut expression = expression;
    loop {
        match expression.expr_kind() {
            ExprKind::Var(variable) => {
                attributes.reverse();
                return Some((*variable, attributes));
            }
            ExprKind::GetAttr { expr, attr } => {
                attributes.push(attr.as_str());
                expression = expr;
            }
            _ => return None,
        }
    }
}

fn key(uid: &EntityUID) -> Option<Key> {
    let name = uid.entity_type().to_string();
    let of = TypeName::ALL
        .into_iter()
        .find(|it| it.qualified() == name)?;
    Some(Key {
        of,
        id: AsRef::<str>::as_ref(uid.eid()).into(),
    })
}

fn literal(expression: &Expr) -> Option<&SmolStr> {
    match expression.expr_kind() {
        ExprKind::Lit(Literal::String(it)) => Some(it),
        _ => None,
    }
}

fn is(name: &Name, wanted: &str) -> bool {
    name.is_unqualified() && name.to_string() == wanted
}

/// `ip("10.0.0.0/8")`
fn range(expression: &Expr) -> Option<Range> {
    let ExprKind::ExtensionFunctionApp { fn_name, args } = expression.expr_kind() else {
        return None;
    };
    let written = match &***args {
        [it] if is(fn_name, "ip") => literal(it)?,
        _ => return None,
    };
    // What Cedar doesn't take isn't taken here.
    called("ip", &[text_value(written)])?;
    let (address, bits) = match written.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        None => (written.as_str(), None),
    };
    Some(match address.parse().ok()? {
        IpAddr::V4(it) => Range::V4 {
            network: it.into(),
            mask: u32::MAX
                .checked_shl(32_u32.checked_sub(bits.unwrap_or(32))?)
                .unwrap_or(0),
        },
        IpAddr::V6(it) => Range::V6 {
            network: it.into(),
            mask: u128::MAX
                .checked_shl(128_u32.checked_sub(bits.unwrap_or(128))?)
                .unwrap_or(0),
        },
    })
}

/// Since 1970, as Cedar reads it.
fn milliseconds_of_datetime(written: &SmolStr) -> Option<i64> {
    let epoch = called(
        "datetime",
        &[text_value(&SmolStr::new_static("1970-01-01"))],
    )?;
    let time = called("datetime", &[text_value(written)])?;
    milliseconds(called("durationSince", &[time, epoch])?)
}

/// Of a duration.
fn milliseconds(span: Value) -> Option<i64> {
    let to_milliseconds = function("toMilliseconds")?;
    let Ok(value) = to_milliseconds.call(&[span]) else {
        return None;
    };
    match Value::try_from(value).ok()?.value {
        ValueKind::Lit(Literal::Long(it)) => Some(it),
        _ => None,
    }
}

fn called(name: &str, arguments: &[Value]) -> Option<Value> {
    datetime::call(function(name)?, arguments)
}

fn text_value(text: &SmolStr) -> Value {
    Value::from(text.clone())
}
