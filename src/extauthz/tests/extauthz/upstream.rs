//! The service behind Envoy: it answers with the request that it got.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Request;

use crate::serving::Serving;

pub(crate) async fn start() -> Serving {
    Serving::router(Router::new().fallback(echo)).await
}

/// The values of each header, by name, as JSON.
async fn echo(request: Request) -> String {
    let mut headers = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.to_string()).or_default().push(value);
    }
    serde_json::to_string(&headers).unwrap()
}
