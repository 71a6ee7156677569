//! Generated conditions over all that a request has, each of which passes validation.

use proptest::prelude::*;
use proptest::sample::select;

fn one_of(all: &'static [&'static str]) -> BoxedStrategy<String> {
    select(all).prop_map(str::to_owned).boxed()
}

fn known_number() -> BoxedStrategy<String> {
    one_of(&[
        "resource.sensitivity",
        "context.call.bytes",
        "context.signals.risk",
        "context.signals.anomaly",
        "context.signals.ageMilliseconds",
    ])
}

fn number() -> BoxedStrategy<String> {
    let constant = one_of(&[
        "0",
        "1",
        "2",
        "-1",
        "50",
        "9223372036854775807",
        "-9223372036854775808",
    ]);
    let one = prop_oneof![constant, known_number()].boxed();
    prop_oneof![
        4 => one.clone(),
        1 => (one.clone(), one_of(&["+", "-", "*"]), one.clone())
            .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        1 => one.prop_map(|it| format!("-({it})")),
    ]
    .boxed()
}

fn known_text() -> BoxedStrategy<String> {
    one_of(&[
        "principal.name",
        "principal.namespace",
        "principal.spiffeID",
        "principal.task",
        "principal.owner.type",
        "resource.type",
        "resource.path",
        "context.call.action",
    ])
}

fn text() -> BoxedStrategy<String> {
    let constant = one_of(&[
        r#""reader""#,
        r#""finance""#,
        r#""alice""#,
        r#""Person""#,
        r#""eu""#,
        r#""purpose""#,
        r#""reconciliation""#,
        r#""ledger/2""#,
        r#""read""#,
    ]);
    prop_oneof![constant, known_text()].boxed()
}

fn texts() -> BoxedStrategy<String> {
    one_of(&[
        r#"["eu", "us"]"#,
        r#"["us"]"#,
        r#"["eu", "eu"]"#,
        r#"["read", "write", "caep/risk-level-change"]"#,
        "resource.residency",
        "context.signals.codes",
    ])
}

fn time() -> BoxedStrategy<String> {
    let one = one_of(&[
        "context.now",
        r#"datetime("2026-11-24")"#,
        r#"datetime("2026-11-24T12:00:00.250Z")"#,
        r#"datetime("2026-11-24T13:00:00+0100")"#,
        r#"datetime("1969-12-31T12:00:00.001Z")"#,
    ]);
    prop_oneof![
        3 => one.clone(),
        1 => one.clone().prop_map(|it| format!("{it}.toDate()")),
        1 => one.clone().prop_map(|it| format!(r#"{it}.offset(duration("-1h30m"))"#)),
        1 => one.prop_map(|it| format!(r#"{it}.offset(duration("106751991166d"))"#)),
    ]
    .boxed()
}

fn span() -> BoxedStrategy<String> {
    prop_oneof![
        one_of(&[
            r#"duration("0ms")"#,
            r#"duration("12h250ms")"#,
            r#"duration("-1d")"#,
        ]),
        (time(), time()).prop_map(|(a, b)| format!("{a}.durationSince({b})")),
        time().prop_map(|it| format!("{it}.toTime()")),
    ]
    .boxed()
}

/// Two constants would be compared by the validator already, and refused where they never are equal.
fn related(one: BoxedStrategy<String>, other: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let relation = one_of(&["<", "<=", ">", ">=", "==", "!="]);
    (one, relation, other)
        .prop_map(|(a, relation, b)| format!("{a} {relation} {b}"))
        .boxed()
}

fn of_texts() -> BoxedStrategy<String> {
    prop_oneof![
        (known_text(), one_of(&["==", "!="]), text())
            .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (
            text(),
            one_of(&[
                r#""*""#,
                r#""ledger/*""#,
                r#""ledger/\*""#,
                r#""*in*e*""#,
                r#""é*""#,
                r#""""#
            ])
        )
            .prop_map(|(it, pattern)| format!("{it} like {pattern}")),
        (texts(), text()).prop_map(|(all, one)| format!("{all}.contains({one})")),
        (texts(), one_of(&["containsAll", "containsAny"]), texts())
            .prop_map(|(a, of, b)| format!("{a}.{of}({b})")),
        texts().prop_map(|it| format!("{it}.isEmpty()")),
        (one_of(&["principal.claimed", "resource"]), text())
            .prop_map(|(it, name)| format!("{it}.hasTag({name})")),
        (
            one_of(&["principal.claimed", "resource"]),
            one_of(&[r#""purpose""#, r#""ownerID""#]),
            text()
        )
            .prop_map(|(it, name, text)| {
                format!("{it}.hasTag({name}) && {it}.getTag({name}) == {text}")
            }),
    ]
    .boxed()
}

fn of_entities() -> BoxedStrategy<String> {
    one_of(&[
        r#"principal == Countersign::Agent::"spiffe://example.org/ns/audit/agent/clerk""#,
        r#"principal in Countersign::Agent::"spiffe://example.org/ns/audit/agent/clerk""#,
        r#"principal in Countersign::Namespace::"finance""#,
        r#"principal in Countersign::TrustDomain::"example.org""#,
        r#"principal in [Countersign::Owner::"alice", Countersign::Owner::"carol"]"#,
        r#"principal.owner == Countersign::Owner::"bob""#,
        r#"principal.owner in Countersign::Owner::"alice""#,
        r#"resource == Countersign::Resource::"ledger/2""#,
        r#"resource in Countersign::Collection::"ledger/invoices""#,
        r#"resource in Countersign::Collection::"led""#,
        r#"resource in [Countersign::Collection::"vault", Countersign::Collection::"ledger"]"#,
        r#"principal in Countersign::Namespace::"audit" || action == Countersign::Action::"read""#,
        r#"principal is Countersign::Agent && context.transport.mtls"#,
        r#"action in Countersign::Action::"any" && context.call.destructive"#,
        r#"context.transport.mtls || action in [Countersign::Action::"write", Countersign::Action::"other"]"#,
    ])
}

fn of_the_optional() -> BoxedStrategy<String> {
    one_of(&[
        "context.transport.mtls",
        "context.call.destructive",
        "context.call.destructive == context.transport.mtls",
        "context has sourceIP",
        r#"context has sourceIP && context.sourceIP.isInRange(ip("10.0.0.0/8"))"#,
        r#"context has sourceIP && context.sourceIP.isInRange(ip("10.1.2.3"))"#,
        r#"context has sourceIP && context.sourceIP.isInRange(ip("0.0.0.0/0"))"#,
        r#"context has sourceIP && context.sourceIP.isInRange(ip("2001:db8::/33"))"#,
        r#"context has sourceIP && context.sourceIP.isInRange(ip("::/0"))"#,
        "context.transport has serialNumber",
        r#"context has transport.serialNumber && context.transport.serialNumber == "4f2a""#,
        r#"context.transport has notAfter && context.transport.notAfter.durationSince(context.now) < duration("5m")"#,
        r#"context.call has tool && context.call.tool == "search""#,
        r#"context.call has tool && ["search", "eu"].contains(context.call.tool)"#,
        r#"context has sourceIP && context.sourceIP.isInRange(ip("10.1.2.3/8"))"#,
        r#"context has sourceIP && context.sourceIP.isInRange(ip("2001:db8::1"))"#,
        r#"context has delegation && context.delegation.depth * 9223372036854775807 > 1"#,
        r#"context.call has audience && context.call.audience == "ledger""#,
        "context has delegation && context.delegation.depth > 1",
        "context has delegation && context.delegation.expires > context.now",
        "context has delegation && context.delegation has requester",
        r#"context has delegation.requester && context.delegation.requester like "bob@*""#,
        "context has delegation && context.delegation.root == principal.owner",
        r#"context has delegation && context.delegation.root in [Countersign::Owner::"bob"]"#,
        r#"context has delegation && context.delegation.root.type == "BusinessUnit""#,
    ])
}

/// What is left to Cedar's evaluator.
fn rare() -> BoxedStrategy<String> {
    one_of(&[
        r#"resource.residency == ["eu"]"#,
        "context has sourceIP && context.sourceIP.isIpv4()",
        r#"context.now.toTime().toHours() > 11"#,
        r#"principal.owner.type == "Person" && resource.residency == ["eu", "us"]"#,
        r#"(if context.transport.mtls then resource.sensitivity else 0) > 1"#,
        r#"principal.claimed.hasTag("purpose") && {of: principal.claimed.getTag("purpose")}.of == "reconciliation""#,
    ])
}

/// One condition, without `when` and brackets.
pub(super) fn condition() -> impl Strategy<Value = String> {
    let one = prop_oneof![
        3 => related(known_number(), number()),
        2 => related(time(), time()),
        1 => related(span(), span()),
        4 => of_texts(),
        3 => of_entities(),
        5 => of_the_optional(),
        1 => rare(),
    ];
    // Without `action`, whose kind is known to the validator: what can never hold is refused.
    let fact = prop_oneof![
        related(known_number(), number()),
        of_texts(),
        of_the_optional()
    ];
    let one = prop_oneof![
        4 => one.prop_map(|it| format!("({it})")),
        // Never known to be false beforehand, which the validator would refuse: `!(context has sourceIP)`
        // is, where something before it has asked for the same.
        1 => fact.prop_map(|it| format!("(!({it}) || resource.sensitivity > 3)")),
    ];
    one.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), one_of(&["&&", "||"]), inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
        ]
    })
}
