//! Why a request, or one evaluation of it, is refused.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A status and a message for whoever sent it. The message says nothing that they sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) message: Cow<'static, str>,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self { status, message }
    }

    /// It can't be read.
    pub(crate) fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// It is no JSON, or an object has a member twice.
    pub(crate) fn not_json(why: &serde_json::Error) -> Self {
        Self::bad(format!("not JSON as it is wanted: {why}"))
    }

    /// The caller may not ask that.
    pub(crate) fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let unauthorized = self.status == StatusCode::UNAUTHORIZED;
        let message = self.message.into_owned();
        let mut response = (self.status, message).into_response();
        if unauthorized {
            // RFC 9110, section 15.5.2: a 401 says how to authenticate.
            let bearer = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}
