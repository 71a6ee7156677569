//! What policies say to a request.

use super::fixture::{
    agent, ask, assert_verdict, cluster, context, good, names, namespaced, object, resource, set,
};
use crate::{
    Kind, Mode, Obligation, PolicySet, PreparedAgent, Request, ResourceFacts, Scope, Verdict,
};

const ANY: &str = "permit (principal, action, resource);";
const OVERFLOWS: &str = "context.call.bytes * 9223372036854775807 > 0";

#[test]
fn nothing_is_permitted_by_default() {
    assert_verdict(&ask(&[]), Kind::NoPermit, &[]);
    let verdict = PolicySet::default().evaluate(
        &agent("finance", "reader"),
        "read",
        &resource("a"),
        &context(),
    );
    assert_verdict(&verdict, Kind::NoPermit, &[]);
}

#[test]
fn a_permit_permits_and_a_forbid_wins() {
    assert_verdict(
        &ask(&[cluster(&[ANY])]),
        Kind::Permitted,
        &["cluster/guard/p0"],
    );
    let forbid = "forbid (principal, action, resource) when { resource.sensitivity == 2 };";
    assert_verdict(
        &ask(&[cluster(&[ANY, forbid])]),
        Kind::Forbidden,
        &["cluster/guard/p1"],
    );
    assert_verdict(
        &ask(&[cluster(&[forbid]), namespaced("finance", &[ANY])]),
        Kind::Forbidden,
        &["cluster/guard/p0"],
    );
}

#[test]
fn a_forbid_that_fails_denies() {
    let forbid = format!("forbid (principal, action, resource) when {{ {OVERFLOWS} }};");
    let verdict = ask(&[cluster(&[ANY, &forbid])]);
    assert_verdict(&verdict, Kind::Failed, &["cluster/guard/p1"]);
    assert_eq!(names(&verdict.failed), ["cluster/guard/p1"]);
    // Where it doesn't have to multiply, it doesn't fail.
    let forbid = format!(
        "forbid (principal, action, resource) when {{ resource.sensitivity == 3 && {OVERFLOWS} }};"
    );
    assert_verdict(
        &ask(&[cluster(&[ANY, &forbid])]),
        Kind::Permitted,
        &["cluster/guard/p0"],
    );
}

#[test]
fn a_forbid_that_holds_beside_one_that_fails_is_what_decided() {
    let fails = format!("forbid (principal, action, resource) when {{ {OVERFLOWS} }};");
    let verdict = ask(&[cluster(&[
        ANY,
        &fails,
        "forbid (principal, action, resource);",
    ])]);
    assert_verdict(&verdict, Kind::Forbidden, &["cluster/guard/p2"]);
    assert_eq!(names(&verdict.failed), ["cluster/guard/p1"]);
}

#[test]
fn a_permit_that_fails_permits_nothing_and_denies_nothing() {
    let fails = format!("permit (principal, action, resource) when {{ {OVERFLOWS} }};");
    let verdict = ask(&[cluster(&[&fails])]);
    assert_verdict(&verdict, Kind::NoPermit, &[]);
    assert_eq!(names(&verdict.failed), ["cluster/guard/p0"]);
    let verdict = ask(&[cluster(&[&fails, ANY])]);
    assert_verdict(&verdict, Kind::Permitted, &["cluster/guard/p1"]);
    assert_eq!(names(&verdict.failed), ["cluster/guard/p0"]);
}

#[test]
fn obligations_come_from_those_that_decided_each_once() {
    let obliged = |mut source: crate::PolicySource, kinds: &[&str]| {
        for (policy, kind) in source.policies.iter_mut().zip(kinds) {
            policy.obligations.push(Obligation {
                kind: (*kind).to_owned(),
                properties: "{}".to_owned(),
            });
        }
        source
    };
    let kinds = |verdict: &Verdict| -> Vec<String> {
        verdict
            .obligations
            .iter()
            .map(|it| it.kind.clone())
            .collect()
    };
    let none = "permit (principal, action, resource) when { resource.path == \"b\" };";
    let permits = obliged(
        cluster(&[ANY, none, ANY, ANY]),
        &["log", "never", "tell", "log"],
    );
    assert_eq!(kinds(&ask(std::slice::from_ref(&permits))), ["log", "tell"]);
    let forbid = obliged(
        object(
            Scope::Cluster,
            "stop",
            &["forbid (principal, action, resource);"],
        ),
        &["session_termination"],
    );
    assert_eq!(kinds(&ask(&[permits, forbid])), ["session_termination"]);
    let fails = format!("forbid (principal, action, resource) when {{ {OVERFLOWS} }};");
    let verdict = ask(&[obliged(cluster(&[&fails]), &["step-up"])]);
    assert!(verdict.obligations.is_empty(), "{verdict:?}");
}

#[test]
fn audited_policies_decide_nothing_and_tell_what_they_would_deny() {
    let fails = format!("forbid (principal, action, resource) when {{ {OVERFLOWS} }};");
    let mut audited = object(
        Scope::Cluster,
        "soon",
        &[
            "forbid (principal, action, resource);",
            &fails,
            ANY,
            "forbid (principal, action, resource) when { resource.path == \"b\" };",
        ],
    );
    audited.mode = Mode::Audit;
    let verdict = ask(&[cluster(&[ANY]), audited.clone()]);
    assert_verdict(&verdict, Kind::Permitted, &["cluster/guard/p0"]);
    assert_eq!(
        names(&verdict.would_deny),
        ["cluster/soon/p0", "cluster/soon/p1"]
    );
    assert!(verdict.failed.is_empty());
    let verdict = ask(&[audited]);
    assert_verdict(&verdict, Kind::NoPermit, &[]);
}

#[test]
fn disabled_policies_say_nothing() {
    let mut disabled = cluster(&["forbid (principal, action, resource);"]);
    disabled.mode = Mode::Disabled;
    let verdict = ask(&[disabled, namespaced("finance", &[ANY])]);
    assert_verdict(&verdict, Kind::Permitted, &["finance/grants/p0"]);
    assert!(verdict.would_deny.is_empty());
}

#[test]
fn every_fact_arrives() {
    let facts = [
        "principal.name == \"reader\"",
        "principal.namespace == \"finance\"",
        "principal.spiffeID == \"spiffe://example.org/ns/finance/agent/reader\"",
        "principal == Countersign::Agent::\"spiffe://example.org/ns/finance/agent/reader\"",
        "principal in Countersign::Namespace::\"finance\"",
        "principal in Countersign::TrustDomain::\"example.org\"",
        "principal in Countersign::Owner::\"alice\"",
        "principal.task like \"jobs.batch/*\"",
        "principal.owner == Countersign::Owner::\"alice\" && principal.owner.type == \"Person\"",
        "principal.claimed.getTag(\"purpose\") == \"reconciliation\"",
        "!principal.claimed.hasTag(\"other\")",
        "resource == Countersign::Resource::\"ledger/invoices/7\"",
        "resource in Countersign::Collection::\"ledger/invoices\"",
        "resource in Countersign::Collection::\"ledger\"",
        "!(resource in Countersign::Collection::\"ledger/invoices/7\")",
        "resource.type == \"document\" && resource.path == \"ledger/invoices/7\"",
        "resource.sensitivity == 2",
        "resource.residency == [\"eu\"]",
        "resource.getTag(\"ownerID\") == \"alice\"",
        "action == Countersign::Action::\"read\" && action in Countersign::Action::\"any\"",
        "context.now == datetime(\"2026-11-24T12:00:00.250Z\")",
        "context.sourceIP.isInRange(ip(\"10.0.0.0/8\"))",
        "context.transport.mtls && context.transport.serialNumber == \"4f2a\"",
        "context.transport.notAfter > context.now",
        "context.call.action == \"read\" && context.call.tool == \"search\"",
        "context.call.audience == \"ledger\" && context.call.bytes == 2 && !context.call.destructive",
        "context.signals.risk == 10 && context.signals.anomaly == 5",
        "context.signals.codes.contains(\"caep/risk-level-change\")",
        "context.signals.ageMilliseconds == 100",
        "context.delegation.depth == 2 && context.delegation.root == Countersign::Owner::\"bob\"",
        "context.delegation.root.type == \"BusinessUnit\"",
        "context.delegation.requester == \"bob@example.com\"",
        "context.delegation.expires == datetime(\"2026-11-24T13:00:00Z\")",
    ];
    let guard = "context has sourceIP && context has delegation && context.delegation has requester \
        && context.transport has serialNumber && context.transport has notAfter \
        && context.call has tool && context.call has audience \
        && principal.claimed.hasTag(\"purpose\") && resource.hasTag(\"ownerID\")";
    for fact in facts {
        let text = format!("permit (principal, action, resource) when {{ {guard} && {fact} }};");
        let verdict = ask(&[cluster(&[&text])]);
        assert_eq!(verdict.kind, Kind::Permitted, "{fact}: {verdict:?}");
    }
}

#[test]
fn what_is_absent_is_absent() {
    let text = "permit (principal, action, resource) when { !(context has sourceIP) \
        && !(context has delegation) && !context.transport.mtls \
        && !(context.transport has serialNumber) && !(context.transport has notAfter) \
        && !(context.call has tool) && !(context.call has audience) \
        && context.signals.codes.isEmpty() && resource.residency.isEmpty() };";
    let mut context = context();
    context.source_ip = None;
    context.delegation = None;
    context.certificate = None;
    context.call.tool = None;
    context.call.audience = None;
    context.signals.codes.clear();
    let mut resource = resource("a");
    resource.residency.clear();
    let verdict =
        set(&[cluster(&[text])]).evaluate(&agent("finance", "reader"), "read", &resource, &context);
    assert_eq!(verdict.kind, Kind::Permitted, "{verdict:?}");
}

#[test]
fn a_verb_that_is_not_declared_is_asked_as_other() {
    let says = |text: &str, action: &str| {
        set(&[cluster(&[text])])
            .evaluate(
                &agent("finance", "reader"),
                action,
                &resource("a"),
                &context(),
            )
            .kind
    };
    let other = "permit (principal, action == Countersign::Action::\"other\", resource) when { context.call.action == \"reconcile\" };";
    assert_eq!(says(other, "reconcile"), Kind::Permitted);
    assert_eq!(says(other, "read"), Kind::NoPermit);
    assert_eq!(says(other, "other"), Kind::NoPermit);
    let any = "permit (principal, action in Countersign::Action::\"any\", resource);";
    for action in ["read", "reconcile", "any", "", "\"", "Read"] {
        assert_eq!(says(any, action), Kind::Permitted, "{action}");
    }
    let group = "permit (principal, action == Countersign::Action::\"other\", resource) when { context.call.action == \"any\" };";
    assert_eq!(says(group, "any"), Kind::Permitted);
}

#[test]
fn text_of_any_script_is_only_text() {
    let mut facts = agent("finance", "reader");
    facts
        .claimed
        .insert("Zweck \"✓\"".to_owned(), "Prüfung\n\u{202e}".to_owned());
    let path = "büro/\"x\"\\/文書\u{0}";
    let text = "permit (principal, action, resource in Countersign::Collection::\"büro/\\\"x\\\"\\\\\") \
        when { principal.claimed.hasTag(\"Zweck \\\"✓\\\"\") && resource.path like \"büro/*/文*\" };";
    let verdict = set(&[cluster(&[text])]).evaluate(&facts, "read", &resource(path), &context());
    assert_eq!(verdict.kind, Kind::Permitted, "{verdict:?}");
}

#[test]
fn an_address_within_ipv6_counts_as_the_one_that_it_is() {
    let text = "permit (principal, action, resource) when { context has sourceIP && context.sourceIP.isInRange(ip(\"10.0.0.0/8\")) };";
    let set = set(&[cluster(&[text])]);
    for (address, kind) in [
        ("::ffff:10.1.2.3", Kind::Permitted),
        ("10.1.2.3", Kind::Permitted),
        ("::10.1.2.3", Kind::NoPermit),
        ("fe80::1", Kind::NoPermit),
    ] {
        let mut context = context();
        context.source_ip = Some(address.parse().unwrap());
        let verdict = set.evaluate(
            &agent("finance", "reader"),
            "read",
            &resource("a"),
            &context,
        );
        assert_eq!(verdict.kind, kind, "{address}: {verdict:?}");
    }
}

#[test]
fn numbers_beyond_cedars_are_its_greatest() {
    let mut context = context();
    context.call.bytes = u64::MAX;
    context.signals.age_milliseconds = u64::MAX;
    let text = "permit (principal, action, resource) when { context.call.bytes == 9223372036854775807 && context.signals.ageMilliseconds == 9223372036854775807 };";
    let verdict = set(&[cluster(&[text])]).evaluate(
        &agent("finance", "reader"),
        "read",
        &resource("a"),
        &context,
    );
    assert_eq!(verdict.kind, Kind::Permitted);
}

#[test]
fn facts_that_no_policy_can_be_asked_about_are_denied() {
    let mut before_our_era = context();
    before_our_era.now = "-000001-01-01T00:00:00Z".parse().unwrap();
    let deep = ResourceFacts {
        path: "a/".repeat(1_000),
        ..resource("")
    };
    let set = set(&[cluster(&[ANY])]);
    let agent = agent("finance", "reader");
    for verdict in [
        set.evaluate(&agent, "read", &resource("a"), &before_our_era),
        set.evaluate(&agent, "read", &deep, &context()),
    ] {
        assert_verdict(&verdict, Kind::Failed, &[]);
    }
}

#[test]
fn a_prepared_request_asks_for_many_agents_what_each_would_be_asked() {
    let set = set(&[
        cluster(&["permit (principal in Countersign::Namespace::\"finance\", action, resource);"]),
        namespaced(
            "audit",
            &["permit (principal, action, resource) when { principal.name == \"clerk\" };"],
        ),
    ]);
    let (resource, context) = (resource("ledger/invoices/7"), context());
    let request = Request::prepare("read", &resource, &context);
    for facts in [
        agent("finance", "reader"),
        agent("audit", "clerk"),
        agent("audit", "reader"),
        agent("other", "clerk"),
    ] {
        let prepared = request.evaluate(&set, &PreparedAgent::of(&facts));
        assert_eq!(prepared, set.evaluate(&facts, "read", &resource, &context));
    }
}

#[test]
fn an_object_replaces_its_namesake() {
    let first = good(&cluster(&[ANY]));
    let second = good(&cluster(&["forbid (principal, action, resource);"]));
    let set = PolicySet::of([first.clone(), second.clone()]);
    assert_eq!(set.len(), 1);
    assert_eq!(set.digest(), PolicySet::of([second]).digest());
    assert_ne!(set.digest(), PolicySet::of([first]).digest());
}

#[test]
fn an_owner_of_two_types_is_unreadable_and_denied() {
    let mut context = context();
    if let Some(delegation) = &mut context.delegation {
        delegation.root_owner = "alice".to_owned();
    }
    let verdict = set(&[cluster(&[ANY])]).evaluate(
        &agent("finance", "reader"),
        "read",
        &resource("a"),
        &context,
    );
    assert_verdict(&verdict, Kind::Failed, &[]);
}
