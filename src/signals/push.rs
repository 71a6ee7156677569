//! `POST /ssf/events`: push delivery (RFC 8935).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use crate::answer::{has_type, later, read, set_error};
use crate::bearer::shown_by;
use crate::error::{SetError, SetErrorCode};
use crate::header::MAX_TOKEN_BYTES;
use crate::receiver::{NotReceived, Receiver};

/// Each transmitter is known by its token, and may deliver to its own stream only.
pub(crate) async fn push(
    State(receivers): State<Arc<[Arc<Receiver>]>>,
    request: Request,
) -> Response {
    match take(&receivers, request).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(response) => response,
    }
}

async fn take(receivers: &[Arc<Receiver>], request: Request) -> Result<(), Response> {
    let bad = |why: &SetError| set_error(StatusCode::BAD_REQUEST, why);
    let (head, body) = request.into_parts();
    let tokens = receivers.iter().map(|it| it.stream().push_token.as_ref());
    let receiver = shown_by(&head.headers, tokens).and_then(|place| receivers.get(place));
    let receiver = receiver.ok_or_else(|| {
        let why = "the bearer token is missing or not known";
        bad(&SetError::new(SetErrorCode::AuthenticationFailed, why))
    })?;
    if !has_type(&head.headers, "application/secevent+jwt") {
        let why = "the content type must be application/secevent+jwt";
        return Err(bad(&SetError::request(why)));
    }
    let body = read(body, MAX_TOKEN_BYTES).await?;
    let token =
        str::from_utf8(&body).map_err(|_| bad(&SetError::request("the token is not in ASCII")))?;
    match receiver.receive(token.trim_ascii()).await {
        Ok(_) => Ok(()),
        Err(NotReceived::Refused(why)) => Err(bad(&why)),
        Err(NotReceived::Later(why)) => Err(later(why)),
    }
}
