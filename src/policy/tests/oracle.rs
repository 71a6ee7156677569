//! The indexed engine answers exactly as plain Cedar does over the full set.
//!
//! The oracle takes nothing of the engine: policies as text, parsed by Cedar in one set, a
//! namespace's with its namespace as their first condition; entities and context by Cedar's public
//! API, checked against the schema; then the rule that a forbid that fails denies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr as _;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Effect, Entities, Entity, EntityUid, Policy,
    PolicyId, PolicySet as Cedar, Request as CedarRequest, RestrictedExpression as Value, Schema,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::fixture::{agent, context, good, object, resource};
use crate::{
    AgentFacts, ContextFacts, Kind, Mode, PolicyName, PolicySet, PolicySource, PreparedAgent,
    Request, ResourceFacts, SCHEMA, Scope,
};

const VERBS: [&str; 4] = ["read", "write", "reconcile", "any"];
const PATHS: [&str; 6] = [
    "ledger",
    "ledger/invoices",
    "ledger/invoices/7",
    "ledger/2",
    "vault/1",
    "/",
];

/// One policy in parts.
#[derive(Debug, Clone)]
struct Draft {
    effect: &'static str,
    scope: String,
    condition: String,
}

fn one_of(all: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    select(all).prop_map(str::to_owned)
}

fn principal() -> impl Strategy<Value = String> {
    let entity = one_of(&[
        "Namespace::\"finance\"",
        "Namespace::\"audit\"",
        "Namespace::\"nobody\"",
        "TrustDomain::\"example.org\"",
        "TrustDomain::\"example.com\"",
        "Owner::\"alice\"",
        "Owner::\"bob\"",
        "Fleet::\"night\"",
        "Agent::\"spiffe://example.org/ns/finance/agent/reader\"",
        "Agent::\"spiffe://example.org/ns/audit/agent/clerk\"",
    ]);
    let agent = one_of(&[
        "Agent::\"spiffe://example.org/ns/finance/agent/reader\"",
        "Agent::\"spiffe://example.org/ns/finance/agent/clerk\"",
        "Agent::\"spiffe://example.org/ns/audit/agent/clerk\"",
    ]);
    prop_oneof![
        2 => Just("principal".to_owned()),
        3 => agent.prop_map(|it| format!("principal == Countersign::{it}")),
        4 => entity.clone().prop_map(|it| format!("principal in Countersign::{it}")),
        1 => Just("principal is Countersign::Agent".to_owned()),
        2 => entity.prop_map(|it| format!("principal is Countersign::Agent in Countersign::{it}")),
    ]
}

fn resources() -> impl Strategy<Value = String> {
    let entity = one_of(&[
        "Collection::\"ledger\"",
        "Collection::\"ledger/invoices\"",
        "Collection::\"ledger/invoices/7\"",
        "Collection::\"vault\"",
        "Resource::\"ledger/invoices/7\"",
    ]);
    let path = one_of(&PATHS);
    prop_oneof![
        2 => Just("resource".to_owned()),
        3 => path.prop_map(|it| format!("resource == Countersign::Resource::\"{it}\"")),
        4 => entity.clone().prop_map(|it| format!("resource in Countersign::{it}")),
        1 => Just("resource is Countersign::Resource".to_owned()),
        2 => entity.prop_map(|it| format!("resource is Countersign::Resource in Countersign::{it}")),
    ]
}

fn action() -> impl Strategy<Value = String> {
    const ALL: [&str; 5] = ["read", "write", "list", "other", "any"];
    let named = |it: &str| format!("Countersign::Action::\"{it}\"");
    prop_oneof![
        2 => Just("action".to_owned()),
        3 => select(&ALL[..4]).prop_map(move |it| format!("action == {}", named(it))),
        1 => select(ALL.to_vec()).prop_map(move |it| format!("action in {}", named(it))),
        3 => subsequence(ALL.to_vec(), 1..4).prop_map(move |all| {
            let all: Vec<String> = all.into_iter().map(named).collect();
            format!("action in [{}]", all.join(", "))
        }),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    one_of(&[
        "",
        "",
        "",
        "when { resource.sensitivity > 1 }",
        "unless { resource.sensitivity > 1 }",
        "when { context.signals.risk > 50 }",
        "unless { context.transport.mtls }",
        // They fail with two bytes and more.
        "when { context.call.bytes * 9223372036854775807 > 0 }",
        "unless { context.call.bytes * 9223372036854775807 > 0 }",
        "when { resource.sensitivity < 2 || context.call.bytes * 9223372036854775807 > 0 }",
        "when { principal.owner.type == \"Person\" } when { principal.claimed.hasTag(\"purpose\") }",
        "when { resource.path like \"ledger/*\" && resource.hasTag(\"ownerID\") }",
        "when { context has delegation && context.delegation.depth > 1 }",
        "when { context has delegation && context.delegation.root.type == \"BusinessUnit\" }",
        "when { context has sourceIP && context.sourceIP.isInRange(ip(\"10.0.0.0/8\")) }",
        "when { context.now < datetime(\"2026-11-24T12:00:00.251Z\") } unless { context.call.action == \"reconcile\" }",
        "when { principal in Countersign::Namespace::\"finance\" }",
    ])
}

fn draft() -> impl Strategy<Value = Draft> {
    let effect = select(&["permit", "permit", "forbid"][..]);
    (effect, principal(), action(), resources(), condition()).prop_map(
        |(effect, principal, action, resource, condition)| Draft {
            effect,
            scope: format!("({principal}, {action}, {resource})"),
            condition,
        },
    )
}

type Objects = Vec<(Scope, Mode, Vec<Draft>)>;

fn objects() -> impl Strategy<Value = Objects> {
    let scope = prop_oneof![
        3 => Just(Scope::Cluster),
        3 => Just(Scope::Namespace("finance".to_owned())),
        1 => Just(Scope::Namespace("audit".to_owned())),
        1 => Just(Scope::Namespace("nobody".to_owned())),
    ];
    let mode = prop_oneof![
        6 => Just(Mode::Enforce),
        1 => Just(Mode::Audit),
        1 => Just(Mode::Disabled)
    ];
    let object = (scope, mode, prop::collection::vec(draft(), 1..8));
    prop::collection::vec(object, 1..10)
}

fn agents() -> impl Strategy<Value = AgentFacts> {
    let who = select(
        &[
            ("finance", "reader"),
            ("finance", "clerk"),
            ("audit", "clerk"),
        ][..],
    );
    let owner = select(&[("alice", "Person"), ("bob", "BusinessUnit")][..]);
    (
        who,
        owner,
        select(&["example.org", "example.com"][..]),
        any::<bool>(),
    )
        .prop_map(
            |((namespace, name), (owner, of_type), trust_domain, claims)| {
                let mut agent = agent(namespace, name);
                agent.owner = owner.to_owned();
                agent.owner_type = of_type.to_owned();
                agent.trust_domain = trust_domain.to_owned();
                if !claims {
                    agent.claimed.clear();
                }
                agent
            },
        )
}

fn asked() -> impl Strategy<Value = (Vec<AgentFacts>, &'static str, ResourceFacts, ContextFacts)> {
    let known = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        1_u64..3,
        0_u8..3,
        any::<bool>(),
    );
    let resource = (select(&PATHS[..]), any::<bool>(), any::<bool>());
    (
        prop::collection::vec(agents(), 1..4),
        select(&VERBS[..]),
        resource,
        known,
    )
        .prop_map(
            |(
                agents,
                action,
                (path, secret, owned),
                (mtls, ip, delegated, bytes, depth, risky),
            )| {
                let mut resource = resource_at(path);
                if !secret {
                    resource.sensitivity = countersign_core::DataClass::Internal;
                }
                if !owned {
                    resource.properties.clear();
                }
                let mut context = context();
                context.call.bytes = bytes;
                context.signals.risk = if risky { 60 } else { 10 };
                if !mtls {
                    context.certificate = None;
                }
                if !ip {
                    context.source_ip = None;
                }
                match &mut context.delegation {
                    Some(delegation) if delegated => delegation.depth = depth,
                    delegation => *delegation = None,
                }
                (agents, action, resource, context)
            },
        )
}

fn resource_at(path: &str) -> ResourceFacts {
    resource(path)
}

fn source(number: usize, (scope, mode, drafts): &(Scope, Mode, Vec<Draft>)) -> PolicySource {
    let texts: Vec<String> = drafts
        .iter()
        .map(|it| format!("{} {} {};", it.effect, it.scope, it.condition))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut source = object(scope.clone(), &format!("object-{number}"), &texts);
    source.mode = *mode;
    source
}

/// All policies of a mode as one plain set, by name.
fn plain(objects: &Objects, wanted: Mode) -> Cedar {
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

fn uid(of: &str, id: &str) -> EntityUid {
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

fn entities(
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

fn plain_context(facts: &ContextFacts, action: &str) -> Context {
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
        all.push(("sourceIP", Value::new_ip(it.to_string())));
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
fn plainly(set: &Cedar, request: &CedarRequest, entities: &Entities) -> Plain {
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
    Plain {
        allowed: response.decision() == Decision::Allow,
        reason,
        failed,
        failed_forbids,
    }
}

struct Plain {
    allowed: bool,
    reason: BTreeSet<String>,
    failed: BTreeSet<String>,
    failed_forbids: BTreeSet<String>,
}

fn as_text(names: &[PolicyName]) -> Vec<&str> {
    names.iter().map(PolicyName::as_str).collect()
}

fn sorted(names: &BTreeSet<String>) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn the_indexed_engine_answers_as_plain_cedar_over_the_full_set(
        objects in objects(),
        requests in prop::collection::vec(asked(), 1..6),
    ) {
        let schema = Schema::from_str(SCHEMA).unwrap();
        let engine = PolicySet::of(objects.iter().enumerate().map(|(number, it)| good(&source(number, it))));
        let enforced = plain(&objects, Mode::Enforce);
        let audited = plain(&objects, Mode::Audit);
        prop_assert_eq!(engine.len(), enforced.num_of_policies() + audited.num_of_policies());
        for (agents, action, resource, context) in &requests {
            let prepared = Request::prepare(action, resource, context);
            let known = ["read", "write"].contains(action);
            for agent in agents {
                let request = CedarRequest::new(
                    uid("Agent", &agent.spiffe_id),
                    uid("Action", if known { action } else { "other" }),
                    uid("Resource", &resource.path),
                    plain_context(context, action),
                    Some(&schema),
                )
                .unwrap();
                let entities = entities(agent, resource, context, &schema);
                let plain = plainly(&enforced, &request, &entities);
                let (kind, policies) = if !plain.allowed && !plain.reason.is_empty() {
                    (Kind::Forbidden, plain.reason)
                } else if !plain.failed_forbids.is_empty() {
                    (Kind::Failed, plain.failed_forbids)
                } else if plain.allowed {
                    (Kind::Permitted, plain.reason)
                } else {
                    (Kind::NoPermit, BTreeSet::new())
                };
                let verdict = prepared.evaluate(&engine, &PreparedAgent::of(agent));
                prop_assert_eq!(verdict.kind, kind);
                prop_assert_eq!(verdict.allowed, kind == Kind::Permitted);
                prop_assert_eq!(as_text(&verdict.policies), sorted(&policies));
                prop_assert_eq!(as_text(&verdict.failed), sorted(&plain.failed));
                let mut would_deny = plainly(&audited, &request, &entities);
                if would_deny.allowed {
                    would_deny.reason.clear();
                }
                would_deny.reason.append(&mut would_deny.failed_forbids);
                prop_assert_eq!(as_text(&verdict.would_deny), sorted(&would_deny.reason));
            }
        }
    }
}

/// Few where every build runs them; `PROPTEST_CASES` for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|it| it.parse().ok())
        .unwrap_or(32)
}
