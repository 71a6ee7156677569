//! Envoy's `Authorization/Check`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use countersign_decision::{Answer, Caller, DecisionId, Reason};
use tonic::Status;
use tonic::server::{Grpc, UnaryService};
use tracing::{info, warn};

use crate::ask::{Asked, Unreadable, ask};
use crate::codec::{CheckCodec, Received};
use crate::envoy::{CheckRequest, CheckResponse};
use crate::{Service, respond};

/// The reason of a denial that isn't the decision point's: its allow came with something to do that
/// nobody here can.
const UNKNOWN_OBLIGATION: &str = "UnknownObligation";

pub(crate) async fn handle(State(service): State<Arc<Service>>, request: Request) -> Response {
    let most = service.settings.max_message_bytes;
    let mut grpc = Grpc::new(CheckCodec).max_decoding_message_size(most);
    let response = grpc.unary(Check(service), request).await;
    response.map(axum::body::Body::new)
}

struct Check(Arc<Service>);

impl UnaryService<Received> for Check {
    type Response = CheckResponse;
    type Future =
        Pin<Box<dyn Future<Output = Result<tonic::Response<CheckResponse>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Received>) -> Self::Future {
        let service = Arc::clone(&self.0);
        Box::pin(async move {
            let caller = caller(&request)?;
            let response = service.check(&caller, request.into_inner()).await;
            Ok(tonic::Response::new(response))
        })
    }
}

/// Who was authenticated.
pub(crate) fn caller<T>(request: &tonic::Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| Status::unauthenticated("a certificate or a token is needed"))
}

impl Service {
    async fn check(&self, caller: &Caller, received: Received) -> CheckResponse {
        let Ok(CheckRequest {
            attributes: Some(attributes),
        }) = received
        else {
            return unreadable(caller, Unreadable("the request isn't a CheckRequest"));
        };
        let Asked { question, doubt } = match ask(&attributes) {
            Ok(asked) => asked,
            Err(why) => return unreadable(caller, why),
        };
        let answer = self.point.decide(caller, question).await;
        if !answer.allowed {
            return respond::denied(&answer);
        }
        if let Some(why) = doubt {
            warn!(decision = %answer.id, caller = caller.name, why, "an allow for an agent that isn't proven: denied");
            return respond::refusal(answer.id, Reason::BadCertificate.as_str(), why, 403);
        }
        match self.meet(&answer) {
            Ok(()) => respond::allowed(&answer, &attributes),
            Err(kind) => {
                warn!(decision = %answer.id, caller = caller.name, kind, "an allow with an obligation that isn't known: denied");
                respond::refusal(
                    answer.id,
                    UNKNOWN_OBLIGATION,
                    "what must be done along with it can't be done here",
                    403,
                )
            }
        }
    }

    /// Meets each obligation, or names the first that it can't meet.
    fn meet<'a>(&self, answer: &'a Answer) -> Result<(), &'a str> {
        let known = &self.settings.known_obligations;
        let mut obligations = answer.obligations.iter();
        if let Some(unknown) = obligations.find(|it| !known.contains(&it.kind)) {
            return Err(&unknown.kind);
        }
        for obligation in &answer.obligations {
            info!(
                decision = %answer.id,
                kind = obligation.kind,
                properties = obligation.properties,
                "obligation"
            );
        }
        Ok(())
    }
}

/// There is no question that could be put on record: the log has a line.
fn unreadable(caller: &Caller, Unreadable(why): Unreadable) -> CheckResponse {
    let decision = DecisionId::random();
    info!(%decision, caller = caller.name, why, "a request that can't be decided: denied");
    respond::refusal(decision, Reason::BadRequest.as_str(), why, 403)
}
