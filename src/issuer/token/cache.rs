//! Tokens that were found good: a sidecar shows the same one for an hour.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest as hash};
use jiff::Timestamp;

use super::{Asker, BadToken};

/// So many are remembered: of more pods than one cluster has in use of one endpoint, at half a
/// kilobyte each.
const MOST: usize = 65_536;

/// SHA-256 of a token: the tokens themselves aren't kept.
pub(super) type Digest = [u8; 32];

#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Of the keys by which those were verified: with others, they count no more.
    generation: u64,
    known: HashMap<Digest, Asker>,
}

pub(super) fn digest(token: &str) -> Digest {
    let mut digest = [0; 32];
    for (to, from) in digest
        .iter_mut()
        .zip(hash(&SHA256, token.as_bytes()).as_ref())
    {
        *to = *from;
    }
    digest
}

impl Cache {
    /// `None`: it isn't known.
    pub(super) fn find(
        &self,
        digest: &Digest,
        generation: u64,
        now: Timestamp,
    ) -> Option<Result<Asker, BadToken>> {
        if generation != self.generation {
            return None;
        }
        let asker = self.known.get(digest)?;
        Some(if now < asker.expires {
            Ok(asker.clone())
        } else {
            Err(BadToken::Expired)
        })
    }

    pub(super) fn put(&mut self, digest: Digest, generation: u64, asker: Asker, now: Timestamp) {
        if generation != self.generation {
            self.generation = generation;
            self.known.clear();
        }
        if self.known.len() >= MOST {
            self.known.retain(|_, it| now < it.expires);
        }
        if self.known.len() >= MOST {
            self.known.clear(); // each is verified once more
        }
        self.known.insert(digest, asker);
    }
}
