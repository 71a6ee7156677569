//! Generated policies and requests, of few names, so that they meet.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{conditions, fixture};
use crate::{AgentFacts, ContextFacts, Mode, PolicySource, ResourceFacts, Scope};

const VERBS: [&str; 4] = ["read", "write", "reconcile", "any"];
const PATHS: [&str; 6] = [
    "ledger",
    "ledger/invoices",
    "ledger/invoices/7",
    "ledger/2",
    "vault/1",
    "/",
];
const ADDRESSES: [&str; 5] = [
    "10.1.2.3",
    "10.1.2.3",
    "192.0.2.1",
    "2001:db8::1",
    "::ffff:10.9.9.9",
];
const TIMES: [&str; 4] = [
    "2026-11-24T12:00:00.250Z",
    "2026-11-24T12:04:00Z",
    "2026-11-24T00:00:00Z",
    "1969-12-31T23:59:59.999Z",
];

/// One policy in parts.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) effect: &'static str,
    pub(super) scope: String,
    pub(super) condition: String,
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
    // Not `unless`: what is true whatever the request would make it impossible, which is refused.
    let clause = conditions::condition().prop_map(|it| format!("when {{ {it} }}"));
    let condition = prop_oneof![condition(), clause];
    (effect, principal(), action(), resources(), condition).prop_map(
        |(effect, principal, action, resource, condition)| Draft {
            effect,
            scope: format!("({principal}, {action}, {resource})"),
            condition,
        },
    )
}

pub(super) type Objects = Vec<(Scope, Mode, Vec<Draft>)>;

pub(super) fn objects() -> impl Strategy<Value = Objects> {
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
                let mut agent = fixture::agent(namespace, name);
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

pub(super) fn asked()
-> impl Strategy<Value = (Vec<AgentFacts>, &'static str, ResourceFacts, ContextFacts)> {
    let known = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        1_u64..3,
        0_u8..3,
        any::<bool>(),
    );
    let resource = (select(&PATHS[..]), any::<bool>(), any::<bool>(), 0_usize..3);
    let optional = (any::<bool>(), any::<bool>(), any::<bool>());
    (
        prop::collection::vec(agents(), 1..4),
        select(&VERBS[..]),
        resource,
        known,
        (select(&ADDRESSES[..]), select(&TIMES[..]), optional),
    )
        .prop_map(
            |(
                agents,
                action,
                (path, secret, owned, places),
                (mtls, ip, delegated, bytes, depth, risky),
                (address, now, (destructive, said, requested)),
            )| {
                let mut resource = fixture::resource(path);
                if !secret {
                    resource.sensitivity = countersign_core::DataClass::Internal;
                }
                if !owned {
                    resource.properties.clear();
                }
                let places = ["eu", "us"].iter().take(places);
                resource.residency = places.map(|it| (*it).to_owned()).collect();
                let mut context = fixture::context();
                context.now = now.parse().unwrap();
                context.source_ip = Some(address.parse().unwrap());
                context.call.destructive = destructive;
                if !said {
                    context.call.tool = None;
                    context.call.audience = None;
                    context.signals.codes.clear();
                }
                if let Some(delegation) = context.delegation.as_mut().filter(|_| !requested) {
                    delegation.requester = None;
                    delegation.root_owner = "alice".to_owned();
                    delegation.root_owner_type = "Person".to_owned();
                }
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

pub(super) fn source(
    number: usize,
    (scope, mode, drafts): &(Scope, Mode, Vec<Draft>),
) -> PolicySource {
    let texts: Vec<String> = drafts
        .iter()
        .map(|it| format!("{} {} {};", it.effect, it.scope, it.condition))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut source = fixture::object(scope.clone(), &format!("object-{number}"), &texts);
    source.mode = *mode;
    source
}
