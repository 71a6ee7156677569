//! The benchmarks, one file each.

mod burst;
mod completion;
mod idle;
mod scale;
mod statistics;
mod sustained;
mod writes;

use anyhow::Result;
use clap::ValueEnum;

use crate::bed::Programs;
use crate::progress;
use crate::results::Entry;
use crate::shape::Shape;

/// What the plain writer is called in the results.
const PLAIN: &str = "plain writer, same writes";

/// A benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// One identity at a time: create to Ready
    Idle,
    /// 300 identities at once, all Ready
    Burst,
    /// Identities a second, kept up
    Sustained,
    /// 300 tasks complete at once, the last credential is gone
    Completion,
    /// API writes for an identity, and conflicts
    Writes,
    /// 10,000 live identities: memory, and a restart
    Scale,
}

impl Case {
    /// Those that were asked for, or all.
    pub(crate) fn chosen(only: &[Self]) -> Vec<Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|it| only.is_empty() || only.contains(it))
            .collect()
    }

    pub(crate) async fn run(
        self,
        programs: &Programs,
        shape: &Shape,
        quick: bool,
    ) -> Result<Vec<Entry>> {
        progress(&format!("benchmark {self}"));
        match self {
            Self::Idle => idle::run(programs, shape, quick).await,
            Self::Burst => burst::run(programs, shape, quick).await,
            Self::Sustained => sustained::run(programs, shape, quick).await,
            Self::Completion => completion::run(programs, shape, quick).await,
            Self::Writes => writes::run(programs, shape, quick).await,
            Self::Scale => scale::run(programs, shape, quick).await,
        }
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}
