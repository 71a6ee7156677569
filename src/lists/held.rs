//! The lists of one trust domain that count: of each the newest that was good.

use std::collections::BTreeMap;

use countersign_authority::{AuthorityId, Bundle, VerifiedCrl};
use countersign_statement::Digest;
use countersign_statement::revocation::List;
use jiff::{SignedDuration, Timestamp};

use crate::lists::{KEEP, Revoke, TELL};

/// A list of a clock that is further ahead would keep all later ones out.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// What is held.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// By partition.
    statements: BTreeMap<u32, Kept<Digest>>,
    certificates: BTreeMap<AuthorityId, Kept<String>>,
}

/// A list.
#[derive(Debug)]
struct Kept<T> {
    number: u64,
    issued_at: Timestamp,
    next_update: Timestamp,
    revoked: Vec<T>,
    /// When it was told to the engine last.
    told: Option<Timestamp>,
}

/// A good list that counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("list {name} has the number {number}, and one of {held} was there before")]
    Older {
        name: String,
        number: u64,
        held: u64,
    },
    #[error("list {name} is of {issued_at}, which is yet to come")]
    Early { name: String, issued_at: Timestamp },
}

impl Held {
    /// A list that was verified at `now`. It counts until a later one takes its place.
    pub(crate) fn take_statements(&mut self, list: &List, now: Timestamp) -> Result<(), NotTaken> {
        let new = Kept {
            number: list.sequence,
            issued_at: list.issued_at,
            next_update: list.next_update,
            revoked: list.digests().to_vec(),
            told: None,
        };
        take(
            &mut self.statements,
            list.partition,
            new,
            partition(list.partition),
            now,
        )
    }

    /// A list that was verified at `now`, of this authority. Has it other entries than the last?
    pub(crate) fn take_certificates(
        &mut self,
        authority: &AuthorityId,
        list: &VerifiedCrl,
        now: Timestamp,
    ) -> Result<bool, NotTaken> {
        let before = self.certificates.get(authority);
        let changed = before.is_none_or(|it| it.revoked != list.serial_numbers);
        let new = Kept {
            number: list.number,
            issued_at: list.this_update,
            next_update: list.next_update,
            revoked: list.serial_numbers.clone(),
            told: None,
        };
        let name = of(authority);
        take(&mut self.certificates, authority.clone(), new, name, now)?;
        Ok(changed)
    }

    /// Forgets the lists of authorities that aren't trusted any more, and names them: what they signed
    /// counts for nothing. One that only signs no more keeps its last list.
    pub(crate) fn keep_only(&mut self, bundle: &Bundle) -> Vec<String> {
        let gone = self.certificates();
        let gone = gone.filter(|id| bundle.authority(id).is_none()).map(of);
        let gone = gone.collect();
        self.certificates
            .retain(|id, _| bundle.authority(id).is_some());
        gone
    }

    /// Whose lists of certificates are held.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &AuthorityId> {
        self.certificates.keys()
    }

    /// When the first list that is to be replaced is due; those of authorities that sign no more never
    /// are.
    pub(crate) fn first_end(&self) -> Option<Timestamp> {
        let statements = self.statements.values().map(|it| it.next_update);
        let certificates = self.certificates.values().map(|it| it.next_update);
        let newest = self.statements.values().map(|it| it.issued_at).max();
        // Their last lists are long past.
        let live = certificates.filter(|end| newest.is_none_or(|newest| *end > newest));
        statements.chain(live).min()
    }

    /// Tells what hasn't been told for a while, or never.
    pub(crate) fn tell(&mut self, to: &dyn Revoke, now: Timestamp) {
        let until = now.checked_add(KEEP).unwrap_or(Timestamp::MAX);
        for list in self.certificates.values_mut() {
            list.tell(now, |it| to.certificate(it, until));
        }
        for list in self.statements.values_mut() {
            list.tell(now, |it| to.statement(it, until));
        }
    }

    /// The name of each list, and when it was made.
    pub(crate) fn ages(&self) -> impl Iterator<Item = (String, Timestamp)> {
        let statements = self.statements.iter();
        let statements = statements.map(|(at, it)| (partition(*at), it.issued_at));
        let certificates = self.certificates.iter();
        let certificates = certificates.map(|(id, it)| (of(id), it.issued_at));
        statements.chain(certificates)
    }

    /// Their names.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.ages().map(|it| it.0)
    }
}

impl<T> Kept<T> {
    fn tell(&mut self, now: Timestamp, revoke: impl FnMut(&T)) {
        // A clock that was put back tells again, too.
        let lately = |told: Timestamp| (now.duration_since(told)).abs() < TELL;
        if !self.told.is_some_and(lately) {
            self.revoked.iter().for_each(revoke);
            self.told = Some(now);
        }
    }
}

fn take<K: Ord, T>(
    held: &mut BTreeMap<K, Kept<T>>,
    key: K,
    new: Kept<T>,
    name: String,
    now: Timestamp,
) -> Result<(), NotTaken> {
    let issued_at = new.issued_at;
    if issued_at.duration_since(now) > SKEW {
        return Err(NotTaken::Early { name, issued_at });
    }
    match held.get(&key) {
        Some(before) if new.number < before.number => Err(NotTaken::Older {
            name,
            number: new.number,
            held: before.number,
        }),
        _ => {
            held.insert(key, new);
            Ok(())
        }
    }
}

fn partition(number: u32) -> String {
    format!("statements/{number}")
}

/// The name of an authority's list.
pub(crate) fn of(authority: &AuthorityId) -> String {
    format!("certificates/{authority}")
}
