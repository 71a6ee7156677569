//! Plain Cedar by its public API, with nothing of the engine: policies as text in one set, a
//! namespace's with its namespace as their first condition; entities and context as it takes them,
//! checked against the schema.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Effect, Entities, Entity, EntityUid, Policy,
    PolicyId, PolicySet as Cedar, Request, RestrictedExpression as Value, Schema,
};

use super::drafts::Objects;
use crate::{AgentFacts, ContextFacts, Mode, ResourceFacts, Scope};

/// All policies of a mode as one plain set, by name.
pub(super) fn policies(objects: &Objects, wanted: Mode) -> Cedar {
    let mut set = Cedar::new();
    for (number, (scope, mode, drafts)) in objects.iter().enumerate() {
        if *mode != wanted {
            continue;
        }
        for (id, draft) in drafts.iter().enumerate() {
            let (word, tenancy) = match scope {
                Scope::Cluster => ("cluster", String::new()),
                Scope::Namespace(name) => (
                    name.as_str(),
                    format!("when {{ principal in Countersign::Namespace::\"{name}\" }}"),
                ),
            };
            let text = format!(
                "{} {} {tenancy} {};",
                draft.effect, draft.scope, draft.condition
            );
            let name = PolicyId::new(format!("{word}/object-{number}/p{id}"));
            set.add(Policy::parse(Some(name), text).unwrap()).unwrap();
        }
    }
    set
}

pub(super) fn uid(of: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(
        format!("Countersign::{of}").parse().unwrap(),
        id.parse().unwrap(),
    )
}

fn string(text: &str) -> Value {
    Value::new_string(text.to_owned())
}

fn tags(all: &BTreeMap<String, String>) -> Vec<(String, Value)> {
    all.iter()
        .map(|(key, value)| (key.clone(), string(value)))
        .collect()
}

fn record(members: Vec<(&str, Value)>) -> Value {
    Value::new_record(
        members
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value)),
    )
    .unwrap()
}

pub(super) fn entities(
    agent: &AgentFacts,
    resource: &ResourceFacts,
    context: &ContextFacts,
    schema: &Schema,
) -> Entities {
    let attributes = |all: Vec<(&str, Value)>| -> HashMap<String, Value> {
        all.into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    };
    let owner = |name: &str, of_type: &str| {
        let attributes = attributes(vec![("type", string(of_type))]);
        Entity::new(uid("Owner", name), attributes, [].into()).unwrap()
    };
    let namespace = uid("Namespace", &agent.namespace);
    let claimed = uid("Claimed", &agent.spiffe_id);
    let mut all = vec![
        Entity::new_no_attrs(uid("TrustDomain", &agent.trust_domain), [].into()),
        Entity::new_no_attrs(
            namespace.clone(),
            [uid("TrustDomain", &agent.trust_domain)].into(),
        ),
        owner(&agent.owner, &agent.owner_type),
        Entity::new_with_tags(claimed.clone(), [], [], tags(&agent.claimed)).unwrap(),
        Entity::new(
            uid("Agent", &agent.spiffe_id),
            attributes(vec![
                ("name", string(&agent.name)),
                ("namespace", string(&agent.namespace)),
                ("spiffeID", string(&agent.spiffe_id)),
                ("task", string(&agent.task)),
                ("owner", Value::new_entity_uid(uid("Owner", &agent.owner))),
                ("claimed", Value::new_entity_uid(claimed)),
            ]),
            [namespace, uid("Owner", &agent.owner)].into(),
        )
        .unwrap(),
    ];
    if let Some(it) = &context.delegation
        && it.root_owner != agent.owner
    {
        all.push(owner(&it.root_owner, &it.root_owner_type));
    }
    // A chain of collections, each in the one above.
    let mut above = None;
    let mut path = resource.path.as_str();
    let mut collections = Vec::new();
    while let Some((before, _)) = path.rsplit_once('/') {
        if !before.is_empty() {
            collections.push(before);
        }
        path = before;
    }
    for path in collections.into_iter().rev() {
        let collection = uid("Collection", path);
        all.push(Entity::new_no_attrs(
            collection.clone(),
            above.into_iter().collect(),
        ));
        above = Some(collection);
    }
    all.push(
        Entity::new_with_tags(
            uid("Resource", &resource.path),
            attributes(vec![
                ("type", string(&resource.kind)),
                ("path", string(&resource.path)),
                ("sensitivity", Value::new_long(resource.sensitivity as i64)),
                (
                    "residency",
                    Value::new_set(resource.residency.iter().map(|it| string(it))),
                ),
            ]),
            above,
            tags(&resource.properties),
        )
        .unwrap(),
    );
    Entities::from_entities(all, Some(schema)).unwrap()
}

pub(super) fn context(facts: &ContextFacts, action: &str) -> Context {
    let time = |it: jiff::Timestamp| {
        Value::new_datetime(it.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
    };
    let mut transport = vec![("mtls", Value::new_bool(facts.certificate.is_some()))];
    if let Some(it) = &facts.certificate {
        transport.push(("serialNumber", string(&it.serial_number)));
        transport.push(("notAfter", time(it.not_after)));
    }
    let mut call = vec![
        ("action", string(action)),
        (
            "bytes",
            Value::new_long(i64::try_from(facts.call.bytes).unwrap()),
        ),
        ("destructive", Value::new_bool(facts.call.destructive)),
    ];
    call.extend(facts.call.tool.as_deref().map(|it| ("tool", string(it))));
    call.extend(
        facts
            .call
            .audience
            .as_deref()
            .map(|it| ("audience", string(it))),
    );
    let signals = vec![
        ("risk", Value::new_long(facts.signals.risk.into())),
        ("anomaly", Value::new_long(facts.signals.anomaly.into())),
        (
            "codes",
            Value::new_set(facts.signals.codes.iter().map(|it| string(it))),
        ),
        (
            "ageMilliseconds",
            Value::new_long(i64::try_from(facts.signals.age_milliseconds).unwrap()),
        ),
    ];
    let mut all = vec![
        ("now", time(facts.now)),
        ("transport", record(transport)),
        ("call", record(call)),
        ("signals", record(signals)),
    ];
    if let Some(it) = facts.source_ip {
        all.push(("sourceIP", Value::new_ip(it.to_canonical().to_string())));
    }
    if let Some(it) = &facts.delegation {
        let mut delegation = vec![
            ("depth", Value::new_long(it.depth.into())),
            ("root", Value::new_entity_uid(uid("Owner", &it.root_owner))),
            ("expires", time(it.expires)),
        ];
        delegation.extend(it.requester.as_deref().map(|it| ("requester", string(it))));
        all.push(("delegation", record(delegation)));
    }
    Context::from_pairs(all.into_iter().map(|(key, value)| (key.to_owned(), value))).unwrap()
}

/// What plain Cedar says: permits that hold if it allows, forbids that hold, and all that failed.
pub(super) fn answer(set: &Cedar, request: &Request, entities: &Entities) -> Answer {
    let response = Authorizer::new().is_authorized(request, set, entities);
    let reason: BTreeSet<String> = response
        .diagnostics()
        .reason()
        .map(ToString::to_string)
        .collect();
    let failed: BTreeSet<String> = response
        .diagnostics()
        .errors()
        .map(|AuthorizationError::PolicyEvaluationError(it)| it.policy_id().to_string())
        .collect();
    let failed_forbids = failed
        .iter()
        .filter(|it| set.policy(&PolicyId::new(*it)).unwrap().effect() == Effect::Forbid)
        .cloned()
        .collect();
    Answer {
        allowed: response.decision() == Decision::Allow,
        reason,
        failed,
        failed_forbids,
    }
}

pub(super) struct Answer {
    pub(super) allowed: bool,
    pub(super) reason: BTreeSet<String>,
    pub(super) failed: BTreeSet<String>,
    pub(super) failed_forbids: BTreeSet<String>,
}
