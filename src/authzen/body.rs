//! From the bytes of a request to JSON that may be read.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::refused::Refused;
use crate::settings::Settings;

/// The whole body, once its headers say that it can be read.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    settings: &Settings,
) -> Result<Vec<u8>, Refused> {
    if !headers.get(header::CONTENT_TYPE).is_some_and(is_json) {
        return Err(Refused::bad("the content type must be application/json"));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        let message = "the body must have no content coding";
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|it| it > settings.max_body) {
        return Err(too_long(settings));
    }
    match Limited::new(body, settings.max_body).collect().await {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(why) if why.is::<LengthLimitError>() => Err(too_long(settings)),
        Err(_) => Err(Refused::bad("the body ended early")),
    }
}

/// The text of a body that holds one JSON value, as far as can be seen without reading it.
pub(crate) fn text<'a>(body: &'a [u8], settings: &Settings) -> Result<&'a str, Refused> {
    let text = str::from_utf8(body).map_err(|_| Refused::bad("the body is not UTF-8"))?;
    if text.trim_ascii().is_empty() {
        return Err(Refused::bad("the body is empty"));
    }
    if depth(body) > settings.max_depth {
        let most = settings.max_depth;
        return Err(Refused::bad(format!(
            "the body nests deeper than {most} levels"
        )));
    }
    Ok(text)
}

fn too_long(settings: &Settings) -> Refused {
    let most = settings.max_body;
    let message = format!("the body is longer than {most} bytes");
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

/// `application/json`, whatever its parameters: JSON is UTF-8 (RFC 8259, sections 8.1 and 11).
fn is_json(content_type: &HeaderValue) -> bool {
    let essence = content_type.as_bytes().split(|it| *it == b';').next();
    essence.is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(b"application/json"))
}

/// How deep lists and objects nest, if it is JSON. It is found without recursion and before anything
/// is read, unknown members included.
fn depth(json: &[u8]) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' if !in_string => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_what_is_open_outside_of_strings() {
        for (json, expected) in [
            ("", 0),
            ("1", 0),
            ("[]", 1),
            ("[[],[[]]]", 3),
            (r#"{"a":{"b":[]}}"#, 3),
            (r#"{"a[[[":"{{{\"[[[\\"}"#, 1),
            (r#"["\\",[]]"#, 2),
            ("]]][", 1),
        ] {
            assert_eq!(depth(json.as_bytes()), expected, "{json}");
        }
    }

    #[test]
    fn json_is_json_whatever_its_parameters() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json ;x=y",
        ] {
            assert!(is_json(&HeaderValue::from_static(good)), "{good}");
        }
        for bad in [
            "",
            "text/json",
            "application/jsonp",
            "application/problem+json",
        ] {
            assert!(!is_json(&HeaderValue::from_static(bad)), "{bad}");
        }
    }
}
