//! Bodies of the AuthZEN API: no panic, an answer or a 400, and nothing is permitted but what the body
//! says to a reader of JSON that knows nothing of ours.
//!
//! The first byte of an input says which endpoint gets the rest.

#![no_main]

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use countersign_authzen::{BaseUrl, Settings, router};
use countersign_core::DataClass;
use countersign_decision::{
    Answer, Caller, Changes, DecisionId, DecisionPoint, Found, Question, Reason, Risk, Search,
};
use countersign_fuzz::start;
use futures::executor::block_on;
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tower::ServiceExt;

const PATHS: [&str; 5] = [
    "/access/v1/evaluation",
    "/access/v1/evaluations",
    "/access/v1/search/subject",
    "/access/v1/search/resource",
    "/access/v1/search/action",
];
/// What there is to be found.
const FOUND: [&str; 3] = ["alice", "bob", "read"];

static API: LazyLock<Router> = LazyLock::new(|| {
    let base = BaseUrl::parse("https://pdp.example.org").expect("it is a base URL");
    router(Arc::new(AliceMayRead), Settings::new(base))
});

fuzz_target!(|data: &[u8]| {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    let kind = usize::from(*kind) % PATHS.len();
    let Some(answer) = ask(PATHS[kind], body.to_vec()) else {
        return;
    };
    // What another reader can't take is of no use as a yardstick.
    let Ok(said) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    match kind {
        0 => single(&said, &answer),
        1 => many(&said, &answer),
        _ => pages(PATHS[kind], said, &answer),
    }
});

/// The answer, unless the body was refused.
fn ask(path: &str, body: Vec<u8>) -> Option<Value> {
    let mut request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .expect("it is a request");
    request.extensions_mut().insert(Caller {
        name: "gateway".to_owned(),
        vouches: true,
        authoritative: true,
    });
    let (parts, body) = block_on(API.clone().oneshot(request))
        .expect("the router answers")
        .into_parts();
    let body = block_on(body.collect()).expect("it is there").to_bytes();
    if parts.status == StatusCode::BAD_REQUEST {
        assert!(!body.is_empty(), "a refusal says why");
        return None;
    }
    assert_eq!(parts.status, StatusCode::OK);
    Some(serde_json::from_slice(&body).expect("an answer is JSON"))
}

fn single(said: &Value, answer: &Value) {
    check(answer, said, &Value::Null);
}

fn many(said: &Value, answer: &Value) {
    let evaluations = said["evaluations"].as_array();
    let Some(evaluations) = evaluations.filter(|it| !it.is_empty()) else {
        return single(said, answer);
    };
    let answers = answer["evaluations"].as_array().expect("one for each");
    let last = match said["options"]["evaluations_semantic"].as_str() {
        Some("deny_on_first_deny") => Some(false),
        Some("permit_on_first_permit") => Some(true),
        _ => None,
    };
    let ends = answers
        .iter()
        .position(|it| it["decision"].as_bool() == last);
    assert_eq!(answers.len(), ends.map_or(evaluations.len(), |it| it + 1));
    for (answer, evaluation) in answers.iter().zip(evaluations) {
        check(answer, evaluation, said);
    }
}

/// What is permitted is alice's reading.
fn check(answer: &Value, own: &Value, default: &Value) {
    let decision = answer["decision"].as_bool().expect("it is decided");
    let said = |entity: &str, member: &str| {
        let own = own.get(entity).and_then(|it| it.get(member));
        own.or_else(|| default.get(entity)?.get(member))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let all = [
        ("subject", "type"),
        ("resource", "type"),
        ("resource", "id"),
    ];
    let whole = all
        .iter()
        .all(|(entity, member)| said(entity, member).is_some());
    let alice = said("subject", "id").as_deref() == Some("alice");
    let reads = said("action", "name").as_deref() == Some("read");
    if decision {
        assert!(alice && reads && whole, "{own} and {default}");
    } else if answer["context"]["error"].is_null() {
        assert!(!(alice && reads), "{own} and {default}");
    }
}

/// A token leads on, for the same search.
fn pages(path: &str, mut said: Value, answer: &Value) {
    let results = answer["results"].as_array().expect("there are results");
    assert_eq!(answer["page"]["count"], json!(results.len()));
    let token = answer["page"]["next_token"]
        .as_str()
        .expect("it is a string");
    if !token.is_empty() {
        said["page"] = json!({ "token": token });
        assert!(ask(path, said.to_string().into_bytes()).is_some());
        said["page"] = json!({ "token": format!("{token}A") });
        assert!(ask(path, said.to_string().into_bytes()).is_none());
    }
}

struct AliceMayRead;

impl DecisionPoint for AliceMayRead {
    fn decide<'a>(
        &'a self,
        _: &'a Caller,
        question: Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        let allowed = question.agent == "alice" && question.action == "read";
        Box::pin(ready(Answer {
            id: DecisionId::random(),
            allowed,
            reason: if allowed {
                Reason::Permitted
            } else {
                Reason::NoPolicyPermits
            },
            explanation: String::new(),
            policies: Vec::new(),
            would_deny: Vec::new(),
            obligations: Vec::new(),
            policy_set: String::new(),
            risk: Risk::default(),
            sensitivity: DataClass::Public,
            agent: None,
            time: start(),
            record_first: false,
        }))
    }

    fn refuse(&self, _: &Caller, _: &Question, why: &str) -> Answer {
        Answer::denied(Reason::BadRequest, why, start())
    }

    fn search<'a>(
        &'a self,
        _: &'a Caller,
        search: Search,
    ) -> Pin<Box<dyn Future<Output = Found> + Send + 'a>> {
        let after = search.after.as_deref();
        let rest = FOUND
            .iter()
            .skip_while(|it| after.is_some_and(|after| **it <= after));
        let mut results: Vec<_> = rest.map(|it| (*it).to_owned()).collect();
        let more = results.len() > search.limit;
        results.truncate(search.limit);
        let next = results.last().filter(|_| more).cloned();
        Box::pin(ready(Found { results, next }))
    }

    fn changes(&self) -> Changes {
        Box::pin(futures::stream::empty())
    }
}
