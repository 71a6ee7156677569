//! Whose agents a namespace's policies are about.

use super::fixture::{agent, assert_verdict, cluster, context, namespaced, resource, set};
use crate::{Kind, PolicySource, Verdict};

fn asked_by(namespace: &str, sources: &[PolicySource]) -> Verdict {
    set(sources).evaluate(
        &agent(namespace, "reader"),
        "read",
        &resource("ledger/invoices/7"),
        &context(),
    )
}

#[test]
fn a_namespace_permits_only_its_own_agents_whatever_it_writes() {
    for text in [
        "permit (principal, action, resource);",
        "permit (principal in Countersign::TrustDomain::\"example.org\", action, resource);",
        "permit (principal in Countersign::Namespace::\"finance\", action, resource);",
        "permit (principal == Countersign::Agent::\"spiffe://example.org/ns/finance/agent/reader\", action, resource);",
        "permit (principal, action, resource) when { principal in Countersign::Owner::\"alice\" };",
    ] {
        let theirs = [namespaced("evil", &[text])];
        assert_verdict(&asked_by("finance", &theirs), Kind::NoPermit, &[]);
    }
    let all = [namespaced(
        "evil",
        &["permit (principal, action, resource);"],
    )];
    assert_verdict(
        &asked_by("evil", &all),
        Kind::Permitted,
        &["evil/grants/p0"],
    );
}

#[test]
fn a_namespace_forbids_only_its_own_agents() {
    let sources = [
        cluster(&["permit (principal, action, resource);"]),
        namespaced("evil", &["forbid (principal, action, resource);"]),
    ];
    assert_verdict(
        &asked_by("finance", &sources),
        Kind::Permitted,
        &["cluster/guard/p0"],
    );
    assert_verdict(
        &asked_by("evil", &sources),
        Kind::Forbidden,
        &["evil/grants/p0"],
    );
}

#[test]
fn a_namespaces_failure_is_its_own() {
    let sources = [
        cluster(&["permit (principal, action, resource);"]),
        namespaced(
            "evil",
            &[
                "forbid (principal, action, resource) when { context.call.bytes * 9223372036854775807 > 0 };",
            ],
        ),
    ];
    let verdict = asked_by("finance", &sources);
    assert_verdict(&verdict, Kind::Permitted, &["cluster/guard/p0"]);
    assert!(verdict.failed.is_empty());
    assert_verdict(
        &asked_by("evil", &sources),
        Kind::Failed,
        &["evil/grants/p0"],
    );
}

#[test]
fn a_namespace_that_is_called_cluster_is_a_namespace() {
    let sources = [namespaced(
        "cluster",
        &["permit (principal, action, resource);"],
    )];
    assert_verdict(&asked_by("finance", &sources), Kind::NoPermit, &[]);
    assert_verdict(
        &asked_by("cluster", &sources),
        Kind::Permitted,
        &["cluster/grants/p0"],
    );
}
