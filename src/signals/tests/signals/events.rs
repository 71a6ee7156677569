//! What each event means.

use countersign_decision::{Effect, Signal, SignalSubject};
use countersign_signals::{
    ACCOUNT_LASTS, COMPLIANCE_LASTS, Meaning, NOTE_LASTS, RISK_LASTS, SESSIONS_END, Token, meaning,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::table::start;
use crate::transmitter::ISSUER;

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";
const SSF: &str = "https://schemas.openid.net/secevent/ssf/event-type/";

fn token(event: &str, body: Value) -> Token {
    Token {
        id: "756E69717565".to_owned(),
        issuer: ISSUER.to_owned(),
        issued: start(),
        subject: Some(json!({"format": "email", "email": "alice@example.com"})),
        event: event.to_owned(),
        body,
    }
}

fn signals(event: &str, body: Value) -> Vec<Signal> {
    match meaning(&token(event, body), start()).unwrap() {
        Meaning::Signals(signals) => signals,
        other => panic!("{event}: {other:?}"),
    }
}

#[test]
fn each_event_has_its_severity_lifetime_and_effect() {
    use Effect::{Clear, Deny, EndSessions, Risk};
    let c = |name: &str| format!("{CAEP}{name}");
    let r = |name: &str| format!("{RISC}{name}");
    let cases = [
        (
            c("session-revoked"),
            json!({}),
            100,
            SESSIONS_END,
            EndSessions,
        ),
        (
            c("credential-change"),
            json!({"change_type": "revoke"}),
            100,
            SESSIONS_END,
            EndSessions,
        ),
        (
            c("credential-change"),
            json!({"change_type": "delete"}),
            100,
            SESSIONS_END,
            EndSessions,
        ),
        (
            c("credential-change"),
            json!({"change_type": "update"}),
            0,
            NOTE_LASTS,
            Risk,
        ),
        (
            c("risk-level-change"),
            json!({"current_level": "LOW"}),
            10,
            RISK_LASTS,
            Risk,
        ),
        (
            c("risk-level-change"),
            json!({"current_level": "MEDIUM"}),
            50,
            RISK_LASTS,
            Risk,
        ),
        (
            c("risk-level-change"),
            json!({"current_level": "HIGH"}),
            90,
            RISK_LASTS,
            Risk,
        ),
        (
            c("assurance-level-change"),
            json!({"change_direction": "decrease"}),
            40,
            RISK_LASTS,
            Risk,
        ),
        (c("assurance-level-change"), json!({}), 40, RISK_LASTS, Risk),
        (
            c("assurance-level-change"),
            json!({"change_direction": "increase"}),
            40,
            RISK_LASTS,
            Clear,
        ),
        (
            c("device-compliance-change"),
            json!({"current_status": "not-compliant"}),
            60,
            COMPLIANCE_LASTS,
            Risk,
        ),
        (
            c("device-compliance-change"),
            json!({"current_status": "compliant"}),
            60,
            COMPLIANCE_LASTS,
            Clear,
        ),
        (
            c("token-claims-change"),
            json!({"claims": {"role": "ro-admin"}}),
            0,
            NOTE_LASTS,
            Risk,
        ),
        (
            r("account-disabled"),
            json!({"reason": "hijacking"}),
            100,
            ACCOUNT_LASTS,
            Deny,
        ),
        (r("account-enabled"), json!({}), 100, ACCOUNT_LASTS, Clear),
        (r("account-purged"), json!({}), 100, ACCOUNT_LASTS, Deny),
        (
            r("credential-compromise"),
            json!({"credential_type": "password"}),
            90,
            RISK_LASTS,
            Risk,
        ),
    ];
    for (event, body, severity, lifetime, effect) in cases {
        let [signal] = &signals(&event, body.clone())[..] else {
            panic!("{event} is one signal");
        };
        let found = (signal.severity, signal.lifetime, signal.effect);
        assert_eq!(found, (severity, lifetime, effect), "{event} {body}");
        let alice = SignalSubject::Owner("alice@example.com".to_owned());
        assert_eq!(signal.subject, alice);
        assert_eq!((signal.source.as_str(), signal.observed), (ISSUER, start()));
        assert!(!signal.why.contains("alice"), "no data about a person");
    }
}

#[test]
fn what_takes_back_has_the_kind_of_what_it_takes_back() {
    let kind = |event: &str, body| signals(event, body)[0].kind.clone();
    let disabled = kind(&format!("{RISC}account-disabled"), json!({}));
    assert_eq!(disabled, kind(&format!("{RISC}account-enabled"), json!({})));
    let compliance = format!("{CAEP}device-compliance-change");
    let one = |status: &str| kind(&compliance, json!({"current_status": status}));
    assert_eq!(one("compliant"), one("not-compliant"));
}

#[test]
fn a_harmless_change_of_a_credential_doesnt_replace_its_end() {
    let event = format!("{CAEP}credential-change");
    let kind = |change: &str| {
        signals(&event, json!({"change_type": change}))[0]
            .kind
            .clone()
    };
    assert_ne!(kind("revoke"), kind("update"));
    assert_eq!(kind("revoke"), kind("delete"));
}

#[test]
fn a_revoked_certificate_is_denied_by_its_serial_number() {
    let event = format!("{CAEP}credential-change");
    let body = json!({"change_type": "revoke", "credential_type": "x509", "x509_serial": "0A:1B"});
    let [signal] = &signals(&event, body)[..] else {
        panic!("there is one");
    };
    let certificate = SignalSubject::Certificate("0a1b".to_owned());
    assert_eq!(
        (&signal.subject, signal.effect),
        (&certificate, Effect::Deny)
    );
    let both = signals(
        &event,
        json!({"change_type": "revoke", "x509_serial": "1000"}),
    );
    assert_eq!(both.len(), 2, "hex or decimal, it isn't said");
    assert_ne!(both[0].id, both[1].id);
}

#[test]
fn the_time_is_the_events_and_never_after_the_tokens() {
    let event = format!("{CAEP}session-revoked");
    let at = |time: Value| signals(&event, json!({"event_timestamp": time}))[0].observed;
    let now = start().as_second();
    let minute = SignedDuration::from_mins(1);
    assert_eq!(at(json!(now - 60)), start() - minute);
    assert_eq!(at(json!(now + 60)), start());
    let ahead = Token {
        issued: start() + minute,
        ..token(&event, json!({}))
    };
    let Ok(Meaning::Signals(signals)) = meaning(&ahead, start()) else {
        panic!("it is read");
    };
    assert_eq!(signals[0].observed, start(), "nor after now");
}

#[test]
fn what_isnt_known_is_ignored_and_what_cant_be_is_refused() {
    for event in [
        format!("{CAEP}session-established"),
        format!("{CAEP}session-presented"),
        format!("{RISC}opt-in"),
        "https://example.com/custom".to_owned(),
        String::new(),
    ] {
        let found = meaning(&token(&event, json!({})), start());
        assert_eq!(found, Ok(Meaning::Unknown), "{event}");
    }
    for (event, body) in [
        ("risk-level-change", json!({})),
        ("risk-level-change", json!({"current_level": "ENORMOUS"})),
        ("risk-level-change", json!({"current_level": 7})),
        ("credential-change", json!({})),
        (
            "credential-change",
            json!({"change_type": "revoke", "x509_serial": "none"}),
        ),
        (
            "device-compliance-change",
            json!({"current_status": "well"}),
        ),
        (
            "assurance-level-change",
            json!({"change_direction": "sideways"}),
        ),
        ("session-revoked", json!([])),
        ("session-revoked", json!({"event_timestamp": "yesterday"})),
    ] {
        let found = meaning(&token(&format!("{CAEP}{event}"), body.clone()), start());
        assert!(found.is_err(), "{event} {body}");
    }
}

#[test]
fn a_streams_own_events_are_about_the_stream() {
    let about = |event: &str, body| {
        let subject = Some(json!({"format": "opaque", "id": "f67e39a0"}));
        let token = token(&format!("{SSF}{event}"), body);
        meaning(&Token { subject, ..token }, start()).unwrap()
    };
    assert_eq!(
        about("verification", json!({"state": "VGhpcw"})),
        Meaning::Verification {
            stream: "f67e39a0".to_owned(),
            state: Some("VGhpcw".to_owned()),
        }
    );
    assert_eq!(
        about(
            "stream-updated",
            json!({"status": "paused", "reason": "Internal error"})
        ),
        Meaning::StreamUpdated {
            stream: "f67e39a0".to_owned(),
            status: "paused".to_owned(),
        }
    );
    let of_a_person = token(&format!("{SSF}verification"), json!({}));
    assert!(meaning(&of_a_person, start()).is_err());
}
