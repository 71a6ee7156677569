//! From text to the parser's tree.
//!
//! The parser of cel 0.15 is not safe to call as it is. Its recursion limit doesn't hold: 90
//! nested parentheses overflow a 2 MiB stack, and an overflow aborts the process. It has some
//! hundred `unwrap`s and `unreachable!`s behind unusual input. So the text's size and the number
//! of its brackets are limited before, and it runs on a thread of its own, whose stack is measured
//! for the worst that is left and whose panic is an error here.

use std::thread;

use cel::{
    Env, IdedExpr,
    common::ast::SourceInfo,
    parser::{ParseError, ParseErrors},
};

use crate::{Rule, RuleError};

/// The most bytes of a rule; the TaskKind schema says the same.
const MAX_BYTES: usize = 2048;

/// The most opening brackets of a rule, in strings too. They are counted, not matched, because
/// matching would need a second lexer that agrees with the parser's about every string.
const MAX_BRACKETS: usize = 64;

/// The parser's stack in bytes. In a debug build, the worst, it needs up to 12 MiB for 64 nested
/// brackets and 2 MiB for 2 KiB without any. Pages that aren't touched cost nothing.
const STACK_BYTES: usize = 32 << 20;

/// A parsed rule with what it takes to say where something is.
pub(crate) struct Parsed {
    pub(crate) root: IdedExpr,
    positions: SourceInfo,
}

impl Parsed {
    /// Line and column of a node, from 1.
    pub(crate) fn position(&self, node: &IdedExpr) -> (usize, usize) {
        let offset = self
            .positions
            .offset_for(node.id)
            .map_or(0, |(start, _)| start as usize);
        let before = self.positions.source.chars().take(offset);
        before.fold((1, 1), |(line, column), c| match c {
            '\n' => (line + 1, 1),
            _ => (line, column + 1),
        })
    }
}

/// Parses a rule. Macros stay the calls that they are written as.
pub(crate) fn parse(rule: Rule, source: &str) -> Result<Parsed, RuleError> {
    if source.len() > MAX_BYTES {
        return Err(RuleError::TooLong {
            rule,
            bytes: source.len(),
            limit: MAX_BYTES,
        });
    }
    if source.bytes().filter(|byte| b"([{".contains(byte)).count() > MAX_BRACKETS {
        return Err(RuleError::TooDeep {
            rule,
            what: "more opening brackets",
            limit: MAX_BRACKETS,
        });
    }
    let result = thread::scope(|scope| {
        thread::Builder::new()
            .name("rule-parser".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || {
                let parser = Env::default().with_optional_support(false).parser();
                parser
                    .parse_with_source_info(source)
                    .map_err(|errors| syntax_error(rule, errors))
            })
            .ok()
            .and_then(|thread| thread.join().ok())
    });
    let (root, positions) = result.unwrap_or(Err(RuleError::ParserFailed { rule }))?;
    Ok(Parsed { root, positions })
}

/// The first error: what the parser says after it has lost its way helps nobody.
fn syntax_error(rule: Rule, errors: ParseErrors) -> RuleError {
    let (position, message) = errors.errors.into_iter().next().map_or_else(
        || ((0, 0), "not an expression".to_owned()),
        |ParseError { pos, msg, .. }| (pos, msg),
    );
    RuleError::Syntax {
        rule,
        line: usize::try_from(position.0).unwrap_or(0).max(1),
        column: usize::try_from(position.1).unwrap_or(0).max(1),
        message,
    }
}
