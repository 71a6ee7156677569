//! What of a signal can't be.

use jiff::{SignedDuration, Timestamp};

use crate::{Signal, SignalRefused, SignalSubject};

/// The highest severity.
const MAX_SEVERITY: u8 = 100;
/// The shortest lifetime.
const MIN_LIFETIME: SignedDuration = SignedDuration::from_secs(1);
/// The longest lifetime: what counts longer is for an object of the API server.
const MAX_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How far ahead the clock of whoever noticed may be.
const MAX_AHEAD: SignedDuration = SignedDuration::from_secs(60);
/// The longest text of a signal; the longest subject is a SPIFFE ID of 2048 bytes.
const MAX_TEXT_BYTES: usize = 1024;
const MAX_SUBJECT_BYTES: usize = 2048;

/// Gives its end.
pub(crate) fn check(signal: &Signal, now: Timestamp) -> Result<Timestamp, SignalRefused> {
    let bad = |why: String| Err(SignalRefused::Bad(why));
    let Signal {
        id,
        source,
        subject,
        kind,
        severity,
        observed,
        lifetime,
        effect: _,
        why,
    } = signal;
    for (name, text) in [("id", id), ("source", source), ("kind", kind)] {
        if text.is_empty() {
            return bad(format!("its {name} is empty"));
        }
    }
    for (name, text) in [("id", id), ("source", source), ("kind", kind), ("why", why)] {
        if text.len() > MAX_TEXT_BYTES {
            return bad(format!(
                "its {name} has {} bytes, at most {MAX_TEXT_BYTES} are taken",
                text.len()
            ));
        }
    }
    check_subject(subject)?;
    if *severity > MAX_SEVERITY {
        return bad(format!(
            "its severity is {severity}, at most {MAX_SEVERITY}"
        ));
    }
    if !(MIN_LIFETIME..=MAX_LIFETIME).contains(lifetime) {
        return bad(format!(
            "its lifetime is {} s, of 1 s to 30 days",
            lifetime.as_secs()
        ));
    }
    if observed.duration_since(now) > MAX_AHEAD {
        return bad(format!("it was observed at {observed}, which is ahead"));
    }
    match observed.checked_add(*lifetime) {
        Ok(end) if end > now => Ok(end),
        _ => bad(format!("it was observed at {observed} and is over")),
    }
}

fn check_subject(subject: &SignalSubject) -> Result<(), SignalRefused> {
    let parts: [&str; 2] = match subject {
        SignalSubject::Pod { namespace, name } => [namespace, name],
        SignalSubject::Agent(it)
        | SignalSubject::Owner(it)
        | SignalSubject::Certificate(it)
        | SignalSubject::Delegation(it) => [it, it],
    };
    if parts
        .iter()
        .any(|it| it.is_empty() || it.len() > MAX_SUBJECT_BYTES)
    {
        return Err(SignalRefused::Bad(format!(
            "its subject must have 1 to {MAX_SUBJECT_BYTES} bytes"
        )));
    }
    Ok(())
}
