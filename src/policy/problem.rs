//! What is wrong with policies, and where.

use std::fmt;

/// One thing that keeps a set of policies from taking effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The id of the policy that it is about; `None`: the object as a whole, or one of its tests.
    pub policy: Option<String>,
    /// The line of the policy's text, from 1; 0 where it has no place in a text.
    pub line: usize,
    /// The column, in characters from 1; 0 where it has no place in a text.
    pub column: usize,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl Problem {
    /// About the object.
    pub(crate) fn of_object(message: impl Into<String>) -> Self {
        Self {
            policy: None,
            line: 0,
            column: 0,
            message: message.into(),
        }
    }

    /// About a policy, but not a place in its text.
    pub(crate) fn of_policy(id: &str, message: impl Into<String>) -> Self {
        Self {
            policy: Some(id.to_owned()),
            ..Self::of_object(message)
        }
    }

    /// About the place `offset` bytes into the policy's text.
    pub(crate) fn at(id: &str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let (line, column) = place(text, offset);
        Self {
            line,
            column,
            ..Self::of_policy(id, message)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(policy) = &self.policy {
            write!(f, "policy \"{policy}\"")?;
            if self.line > 0 {
                write!(f, ", line {}, column {}", self.line, self.column)?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// Line and column of a byte, both from 1, the column in characters; of the end if it is beyond.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        assert_eq!(place("permit", 0), (1, 1));
        assert_eq!(place("a\nbcd", 4), (2, 3));
        assert_eq!(place("\"ü\" x", 5), (1, 5));
        assert_eq!(place("ab", 99), (1, 3));
        // Inside a character: there is no such place, so the end.
        assert_eq!(place("ü", 1), (1, 2));
    }
}
