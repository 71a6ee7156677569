//! A real Kubernetes control plane for tests, benches and first steps: etcd, kube-apiserver and
//! kube-controller-manager on loopback, without root, containers or a node.
//!
//! ```text
//!  controlplane/go.mod ─▶ Binaries ─▶ Layout (ports, keys, tokens, arguments)
//!                                        │
//!                 ┌──────────────────────┴───────────────────┐
//!                 ▼                                          ▼
//!   ControlPlane: a test's or a bench's own,     cluster: stays until `down`,
//!   ended by drop or by the watchdog             for hands and eyes
//! ```
//!
//! With [`Options::node`] there is also a node that runs pods: kubelet, scheduler, containerd and runc,
//! as root. [`Image`] makes images for it, of programs of this machine.
//!
//! [`FaultProxy`] stands between a client and the API server and fails on demand: at the n-th
//! write, delivered or not, or by watches that go silent.
//!
//! [`Envoy`] is a real Envoy with mTLS in front of a service, which asks a decision point.
//!
//! [`Keycloak`] is a real Keycloak: users, tokens, shared signals.
//!
//! [`Postgres`] is a real PostgreSQL server.
//!
//! [`Unverified`] is a server that is connected to by TLS, whoever it is.
//!
//! Tests share one control plane a process and take a namespace each:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let plane = countersign_testbed::shared().await?;
//! let client = plane.client().await?;
//! let namespace = plane.namespace("renewal").await?;
//! # Ok(()) }
//! ```
//!
//! Nothing here may outlive its parent: every process is in a group that a watchdog kills as soon
//! as the parent is gone, whichever way it went. Nothing here may be used outside development:
//! the data folder can be gone after a crash and the admin's token lies in a file.

#![allow(
    clippy::disallowed_methods,
    reason = "real programs are waited for in real time; nothing here decides for the operator"
)]

mod binaries;
mod bring_up;
pub mod cluster;
mod control_plane;
mod envoy;
mod envoy_binary;
mod envoy_bootstrap;
mod etcd_snapshot;
mod go_build;
mod keycloak;
mod keycloak_distribution;
mod keys;
mod layout;
mod left_out;
mod node;
mod ports;
mod postgres;
mod process;
mod proxy;
mod proxy_state;
mod unverified;

pub use binaries::{Binaries, KUBERNETES_VERSION};
pub use control_plane::{ControlPlane, Options, shared};
pub use envoy::{
    Envoy, EnvoyClients, EnvoyConfig, EnvoyDecisions, EnvoyDecisionsTls, EnvoyRoute, SanType,
    program as envoy_program,
};
pub use envoy_binary::ENVOY_VERSION;
pub use etcd_snapshot::Revisions;
pub use keycloak::{Keycloak, KeycloakAnswer};
pub use keycloak_distribution::KEYCLOAK_VERSION;
pub use left_out::{Wanted, left_out};
pub use node::{Image, NODE_NAME, NodePrograms, node_obstacle};
pub use postgres::Postgres;
pub use proxy::{FaultProxy, ProxyOptions};
pub use proxy_state::{Deliver, Seen};
pub use unverified::Unverified;
