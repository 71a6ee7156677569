//! What is answered to a request.

use std::convert::Infallible;

use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use tracing::debug;

use super::Page;
use super::access::Verdict;
use crate::health::{OPEN_METRICS, exposition};

/// The one page, and the non-resource URL of the right to it.
pub(super) const METRICS: &str = "/metrics";

const TEXT: &str = "text/plain; charset=utf-8";

/// Never fails: what goes wrong is an answer too.
pub(super) async fn answer(
    page: &Page,
    request: Parts,
) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match refusal(page, &request).await {
        None => metrics(page),
        Some(response) => response,
    })
}

/// `None`: the metrics may be read.
async fn refusal(page: &Page, request: &Parts) -> Option<Response<Full<Bytes>>> {
    if request.uri.path() != METRICS {
        let only = format!("only {METRICS} is here\n");
        return Some(plain(StatusCode::NOT_FOUND, only));
    }
    if request.method != Method::GET {
        let mut response = plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET is here\n".to_owned(),
        );
        set(&mut response, ALLOW, "GET");
        return Some(response);
    }
    let Some(token) = bearer(&request.headers) else {
        let said = "metrics are for who shows a bearer token: Authorization: Bearer TOKEN\n";
        return Some(unknown("Bearer", said.to_owned()));
    };
    match page.access.of(token).await {
        Ok(Verdict::Allowed) => None,
        Ok(Verdict::Nobody) => {
            let said = "the API server doesn't know this token, or no longer\n";
            Some(unknown("Bearer error=\"invalid_token\"", said.to_owned()))
        }
        Ok(Verdict::Forbidden(user)) => {
            debug!(user = &*user, "may not read metrics");
            Some(plain(StatusCode::FORBIDDEN, how_to_grant(&user)))
        }
        Err(why) => Some(plain(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))),
    }
}

/// The one token that a request shows (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    let (Some(shown), None) = (shown.next(), shown.next()) else {
        return None; // none, or several that contradict one another
    };
    let (scheme, token) = shown.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    let is_token = !token.is_empty() && !token.contains(' ');
    (scheme.eq_ignore_ascii_case("bearer") && is_token).then_some(token)
}

/// Commands that give the right, ready to be copied.
fn how_to_grant(user: &str) -> String {
    let account = user
        .strip_prefix("system:serviceaccount:")
        .filter(|it| it.split(':').count() == 2);
    let subject = match account {
        Some(account) => format!("--serviceaccount={account}"),
        None => format!("--user='{}'", user.replace('\'', r"'\''")),
    };
    format!(
        "{user} lacks the right to get the non-resource URL {METRICS}. To grant it:\n  \
         kubectl create clusterrole metrics-reader --verb=get --non-resource-url={METRICS}\n  \
         kubectl create clusterrolebinding metrics-reader --clusterrole=metrics-reader {subject}\n\
         The Helm chart has such a ClusterRole already, <release>-metrics-reader, and binds those whom its \
         value metrics.readers lists.\n"
    )
}

fn metrics(page: &Page) -> Response<Full<Bytes>> {
    match exposition(&page.registry) {
        Ok(text) => respond(StatusCode::OK, OPEN_METRICS, text),
        Err(why) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")),
    }
}

fn unknown(challenge: &'static str, said: String) -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::UNAUTHORIZED, said);
    set(&mut response, WWW_AUTHENTICATE, challenge);
    response
}

fn plain(status: StatusCode, said: String) -> Response<Full<Bytes>> {
    respond(status, TEXT, said)
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, kind);
    // What somebody may read isn't for whoever asks a cache.
    set(&mut response, CACHE_CONTROL, "no-store");
    response
}

fn set(response: &mut Response<Full<Bytes>>, name: http::HeaderName, value: &'static str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: &[&'static str]) -> HeaderMap {
        let lines = lines.iter().map(|it| HeaderValue::from_static(it));
        lines.map(|it| (AUTHORIZATION, it)).collect()
    }

    #[test]
    fn one_bearer_token_is_read_and_nothing_else() {
        for good in [
            "Bearer abc.def-_~+/=",
            "bearer abc.def-_~+/=",
            "BEARER  abc.def-_~+/= ",
        ] {
            assert_eq!(bearer(&shown(&[good])), Some("abc.def-_~+/="), "{good}");
        }
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Basic YTpi",
            "abc",
            "Bearerabc",
            " Bearer abc",
        ] {
            assert_eq!(bearer(&shown(&[bad])), None, "{bad}");
        }
        assert_eq!(bearer(&shown(&[])), None);
        assert_eq!(
            bearer(&shown(&["Bearer a", "Bearer b"])),
            None,
            "which of both?"
        );
        let bytes = HeaderValue::from_bytes(b"Bearer \xff").unwrap();
        assert_eq!(
            bearer(&[(AUTHORIZATION, bytes)].into_iter().collect()),
            None
        );
    }

    #[test]
    fn the_command_that_grants_is_for_the_one_who_lacks_it_and_safe_to_copy() {
        let told = how_to_grant("system:serviceaccount:monitoring:prometheus");
        assert!(
            told.contains(" --serviceaccount=monitoring:prometheus\n"),
            "{told}"
        );
        assert!(
            told.contains("--verb=get --non-resource-url=/metrics\n"),
            "{told}"
        );
        let told = how_to_grant("it's; me");
        assert!(told.contains(r"--user='it'\''s; me'"), "{told}");
        let told = how_to_grant("system:serviceaccount:a:b:c");
        assert!(
            told.contains("--user='system:serviceaccount:a:b:c'"),
            "{told}"
        );
    }
}
