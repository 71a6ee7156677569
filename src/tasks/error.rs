use std::fmt;

/// Which of a kind's two rules is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// `spec.succeeded`.
    Succeeded,
    /// `spec.failed`.
    Failed,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        })
    }
}

/// Why a rule can't be used, or why it gave no answer for an object.
///
/// The message is for the person who wrote the rule: what is wrong, where, and what to write
/// instead. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The expression is longer than [`Rules`](crate::Rules) take.
    #[error("rule `{rule}` has {bytes} bytes, at most {limit} are allowed: shorten it")]
    TooLong {
        /// The rule at fault.
        rule: Rule,
        /// Its length.
        bytes: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// The expression isn't CEL.
    #[error("rule `{rule}`, line {line}, column {column}: {message}")]
    Syntax {
        /// The rule at fault.
        rule: Rule,
        /// Where the parser gave up.
        line: usize,
        /// Where the parser gave up.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// Brackets, operators or macros are more, or nested deeper, than allowed.
    #[error("rule `{rule}` has {what} than {limit}: simplify it")]
    TooDeep {
        /// The rule at fault.
        rule: Rule,
        /// What there is too much of.
        what: &'static str,
        /// The most that is allowed.
        limit: usize,
    },
    /// A name that is neither `object` nor bound by a macro.
    #[error(
        "rule `{rule}`, line {line}, column {column}: unknown name `{name}`: \
         the only variable is `object`, write for example `object.{name}`"
    )]
    UndeclaredName {
        /// The rule at fault.
        rule: Rule,
        /// The name.
        name: String,
        /// Where it is.
        line: usize,
        /// Where it is.
        column: usize,
    },
    /// A function or an operator that rules don't have.
    #[error(
        "rule `{rule}`, line {line}, column {column}: no function `{name}` for {arguments} \
         argument(s): rules have {known}"
    )]
    UnknownFunction {
        /// The rule at fault.
        rule: Rule,
        /// The function.
        name: String,
        /// How many arguments it was given.
        arguments: usize,
        /// Where it is called.
        line: usize,
        /// Where it is called.
        column: usize,
        /// The functions there are.
        known: &'static str,
    },
    /// A part of CEL that rules don't have.
    #[error("rule `{rule}`, line {line}, column {column}: rules don't have {what}")]
    Unsupported {
        /// The rule at fault.
        rule: Rule,
        /// What it is.
        what: &'static str,
        /// Where it is.
        line: usize,
        /// Where it is.
        column: usize,
    },
    /// The rule's result isn't a boolean. Told by `compile` where the expression alone tells it.
    #[error("rule `{rule}` gives a {got}, not a bool: compare it with something")]
    NotBoolean {
        /// The rule at fault.
        rule: Rule,
        /// The type that it gave.
        got: &'static str,
    },
    /// The rule failed on this object, for another reason than a missing key.
    #[error("rule `{rule}` failed on the object: {message}")]
    Evaluation {
        /// The rule at fault.
        rule: Rule,
        /// What the evaluator says.
        message: String,
    },
    /// The rule looks at more of this object than allowed.
    #[error("rule `{rule}` took more than {limit} steps on the object: look at fewer elements")]
    TooCostly {
        /// The rule at fault.
        rule: Rule,
        /// The most that is allowed.
        limit: usize,
    },
    /// The parser panicked, a defect, or its thread couldn't be started.
    #[error("rule `{rule}` broke the parser: write it differently, and report it")]
    ParserFailed {
        /// The rule at fault.
        rule: Rule,
    },
}

impl RuleError {
    /// The error's kind in CamelCase, fit for the `reason` of a condition. Never changes.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "RuleTooLong",
            Self::Syntax { .. } => "RuleSyntax",
            Self::TooDeep { .. } => "RuleTooDeep",
            Self::UndeclaredName { .. } => "RuleUndeclaredName",
            Self::UnknownFunction { .. } => "RuleUnknownFunction",
            Self::Unsupported { .. } => "RuleUnsupported",
            Self::NotBoolean { .. } => "RuleNotBoolean",
            Self::Evaluation { .. } => "RuleEvaluation",
            Self::TooCostly { .. } => "RuleTooCostly",
            Self::ParserFailed { .. } => "RuleParserFailed",
        }
    }
}
