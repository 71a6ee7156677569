//! How a command fails, and what a script is told.

use std::process::ExitCode;

/// Why a command didn't do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It couldn't be done: exit code 1.
    Error(anyhow::Error),
    /// It was asked for in a way that can't be: exit code 2, as for arguments that can't be read.
    Usage(String),
    /// It was looked at, and the answer is no: exit code 3.
    Refused(String),
    /// The answer is no, and was printed: exit code 1, of commands that are asked yes or no.
    No,
}

/// What a command comes to.
pub(crate) type Outcome = Result<(), Failure>;

/// What `--help` says of exit codes.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  error: it could not be done
  2  usage: it was asked for in a way that can't be
  3  refused: what was verified or checked does not hold";

impl Failure {
    /// Tells the user on stderr; gives the exit code.
    pub(crate) fn tell(&self) -> ExitCode {
        match self {
            Self::Error(error) => {
                eprintln!("error: {}", crate::text::clean(&format!("{error:#}")));
                ExitCode::from(1)
            }
            Self::Usage(why) => {
                eprintln!("error: {}", crate::text::clean(why));
                ExitCode::from(2)
            }
            Self::Refused(why) => {
                eprintln!("refused: {}", crate::text::clean(why));
                ExitCode::from(3)
            }
            Self::No => ExitCode::from(1),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Error(error)
    }
}
