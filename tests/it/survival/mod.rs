//! What the operator must survive. Each test breaks a world of its own.
//!
//! The tasks are Pods that nobody schedules: they end when their status says so. What counts is
//! the state of the world: [`ledger`] compares identities, Secrets and etcd's own count of writes.

mod absence;
mod api_server;
mod audit;
mod audit_ends;
mod audit_replicas;
mod audit_tampered;
mod changes;
mod clock;
mod crowd;
mod cuts;
mod delegation_clock;
mod delegation_cuts;
mod delegation_races;
mod delegation_zombie;
mod disk;
mod hops;
mod lag;
mod leader;
mod ledger;
mod pair;
mod permission;
pub(crate) mod record;
mod restored;
mod rotation;
mod set_back;
mod sightings;
mod signed;
mod silence;
mod upgrade;
mod upgrade_alone;
