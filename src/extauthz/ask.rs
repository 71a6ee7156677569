//! From what Envoy knows of a request to a question.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use countersign_core::SpiffeId;
use countersign_decision::{Call, PresentedCertificate, Question, ResourceRef};

use crate::envoy::{AttributeContext, HttpRequest, Peer};
use crate::headers::{self, DELEGATION};
use crate::{authority, certificate, path};

/// Envoy's own is a UUID of 36.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The longest name of an action.
const MAX_ACTION_BYTES: usize = 64;

/// For a body whose length isn't known beforehand: a policy that bounds it must not let it through.
/// The greatest number that policies know.
const UNKNOWN_LENGTH: u64 = i64::MAX as u64;

/// Why no question can be made of a request: for whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) &'static str);

/// Makes a question of a request, for an enforcement point that can meet these kinds of obligations.
pub(crate) fn ask(
    attributes: &AttributeContext,
    obligations: &Arc<BTreeSet<String>>,
) -> Result<Question, Unreadable> {
    let request = attributes.request.as_ref();
    let http = request
        .and_then(|it| it.http.as_ref())
        .ok_or(Unreadable("it isn't an HTTP request"))?;
    let route = Route(&attributes.context_extensions);
    if headers::overridden(http) {
        return Err(Unreadable(
            "a header makes another method or path of it: send the request itself",
        ));
    }
    let method = method(http)?;
    let action = match route.value("action")? {
        Some(action) => action.to_owned(),
        None => action_of(method)?,
    };
    let authority = headers::only(http, DELEGATION)?.map(authority::read);
    let who = who(attributes.source.as_ref());
    Ok(Question {
        agent: who.agent,
        certificate: who.certificate,
        action,
        resource: ResourceRef {
            kind: route.value("resourceType")?.unwrap_or_default().to_owned(),
            path: resource_path(route, http)?,
            properties: Default::default(),
        },
        authority: authority.transpose()?,
        call: Call {
            doubt: who.doubt,
            obligations: Some(Arc::clone(obligations)),
            ..call(attributes.source.as_ref(), route, http, method)?
        },
    })
}

/// What was sent, where no question can be made of it: for the record, as it stands there but for its
/// query, which may have secrets.
pub(crate) fn sent(attributes: &AttributeContext) -> Question {
    let http = attributes.request.as_ref().and_then(|it| it.http.as_ref());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Question {
        agent: who(attributes.source.as_ref()).agent,
        certificate: None,
        action: http.map(|it| text(&it.method)).unwrap_or_default(),
        resource: ResourceRef {
            path: http
                .map(|it| text(without_query(&it.path)))
                .unwrap_or_default(),
            ..ResourceRef::default()
        },
        authority: None,
        call: Call {
            request_id: http.and_then(request_id),
            ..Call::default()
        },
    }
}

fn without_query(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|it| matches!(it, b'?' | b'#'));
    target
        .get(..end.unwrap_or(target.len()))
        .unwrap_or_default()
}

struct Who {
    agent: String,
    certificate: Option<PresentedCertificate>,
    doubt: Option<&'static str>,
}

fn who(source: Option<&Peer>) -> Who {
    let Some(Peer {
        principal,
        certificate,
        ..
    }) = source
    else {
        return Who {
            agent: String::new(),
            certificate: None,
            doubt: Some("the peer isn't known"),
        };
    };
    let known = SpiffeId::parse(principal).is_ok();
    // An absent certificate is a caller that vouches; one that can't be read is none that counts.
    let presented = (!certificate.is_empty()).then(|| certificate::leaf(certificate));
    let fits = match &presented {
        None => true,
        Some(None) => false,
        Some(Some(der)) => certificate::only_uri(der).as_ref() == Some(principal),
    };
    Who {
        agent: if known {
            principal.clone()
        } else {
            String::new()
        },
        certificate: presented.map(|der| PresentedCertificate {
            der: der.unwrap_or_default(),
        }),
        doubt: if !known {
            Some("the peer showed no certificate with a SPIFFE ID")
        } else if !fits {
            Some("the peer's certificate isn't readable, or isn't for this SPIFFE ID alone")
        } else {
            None
        },
    }
}

/// What the route says.
#[derive(Clone, Copy)]
struct Route<'a>(&'a HashMap<String, String>);

impl<'a> Route<'a> {
    /// A value that isn't empty, which would be a slip.
    fn value(self, name: &str) -> Result<Option<&'a str>, Unreadable> {
        match self.0.get(name).map(String::as_str) {
            Some("") => Err(Unreadable("the route has an empty context extension")),
            value => Ok(value),
        }
    }
}

fn method(http: &HttpRequest) -> Result<&str, Unreadable> {
    let good = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    let known = (1..=MAX_ACTION_BYTES).contains(&http.method.len()) && http.method.iter().all(good);
    let method = known.then(|| std::str::from_utf8(&http.method).ok());
    method
        .flatten()
        .ok_or(Unreadable("the method isn't in capital letters"))
}

fn action_of(method: &str) -> Result<String, Unreadable> {
    Ok(match method {
        "GET" | "HEAD" => "read".to_owned(),
        "POST" => "create".to_owned(),
        "PUT" => "write".to_owned(),
        "PATCH" => "update".to_owned(),
        "DELETE" => "delete".to_owned(),
        // Granted under another's name, they would not be what was granted.
        "READ" | "CREATE" | "WRITE" | "UPDATE" => {
            return Err(Unreadable(
                "the method has the name of another one's action",
            ));
        }
        other => other.to_ascii_lowercase(),
    })
}

fn resource_path(route: Route<'_>, http: &HttpRequest) -> Result<String, Unreadable> {
    // Looked at in any case: what matched a route under one spelling must not be another resource for
    // the service behind.
    let path = path::of_target(&http.path)?;
    match (route.value("resource")?, route.value("resourcePrefix")?) {
        (Some(_), Some(_)) => Err(Unreadable("the route has both resource and resourcePrefix")),
        (Some(resource), None) => Ok(resource.to_owned()),
        (None, Some(prefix)) => {
            let prefix = prefix.trim_matches('/');
            Ok(if path.is_empty() {
                prefix.to_owned()
            } else {
                format!("{prefix}/{path}")
            })
        }
        (None, None) if path.is_empty() => Err(Unreadable(
            "the path / has no name as a resource: give the route a resource or resourcePrefix",
        )),
        (None, None) => Ok(path),
    }
}

fn call(
    source: Option<&Peer>,
    route: Route<'_>,
    http: &HttpRequest,
    method: &str,
) -> Result<Call, Unreadable> {
    let address = source.and_then(|it| it.address.as_ref());
    let address = address.and_then(|it| it.socket_address.as_ref());
    let destructive = match route.value("destructive")? {
        None => method == "DELETE",
        Some("true") => true,
        Some("false") => false,
        Some(_) => {
            return Err(Unreadable(
                "the route's destructive is neither true nor false",
            ));
        }
    };
    Ok(Call {
        source_ip: address.and_then(|it| it.address.parse().ok()),
        tool: route.value("tool")?.map(str::to_owned),
        bytes: bytes(http, method)?,
        destructive,
        audience: route.value("audience")?.map(str::to_owned),
        request_id: request_id(http),
        ..Call::default()
    })
}

/// As far as the headers say.
fn bytes(http: &HttpRequest, method: &str) -> Result<u64, Unreadable> {
    let bad = Unreadable("the content-length isn't a number");
    if let Some(length) = headers::only(http, "content-length")? {
        let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(length).ok().filter(|_| digits);
        return text.and_then(|it| it.parse().ok()).ok_or(bad);
    }
    let streamed = headers::only(http, "transfer-encoding")?.is_some();
    let bodiless = matches!(method, "GET" | "HEAD" | "DELETE" | "OPTIONS" | "TRACE");
    Ok(if bodiless && !streamed {
        0
    } else {
        UNKNOWN_LENGTH
    })
}

/// For logs alone, so that an odd one is left out rather than refused.
fn request_id(http: &HttpRequest) -> Option<String> {
    let id = headers::only(http, "x-request-id").ok().flatten()?;
    let id = std::str::from_utf8(id).ok()?;
    let good = id.len() <= MAX_REQUEST_ID_BYTES && id.bytes().all(|it| it.is_ascii_graphic());
    (good && !id.is_empty()).then(|| id.to_owned())
}
