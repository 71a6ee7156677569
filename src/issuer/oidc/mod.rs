//! The face of trust domains towards those who have never heard of SPIFFE: an OpenID provider's
//! discovery document and keys, in plain HTTP, to be put behind an ingress that has the issuer URL's
//! certificate.
//!
//! ```text
//!  https://id.example.org/agents/.well-known/openid-configuration ─┐ ingress
//!  https://id.example.org/agents/keys ─────────────────────────────┴─▶ router ──▶ Faces
//! ```
//!
//! Nothing here is secret, and nobody has to say who they are.

mod face;
mod serve;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

pub use face::Face;
pub(crate) use serve::serve;

/// How long a copy may be used: a key is published for much longer before it signs.
const LIFETIME: &str = "public, max-age=60";

/// Who tells what there is to see now. Asked at each request: be quick.
pub trait Faces: Send + Sync + 'static {
    /// Those of all trust domains that have an issuer URL and published keys.
    fn faces(&self) -> Arc<Vec<Face>>;
}

/// The documents of each trust domain below the path of its issuer URL.
pub fn router(faces: Arc<dyn Faces>) -> Router {
    Router::new().fallback(answer).with_state(faces)
}

async fn answer(State(faces): State<Arc<dyn Faces>>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allow = [(header::ALLOW, "GET, HEAD")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow).into_response();
    }
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|it| it.to_str().ok());
    match face::document(&faces.faces(), host, request.uri().path()) {
        Some(document) => (
            [
                (header::CONTENT_TYPE, "application/json"),
                (header::CACHE_CONTROL, LIFETIME),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ],
            document,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
