//! What goes out.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_decision::{Answer, Obligation, Reason, Risk};
use serde::Serialize;
use serde::ser::Serializer;
use serde_json::value::RawValue;

use crate::refused::Refused;

/// What came of one evaluation.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was decided.
    Decided(Box<Answer>),
    /// It was not: it is a deny.
    Refused(Refused),
}

/// The answer to a single evaluation, or to each of many.
#[derive(Serialize)]
struct Decision<'a> {
    decision: bool,
    context: Context<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Context<'a> {
    Decided(Decided<'a>),
    Refused { error: Failure<'a> },
}

#[derive(Serialize)]
struct Decided<'a> {
    id: String,
    reason: &'static str,
    explanation: &'a str,
    policies: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "numbered")]
    obligations: &'a [Obligation],
    risk: &'a Risk,
}

#[derive(Serialize)]
struct Failure<'a> {
    status: u16,
    message: &'a str,
}

impl Outcome {
    /// What may be answered of what was decided.
    pub(crate) fn of(answer: Answer) -> Self {
        if answer.reason == Reason::CallerNotAllowed {
            return Self::Refused(Refused::forbidden(answer.explanation));
        }
        if !answer.obligations.iter().all(is_whole) {
            // Whoever asked can't keep what can't be told.
            let message = "an obligation can't be told: its properties are no JSON object";
            return Self::Refused(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, message));
        }
        Self::Decided(Box::new(answer))
    }

    /// Is it a permit?
    pub(crate) fn allowed(&self) -> bool {
        matches!(self, Self::Decided(answer) if answer.allowed)
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let context = match self {
            Self::Decided(answer) => Context::Decided(Decided {
                id: answer.id.to_string(),
                reason: answer.reason.as_str(),
                explanation: &answer.explanation,
                policies: &answer.policies,
                obligations: &answer.obligations,
                risk: &answer.risk,
            }),
            Self::Refused(why) => Context::Refused {
                error: Failure {
                    status: why.status.as_u16(),
                    message: &why.message,
                },
            },
        };
        let decision = self.allowed();
        Decision { decision, context }.serialize(to)
    }
}

/// As an obligation is written (AuthZEN profile for obligations, draft 1): its id is unique within the
/// answer and says nothing else.
#[derive(Serialize)]
struct Numbered<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'a str,
    properties: Option<&'a RawValue>,
}

fn numbered<S: Serializer>(obligations: &[Obligation], to: S) -> Result<S::Ok, S::Error> {
    let obligations = obligations.iter().zip(1_usize..);
    to.collect_seq(obligations.map(|(it, number)| Numbered {
        id: number.to_string(),
        kind: &it.kind,
        properties: object(&it.properties),
    }))
}

/// The text, if it is a JSON object.
fn object(json: &str) -> Option<&RawValue> {
    let it: &RawValue = serde_json::from_str(json).ok()?;
    it.get().starts_with('{').then_some(it)
}

fn is_whole(obligation: &Obligation) -> bool {
    object(&obligation.properties).is_some()
}

/// 200 and the JSON of `body`.
pub(crate) fn json(body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(_) => {
            let message = "the answer can't be written";
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
        }
    }
}
