//! Security Event Tokens (RFC 8417) in the profile of the Shared Signals Framework 1.0, section 4.

use std::collections::HashSet;
use std::fmt;

use countersign_core::json::{Object, present};
use countersign_http::shown;
use jiff::{SignedDuration, Timestamp};
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::{SetError, SetErrorCode};
use crate::header::{Unverified, json};
use crate::jwk::KeySet;

/// An older token says nothing about now, and whoever kept it may replay it. Transmitters that were
/// down for longer start with a new stream.
pub const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// How far the clocks of two honest machines may be apart.
pub const MAX_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// The longest `jti`; it is kept to know it again.
const MAX_ID_BYTES: usize = 256;
/// The most audiences of a token.
const MAX_AUDIENCES: usize = 32;

/// What the tokens of one stream must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    /// The transmitter: `iss` of each token.
    pub issuer: String,
    /// Us: one of them is among each token's `aud`.
    pub audiences: Vec<String>,
}

/// A token that verified: its transmitter said this, to us, not long ago. It may have been seen
/// before.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// `jti`, unique for the issuer.
    pub id: String,
    /// `iss`.
    pub issuer: String,
    /// `iat`, to the second.
    pub issued: Timestamp,
    /// `sub_id`, whom it is about (RFC 9493).
    pub subject: Option<Value>,
    /// The event's type, a URI.
    pub event: String,
    /// What it says of the event.
    pub body: Value,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    jti: String,
    iat: Seconds,
    aud: OneOrMore,
    events: Events,
    #[serde(default, deserialize_with = "present")]
    sub_id: Option<Value>,
    // SSF 1.0, sections 4.1.4 and 4.1.5: must not be there, whatever their value, so that none is
    // taken for an access token or an ID token.
    #[serde(default, deserialize_with = "present")]
    exp: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    sub: Option<IgnoredAny>,
}

/// A NumericDate (RFC 7519, section 2).
pub(crate) struct Seconds(pub(crate) Timestamp);

struct OneOrMore(Vec<String>);

struct Events(Vec<(String, Value)>);

impl Verifier {
    /// Verifies a token with the transmitter's keys.
    ///
    /// The order: form, signature, issuer, audience, times, and that it has exactly one event. Not
    /// whether it came before: that is for whoever remembers.
    ///
    /// # Errors
    /// What its transmitter is told.
    pub fn verify(&self, token: &str, keys: &KeySet, now: Timestamp) -> Result<Token, SetError> {
        let cut = Unverified::read(token)?;
        let input = cut.signing_input.as_bytes();
        keys.verify(cut.kid.as_deref(), &cut.alg, input, &cut.signature)?;
        let Object(claims): Object<Claims> = json(&cut.payload)
            .map_err(|why| SetError::request(format!("the token's claims: {why}")))?;
        self.judge(claims, now)
    }

    /// The name of the key that a token says it is signed with, so that it can be fetched.
    pub(crate) fn key_of(token: &str) -> Result<Option<String>, SetError> {
        Unverified::read(token).map(|it| it.kid)
    }

    fn judge(&self, claims: Claims, now: Timestamp) -> Result<Token, SetError> {
        if claims.iss != self.issuer {
            let why = format!("the issuer is not the stream's: {:?}", shown(&claims.iss));
            return Err(SetError::new(SetErrorCode::InvalidIssuer, why));
        }
        if !claims.aud.0.iter().any(|it| self.audiences.contains(it)) {
            let why = "the token is for another audience";
            return Err(SetError::new(SetErrorCode::InvalidAudience, why));
        }
        for (name, there) in [("exp", claims.exp.is_some()), ("sub", claims.sub.is_some())] {
            if there {
                let why = format!("a security event token must not have {name}");
                return Err(SetError::request(why));
            }
        }
        let Seconds(issued) = claims.iat;
        let age = now.duration_since(issued);
        if age > MAX_AGE {
            return Err(SetError::request("the token is older than 24 hours"));
        }
        if -age > MAX_SKEW {
            return Err(SetError::request("the token is from the future"));
        }
        if claims.jti.is_empty() || claims.jti.len() > MAX_ID_BYTES {
            return Err(SetError::request("jti must have 1 to 256 bytes"));
        }
        // CAEP Interoperability Profile 1.0, section 2.8.1.
        let mut events = claims.events.0.into_iter();
        let (Some((event, body)), None) = (events.next(), events.next()) else {
            return Err(SetError::request("a token must have exactly one event"));
        };
        Ok(Token {
            id: claims.jti,
            issuer: claims.iss,
            issued,
            subject: claims.sub_id,
            event,
            body,
        })
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(from)?;
        // A fraction is allowed, and cut off: nothing here is finer than a second.
        let seconds = number.as_i64().or_else(|| {
            let float = number.as_f64().filter(|it| it.abs() < 1e15)?;
            Some(float.trunc() as i64)
        });
        seconds
            .and_then(|it| Timestamp::from_second(it).ok())
            .map(Self)
            .ok_or_else(|| D::Error::custom("no time in seconds since 1970"))
    }
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Vec<String>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }
            fn visit_str<E: serde::de::Error>(self, one: &str) -> Result<Vec<String>, E> {
                Ok(vec![one.to_owned()])
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Vec<String>, A::Error> {
                let mut found = Vec::new();
                while let Some(one) = all.next_element()? {
                    if found.len() >= MAX_AUDIENCES {
                        return Err(A::Error::custom("too many audiences"));
                    }
                    found.push(one);
                }
                Ok(found)
            }
        }
        from.deserialize_any(Any).map(Self)
    }
}

impl<'de> Deserialize<'de> for Events {
    /// A map would keep the last of two events of one type, and hide that there were two.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(String, Value)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
                let mut found = Vec::new();
                let mut names = HashSet::new();
                while let Some((name, body)) = all.next_entry::<String, Value>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom("an event type is there twice"));
                    }
                    found.push((name, body));
                }
                Ok(found)
            }
        }
        from.deserialize_map(Members).map(Self)
    }
}
