//! Append-only, hash-chained records of everything that grants, renews, ends or refuses.
//!
//! ```text
//!  append(Entry) ─┐                        ┌─▶ records      one hash chain for each trust domain
//!  append(Entry) ─┼─▶ writer ── a commit ──┤                and writer
//!  later(Entry) ──┘   (Log::run)           └─▶ checkpoints  signed with the trust domain's key
//!                                               ▲  │
//!      records that others wrote ──▶ Witness ───┘  │
//!  verify(Reader, CheckpointVerifier, anchors) ◀───┴─▶ latest_checkpoints(): kept elsewhere
//!      └─▶ Report: the first record that was edited, removed, reordered, inserted or cut off
//!  Reader ──▶ look-ups, trail, export (JSON lines, OCSF)      seal ──▶ segment files
//! ```
//!
//! Whoever grants something appends first and grants when that has returned: a crash in between
//! leaves a record without its effect, never an effect without its record. Whoever ends something
//! ends it and calls [`Log::later`]. A writer that holds no key signs nothing: who has one signs for it
//! ([`Log::witness`]).
//!
//! What it must not do: read a clock (time is in the entry and in [`Settings::now`]), hold a key,
//! know Kubernetes, change a record, or go on from the head of a chain that has lost what was signed
//! or written before ([`Log::set_floor`]).

mod batch;
mod chain;
mod checkpoint;
mod columns;
mod entry;
mod error;
mod export;
mod floor;
mod granted;
mod later;
mod log;
mod ocsf;
mod reader;
mod record;
mod report;
mod retention;
mod seal;
mod segment;
mod segments;
mod settings;
mod store;
mod trail;
mod verify;
mod walk;
mod witness;
mod writer;

#[cfg(test)]
mod tests;

pub use chain::{Hash, Position};
pub use checkpoint::{Checkpoint, CheckpointSigner, CheckpointVerifier, SignedCheckpoint};
pub use entry::{
    Decision, DelegationRef, Entry, Kind, MAX_BODY_BYTES, MAX_MESSAGE_BYTES, ObjectRef, Outcome,
    Requester, RiskPart, Task,
};
pub use error::AuditError;
pub use export::{Format, export};
pub use granted::UnexpiredCursor;
pub use log::Log;
pub use ocsf::ocsf;
pub use reader::{Cursor, Filter, MAX_FOUND, Reader};
pub use record::Record;
pub use report::{ChainReport, Finding, Report, SealedSegment, Tampering};
pub use retention::Retention;
pub use segment::{SegmentReport, read_segment, verify_segment};
pub use settings::{Now, Settings};
pub use trail::TrailStart;
pub use verify::verify;
pub use witness::{Standing, Witness, Witnessed};
