//! Envoy's `Authorization/Check`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use countersign_decision::Caller;
use tonic::Status;
use tonic::server::{Grpc, UnaryService};
use tracing::info;

use crate::ask::{self, Unreadable};
use crate::codec::{CheckCodec, Received};
use crate::envoy::{AttributeContext, CheckRequest, CheckResponse};
use crate::{Service, respond};

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
        let attributes = match received {
            Ok(CheckRequest {
                attributes: Some(attributes),
            }) => attributes,
            _ => {
                let why = "the request isn't a CheckRequest";
                let nothing = ask::sent(&AttributeContext::default());
                return respond::denied(&self.point.refuse(caller, &nothing, why));
            }
        };
        let answer = match ask::ask(&attributes, &self.settings.known_obligations) {
            Ok(question) => self.point.decide(caller, question).await,
            Err(Unreadable(why)) => self.point.refuse(caller, &ask::sent(&attributes), why),
        };
        if !answer.allowed {
            return respond::denied(&answer);
        }
        // The only ones that came along with an allow: others were denied.
        for obligation in &answer.obligations {
            info!(
                decision = %answer.id,
                kind = obligation.kind,
                properties = obligation.properties,
                "obligation"
            );
        }
        respond::allowed(&answer, &attributes)
    }
}
