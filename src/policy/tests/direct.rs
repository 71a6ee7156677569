//! What is evaluated on the facts themselves, and what is left to Cedar.

use super::fixture::accepts;

fn is_left_to_cedar(condition: &str) -> bool {
    let text = format!("forbid (principal, action, resource) when {{ {condition} }};");
    accepts(&text)
        .rules()
        .iter()
        .any(|it| it.condition.is_whole())
}

#[test]
fn what_policies_usually_look_at_is_read_directly() {
    for condition in [
        "context.signals.risk + 25 * resource.sensitivity > 100",
        "context.call.destructive && context.signals.anomaly >= 60",
        r#"!(context has sourceIP && context.sourceIP.isInRange(ip("10.0.0.0/8")))"#,
        "context has delegation && context.delegation.expires > context.now",
        "context has delegation && context.delegation has requester",
        r#"context has delegation.requester && context.delegation.requester != "bob""#,
        r#"context has delegation && context.delegation.root.type == "Person""#,
        r#"context has transport.notAfter && context.transport.notAfter.durationSince(context.now) < duration("5m")"#,
        r#"context.now.toTime() < duration("8h") || context.now >= datetime("2027-01-01")"#,
        r#"principal in Countersign::Namespace::"finance" && principal.owner.type != "Person""#,
        r#"principal is Countersign::Agent && principal.owner == Countersign::Owner::"alice""#,
        r#"principal.claimed.hasTag("purpose") && principal.claimed.getTag("purpose") == "audit""#,
        r#"resource.hasTag("ownerID") && resource.getTag("ownerID") == principal.name"#,
        r#"resource in [Countersign::Collection::"ledger"] || resource.path like "vault/*""#,
        r#"["read", "list"].contains(context.call.action) && resource.residency.containsAny(["eu"])"#,
        r#"if context.transport.mtls then resource.type == "document" else context.signals.codes.isEmpty()"#,
        r#"context.call has tool && context.call.tool == "search" && resource.sensitivity != 3"#,
    ] {
        assert!(!is_left_to_cedar(condition), "{condition}");
    }
}

#[test]
fn what_cannot_be_read_as_a_whole_is_left_to_cedar_as_a_whole() {
    for condition in [
        r#"resource.residency == ["eu"]"#,
        "context.transport.mtls && context has sourceIP && context.sourceIP.isLoopback()",
        r#"context has delegation && {of: context.delegation.root}.of.type == "Person""#,
        r#"context.now.toTime().toHours() > 11"#,
    ] {
        assert!(is_left_to_cedar(condition), "{condition}");
    }
}
