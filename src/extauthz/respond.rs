//! From an answer to what Envoy does.

use std::collections::{BTreeSet, HashMap};

use countersign_decision::{Answer, DecisionId, Reason};
use serde_json::json;
use tonic::Code;

use crate::envoy::{
    AttributeContext, CheckResponse, DeniedHttpResponse, HeaderValue, HeaderValueOption,
    HttpStatus, OVERWRITE, OkHttpResponse, Status, Struct, Value,
};
use crate::headers::{self, AGENT, DECISION, DELEGATION, DEPTH, OWNER, REASON, REQUESTER};
use crate::percent::visible;

/// The request goes on, with what is known of the agent and without what the client claims of it.
pub(crate) fn allowed(answer: &Answer, attributes: &AttributeContext) -> CheckResponse {
    let mut told = vec![header(DECISION, &answer.id.to_string())];
    if let Some(agent) = &answer.agent {
        told.push(header(AGENT, &agent.spiffe_id));
        told.push(header(OWNER, &agent.owner));
        told.extend(agent.requester.iter().map(|it| header(REQUESTER, it)));
        let delegation = agent.delegation.iter();
        told.extend(delegation.map(|it| header(DELEGATION, &it.to_string())));
        told.push(header(DEPTH, &agent.depth.to_string()));
    }
    let ok = OkHttpResponse {
        headers_to_remove: to_remove(&told, attributes),
        headers: told,
    };
    CheckResponse {
        status: Some(Status {
            code: i32::from(Code::Ok),
            message: String::new(),
        }),
        denied_response: None,
        ok_response: Some(ok),
        dynamic_metadata: Some(metadata(answer.id, answer.reason.as_str())),
    }
}

/// The request ends here.
pub(crate) fn denied(answer: &Answer) -> CheckResponse {
    let status = match answer.reason {
        Reason::NotReady | Reason::Overloaded => 503,
        _ => 403,
    };
    let (decision, reason) = (answer.id, answer.reason.as_str());
    let body = json!({
        "decision": decision.to_string(),
        "reason": reason,
        "explanation": answer.explanation,
    });
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: status }),
        headers: vec![
            header(REASON, reason),
            header(DECISION, &decision.to_string()),
            header("content-type", "application/json"),
        ],
        body: body.to_string(),
    };
    CheckResponse {
        status: Some(Status {
            code: i32::from(Code::PermissionDenied),
            message: reason.to_owned(),
        }),
        denied_response: Some(denied),
        ok_response: None,
        dynamic_metadata: Some(metadata(decision, reason)),
    }
}

/// Whatever could be taken for one of ours and isn't, each name once.
fn to_remove(told: &[HeaderValueOption], attributes: &AttributeContext) -> Vec<String> {
    let request = attributes.request.as_ref();
    let http = request.and_then(|it| it.http.as_ref());
    let sent = http.into_iter().flat_map(|it| it.each_header());
    let sent = sent.map(|(name, _)| name).filter(|it| headers::is_ours(it));
    let mut names: BTreeSet<&str> = headers::TOLD.into_iter().chain(sent).collect();
    for header in told.iter().filter_map(|it| it.header.as_ref()) {
        names.remove(header.key.as_str());
    }
    names.into_iter().map(str::to_owned).collect()
}

fn header(name: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_owned(),
            value: visible(value).into_owned(),
            raw_value: Vec::new(),
        }),
        append_action: OVERWRITE,
    }
}

fn metadata(decision: DecisionId, reason: &str) -> Struct {
    let text = |it: &str| Value {
        string_value: it.to_owned(),
    };
    Struct {
        fields: HashMap::from([
            ("decision".to_owned(), text(&decision.to_string())),
            ("reason".to_owned(), text(reason)),
        ]),
    }
}
