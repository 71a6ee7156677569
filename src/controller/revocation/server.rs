//! Serves the lists and the bundles over plain HTTP: all of it is signed or public.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;

use super::lists::{List, ListError, PARTITIONS};
use crate::context::Context;

/// Serves for ever.
pub(crate) async fn serve(ctx: Arc<Context>, listener: TcpListener) -> io::Result<()> {
    let router = Router::new()
        .route("/bundles/{domain}", get(bundle))
        .route("/revocations/{domain}", get(index))
        .route(
            "/revocations/{domain}/statements/{partition}",
            get(statements),
        )
        .route(
            "/revocations/{domain}/certificates/{file}",
            get(certificates),
        )
        .with_state(ctx);
    axum::serve(listener, router).await
}

async fn bundle(State(ctx): State<Arc<Context>>, Path(domain): Path<String>) -> Response {
    if let Some(refusal) = not_leading(&ctx) {
        return refusal;
    }
    let known = ctx.domains.get(&domain);
    let Some(document) = known.as_ref().and_then(|known| known.document.clone()) else {
        return refusal(&ListError::Unknown(format!("no bundle of {domain}")));
    };
    (
        [(header::CONTENT_TYPE, "application/json")],
        document.to_string(),
    )
        .into_response()
}

/// Which lists there are.
async fn index(State(ctx): State<Arc<Context>>, Path(domain): Path<String>) -> Response {
    if let Some(refusal) = not_leading(&ctx) {
        return refusal;
    }
    let Some(known) = ctx.domains.get(&domain) else {
        return refusal(&ListError::Unknown(format!("no trust domain {domain}")));
    };
    let mut certificates = Vec::new();
    if let Ok(signing) = &known.signing {
        certificates.push(signing.signer.id().to_string());
        let prepared = signing.set.as_ref().and_then(|set| set.prepared());
        certificates.extend(prepared.map(|slot| slot.id().to_string()));
    }
    let certificates: Vec<_> = certificates
        .iter()
        .map(|id| json!({"authorityID": id, "path": format!("/revocations/{domain}/certificates/{id}.crl")}))
        .collect();
    let index = json!({
        "trustDomain": domain,
        "maxAgeSeconds": ctx.revocation_seconds,
        "statements": {
            "partitions": PARTITIONS,
            "path": format!("/revocations/{domain}/statements/{{partition}}"),
        },
        "certificates": certificates,
        "bundle": format!("/bundles/{domain}"),
    });
    (
        [(header::CONTENT_TYPE, "application/json")],
        index.to_string(),
    )
        .into_response()
}

async fn statements(
    State(ctx): State<Arc<Context>>,
    Path((domain, partition)): Path<(String, u32)>,
) -> Response {
    list(
        &ctx,
        &List::Statements(domain, partition),
        "application/jwt",
    )
}

async fn certificates(
    State(ctx): State<Arc<Context>>,
    Path((domain, file)): Path<(String, String)>,
) -> Response {
    let Some(authority) = file.strip_suffix(".crl") else {
        return refusal(&ListError::Unknown(format!("no list {file}")));
    };
    let list_of = List::Certificates(domain, authority.to_owned());
    // RFC 2585, section 4.2.
    list(&ctx, &list_of, "application/pkix-crl")
}

fn list(ctx: &Context, of: &List, kind: &'static str) -> Response {
    if !ctx.gate.leads() {
        return refusal(&ListError::NotNow(
            "another replica leads: ask that one".to_owned(),
        ));
    }
    match ctx.lists.get(ctx, of) {
        Ok(bytes) => ([(header::CONTENT_TYPE, kind)], bytes.to_vec()).into_response(),
        Err(why) => refusal(&why),
    }
}

/// A replica that doesn't lead knows nothing for certain.
fn not_leading(ctx: &Context) -> Option<Response> {
    let why = ListError::NotNow("another replica leads: ask that one".to_owned());
    (!ctx.gate.leads()).then(|| refusal(&why))
}

fn refusal(why: &ListError) -> Response {
    let status = match why {
        ListError::Unknown(_) => StatusCode::NOT_FOUND,
        ListError::NotNow(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{why}\n")).into_response()
}
