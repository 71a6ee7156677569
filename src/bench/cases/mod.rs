//! The benchmarks, one file each.

mod audit;
mod burst;
mod chains;
mod completion;
mod decide;
mod delegations;
mod idle;
mod issue;
mod pod_certificate;
mod revocation_reach;
mod revoke;
mod scale;
mod sidecar;
mod statistics;
mod sustained;
mod writes;

use anyhow::Result;
use clap::ValueEnum;
pub(crate) use decide::{Leashed, hold};

use crate::bed::Programs;
use crate::progress;
use crate::results::Entry;
use crate::shape::LazyShape;

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
    /// Verifying chains of 1 to 16 hops, beside biscuit-auth and Tenuo
    Chains,
    /// One delegation at a time: create to Ready
    Delegations,
    /// The root of 1,000 delegations is revoked: all are marked, all are denied
    Revoke,
    /// Appends to the audit log, and a trail through a million records
    Audit,
    /// Decisions beside OPA's, in process, over HTTP and gRPC, through Envoy
    Decide,
    /// The issuing endpoint on one core, beside SPIRE's server
    Issue,
    /// From a sidecar's start to its pod's certificate, by its socket and in files
    Sidecar,
    /// One PodCertificateRequest at a time: create to issued
    PodCertificate,
    /// From a revocation or a signal to the last replica's first deny, under load
    Reach,
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
        shape: &LazyShape<'_>,
        quick: bool,
    ) -> Result<Vec<Entry>> {
        progress(&format!("benchmark {self}"));
        match self {
            Self::Idle => idle::run(programs, shape.learned().await?, quick).await,
            Self::Burst => burst::run(programs, shape.learned().await?, quick).await,
            Self::Sustained => sustained::run(programs, shape.learned().await?, quick).await,
            Self::Completion => completion::run(programs, shape.learned().await?, quick).await,
            Self::Writes => writes::run(programs, shape.learned().await?, quick).await,
            Self::Scale => scale::run(programs, shape.learned().await?, quick).await,
            Self::Chains => chains::run(programs, quick).await,
            Self::Delegations => delegations::run(programs, quick).await,
            Self::Revoke => revoke::run(programs, quick).await,
            Self::Audit => audit::run(programs, quick).await,
            Self::Decide => decide::run(programs, quick).await,
            Self::Issue => issue::run(programs, quick).await,
            Self::Sidecar => sidecar::run(programs, quick).await,
            Self::PodCertificate => pod_certificate::run(programs, quick).await,
            Self::Reach => revocation_reach::run(programs, shape.learned().await?, quick).await,
        }
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}
