//! The life of authorities as a pure state machine.
//!
//! ```text
//!                half of the active one's life,         a sixth of it left, or the epoch raised;
//!                or the epoch raised                    propagated, or no other is usable
//!   (nothing) ─────────────────────────▶ Prepared ─────────────────────────────▶ Active
//!       │          there is no usable one                                          ▲ │
//!       └──────────────────────────────────────────────────────────────────────────┘ │ the next
//!                                                                                    │ is active
//!   (nothing) ◀── not named any more and over ── Distrusted ◀── named ── any         ▼
//!   (nothing) ◀───────────────────── the last leaf is over ──────────────────── Retired
//! ```
//!
//! Half and a sixth are SPIRE's (`pkg/server/ca/manager/slot.go`): a leaf of at most a sixth is
//! never cut short by its authority. One call takes every step that is due, so that a second call
//! at the same moment changes nothing.
//!
//! A clock that went back makes everything later and nothing else: an authority that is not valid
//! yet is kept and signs nothing, because this clock may be the wrong one. When the earlier clock
//! is right, a raised epoch gets a new authority.

use jiff::{SignedDuration, Timestamp};

use crate::key::SigningKey;
use crate::{
    AuthorityCertificate, AuthorityError, AuthoritySet, PrivateKey, RetiredAuthority, Slot,
    SlotState, Wanted, spiffe,
};

/// An authority lives at least so many times as long as its leaves.
const LEAVES_IN_A_LIFE: u64 = 6;
/// The next authority is prepared with this part of the active one's life left …
const PREPARED_WITH_LEFT: u64 = 2;
/// … and activated with this part left.
const ACTIVATED_WITH_LEFT: u64 = 6;
/// 36,525 days: longer lives meet the end of X.509's calendar and help nobody.
const MAX_LIFETIME_SECONDS: u64 = 36_525 * 86_400;
/// A retired authority stays in the bundle for so much longer than its leaves live: a replica that
/// does not know yet may still sign with it, and clocks differ.
const RETIREMENT_MARGIN_SECONDS: u64 = 60;
/// No rotation on demand while so many retired ones are in the bundle: verifiers read a bundle at
/// each handshake, and a Secret holds 1 MiB.
const MAX_RETIRED: usize = 16;

/// The set as it should be at `now`; None when nothing is to change.
pub(crate) fn next(
    set: &AuthoritySet,
    want: &Wanted,
    now: Timestamp,
) -> Result<Option<AuthoritySet>, AuthorityError> {
    check(set, want)?;
    let mut draft = set.clone();
    draft.trust_domain.clone_from(&want.trust_domain);
    raise_longest_leaf(&mut draft, want);
    distrust(&mut draft, want, now);
    drop_finished(&mut draft, want, now);
    ensure_active(&mut draft, want, now)?;
    activate_prepared(&mut draft, want, now);
    prepare(&mut draft, want, now)?;
    if draft.bundle().roots() != set.bundle().roots() {
        draft.bundle_sequence = set.bundle_sequence.saturating_add(1);
    }
    Ok((draft != *set).then_some(draft))
}

/// The earliest moment at which [`next`] gives something for a set for which it gives nothing now.
pub(crate) fn next_change(set: &AuthoritySet, want: &Wanted) -> Option<Timestamp> {
    check(set, want).ok()?;
    let Some(active) = set.active() else {
        return Some(Timestamp::UNIX_EPOCH);
    };
    let retired = set.retired.iter().filter_map(|it| finished_at(it, want));
    let next_one = match set.prepared() {
        None => vec![prepare_at(active, want)],
        Some(prepared) => {
            let end = prepared.certificate.not_after();
            let due = activate_at(set, active, prepared, want);
            due.into_iter().chain([end]).collect()
        }
    };
    let end = active.certificate.not_after();
    retired.chain(next_one).chain([end]).min()
}

fn check(set: &AuthoritySet, want: &Wanted) -> Result<(), AuthorityError> {
    spiffe::check_trust_domain(&want.trust_domain)?;
    if !set.trust_domain.is_empty() && set.trust_domain != want.trust_domain {
        return Err(AuthorityError::OtherTrustDomain {
            stored: set.trust_domain.clone(),
            wanted: want.trust_domain.clone(),
        });
    }
    let shortest = want
        .max_leaf_ttl_seconds
        .max(1)
        .saturating_mul(LEAVES_IN_A_LIFE);
    if (shortest..=MAX_LIFETIME_SECONDS).contains(&want.ca_lifetime_seconds) {
        Ok(())
    } else {
        Err(AuthorityError::BadAuthorityLifetime {
            authority_seconds: want.ca_lifetime_seconds,
            leaf_seconds: want.max_leaf_ttl_seconds,
        })
    }
}

/// Never lowers it: longer leaves may be out there.
fn raise_longest_leaf(draft: &mut AuthoritySet, want: &Wanted) {
    for slot in draft.a.iter_mut().chain(&mut draft.b) {
        slot.max_leaf_ttl_seconds = slot.max_leaf_ttl_seconds.max(want.max_leaf_ttl_seconds);
    }
}

fn distrust(draft: &mut AuthoritySet, want: &Wanted, now: Timestamp) {
    for place in [&mut draft.a, &mut draft.b] {
        if let Some(slot) = place.take_if(|slot| want.distrusted.contains(slot.id())) {
            draft.retired.push(RetiredAuthority {
                state: SlotState::Distrusted,
                ..retire(slot, true, now)
            });
        }
    }
    for it in &mut draft.retired {
        if it.state == SlotState::Retired && want.distrusted.contains(it.id()) {
            it.state = SlotState::Distrusted;
            it.early = true;
            it.changed_at = now;
        }
    }
}

/// Whatever is over. Distrusted ones stay listed while they are valid or named.
fn drop_finished(draft: &mut AuthoritySet, want: &Wanted, now: Timestamp) {
    draft
        .retired
        .retain(|it| finished_at(it, want).is_none_or(|moment| now < moment));
    for place in [&mut draft.a, &mut draft.b] {
        place.take_if(|slot| slot.certificate.not_after() <= now);
    }
}

fn finished_at(it: &RetiredAuthority, want: &Wanted) -> Option<Timestamp> {
    match it.state {
        SlotState::Distrusted if want.distrusted.contains(it.id()) => None,
        SlotState::Distrusted => Some(it.certificate.not_after()),
        _ => Some(it.leaves_over.min(it.certificate.not_after())),
    }
}

/// Makes one active at once when none is, or when the active one is not valid yet and the epoch
/// asks for another: the prepared one if that is valid, else a new one.
fn ensure_active(
    draft: &mut AuthoritySet,
    want: &Wanted,
    now: Timestamp,
) -> Result<(), AuthorityError> {
    let early = match draft.active() {
        Some(active) if usable(active, now) || want.epoch <= active.epoch => return Ok(()),
        active => active.is_some(),
    };
    if draft.prepared().is_some_and(|it| usable(it, now)) {
        activate(draft, early, now);
    } else {
        retire_active(draft, early, now);
        // A prepared one that is not valid yet makes room: there are two places.
        take(draft, SlotState::Prepared);
        insert(draft, make(SlotState::Active, want, now)?);
    }
    Ok(())
}

fn activate_prepared(draft: &mut AuthoritySet, want: &Wanted, now: Timestamp) {
    let (Some(active), Some(prepared)) = (draft.active(), draft.prepared()) else {
        return;
    };
    let due = activate_at(draft, active, prepared, want);
    if due.is_some_and(|due| due <= now) {
        let early = on_demand(active, prepared, want);
        activate(draft, early, now);
    }
}

/// When the prepared authority is to be activated; None while that is not a matter of time.
fn activate_at(
    set: &AuthoritySet,
    active: &Slot,
    prepared: &Slot,
    want: &Wanted,
) -> Option<Timestamp> {
    if !want.bundle_propagated {
        return None;
    }
    // A second at least: one call never both prepares and activates.
    let propagated = after(prepared.prepared_at, want.propagation_seconds.max(1));
    let earliest = propagated.max(prepared.certificate.not_before());
    let in_bundle = set
        .retired
        .iter()
        .filter(|it| it.state == SlotState::Retired);
    if on_demand(active, prepared, want) && in_bundle.count() < MAX_RETIRED {
        Some(earliest)
    } else {
        Some(earliest.max(with_left(active, ACTIVATED_WITH_LEFT)))
    }
}

/// Is the prepared one what a raised epoch asked for?
fn on_demand(active: &Slot, prepared: &Slot, want: &Wanted) -> bool {
    want.epoch > active.epoch && prepared.epoch >= want.epoch
}

/// Prepares the next authority when it is time, or when the epoch asks for one.
fn prepare(draft: &mut AuthoritySet, want: &Wanted, now: Timestamp) -> Result<(), AuthorityError> {
    let Some(active) = draft.active() else {
        return Ok(());
    };
    let wanted = match draft.prepared() {
        None => prepare_at(active, want) <= now,
        // Whoever raises the epoch gets a key that was made afterwards; the earlier one has signed
        // nothing, so that nobody misses it.
        Some(prepared) => want.epoch > active.epoch && prepared.epoch < want.epoch,
    };
    if wanted {
        take(draft, SlotState::Prepared);
        insert(draft, make(SlotState::Prepared, want, now)?);
    }
    Ok(())
}

/// When to prepare the next authority, there being none. With a life that is to be much shorter
/// than that of the active one, half-way would be too early: the next would be over before its
/// turn. It always has two thirds of its life left when that comes.
fn prepare_at(active: &Slot, want: &Wanted) -> Timestamp {
    if want.epoch > active.epoch {
        return Timestamp::UNIX_EPOCH;
    }
    let third = want.ca_lifetime_seconds / 3;
    let turn = with_left(active, ACTIVATED_WITH_LEFT);
    with_left(active, PREPARED_WITH_LEFT).max(before(turn, third))
}

/// The prepared authority signs from now on, and the active one, if any, no more.
fn activate(draft: &mut AuthoritySet, early: bool, now: Timestamp) {
    retire_active(draft, early, now);
    let mut slots = draft.a.iter_mut().chain(&mut draft.b);
    if let Some(slot) = slots.find(|slot| slot.state == SlotState::Prepared) {
        slot.state = SlotState::Active;
        slot.changed_at = now;
    }
}

fn retire_active(draft: &mut AuthoritySet, early: bool, now: Timestamp) {
    if let Some(old) = take(draft, SlotState::Active) {
        draft.retired.push(retire(old, early, now));
    }
    if early {
        // Whoever asked for a rotation wants no leaf of an older key.
        for it in &mut draft.retired {
            it.early = true;
        }
    }
}

/// Forgets the key.
fn retire(slot: Slot, early: bool, now: Timestamp) -> RetiredAuthority {
    let last_leaf = match slot.state {
        // It may have signed at a later time than that of a clock that went back.
        SlotState::Active => after(
            now.max(slot.changed_at),
            slot.max_leaf_ttl_seconds
                .saturating_add(RETIREMENT_MARGIN_SECONDS),
        ),
        _ => now,
    };
    RetiredAuthority {
        state: SlotState::Retired,
        early,
        changed_at: now,
        leaves_over: last_leaf.min(slot.certificate.not_after()),
        certificate: slot.certificate,
    }
}

fn make(state: SlotState, want: &Wanted, now: Timestamp) -> Result<Slot, AuthorityError> {
    let key = PrivateKey::generate(want.key_algorithm)?;
    let certificate = AuthorityCertificate::self_signed(
        &want.trust_domain,
        &SigningKey::load(&key)?,
        want.ca_lifetime_seconds,
        now,
    )?;
    Ok(Slot {
        certificate,
        state,
        epoch: want.epoch,
        prepared_at: now,
        changed_at: now,
        max_leaf_ttl_seconds: want.max_leaf_ttl_seconds,
        key,
    })
}

fn insert(draft: &mut AuthoritySet, slot: Slot) {
    if draft.a.is_none() {
        draft.a = Some(slot);
    } else {
        draft.b = Some(slot);
    }
}

fn take(draft: &mut AuthoritySet, state: SlotState) -> Option<Slot> {
    let in_state = |slot: &mut Slot| slot.state == state;
    draft
        .a
        .take_if(in_state)
        .or_else(|| draft.b.take_if(in_state))
}

fn usable(slot: &Slot, now: Timestamp) -> bool {
    slot.certificate.not_before() <= now && now < slot.certificate.not_after()
}

/// When one part in `parts` of its life is left.
fn with_left(slot: &Slot, parts: u64) -> Timestamp {
    let end = slot.certificate.not_after();
    let life = end.as_second().saturating_sub(slot.prepared_at.as_second());
    before(end, u64::try_from(life).unwrap_or_default() / parts.max(1))
}

fn after(moment: Timestamp, seconds: u64) -> Timestamp {
    moment
        .checked_add(duration(seconds))
        .unwrap_or(Timestamp::MAX)
}

fn before(moment: Timestamp, seconds: u64) -> Timestamp {
    moment
        .checked_sub(duration(seconds))
        .unwrap_or(Timestamp::MIN)
}

fn duration(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
}
