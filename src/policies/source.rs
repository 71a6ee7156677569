//! From the API's types into what is compiled.

use countersign_api as api;
use countersign_policy::{
    Mode, Obligation, PolicyTest, PolicyText, TestContext, TestPrincipal, TestResource,
};

pub(crate) fn mode(mode: api::PolicyMode) -> Mode {
    match mode {
        api::PolicyMode::Enforce => Mode::Enforce,
        api::PolicyMode::Audit => Mode::Audit,
        api::PolicyMode::Disabled => Mode::Disabled,
    }
}

pub(crate) fn policies(policies: &[api::Policy]) -> Vec<PolicyText> {
    let text = |policy: &api::Policy| PolicyText {
        id: policy.id.clone(),
        cedar: policy.cedar.clone(),
        obligations: policy.obligations.iter().map(obligation).collect(),
    };
    policies.iter().map(text).collect()
}

fn obligation(obligation: &api::PolicyObligation) -> Obligation {
    Obligation {
        kind: obligation.type_.clone(),
        // A map of strings is always JSON.
        properties: serde_json::to_string(&obligation.properties).unwrap_or_default(),
    }
}

/// Tests, of agents in `namespace` where they don't say otherwise.
pub(crate) fn tests(tests: &[api::PolicyTest], namespace: &str) -> Vec<PolicyTest> {
    tests.iter().map(|it| test(it, namespace)).collect()
}

fn test(test: &api::PolicyTest, namespace: &str) -> PolicyTest {
    let api::TestRequest {
        principal,
        action,
        resource,
        context,
    } = &test.request;
    let pairs = |map: &std::collections::BTreeMap<String, String>| {
        map.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    PolicyTest {
        name: test.name.clone(),
        principal: TestPrincipal {
            name: principal.name.clone(),
            // The schema refuses another namespace than an AgentPolicy's own.
            namespace: match &principal.namespace {
                Some(other) if namespace.is_empty() => other.clone(),
                _ => namespace.to_owned(),
            },
            owner: principal.owner.clone().unwrap_or_default(),
            attributes: pairs(&principal.attributes),
        },
        action: action.clone(),
        resource: TestResource {
            kind: resource.type_.clone().unwrap_or_default(),
            path: resource.path.clone(),
            sensitivity: api::class_to_domain(resource.sensitivity),
            residency: resource.residency.clone(),
            properties: pairs(&resource.properties),
        },
        context: TestContext {
            risk: percent(context.risk),
            anomaly: percent(context.anomaly),
            codes: context.codes.clone(),
            delegation_depth: context
                .delegation_depth
                .map(|depth| u8::try_from(depth).unwrap_or(u8::MAX)),
            tool: context.tool.clone(),
            destructive: context.effect == api::CallEffect::Destructive,
            // The schema refuses what is no address.
            source_ip: context.source_ip.as_ref().and_then(|it| it.parse().ok()),
        },
        allowed: test.expect.decision == api::TestDecision::Allow,
        policies: test.expect.policies.clone(),
    }
}

/// The schema refuses what isn't from 0 to 100; should it ever not, the worst is taken.
fn percent(value: i64) -> u8 {
    u8::try_from(value)
        .ok()
        .filter(|it| *it <= 100)
        .unwrap_or(100)
}
