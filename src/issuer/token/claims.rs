//! The parts of a token (RFC 7515, compact form), and the claims of a ServiceAccount's (KEP-1205).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::json::Object;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{Asker, BadToken};
use crate::PodRef;

/// The API server's have about a kilobyte.
const MAX_BYTES: usize = 8 * 1024;
/// How far the API server's clock may be ahead of this one. For a token's end there is no such
/// allowance.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// A token in its parts. Nothing of it has been verified.
pub(super) struct Unverified<'a> {
    pub(super) kid: String,
    pub(super) alg: String,
    pub(super) signing_input: &'a str,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: OneOrMore,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    sub: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Object<Kubernetes>>,
}

#[derive(Deserialize)]
struct Kubernetes {
    namespace: String,
    serviceaccount: Option<Object<Named>>,
    pod: Option<Object<Named>>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    uid: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl<'a> Unverified<'a> {
    pub(super) fn read(token: &'a str) -> Result<Self, BadToken> {
        let bad = |why| Err(BadToken::Bad(why));
        if token.len() > MAX_BYTES {
            return bad("it has more than 8 KiB");
        }
        let parts = token.rsplit_once('.');
        let Some((signing_input, signature)) = parts else {
            return bad("it has no three parts");
        };
        let Some((header, payload)) = signing_input.split_once('.') else {
            return bad("it has no three parts");
        };
        let (Ok(header), Ok(payload), Ok(signature)) = (
            URL_SAFE_NO_PAD.decode(header),
            URL_SAFE_NO_PAD.decode(payload),
            URL_SAFE_NO_PAD.decode(signature),
        ) else {
            return bad("its parts are not base64url");
        };
        let Ok(Object(Header { alg, kid, crit })) = serde_json::from_slice(&header) else {
            return bad("its header has no alg and kid");
        };
        if crit.is_some() {
            return bad("its header has extensions that must be understood");
        }
        Ok(Self {
            kid,
            alg,
            signing_input,
            payload,
            signature,
        })
    }
}

/// Who it is by the claims of a token whose signature verified.
pub(super) fn judge(
    payload: &[u8],
    issuer: &str,
    audience: &str,
    now: Timestamp,
) -> Result<Asker, BadToken> {
    let bad = |why| Err(BadToken::Bad(why));
    let Ok(Object(claims)) = serde_json::from_slice::<Object<Claims>>(payload) else {
        return bad("its claims can't be read");
    };
    if claims.iss != issuer {
        return bad("its issuer is another");
    }
    let for_us = match &claims.aud {
        OneOrMore::One(it) => it == audience,
        OneOrMore::More(all) => all.iter().any(|it| it == audience),
    };
    if !for_us {
        return Err(BadToken::WrongAudience(audience.to_owned()));
    }
    let Ok(expires) = Timestamp::from_second(claims.exp) else {
        return bad("its end is no time");
    };
    if expires <= now {
        return Err(BadToken::Expired);
    }
    for begin in [claims.nbf, claims.iat].into_iter().flatten() {
        match Timestamp::from_second(begin) {
            Ok(begin) if begin.duration_since(now) <= AHEAD => {}
            _ => return bad("it is from the future: the clocks are too far apart"),
        }
    }
    let Some(Object(bound)) = claims.kubernetes else {
        return Err(BadToken::Unbound);
    };
    let Some(Object(account)) = bound.serviceaccount else {
        return bad("it is of no service account");
    };
    let subject = format!("system:serviceaccount:{}:{}", bound.namespace, account.name);
    if claims.sub != subject {
        return bad("its subject is not its service account");
    }
    let Some(Object(pod)) = bound.pod else {
        return Err(BadToken::Unbound);
    };
    if [&bound.namespace, &pod.name, &pod.uid, &account.uid]
        .iter()
        .any(|it| it.is_empty())
    {
        return Err(BadToken::Unbound);
    }
    Ok(Asker {
        pod: PodRef {
            namespace: bound.namespace,
            name: pod.name,
            uid: pod.uid,
            service_account: account.name,
        },
        expires,
    })
}
