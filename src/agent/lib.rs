//! The sidecar of a pod that keeps its own key: `countersign agent`.
//!
//! ```text
//!                  token, PKCS#10            ┌────────── Told ◀── listen ◀═ Watch ═╗
//!  issuing ◀══════════════════════ Keeper ◀──┘                                     ║ issuing
//!  endpoint ══ chain, trust ══════▶   │  plan: close, expire, fetch, sleep         ║ endpoint
//!                                     ▼
//!                                    View ──┬─▶ Workload API ═▶ the pod's containers
//!                                           ├─▶ SDS          ═▶ an Envoy in the pod
//!                                           └─▶ files
//! ```
//!
//! The key is made here, for each certificate another, and goes nowhere but to the pod's own
//! containers. The certificate is renewed when the endpoint says, by a clock that never jumps. While
//! the endpoint is away it is served until its end; when the endpoint says that the identity is
//! suspended or over, nothing is served any more from that moment on.
//!
//! What it must not do: decide who may have what; trust an endpoint that is not the trust domain's
//! issuer; log a key or a token; take silence for a revocation, or a revocation for silence.

mod backoff;
mod call;
mod connect;
mod crls;
mod files;
mod held;
mod keep;
mod listen;
mod metrics;
mod pem_text;
mod plan;
mod roots;
mod run;
mod sds;
mod serving;
mod settings;
mod socket;
mod stream;
mod told;
mod trust;
mod view;
mod workload;

#[cfg(test)]
mod tests;

pub use run::{AgentError, run};
pub use settings::Settings;
