//! Expressions without their places.
//!
//! Cedar's evaluator copies the place of each expression into each value, and counts who shares the
//! text for it: two atomic operations for each step, on one counter that all processors share.

use std::sync::Arc;

use cedar_policy_core::ast::{Expr, ExprKind};

/// The same expression, without places in a text. As deep as the expression is the recursion.
pub(crate) fn of(expression: &Expr) -> Expr {
    let bare = rebuilt(expression).unwrap_or_else(|| expression.clone());
    if bare.eq_shape(expression) {
        bare
    } else {
        // Cedar has simplified it. Nothing would be wrong with that, but then it isn't the same.
        expression.clone()
    }
}

fn rebuilt(expression: &Expr) -> Option<Expr> {
    let each = |all: &[Expr]| all.iter().map(rebuilt).collect::<Option<Vec<Expr>>>();
    Some(match expression.expr_kind() {
        ExprKind::Lit(literal) => Expr::val(literal.clone()),
        ExprKind::Var(variable) => Expr::var(*variable),
        ExprKind::Slot(_) | ExprKind::Unknown(_) => return None,
        ExprKind::If {
            test_expr,
            then_expr,
            else_expr,
        } => Expr::ite(
            rebuilt(test_expr)?,
            rebuilt(then_expr)?,
            rebuilt(else_expr)?,
        ),
        ExprKind::And { left, right } => Expr::and(rebuilt(left)?, rebuilt(right)?),
        ExprKind::Or { left, right } => Expr::or(rebuilt(left)?, rebuilt(right)?),
        ExprKind::UnaryApp { op, arg } => Expr::unary_app(*op, rebuilt(arg)?),
        ExprKind::BinaryApp { op, arg1, arg2 } => {
            Expr::binary_app(*op, rebuilt(arg1)?, rebuilt(arg2)?)
        }
        ExprKind::ExtensionFunctionApp { fn_name, args } => {
            Expr::call_extension_fn(fn_name.clone(), each(args)?)
        }
        ExprKind::GetAttr { expr, attr } => Expr::get_attr(rebuilt(expr)?, attr.clone()),
        ExprKind::HasAttr { expr, attr } => Expr::has_attr(rebuilt(expr)?, attr.clone()),
        ExprKind::ExtHasAttr { expr, attrs } => {
            Expr::extended_has_attr(rebuilt(expr)?, attrs.clone())
        }
        ExprKind::Like { expr, pattern } => Expr::like(rebuilt(expr)?, pattern.clone()),
        ExprKind::Is { expr, entity_type } => {
            Expr::is_entity_type(rebuilt(expr)?, entity_type.clone())
        }
        ExprKind::Set(all) => Expr::set(each(all)?),
        ExprKind::Record(all) => {
            let members: Option<_> = all
                .iter()
                .map(|(name, value)| Some((name.clone(), rebuilt(value)?)))
                .collect();
            Expr::record_arc(Arc::new(members?))
        }
    })
}
