//! Whom an event is about: subject identifiers (RFC 9493; SSF 1.0, section 3) as subjects of
//! signals.

use countersign_core::SpiffeId;
use countersign_decision::SignalSubject;
use countersign_http::shown;
use countersign_statement::Digest;
use serde_json::{Map, Value};

use crate::error::SetError;

/// The longest name of an owner that is looked at; longer than any that exists.
const MAX_NAME_BYTES: usize = 512;
/// The members of a complex subject (SSF 1.0, section 3.3) that can be somebody here, the narrowest
/// first. All of them together are one subject, so the narrowest that is known here counts.
const NARROWEST_FIRST: [&str; 4] = ["session", "application", "device", "user"];

/// Reads a subject.
///
/// # Errors
/// Its format is not known here, or it names nobody who could be known: the transmitter should hear
/// of it, since the event would have no effect.
pub(crate) fn read(subject: Option<&Value>) -> Result<SignalSubject, SetError> {
    let subject = subject.ok_or_else(|| SetError::request("the token has no sub_id"))?;
    let members = object(subject)?;
    match format(members)? {
        "complex" => complex(members),
        format => simple(format, members),
    }
}

/// The id of an opaque subject, which only a stream's own events have.
pub(crate) fn opaque(subject: Option<&Value>) -> Result<&str, SetError> {
    let subject = subject.ok_or_else(|| SetError::request("the token has no sub_id"))?;
    let members = object(subject)?;
    match format(members)? {
        "opaque" => text(members, "id"),
        other => Err(unsupported(other)),
    }
}

fn complex(members: &Map<String, Value>) -> Result<SignalSubject, SetError> {
    let mut known_formats = None;
    for name in NARROWEST_FIRST {
        let Some(member) = members.get(name) else {
            continue;
        };
        let member = object(member)?;
        match format(member)? {
            // Somebody else's name for a session or a device: the next member is wider and known.
            "opaque" => {}
            format => match simple(format, member) {
                Ok(subject) => return Ok(subject),
                Err(why) => known_formats = Some(why),
            },
        }
    }
    Err(known_formats.unwrap_or_else(|| {
        SetError::request("no member of the complex subject is known here: user, session, device")
    }))
}

fn simple(format: &str, members: &Map<String, Value>) -> Result<SignalSubject, SetError> {
    match format {
        "uri" => agent(text(members, "uri")?),
        "iss_sub" => iss_sub(text(members, "iss")?, text(members, "sub")?),
        "email" => owner(text(members, "email")?),
        "account" => {
            let uri = text(members, "uri")?;
            let name = uri.strip_prefix("acct:");
            owner(name.ok_or_else(|| SetError::request("an account must begin with acct:"))?)
        }
        "jwt_id" => {
            let id = text(members, "jti")?;
            let digest = Digest::parse(id).map_err(|_| {
                SetError::request("the jwt_id is not the digest of a delegation's statement")
            })?;
            Ok(SignalSubject::Delegation(digest.to_string()))
        }
        other => Err(unsupported(other)),
    }
}

/// A workload of a trust domain, or a person at an OpenID provider.
fn iss_sub(issuer: &str, subject: &str) -> Result<SignalSubject, SetError> {
    if !issuer.starts_with("spiffe://") {
        return owner(subject);
    }
    let issuer = issuer.trim_end_matches('/');
    if subject.starts_with('/') {
        return agent(&format!("{issuer}{subject}"));
    }
    let inside = subject.strip_prefix(issuer);
    if inside.is_some_and(|path| path.starts_with('/')) {
        agent(subject)
    } else {
        Err(SetError::request("sub is not in iss's trust domain"))
    }
}

fn agent(id: &str) -> Result<SignalSubject, SetError> {
    match SpiffeId::parse(id) {
        Ok(id) => Ok(SignalSubject::Agent(id.as_str().to_owned())),
        Err(why) => {
            let id = shown(id);
            Err(SetError::request(format!("{id:?} names no agent: {why}")))
        }
    }
}

fn owner(name: &str) -> Result<SignalSubject, SetError> {
    let good = !name.is_empty() && name.len() <= MAX_NAME_BYTES;
    if good && !name.chars().any(char::is_control) {
        Ok(SignalSubject::Owner(name.to_owned()))
    } else {
        Err(SetError::request("a name must have 1 to 512 bytes"))
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, SetError> {
    let object = value.as_object();
    object.ok_or_else(|| SetError::request("a subject must be an object"))
}

fn format(members: &Map<String, Value>) -> Result<&str, SetError> {
    text(members, "format")
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, SetError> {
    let text = members.get(name).and_then(Value::as_str);
    text.ok_or_else(|| SetError::request(format!("the subject has no {name}")))
}

fn unsupported(format: &str) -> SetError {
    let format = shown(format);
    SetError::request(format!("subjects of format {format:?} are not known here"))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(subject: Value) -> Result<SignalSubject, String> {
        read(Some(&subject)).map_err(|why| why.description)
    }

    const AGENT: &str = "spiffe://example.org/ns/finance/agent/planner";

    #[test]
    fn each_format_names_who_it_can_be_here() {
        let agent = SignalSubject::Agent(AGENT.to_owned());
        let alice = SignalSubject::Owner("alice@example.com".to_owned());
        let digest = "A".repeat(43);
        let cases = [
            (json!({"format": "uri", "uri": AGENT}), agent.clone()),
            (
                json!({"format": "iss_sub", "iss": "spiffe://example.org", "sub": "/ns/finance/agent/planner"}),
                agent.clone(),
            ),
            (
                json!({"format": "iss_sub", "iss": "spiffe://example.org", "sub": AGENT}),
                agent,
            ),
            (
                json!({"format": "iss_sub", "iss": "https://idp.example.com/", "sub": "145234573"}),
                SignalSubject::Owner("145234573".to_owned()),
            ),
            (
                json!({"format": "email", "email": "alice@example.com"}),
                alice.clone(),
            ),
            (
                json!({"format": "account", "uri": "acct:alice@example.com"}),
                alice,
            ),
            (
                json!({"format": "jwt_id", "iss": "spiffe://example.org", "jti": digest}),
                SignalSubject::Delegation(digest),
            ),
        ];
        for (subject, expected) in cases {
            assert_eq!(of(subject.clone()), Ok(expected), "{subject}");
        }
    }

    #[test]
    fn of_a_complex_subject_the_narrowest_known_member_counts() {
        let user = json!({"format": "email", "email": "alice@example.com"});
        let alice = SignalSubject::Owner("alice@example.com".to_owned());
        let opaque = json!({"format": "opaque", "id": "dMTlD|1600802906337.16"});
        let unknown_session = json!({"format": "complex", "user": user, "session": opaque});
        assert_eq!(of(unknown_session), Ok(alice));
        let digest = format!("{}A", "B".repeat(42));
        let session = json!({"format": "jwt_id", "iss": "spiffe://example.org", "jti": digest});
        let known = json!({"format": "complex", "user": user, "session": session});
        assert_eq!(of(known), Ok(SignalSubject::Delegation(digest)));
        let device = json!({"format": "uri", "uri": AGENT});
        let both = json!({"format": "complex", "user": user, "device": device});
        assert_eq!(of(both), Ok(SignalSubject::Agent(AGENT.to_owned())));
    }

    #[test]
    fn what_nobody_can_be_is_an_error() {
        let cases = [
            json!(null),
            json!("alice"),
            json!({}),
            json!({"format": 7}),
            json!({"format": "phone_number", "phone_number": "+12065550100"}),
            json!({"format": "opaque", "id": "x"}),
            json!({"format": "email"}),
            json!({"format": "email", "email": ""}),
            json!({"format": "email", "email": "a\u{0}b"}),
            json!({"format": "email", "email": "a".repeat(513)}),
            json!({"format": "uri", "uri": "https://example.org/agent"}),
            json!({"format": "uri", "uri": "spiffe://example.org"}),
            json!({"format": "account", "uri": "alice@example.com"}),
            json!({"format": "iss_sub", "iss": "spiffe://example.org", "sub": "spiffe://example.org.evil/ns"}),
            json!({"format": "iss_sub", "iss": "spiffe://example.org", "sub": "planner"}),
            json!({"format": "jwt_id", "iss": "spiffe://example.org", "jti": "short"}),
            json!({"format": "complex"}),
            json!({"format": "complex", "group": {"format": "email", "email": "all@example.com"}}),
            json!({"format": "complex", "user": {"format": "complex"}}),
            json!({"format": "complex", "session": {"format": "opaque", "id": "x"}}),
        ];
        for subject in cases {
            assert!(of(subject.clone()).is_err(), "{subject}");
        }
        assert!(read(None).is_err());
    }
}
