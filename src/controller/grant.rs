//! What the audit log keeps of grants that were refused.

use countersign_core::Grant;

/// About so much of what was asked for in vain is recorded.
const MAX_ASKED_BYTES: usize = 2048;

/// Grants that were asked for and refused, as the audit log keeps them: refusals are free for
/// whoever asks, so what is long is left out.
pub(crate) fn asked(grants: &[Grant]) -> Vec<Grant> {
    let texts = |grant: &Grant| {
        let all = grant.actions.iter().chain(&grant.resources);
        all.map(String::len).sum::<usize>()
    };
    let mut left = MAX_ASKED_BYTES;
    let fits = grants.iter().take_while(|grant| {
        let size = texts(grant);
        left = left.saturating_sub(size);
        left > 0
    });
    fits.cloned().collect()
}
