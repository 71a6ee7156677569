//! What a test leaves out where something is missing.

use std::env;
use std::fmt::Display;
use std::io::Write as _;

/// What a test may find missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Java, Maven and what they fetch.
    Keycloak,
    /// Go, which programs of others are built with.
    Go,
    /// `initdb` and `postgres`.
    PostgreSql,
    /// Who may mount a disk that is full.
    Disk,
    /// Thousands of open files.
    Files,
}

impl Wanted {
    /// The variable of the environment that makes its absence a failure.
    fn variable(self) -> &'static str {
        match self {
            Self::Keycloak => "REQUIRE_KEYCLOAK",
            Self::Go => "REQUIRE_GO",
            Self::PostgreSql => "REQUIRE_POSTGRESQL",
            Self::Disk => "REQUIRE_DISK",
            Self::Files => "REQUIRE_FILES",
        }
    }
}

/// Says on stderr that a test proves nothing here, past libtest, which keeps to itself what a passing
/// test prints.
///
/// # Panics
/// With `REQUIRE_KEYCLOAK`, `REQUIRE_GO`, … in the environment: where it must be there.
#[allow(
    clippy::panic,
    reason = "what must be there isn't: the test has failed"
)]
pub fn left_out(missing: Wanted, why: impl Display) {
    let variable = missing.variable();
    if env::var_os(variable).is_some_and(|it| !it.is_empty()) {
        panic!("{variable} is set: {why}");
    }
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    // In one piece, between the lines of other tests. Who has no stderr reads nothing.
    let line = format!("\nLEFT OUT: {test}: {why} ({variable}=1 makes this a failure)\n");
    drop(std::io::stderr().write_all(line.as_bytes()));
}
