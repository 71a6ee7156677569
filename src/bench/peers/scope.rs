//! What each hop of a chain may do: the same for every library.

/// As many hops as Tenuo allows (`MAX_DELEGATION_DEPTH`).
pub(crate) const MOST_HOPS: usize = 64;

/// What the request in the `_authorize` figures does.
pub(crate) const ACTION: &str = "read";

/// Seconds that the root lives: longer than any run.
const LIFETIME: u64 = 24 * 3600;

/// The actions at this hop, the root being 0.
pub(crate) fn actions(hop: usize) -> &'static [&'static str] {
    if hop == 0 {
        &["list", ACTION]
    } else {
        &[ACTION]
    }
}

/// The folder, with the slash at its end, below which everything is allowed at this hop: one
/// deeper at each.
pub(crate) fn folder(hop: usize) -> String {
    let mut folder = "ledger/".to_owned();
    for below in 1..=hop {
        folder.push_str(&format!("d{below:02}/"));
    }
    folder
}

/// Seconds that this hop lives: a minute less at each.
pub(crate) fn lifetime(hop: usize) -> u64 {
    LIFETIME - 60 * hop as u64
}

/// A resource that a chain of so many hops allows.
pub(crate) fn resource(hops: usize) -> String {
    folder(hops.saturating_sub(1)) + "invoice.pdf"
}
