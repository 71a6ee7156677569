//! What doesn't take effect, and how that is said.

use super::fixture::{accepts, cluster, good, lines, namespaced, object, refuses, test};
use crate::{MAX_POLICY_BYTES, Obligation, Problem, Scope, compile};

/// The one problem of a source.
fn problem(source: &crate::PolicySource) -> Problem {
    let mut problems = compile(source).unwrap_err();
    assert_eq!(problems.len(), 1, "{}", lines(&problems));
    problems.remove(0)
}

#[test]
fn an_attribute_that_the_schema_lacks_is_refused_where_it_stands() {
    let it = refuses("permit (principal, action, resource)\n  when { resource.sensitvity <= 2 };");
    assert_eq!((it.line, it.column), (2, 10), "{it}");
    assert!(it.message.contains("sensitvity"), "{it}");
    assert!(
        it.to_string()
            .starts_with("policy \"p0\", line 2, column 10: "),
        "{it}"
    );
}

#[test]
fn an_optional_attribute_must_be_asked_for_first() {
    let it =
        refuses("permit (principal, action, resource) when { context.delegation.depth <= 3 };");
    assert_eq!(it.line, 1);
    assert!(it.message.contains("has delegation"), "{it}");
    accepts(
        "permit (principal, action, resource) when { context has delegation && context.delegation.depth <= 3 };",
    );
}

#[test]
fn an_entity_type_or_action_that_the_schema_lacks_is_refused() {
    for text in [
        "permit (principal is Countersign::Robot, action, resource);",
        "permit (principal in Namespace::\"a\", action, resource);",
        "permit (principal, action == Countersign::Action::\"raed\", resource);",
        "permit (principal, action, resource in Countersign::Namespace::\"a\");",
    ] {
        let problems = compile(&cluster(&[text])).unwrap_err();
        assert!(
            problems.iter().all(|it| it.line == 1),
            "{}",
            lines(&problems)
        );
    }
}

#[test]
fn types_are_strict() {
    for text in [
        "permit (principal, action, resource) when { resource.sensitivity == \"2\" };",
        "permit (principal, action, resource) when { principal.name };",
        "permit (principal, action, resource) when { [1, \"a\"].contains(1) };",
        "permit (principal, action, resource) when { context.now > 3 };",
        "permit (principal, action, resource) when { ip(resource.path).isLoopback() };",
    ] {
        compile(&cluster(&[text])).unwrap_err();
    }
}

#[test]
fn entities_are_followed_two_steps_and_no_further() {
    accepts("permit (principal, action, resource) when { principal.owner.type == \"Person\" };");
    accepts(
        "permit (principal, action, resource) when { principal.claimed.hasTag(\"a\") && principal.claimed.getTag(\"a\") == \"b\" };",
    );
    accepts(
        "permit (principal, action, resource) when { context has delegation && context.delegation.root.type == \"Person\" };",
    );
}

#[test]
fn a_text_that_is_no_cedar_is_refused_where_it_goes_wrong() {
    let it = refuses("permit (principal, action, resource)\nwhen { 1 === 2 };");
    assert_eq!((it.line, it.column), (2, 12), "{it}");
    for text in [
        "",
        "  // nothing\n",
        "permit",
        "allow (principal);",
        "permit(principal,action,resource)",
    ] {
        let problems = compile(&cluster(&[text])).unwrap_err();
        assert!(!problems.is_empty());
    }
}

#[test]
fn columns_count_characters() {
    let it = refuses("permit (principal, action, resource) when { \"äöü\" == 7 };");
    let plain = refuses("permit (principal, action, resource) when { \"aou\" == 7 };");
    assert_eq!(it.column, plain.column);
}

#[test]
fn a_text_is_exactly_one_policy() {
    let it =
        refuses("permit (principal, action, resource);\nforbid (principal, action, resource);");
    assert!(it.message.contains("exactly one policy"), "{it}");
    assert_eq!((it.line, it.column), (2, 1));
    let none = refuses(" ");
    assert!(none.message.contains("exactly one policy"), "{none}");
}

#[test]
fn a_template_is_refused() {
    for text in [
        "permit (principal == ?principal, action, resource);",
        "permit (principal, action, resource in ?resource);",
    ] {
        let it = refuses(text);
        assert!(it.message.contains("template"), "{it}");
    }
}

#[test]
fn a_policy_that_can_never_apply_is_refused() {
    let it =
        refuses("forbid (principal, action, resource) when { resource.sensitivity > 2 && false };");
    assert!(it.message.contains("never"), "{it}");
}

#[test]
fn a_text_of_more_than_ten_kibibytes_is_refused_unread() {
    let mut long = "permit (principal, action, resource);".to_owned();
    long.push_str(&" ".repeat(MAX_POLICY_BYTES - long.len()));
    accepts(&long);
    long.push(' ');
    let it = refuses(&long);
    assert!(it.message.contains("10240"), "{it}");
}

#[test]
fn ids_are_labels_and_each_is_used_once() {
    for id in [
        "",
        "A",
        "a/b",
        "a.b",
        "-a",
        "a-",
        "ä",
        "a b",
        &"a".repeat(64),
    ] {
        let mut source = cluster(&["permit (principal, action, resource);"]);
        source.policies[0].id = id.to_owned();
        let it = problem(&source);
        assert_eq!(it.policy.as_deref(), Some(id));
    }
    let mut source = cluster(&["permit (principal, action, resource);"; 2]);
    source.policies[1].id = "p0".to_owned();
    let it = problem(&source);
    assert!(it.message.contains("twice"), "{it}");
}

#[test]
fn names_that_could_pass_for_others_are_refused() {
    for name in ["", "a/b", "A", "a..b"] {
        let source = object(Scope::Cluster, name, &[]);
        problem(&source);
    }
    for namespace in ["", "a/b", "a.b"] {
        problem(&namespaced(namespace, &[]));
    }
}

#[test]
fn an_object_is_bounded() {
    let it = problem(&cluster(&["permit (principal, action, resource);"; 65]));
    assert!(it.message.starts_with("65 policies"), "{it}");
    let mut source = cluster(&["permit (principal, action, resource);"]);
    source.tests = vec![test("again", true, None); 65];
    assert!(problem(&source).message.starts_with("65 tests"));
    source.tests.clear();
    let obligation = Obligation {
        kind: "notification".to_owned(),
        properties: "{}".to_owned(),
    };
    source.policies[0].obligations = vec![obligation; 33];
    assert!(problem(&source).message.starts_with("33 obligations"));
    source.policies[0].obligations.truncate(32);
    good(&source);
}

#[test]
fn an_obligation_has_a_type_and_a_json_object() {
    for (kind, properties) in [
        ("", "{}"),
        ("step-up", ""),
        ("step-up", "[]"),
        ("step-up", "{"),
    ] {
        let mut source = cluster(&["permit (principal, action, resource);"]);
        source.policies[0].obligations = vec![Obligation {
            kind: kind.to_owned(),
            properties: properties.to_owned(),
        }];
        let it = problem(&source);
        assert_eq!(it.policy.as_deref(), Some("p0"));
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let problems = compile(&cluster(&[
        "permit (principal, action, resource) when { principal.nme == \"a\" };",
        "permit (principal, action, resource);",
        "forbid (principal, action, resource) when { context.signals.rsk > 1 || resource.kind == \"x\" };",
    ]))
    .unwrap_err();
    let of: Vec<_> = problems
        .iter()
        .map(|it| it.policy.as_deref().unwrap())
        .collect();
    assert_eq!(of, ["p0", "p2", "p2"], "{}", lines(&problems));
}
