//! The tests within an object.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use crate::compile::Compiled;
use crate::facts::{
    AgentFacts, CallFacts, CertificateFacts, ContextFacts, DelegationFacts, ResourceFacts,
    SignalFacts,
};
use crate::policy_set::PolicySet;
use crate::problem::Problem;
use crate::source::{PolicyTest, Scope};
use crate::verdict::{PolicyName, Verdict};

/// When tests take place, so that they say the same at any time: noon of 2030-01-01, UTC.
const NOON: i64 = 1_893_499_200;
/// How long what they know is good for then.
const VALID: SignedDuration = SignedDuration::from_hours(1);

/// Asks an object's own policies all tests, as if they decided, and tells which failed.
pub(crate) fn run(compiled: &Compiled, tests: &[PolicyTest]) -> Vec<Problem> {
    if tests.is_empty() {
        return Vec::new();
    }
    let alone = PolicySet::enforcing(compiled);
    tests
        .iter()
        .filter_map(|test| {
            let verdict = alone.evaluate(
                &agent(compiled.scope(), test),
                &test.action,
                &resource(test),
                &context(test),
            );
            failure(test, &verdict)
        })
        .collect()
}

fn failure(test: &PolicyTest, verdict: &Verdict) -> Option<Problem> {
    let decided: BTreeSet<&str> = verdict.policies.iter().map(PolicyName::id).collect();
    let wanted: Option<BTreeSet<&str>> = test
        .policies
        .as_ref()
        .map(|all| all.iter().map(String::as_str).collect());
    if verdict.allowed == test.allowed && wanted.as_ref().is_none_or(|it| *it == decided) {
        return None;
    }
    let mut message = format!("test \"{}\": expected {}", test.name, word(test.allowed));
    if let Some(wanted) = wanted {
        message += &by(&wanted);
    }
    // Writing to a string can't fail.
    let _infallible = write!(
        message,
        ", got {} ({:?}),{}",
        word(verdict.allowed),
        verdict.kind,
        by(&decided)
    );
    let failed: BTreeSet<&str> = verdict.failed.iter().map(PolicyName::id).collect();
    if !failed.is_empty() {
        let _infallible = write!(message, "; failed while evaluating: {}", joined(&failed));
    }
    Some(Problem::of_object(message))
}

fn word(allowed: bool) -> &'static str {
    if allowed { "Allow" } else { "Deny" }
}

fn by(ids: &BTreeSet<&str>) -> String {
    if ids.is_empty() {
        " decided by no policy".to_owned()
    } else {
        format!(" decided by {}", joined(ids))
    }
}

fn joined(ids: &BTreeSet<&str>) -> String {
    ids.iter().copied().collect::<Vec<_>>().join(", ")
}

fn agent(scope: &Scope, test: &PolicyTest) -> AgentFacts {
    let principal = &test.principal;
    let namespace = match scope {
        Scope::Cluster => &principal.namespace,
        Scope::Namespace(own) => own,
    };
    AgentFacts {
        spiffe_id: format!(
            "spiffe://example.org/ns/{namespace}/agent/{}",
            principal.name
        ),
        name: principal.name.clone(),
        namespace: namespace.clone(),
        trust_domain: "example.org".to_owned(),
        owner: principal.owner.clone(),
        owner_type: "Person".to_owned(),
        task: "jobs.batch/test".to_owned(),
        claimed: principal.attributes.iter().cloned().collect(),
    }
}

fn resource(test: &PolicyTest) -> ResourceFacts {
    let resource = &test.resource;
    ResourceFacts {
        kind: resource.kind.clone(),
        path: resource.path.clone(),
        sensitivity: resource.sensitivity,
        residency: resource.residency.clone(),
        properties: resource.properties.iter().cloned().collect(),
    }
}

fn context(test: &PolicyTest) -> ContextFacts {
    let known = &test.context;
    let now = Timestamp::from_second(NOON).unwrap_or_default();
    let later = now.saturating_add(VALID).unwrap_or(now);
    ContextFacts {
        now,
        source_ip: known.source_ip,
        certificate: Some(CertificateFacts {
            serial_number: "01".to_owned(),
            not_after: later,
        }),
        call: CallFacts {
            action: test.action.clone(),
            tool: known.tool.clone(),
            bytes: 0,
            destructive: known.destructive,
            audience: None,
        },
        signals: SignalFacts {
            risk: known.risk,
            anomaly: known.anomaly,
            codes: known.codes.clone(),
            age_milliseconds: 0,
        },
        delegation: known.delegation_depth.map(|depth| DelegationFacts {
            depth,
            root_owner: test.principal.owner.clone(),
            root_owner_type: "Person".to_owned(),
            requester: None,
            expires: later,
        }),
    }
}
