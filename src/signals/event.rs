//! What an event means here: CAEP 1.0, RISC 1.0 and the stream's own events as signals.

use countersign_decision::{Effect, Signal, SignalSubject};
use countersign_http::shown;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::error::SetError;
use crate::serial;
use crate::subject;
use crate::token::{Seconds, Token};

/// Certificates live for a day at most, so after that no session is left that began before.
pub const SESSIONS_END: SignedDuration = SignedDuration::from_hours(24);
/// A risk that nobody confirmed for a day is an old one. It fades all the while.
pub const RISK_LASTS: SignedDuration = SignedDuration::from_hours(24);
/// Devices are checked weekly at the least where they are managed.
pub const COMPLIANCE_LASTS: SignedDuration = SignedDuration::from_hours(7 * 24);
/// An account stays disabled until somebody says otherwise; by then an admin has set the
/// AgentOwner's own state.
pub const ACCOUNT_LASTS: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A note for policies that look for it.
pub const NOTE_LASTS: SignedDuration = SignedDuration::from_hours(1);

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";
const SSF: &str = "https://schemas.openid.net/secevent/ssf/event-type/";

/// What a token means.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// These, each with an id of its own.
    Signals(Vec<Signal>),
    /// The stream works (SSF 1.0, section 8.1.4).
    Verification {
        /// The stream's id.
        stream: String,
        /// What was sent along when it was asked for.
        state: Option<String>,
    },
    /// The stream's status changed (SSF 1.0, section 8.1.5).
    StreamUpdated {
        /// The stream's id.
        stream: String,
        /// `enabled`, `paused` or `disabled`.
        status: String,
    },
    /// Nothing that counts here: acknowledged, and no more.
    Unknown,
}

/// One signal, but for what all have.
struct Said {
    kind: &'static str,
    severity: u8,
    lifetime: SignedDuration,
    effect: Effect,
    why: &'static str,
}

/// What is read of the bodies of all events; each has its own few of these.
#[derive(Debug, Default, Deserialize)]
struct Body {
    event_timestamp: Option<Value>,
    current_level: Option<String>,
    change_direction: Option<String>,
    current_status: Option<String>,
    change_type: Option<String>,
    x509_serial: Option<String>,
    state: Option<String>,
    status: Option<String>,
}

/// Reads the event of a verified token.
///
/// # Errors
/// A type that is known has a body or a subject that can't be.
pub fn meaning(token: &Token, now: Timestamp) -> Result<Meaning, SetError> {
    if let Some(name) = token.event.strip_prefix(SSF) {
        return of_stream(name, token);
    }
    let Some(read) = reader(&token.event) else {
        return Ok(Meaning::Unknown);
    };
    let body = body(token)?;
    let Some(said) = read(&body)? else {
        return Ok(Meaning::Unknown);
    };
    let observed = observed(token, &body)?.min(now);
    let signal = |id: String, subject, said: &Said| Signal {
        id,
        source: token.issuer.clone(),
        subject,
        kind: said.kind.to_owned(),
        severity: said.severity,
        observed,
        lifetime: said.lifetime,
        effect: said.effect,
        why: said.why.to_owned(),
    };
    if said.kind == CREDENTIAL_ENDED.kind
        && let Some(serial) = &body.x509_serial
    {
        let serials = serial::readings(serial)?.into_iter().enumerate();
        let signals = serials.map(|(place, serial)| {
            let id = format!("{}#{place}", token.id);
            signal(id, SignalSubject::Certificate(serial), &CERTIFICATE_ENDED)
        });
        return Ok(Meaning::Signals(signals.collect()));
    }
    let subject = subject::read(token.subject.as_ref())?;
    let signal = signal(token.id.clone(), subject, &said);
    Ok(Meaning::Signals(vec![signal]))
}

type Reader = fn(&Body) -> Result<Option<Said>, SetError>;

fn reader(event: &str) -> Option<Reader> {
    if let Some(name) = event.strip_prefix(CAEP) {
        return match name {
            "session-revoked" => Some(|_| Ok(Some(SESSION_REVOKED))),
            "credential-change" => Some(credential_change),
            "risk-level-change" => Some(risk_level_change),
            "assurance-level-change" => Some(assurance_level_change),
            "device-compliance-change" => Some(device_compliance_change),
            "token-claims-change" => Some(|_| Ok(Some(CLAIMS_CHANGED))),
            // session-established and session-presented say that all is well.
            _ => None,
        };
    }
    match event.strip_prefix(RISC)? {
        "account-disabled" => Some(|_| Ok(Some(ACCOUNT_DISABLED))),
        "account-enabled" => Some(|_| {
            Ok(Some(Said {
                effect: Effect::Clear,
                why: "the account is enabled",
                ..ACCOUNT_DISABLED
            }))
        }),
        "account-purged" => Some(|_| Ok(Some(ACCOUNT_PURGED))),
        "credential-compromise" => Some(|_| Ok(Some(CREDENTIAL_COMPROMISED))),
        _ => None,
    }
}

const SESSION_REVOKED: Said = Said {
    kind: "caep/session-revoked",
    severity: 100,
    lifetime: SESSIONS_END,
    effect: Effect::EndSessions,
    why: "the session was revoked",
};

/// Not `caep/credential-change`, so that a later change that is harmless doesn't replace it.
const CREDENTIAL_ENDED: Said = Said {
    kind: "caep/credential-change/ended",
    severity: 100,
    lifetime: SESSIONS_END,
    effect: Effect::EndSessions,
    why: "a credential was revoked or deleted",
};

const CERTIFICATE_ENDED: Said = Said {
    effect: Effect::Deny,
    why: "the certificate was revoked",
    ..CREDENTIAL_ENDED
};

const CREDENTIAL_CHANGED: Said = Said {
    kind: "caep/credential-change",
    severity: 0,
    lifetime: NOTE_LASTS,
    effect: Effect::Risk,
    why: "a credential was created or changed",
};

const CLAIMS_CHANGED: Said = Said {
    kind: "caep/token-claims-change",
    severity: 0,
    lifetime: NOTE_LASTS,
    effect: Effect::Risk,
    why: "claims about the subject changed",
};

const ACCOUNT_DISABLED: Said = Said {
    kind: "risc/account-disabled",
    severity: 100,
    lifetime: ACCOUNT_LASTS,
    effect: Effect::Deny,
    why: "the account is disabled",
};

const ACCOUNT_PURGED: Said = Said {
    kind: "risc/account-purged",
    why: "the account was deleted",
    ..ACCOUNT_DISABLED
};

const CREDENTIAL_COMPROMISED: Said = Said {
    kind: "risc/credential-compromise",
    severity: 90,
    lifetime: RISK_LASTS,
    effect: Effect::Risk,
    why: "a credential is compromised",
};

/// CAEP 1.0, section 3.3.
fn credential_change(body: &Body) -> Result<Option<Said>, SetError> {
    match body.change_type.as_deref() {
        Some("revoke" | "delete") => Ok(Some(CREDENTIAL_ENDED)),
        Some("create" | "update") => Ok(Some(CREDENTIAL_CHANGED)),
        other => Err(not_known("change_type", other)),
    }
}

/// CAEP 1.0, section 3.8.
fn risk_level_change(body: &Body) -> Result<Option<Said>, SetError> {
    let (severity, why) = match body.current_level.as_deref() {
        Some("LOW") => (10, "the risk is low"),
        Some("MEDIUM") => (50, "the risk is medium"),
        Some("HIGH") => (90, "the risk is high"),
        other => return Err(not_known("current_level", other)),
    };
    Ok(Some(Said {
        kind: "caep/risk-level-change",
        severity,
        lifetime: RISK_LASTS,
        effect: Effect::Risk,
        why,
    }))
}

/// CAEP 1.0, section 3.4. Where the direction isn't said it may be down.
fn assurance_level_change(body: &Body) -> Result<Option<Said>, SetError> {
    let (effect, why) = match body.change_direction.as_deref() {
        Some("increase") => (Effect::Clear, "the assurance level rose"),
        Some("decrease") => (Effect::Risk, "the assurance level fell"),
        None => (Effect::Risk, "the assurance level changed"),
        other => return Err(not_known("change_direction", other)),
    };
    Ok(Some(Said {
        kind: "caep/assurance-level-change",
        severity: 40,
        lifetime: RISK_LASTS,
        effect,
        why,
    }))
}

/// CAEP 1.0, section 3.5.
fn device_compliance_change(body: &Body) -> Result<Option<Said>, SetError> {
    let (effect, why) = match body.current_status.as_deref() {
        Some("compliant") => (Effect::Clear, "the device complies"),
        Some("not-compliant") => (Effect::Risk, "the device doesn't comply"),
        other => return Err(not_known("current_status", other)),
    };
    Ok(Some(Said {
        kind: "caep/device-compliance-change",
        severity: 60,
        lifetime: COMPLIANCE_LASTS,
        effect,
        why,
    }))
}

fn of_stream(name: &str, token: &Token) -> Result<Meaning, SetError> {
    let stream = || subject::opaque(token.subject.as_ref()).map(str::to_owned);
    match name {
        "verification" => Ok(Meaning::Verification {
            stream: stream()?,
            state: body(token)?.state,
        }),
        "stream-updated" => Ok(Meaning::StreamUpdated {
            stream: stream()?,
            status: shown(&body(token)?.status.unwrap_or_default()),
        }),
        _ => Ok(Meaning::Unknown),
    }
}

fn body(token: &Token) -> Result<Body, SetError> {
    if !token.body.is_object() {
        return Err(SetError::request("the event must be an object"));
    }
    Body::deserialize(&token.body).map_err(|why| {
        let why = shown(&why.to_string());
        SetError::request(format!("the event can't be read: {why}"))
    })
}

/// When it happened, if that is said and can be; never after it was said.
fn observed(token: &Token, body: &Body) -> Result<Timestamp, SetError> {
    let Some(time) = &body.event_timestamp else {
        return Ok(token.issued);
    };
    let Seconds(time) = Seconds::deserialize(time)
        .map_err(|why| SetError::request(format!("event_timestamp: {why}")))?;
    Ok(time.min(token.issued))
}

fn not_known(member: &str, value: Option<&str>) -> SetError {
    match value {
        Some(value) => SetError::request(format!("{member} {:?} is not known", shown(value))),
        None => SetError::request(format!("the event has no {member}")),
    }
}
