//! The life of signing keys as a pure state machine, that of authorities with a few differences:
//! each purpose has its own active and prepared key, nothing is cut short by a key's end, and keys
//! of checkpoints stay published for good, because an audit log is verified years later.
//!
//! ```text
//!              half of the active one's life,        a sixth of it left, or the epoch raised;
//!              or the epoch raised                   propagated, or there is no other
//!   (nothing) ──────────────────────────▶ Prepared ───────────────────────────▶ Active
//!       └────────────── there is none ───────────────────────────────────────────▶ │ the next one
//!                                                                                  ▼ is active
//!   (nothing) ◀── the last that it signed is over ─────────────────────────── Retired
//!   (nothing) ◀── not named any more, and over ── Distrusted ◀── named ── any
//! ```
//!
//! One call takes every step that is due, so that a second call at the same moment changes nothing.
//! All moments are whole seconds, as they are published.

use countersign_authority::{PrivateKey, SlotState};
use jiff::{SignedDuration, Timestamp};

use super::public::{PublicHalf, algorithm};
use super::{KeyRing, LONGEST_JWT_SVID_SECONDS, RetiredKey, RingKey, WantedKeys};
use crate::KeyPurpose;
use crate::error::KeyError;
use crate::trusted_keys::domain;

/// The next key is prepared with this part of the active one's life left …
const PREPARED_WITH_LEFT: u64 = 2;
/// … and activated with this part left.
const ACTIVATED_WITH_LEFT: u64 = 6;
/// The shortest life of a key: below, rotation would never end.
const MIN_LIFETIME_SECONDS: u64 = 60;
/// 36,525 days, as for authorities.
const MAX_LIFETIME_SECONDS: u64 = 36_525 * 86_400;
/// A retired key stays published for so much longer than what it signed: clocks differ.
const RETIREMENT_MARGIN_SECONDS: u64 = 60;
/// No rotation on demand while so many retired ones of a purpose are published.
const MAX_RETIRED: usize = 16;
/// So many retired keys of checkpoints stay published, the newest ones.
const MAX_RETIRED_CHECKPOINTS: usize = 64;

/// The ring as it should be at `now`; None when nothing is to change.
pub(super) fn next(
    ring: &KeyRing,
    want: &WantedKeys,
    now: Timestamp,
) -> Result<Option<KeyRing>, KeyError> {
    check(ring, want)?;
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let mut draft = ring.clone();
    draft.trust_domain.clone_from(&want.trust_domain);
    for key in &mut draft.keys {
        let longest = &mut key.longest_statement_seconds;
        *longest = (*longest).max(longest_signed(key.purpose, want));
    }
    distrust(&mut draft, want, now);
    drop_finished(&mut draft, want, now);
    for purpose in KeyPurpose::ALL {
        ensure_active(&mut draft, purpose, want, now)?;
        activate_prepared(&mut draft, purpose, want, now);
        prepare(&mut draft, purpose, want, now)?;
    }
    keep_newest(&mut draft);
    if draft.published() != ring.published() {
        draft.sequence = ring.sequence.saturating_add(1);
    }
    Ok((draft != *ring).then_some(draft))
}

/// The earliest moment at which [`next`] gives something for a ring for which it gives nothing now.
pub(super) fn next_change(ring: &KeyRing, want: &WantedKeys) -> Option<Timestamp> {
    check(ring, want).ok()?;
    let mut moments: Vec<Timestamp> = ring
        .retired
        .iter()
        .filter_map(|key| finished_at(key, want))
        .collect();
    for purpose in KeyPurpose::ALL {
        let Some(active) = ring.active(purpose) else {
            return Some(Timestamp::UNIX_EPOCH);
        };
        moments.push(active.not_after);
        match ring.prepared(purpose) {
            None => moments.push(prepare_at(active, want)),
            Some(prepared) => moments.extend(activate_at(ring, active, prepared, want)),
        }
    }
    moments.into_iter().min()
}

fn check(ring: &KeyRing, want: &WantedKeys) -> Result<(), KeyError> {
    domain(&want.trust_domain)?;
    if !ring.trust_domain.is_empty() && ring.trust_domain != want.trust_domain {
        return Err(KeyError::OtherTrustDomain {
            stored: ring.trust_domain.clone(),
            wanted: want.trust_domain.clone(),
        });
    }
    if (MIN_LIFETIME_SECONDS..=MAX_LIFETIME_SECONDS).contains(&want.lifetime_seconds) {
        Ok(())
    } else {
        Err(KeyError::BadLifetime(want.lifetime_seconds))
    }
}

fn distrust(draft: &mut KeyRing, want: &WantedKeys, now: Timestamp) {
    let named = |kid: &String| want.distrusted.contains(kid);
    for key in draft.keys.extract_if(.., |key| named(&key.kid)) {
        draft.retired.push(RetiredKey {
            state: SlotState::Distrusted,
            ..retire(key, now)
        });
    }
    for key in &mut draft.retired {
        if named(&key.kid) {
            key.state = SlotState::Distrusted;
        }
    }
}

/// Whatever is over.
fn drop_finished(draft: &mut KeyRing, want: &WantedKeys, now: Timestamp) {
    draft
        .retired
        .retain(|key| finished_at(key, want).is_none_or(|moment| now < moment));
    // A prepared one that was over before its turn: nobody looked for a long time.
    let over = |key: &RingKey| key.state == SlotState::Prepared && key.not_after <= now;
    draft.keys.retain(|key| !over(key));
}

/// Of the retired keys of checkpoints.
fn keep_newest(draft: &mut KeyRing) {
    let kept = |key: &RetiredKey| {
        key.purpose == KeyPurpose::Checkpoints && key.state == SlotState::Retired
    };
    let count = draft.retired.iter().filter(|key| kept(key)).count();
    let mut surplus = count.saturating_sub(MAX_RETIRED_CHECKPOINTS);
    draft.retired.retain(|key| {
        let drop = surplus > 0 && kept(key);
        surplus -= usize::from(drop);
        !drop
    });
}

fn finished_at(key: &RetiredKey, want: &WantedKeys) -> Option<Timestamp> {
    match key.state {
        SlotState::Distrusted if want.distrusted.contains(&key.kid) => None,
        // Nothing hangs on it: it is listed for people only.
        SlotState::Distrusted => Some(key.until.unwrap_or(key.retired_at)),
        _ => key.until,
    }
}

/// Makes one active at once when none is, or when the active one is over: the prepared one if
/// there is one, else a new one.
fn ensure_active(
    draft: &mut KeyRing,
    purpose: KeyPurpose,
    want: &WantedKeys,
    now: Timestamp,
) -> Result<(), KeyError> {
    if draft.active(purpose).is_some_and(|it| now < it.not_after) {
        return Ok(());
    }
    if draft.prepared(purpose).is_none() {
        let key = make(draft, purpose, SlotState::Prepared, want, now)?;
        draft.keys.push(key);
    }
    activate(draft, purpose, now);
    Ok(())
}

fn activate_prepared(draft: &mut KeyRing, purpose: KeyPurpose, want: &WantedKeys, now: Timestamp) {
    let (Some(active), Some(prepared)) = (draft.active(purpose), draft.prepared(purpose)) else {
        return;
    };
    if activate_at(draft, active, prepared, want).is_some_and(|due| due <= now) {
        activate(draft, purpose, now);
    }
}

/// When the prepared key is to be activated; None while that is not a matter of time.
fn activate_at(
    ring: &KeyRing,
    active: &RingKey,
    prepared: &RingKey,
    want: &WantedKeys,
) -> Option<Timestamp> {
    if !want.propagated {
        return None;
    }
    // A second at least: one call never both prepares and activates.
    let propagated = after(prepared.not_before, want.propagation_seconds.max(1));
    let on_demand = want.epoch > active.epoch && prepared.epoch >= want.epoch;
    let retired = ring.retired.iter().filter(|key| {
        key.purpose == active.purpose && key.state == SlotState::Retired && key.until.is_some()
    });
    if on_demand && retired.count() < MAX_RETIRED {
        Some(propagated)
    } else {
        Some(propagated.max(with_left(active, ACTIVATED_WITH_LEFT)))
    }
}

/// Prepares the next key when it is time, or when the epoch asks for one.
fn prepare(
    draft: &mut KeyRing,
    purpose: KeyPurpose,
    want: &WantedKeys,
    now: Timestamp,
) -> Result<(), KeyError> {
    let Some(active) = draft.active(purpose) else {
        return Ok(());
    };
    let due = match draft.prepared(purpose) {
        None => prepare_at(active, want) <= now,
        // Whoever raises the epoch gets a key that was made afterwards; the earlier one has signed
        // nothing, so that nobody misses it.
        Some(prepared) => want.epoch > active.epoch && prepared.epoch < want.epoch,
    };
    if due {
        let key = make(draft, purpose, SlotState::Prepared, want, now)?;
        let earlier = |key: &RingKey| key.purpose == purpose && key.state == SlotState::Prepared;
        draft.keys.retain(|key| !earlier(key));
        draft.keys.push(key);
    }
    Ok(())
}

/// When to prepare the next key, there being none. It always has two thirds of its life left when
/// its turn comes, also when it is to live much shorter than the active one.
fn prepare_at(active: &RingKey, want: &WantedKeys) -> Timestamp {
    if want.epoch > active.epoch {
        return Timestamp::UNIX_EPOCH;
    }
    let turn = with_left(active, ACTIVATED_WITH_LEFT);
    with_left(active, PREPARED_WITH_LEFT).max(before(turn, want.lifetime_seconds / 3))
}

/// The prepared key signs from now on, and the active one, if any, no more.
fn activate(draft: &mut KeyRing, purpose: KeyPurpose, now: Timestamp) {
    let active = |key: &mut RingKey| key.purpose == purpose && key.state == SlotState::Active;
    for old in draft.keys.extract_if(.., active) {
        draft.retired.push(retire(old, now));
    }
    let mut keys = draft.keys.iter_mut();
    if let Some(key) = keys.find(|key| key.purpose == purpose) {
        key.state = SlotState::Active;
        key.changed_at = now;
    }
}

/// Forgets the private half.
fn retire(key: RingKey, now: Timestamp) -> RetiredKey {
    // It may have signed at a later time than that of a clock that went back.
    let last = now.max(key.changed_at);
    let until = match (key.purpose, key.state) {
        (KeyPurpose::Checkpoints, _) => None,
        (_, SlotState::Active) => {
            let seconds = key.longest_statement_seconds;
            Some(after(
                last,
                seconds.saturating_add(RETIREMENT_MARGIN_SECONDS),
            ))
        }
        _ => Some(now),
    };
    RetiredKey {
        kid: key.kid,
        purpose: key.purpose,
        state: SlotState::Retired,
        not_before: key.not_before,
        retired_at: last,
        until,
        public: key.public,
    }
}

fn make(
    draft: &KeyRing,
    purpose: KeyPurpose,
    state: SlotState,
    want: &WantedKeys,
    now: Timestamp,
) -> Result<RingKey, KeyError> {
    loop {
        let key = PrivateKey::generate(algorithm(purpose))
            .map_err(|_| KeyError::Crypto("can't generate a key"))?;
        let public =
            PublicHalf::of(&key, purpose).ok_or(KeyError::Crypto("a generated key is weak"))?;
        let key = RingKey {
            kid: public.kid(),
            purpose,
            state,
            epoch: want.epoch,
            not_before: now,
            not_after: after(now, want.lifetime_seconds),
            changed_at: now,
            longest_statement_seconds: longest_signed(purpose, want),
            public,
            key,
        };
        // A file is named by a part of the id only: once in four thousand million times, again.
        if draft.keys.iter().all(|other| other.file() != key.file()) {
            return Ok(key);
        }
    }
}

/// The longest life of what a key signs; checkpoints don't end.
fn longest_signed(purpose: KeyPurpose, want: &WantedKeys) -> u64 {
    match purpose {
        KeyPurpose::JwtSvids => LONGEST_JWT_SVID_SECONDS,
        _ => want.longest_statement_seconds,
    }
}

/// When one part in `parts` of its life is left.
fn with_left(key: &RingKey, parts: u64) -> Timestamp {
    let life = key
        .not_after
        .as_second()
        .saturating_sub(key.not_before.as_second());
    before(
        key.not_after,
        u64::try_from(life).unwrap_or_default() / parts.max(1),
    )
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
