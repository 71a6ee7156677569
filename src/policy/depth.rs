//! Bounds on how deep a policy is, which Cedar's parser and validator leave to the stack.
//!
//! Seen with cedar-policy 4.14.1: fifty nested brackets overflow a stack of 2 MiB in the parser, which
//! ends the process; where the stack gets short in the validator, it stops without an error, and an
//! expression of wrong types passes; and an `if` whose condition is constant is copied at each level,
//! so that thirty of them, nested, take for ever. So: brackets are counted before a text is parsed,
//! depth and `if`s before it is validated, and both run on a stack that is enough for these bounds.

use cedar_policy_core::ast::{Expr, ExprKind};

use crate::problem::Problem;

/// The stack that parsing and validating take at most, with room to spare: some 40 KiB for a level of
/// brackets and 30 KiB for a level of an expression, without optimization. Only what is used of it
/// takes memory.
pub(crate) const STACK_BYTES: usize = 64 << 20;
/// The most brackets within one another.
pub(crate) const MAX_BRACKETS: usize = 64;
/// The deepest expression. `a && b && c` is two deep: all that fits into a text of the longest length
/// with conditions of 25 characters.
pub(crate) const MAX_DEPTH: usize = 400;
/// The most `if`s within one another.
pub(crate) const MAX_IFS: usize = 6;

/// Refuses brackets that are too deep.
pub(crate) fn of_text(id: &str, text: &str) -> Result<(), Problem> {
    let bytes = text.as_bytes();
    let mut open = 0_usize;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        match byte {
            b'"' => at += string(rest),
            b'/' if rest.starts_with(b"//") => at += comment(rest),
            b'(' | b'[' | b'{' => {
                open += 1;
                if open > MAX_BRACKETS {
                    return Err(Problem::at(
                        id,
                        text,
                        at,
                        format!(
                            "more than {MAX_BRACKETS} brackets within one another: split the policy"
                        ),
                    ));
                }
            }
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// How far a string's last byte is from its first, by Cedar's grammar: `"(\\.|[^"\\])*"`. 0 if it
/// doesn't end: then it is no string, and what follows counts.
fn string(from: &[u8]) -> usize {
    let mut at = 1;
    loop {
        match (from.get(at), from.get(at + 1)) {
            (Some(b'"'), _) => return at,
            (Some(b'\\'), None | Some(b'\n')) | (None, _) => return 0,
            (Some(b'\\'), Some(_)) => at += 2,
            (Some(_), _) => at += 1,
        }
    }
}

/// How far a comment's last byte is from its first.
fn comment(from: &[u8]) -> usize {
    from.iter()
        .position(|it| matches!(it, b'\n' | b'\r'))
        .unwrap_or(from.len())
        .saturating_sub(1)
}

/// Refuses expressions that are too deep.
pub(crate) fn of_expression(id: &str, text: &str, whole: &Expr) -> Result<(), Problem> {
    let mut todo = vec![(whole, 1, 0)];
    while let Some((expression, depth, ifs)) = todo.pop() {
        let ifs = ifs + usize::from(matches!(expression.expr_kind(), ExprKind::If { .. }));
        let too_deep = if depth > MAX_DEPTH {
            format!("the expression is more than {MAX_DEPTH} deep: split the policy")
        } else if ifs > MAX_IFS {
            format!("more than {MAX_IFS} ifs within one another: split the policy")
        } else {
            todo.extend(parts(expression).into_iter().map(|it| (it, depth + 1, ifs)));
            continue;
        };
        let offset = expression.source_loc().map_or(0, |it| it.span.offset());
        return Err(Problem::at(id, text, offset, too_deep));
    }
    Ok(())
}

fn parts(expression: &Expr) -> Vec<&Expr> {
    match expression.expr_kind() {
        ExprKind::Lit(_) | ExprKind::Var(_) | ExprKind::Slot(_) | ExprKind::Unknown(_) => {
            Vec::new()
        }
        ExprKind::If {
            test_expr,
            then_expr,
            else_expr,
        } => vec![test_expr, then_expr, else_expr],
        ExprKind::And { left, right } | ExprKind::Or { left, right } => vec![left, right],
        ExprKind::BinaryApp { arg1, arg2, .. } => vec![arg1, arg2],
        ExprKind::UnaryApp { arg, .. } => vec![arg],
        ExprKind::GetAttr { expr, .. }
        | ExprKind::HasAttr { expr, .. }
        | ExprKind::ExtHasAttr { expr, .. }
        | ExprKind::Like { expr, .. }
        | ExprKind::Is { expr, .. } => vec![expr],
        ExprKind::ExtensionFunctionApp { args: all, .. } | ExprKind::Set(all) => {
            all.iter().collect()
        }
        ExprKind::Record(all) => all.values().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BRACKETS, of_text};

    #[test]
    fn brackets_in_strings_and_comments_are_only_text() {
        let many = "(".repeat(MAX_BRACKETS + 1);
        for (text, good) in [
            (many.clone(), false),
            (format!("\"{many}\""), true),
            (format!("\"\\\"{many}\""), true),
            (format!("\"a\\\\\"{many}"), false),
            (format!("// {many}\n"), true),
            (format!("// {many}"), true),
            (format!("// \"\n{many}\""), false),
            (format!("// \"\r{many}"), false),
            (format!("\"//\"{many}"), false),
            (format!("\"{many}"), false),
            (format!("\"\\\n{many}\""), false),
            (format!("/{many}"), false),
            ("()".repeat(1_000), true),
        ] {
            assert_eq!(of_text("p", &text).is_ok(), good, "{text}");
        }
    }
}
