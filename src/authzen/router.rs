//! The routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use countersign_decision::{Caller, DecisionPoint};

use crate::evaluate::Asking;
use crate::json::{Request as Asked, Said};
use crate::refused::Refused;
use crate::search::Wanted;
use crate::settings::Settings;
use crate::{answer, body, discovery};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest name of a request that goes into the log. A longer one is echoed all the same.
const MOST_REQUEST_ID: usize = 256;

/// How long a copy of the metadata may be used (AuthZEN 1.0, metadata caching).
const METADATA_LIFETIME: &str = "max-age=300";

struct Api {
    point: Arc<dyn DecisionPoint>,
    settings: Settings,
}

/// One of the endpoints that are asked by `POST`.
#[derive(Clone, Copy)]
enum Endpoint {
    Evaluation,
    Evaluations,
    Search(Wanted),
}

/// The API, to be merged into a server whose layers have authenticated the caller, bound how many
/// requests there are and how long each may take. A request without a [`Caller`] among its extensions
/// is answered with 401; the metadata are for everybody.
pub fn router(point: Arc<dyn DecisionPoint>, settings: Settings) -> Router {
    let base = settings.base.path().to_owned();
    let metadata = format!("{}{base}", discovery::WELL_KNOWN);
    let at = |path: &str| format!("{base}{path}");
    Router::new()
        .route(&at(discovery::EVALUATION), asked(Endpoint::Evaluation))
        .route(&at(discovery::EVALUATIONS), asked(Endpoint::Evaluations))
        .route(
            &at(discovery::SEARCH_SUBJECT),
            asked(Endpoint::Search(Wanted::Subject)),
        )
        .route(
            &at(discovery::SEARCH_RESOURCE),
            asked(Endpoint::Search(Wanted::Resource)),
        )
        .route(
            &at(discovery::SEARCH_ACTION),
            asked(Endpoint::Search(Wanted::Action)),
        )
        .route(&metadata, get(describe).fallback(wrong_method))
        .layer(middleware::from_fn(echo))
        .with_state(Arc::new(Api { point, settings }))
}

fn asked(endpoint: Endpoint) -> MethodRouter<Arc<Api>> {
    let ask = move |State(api): State<Arc<Api>>, request: Request| async move {
        match api.answer(endpoint, request).await {
            Ok(response) => response,
            Err(why) => why.into_response(),
        }
    };
    post(ask).fallback(wrong_method)
}

impl Api {
    async fn answer(&self, endpoint: Endpoint, request: Request) -> Result<Response, Refused> {
        let (mut parts, body) = request.into_parts();
        let Some(caller) = parts.extensions.remove::<Caller>() else {
            let message = "the caller is not authenticated";
            return Err(Refused::new(StatusCode::UNAUTHORIZED, message));
        };
        let asking = Asking {
            point: &*self.point,
            caller: &caller,
            request_id: request_id(&parts.headers),
        };
        let body = body::read(&parts.headers, body, &self.settings).await?;
        let text = body::text(&body, &self.settings)?;
        let said: Said<Asked<'_>> =
            serde_json::from_str(text).map_err(|why| Refused::not_json(&why))?;
        let request = said.required("the body")?;
        match endpoint {
            Endpoint::Evaluation => Ok(answer::json(&asking.one(request).await?)),
            Endpoint::Evaluations => self.evaluations(asking, request).await,
            Endpoint::Search(wanted) => {
                let most = self.settings.max_results;
                Ok(answer::json(&asking.search(wanted, request, most).await?))
            }
        }
    }

    async fn evaluations(
        &self,
        asking: Asking<'_>,
        request: &Asked<'_>,
    ) -> Result<Response, Refused> {
        match request.evaluations.optional("evaluations")? {
            Some(it) if it.0.len() > self.settings.max_batch => {
                let most = self.settings.max_batch;
                Err(Refused::bad(format!("evaluations has more than {most}")))
            }
            Some(it) if !it.0.is_empty() => Ok(answer::json(&asking.many(request, &it.0).await?)),
            // As if it were the other endpoint (AuthZEN 1.0, access evaluations API request).
            _ => Ok(answer::json(&asking.one(request).await?)),
        }
    }
}

async fn describe(State(api): State<Arc<Api>>) -> Response {
    let document = answer::json(&discovery::metadata(&api.settings.base));
    ([(header::CACHE_CONTROL, METADATA_LIFETIME)], document).into_response()
}

/// The method is told apart by the router, which adds `Allow`.
async fn wrong_method() -> Refused {
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not allowed")
}

/// Sends the request's name back (AuthZEN 1.0, request identification in a response), whatever comes
/// of the request.
async fn echo(request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).cloned();
    let mut response = next.run(request).await;
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The request's name, if it can go into a log: short, and visible ASCII.
fn request_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    (!id.is_empty() && id.len() <= MOST_REQUEST_ID).then_some(id)
}
