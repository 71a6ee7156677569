//! Delegations: who may hand what on to whom, how it is proved, and when it ends.

mod audit;
mod ends;
mod forgeries;
mod impostors;
mod life;
mod lists;
mod namespaces;
mod narrowing;
mod owners;
mod published;
mod races;
mod restart;
mod rights;
mod schema;
mod setting;
mod shown;
mod statements;
