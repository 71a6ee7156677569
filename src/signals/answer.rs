//! How requests are read and answered here.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::error::SetError;

/// A body that takes longer is given up: who sends it byte by byte holds a place of others.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Reads a body of at most `most` bytes.
pub(crate) async fn read(body: Body, most: usize) -> Result<Bytes, Response> {
    match timeout(BODY_WITHIN, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(why)) if why.is::<http_body_util::LengthLimitError>() => {
            let why = format!("a body must not exceed {most} bytes");
            Err(set_error(
                StatusCode::PAYLOAD_TOO_LARGE,
                &SetError::request(why),
            ))
        }
        Ok(Err(_)) => {
            let why = SetError::request("the body broke off");
            Err(set_error(StatusCode::BAD_REQUEST, &why))
        }
        Err(_) => {
            let why = SetError::request("the body didn't arrive in time");
            Err(set_error(StatusCode::REQUEST_TIMEOUT, &why))
        }
    }
}

/// Is that the body's media type, whatever its parameters?
pub(crate) fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|it| it.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case(wanted)
}

/// An error as RFC 8935, section 2.3, has it. The other endpoints speak the same.
pub(crate) fn set_error(status: StatusCode, why: &SetError) -> Response {
    let body = json!({"err": why.code.as_str(), "description": why.description});
    let mut response = (status, with_json(&body)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_LANGUAGE,
        header::HeaderValue::from_static("en"),
    );
    response
}

/// It is to be sent again a little later.
pub(crate) fn later(why: &'static str) -> Response {
    let body = json!({"err": "temporarily_unavailable", "description": why});
    let retry = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, retry, with_json(&body)).into_response()
}

/// A JSON body with its type.
pub(crate) fn with_json(body: &Value) -> Response {
    let content = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (content, body.to_string()).into_response()
}
