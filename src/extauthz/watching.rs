//! `Decisions/Watch`: a question that stays.
//!
//! Each subscription waits for the decision point to say that something changed, decides anew, and
//! tells only what is new. It holds one of a bounded number of places, and gives it back when the
//! client goes, when the decision point ends, or when the connection breaks.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use countersign_decision::{
    Answer, Call, Caller, Changes, DecisionPoint, PresentedCertificate, Question, Reason,
    ResourceRef,
};
use futures::stream::{Stream, StreamExt as _, unfold};
use parking_lot::Mutex;
use tonic::Status;
use tonic::server::{Grpc, ServerStreamingService};
use tonic_prost::ProstCodec;

use crate::ask::Unreadable;
use crate::check::caller;
use crate::watch::{Context, Obligation, WatchRequest, WatchResponse};
use crate::{Service, authority};

/// A question's fields, a certificate and a chain of 8 KiB; far more than any needs.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

pub(crate) async fn handle(State(service): State<Arc<Service>>, request: Request) -> Response {
    let codec = ProstCodec::<WatchResponse, WatchRequest>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES);
    let response = grpc.server_streaming(Watch(service), request).await;
    response.map(axum::body::Body::new)
}

struct Watch(Arc<Service>);

type Answers = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

impl ServerStreamingService<WatchRequest> for Watch {
    type Response = WatchResponse;
    type ResponseStream = Answers;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Answers>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<WatchRequest>) -> Self::Future {
        let service = Arc::clone(&self.0);
        Box::pin(async move {
            let subscription = Subscription::new(&service, request)?;
            let answers = unfold(subscription, Subscription::next);
            Ok(tonic::Response::new(answers.map(Ok).boxed()))
        })
    }
}

struct Subscription {
    point: Arc<dyn DecisionPoint>,
    caller: Caller,
    question: Question,
    changes: Changes,
    told: Option<(bool, Reason)>,
    _place: Place,
}

impl Subscription {
    fn new(service: &Service, request: tonic::Request<WatchRequest>) -> Result<Self, Status> {
        let caller = caller(&request)?;
        let question = question(request.into_inner());
        let question = question.map_err(|Unreadable(why)| Status::invalid_argument(why))?;
        let place = service.places.take(&caller.name);
        let place = place.ok_or_else(|| Status::resource_exhausted("too many subscriptions"))?;
        Ok(Self {
            // Before the first answer, so that no change is lost in between.
            changes: service.point.changes(),
            point: Arc::clone(&service.point),
            caller,
            question,
            told: None,
            _place: place,
        })
    }

    /// The next answer that is new; `None` when the decision point ends.
    async fn next(mut self) -> Option<(WatchResponse, Self)> {
        loop {
            if self.told.is_some() {
                self.changes.next().await?;
            }
            // Looked at each time, and decided, which is recorded, when there is something to tell.
            let seen = self.point.look(&self.caller, self.question.clone()).await;
            if self.told == Some((seen.allowed, seen.reason)) {
                continue;
            }
            let answer = self.point.decide(&self.caller, self.question.clone()).await;
            let new = Some((answer.allowed, answer.reason));
            if self.told != new {
                self.told = new;
                return Some((response(answer), self));
            }
        }
    }
}

fn question(request: WatchRequest) -> Result<Question, Unreadable> {
    let some = |text: String| (!text.is_empty()).then_some(text);
    for (text, why) in [
        (&request.agent, "agent is empty"),
        (&request.action, "action is empty"),
        (&request.resource, "resource is empty"),
    ] {
        if text.is_empty() {
            return Err(Unreadable(why));
        }
    }
    let certificate = request.certificate;
    let authority = some(request.delegation);
    Ok(Question {
        agent: request.agent,
        certificate: (!certificate.is_empty()).then_some(PresentedCertificate { der: certificate }),
        action: request.action,
        resource: ResourceRef {
            kind: request.resource_type,
            path: request.resource,
            properties: request.resource_properties.into_iter().collect(),
        },
        authority: authority
            .map(|it| authority::read(it.as_bytes()))
            .transpose()?,
        call: call(request.context.unwrap_or_default())?,
    })
}

fn call(context: Context) -> Result<Call, Unreadable> {
    let some = |text: String| (!text.is_empty()).then_some(text);
    let bad_address = |_| Unreadable("source_ip is no IP address");
    let source_ip = some(context.source_ip).map(|it| it.parse().map_err(bad_address));
    Ok(Call {
        source_ip: source_ip.transpose()?,
        tool: some(context.tool),
        bytes: context.bytes,
        destructive: context.destructive,
        audience: some(context.audience),
        request_id: some(context.request_id),
        ..Call::default()
    })
}

fn response(answer: Answer) -> WatchResponse {
    let obligations = answer.obligations.into_iter().map(|it| Obligation {
        r#type: it.kind,
        properties: it.properties,
    });
    WatchResponse {
        allowed: answer.allowed,
        reason: answer.reason.as_str().to_owned(),
        decision: answer.id.to_string(),
        explanation: answer.explanation,
        time: answer.time.to_string(),
        obligations: obligations.collect(),
    }
}

/// How many subscriptions there are, and may be.
pub(crate) struct Places {
    most: usize,
    most_each: usize,
    taken: Mutex<HashMap<String, usize>>,
}

/// One subscription's; given back by drop.
struct Place {
    places: Arc<Places>,
    caller: String,
}

impl Places {
    pub(crate) fn new(most: usize, most_each: usize) -> Self {
        Self {
            most,
            most_each,
            taken: Mutex::default(),
        }
    }

    /// `None` if the caller, or all together, have as many as they may.
    fn take(self: &Arc<Self>, caller: &str) -> Option<Place> {
        let mut taken = self.taken.lock();
        let all: usize = taken.values().sum();
        let count = taken.get(caller).copied().unwrap_or_default();
        if all >= self.most || count >= self.most_each {
            return None;
        }
        taken.insert(caller.to_owned(), count + 1);
        Some(Place {
            places: Arc::clone(self),
            caller: caller.to_owned(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        match taken.get_mut(&self.caller) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&self.caller);
            }
        }
    }
}
