//! The language of rules: what is refused when it is written, and what counts as no answer.

use countersign_tasks::{Rule, RuleError, Rules, Verdict};
use serde_json::{Value, json};

use super::succeeded;

fn refused(rule: &str) -> RuleError {
    Rules::compile("v1", "false", rule).unwrap_err()
}

fn reason(rule: &str) -> &'static str {
    refused(rule).reason()
}

fn judged(rule: &str, object: Value) -> Verdict {
    succeeded(rule).judge(&object)
}

fn unknown(rule: &str, object: Value) -> &'static str {
    match judged(rule, object) {
        Verdict::Unknown(error) => error.reason(),
        other => panic!("{rule}: {other:?}"),
    }
}

#[test]
fn a_missing_key_is_false_wherever_it_is() {
    for rule in [
        r#"object.status.phase == "x""#,
        r#"object.status.conditions.exists(c, c.type == "Complete" && c.status == "True")"#,
        r#"!(object.status.phase == "Running")"#,
        r#"object.status.phase != "Running""#,
        r#"!object.status.conditions.exists(c, c.type == "Active")"#,
        r#"!has(object.status.startTime)"#,
        r#"object.status["phase"] != "Running""#,
        r#"object.status.conditions.all(c, c.status == "True")"#,
        r#"size(object.status.active) == 0"#,
        r#"object.status.conditions.filter(c, c.type == "x").size() == 0"#,
        r#"object.status.active < 1"#,
        r#"object.status.active + 0 == 0 ? true : true"#,
        r#"!("x" in object.status.list)"#,
        r#"object.status.phase == null"#,
        r#"object.items[3] != 1"#,
        r#"object.map["none"] != 1"#,
    ] {
        let object = json!({"metadata": {"name": "x"}, "items": [1, 2, 3], "map": {"a": 1}});
        assert_eq!(judged(rule, object), Verdict::Running, "{rule}");
    }
}

#[test]
fn a_missing_key_counts_only_where_the_result_needs_it() {
    let object = json!({"status": {"phase": "Done", "conditions": [{}, {"type": "Complete"}]}});
    for rule in [
        r#"object.status.none == "x" || object.status.phase == "Done""#,
        r#"object.status.phase == "Done" || object.status.none == "x""#,
        r#"object.status.conditions.exists(c, c.type == "Complete")"#,
        r#"!has(object.status.none)"#,
        r#"!(object.status.none && false)"#,
    ] {
        assert_eq!(judged(rule, object.clone()), Verdict::Succeeded, "{rule}");
    }
}

#[test]
fn null_counts_as_missing() {
    let object = json!({"status": {"conditions": null, "end": null}});
    for rule in [
        "object.status.conditions.all(c, false)",
        "has(object.status.end)",
        "object.status.end == null",
        "object.status.end != null",
        r#""end" in object.status"#,
        "size(object.status) == 2",
        r#"object.status.exists(key, key == "end")"#,
    ] {
        assert_eq!(judged(rule, object.clone()), Verdict::Running, "{rule}");
    }
    let ended = json!({"status": {"end": "now"}});
    assert_eq!(
        judged("object.status.end != null", ended),
        Verdict::Succeeded
    );
}

#[test]
fn any_other_error_is_no_answer() {
    let object = json!({"n": 1, "s": "x", "l": [1, "a"], "m": {"k": true}, "max": i64::MAX});
    for rule in [
        "object.s.field == 1",
        "object.n < object.s",
        "object.n && true",
        "!object.n",
        "-object.s == 1",
        "object.n.exists(x, true)",
        "object.l.all(x, x.field == 1)",
        "object.l[object.s] == 1",
        "object.m[object.m] == 1",
        "object.n / 0 == 1",
        "object.n % 0 == 1",
        "object.max + 1 == 0",
        "object.s + object.s == \"xx\"",
        "object.n + 1.0 == 2.0",
        "size(object.n) == 1",
        "object.s.startsWith(object.n)",
        "object.n in object.n",
        "object.n ? true : false",
        // The error wins over the missing key, whichever comes first.
        "object.none == 1 || object.s.field == 1",
        "object.s.field == 1 || object.none == 1",
        "[object.m, object.l].exists(x, x.none.field == 1)",
        "[object.l, object.m].exists(x, x.none.field == 1)",
    ] {
        assert_eq!(unknown(rule, object.clone()), "RuleEvaluation", "{rule}");
    }
    assert_eq!(unknown("object.n", object.clone()), "RuleNotBoolean");
    assert_eq!(
        unknown("object.n > 0 ? object.s : false", object),
        "RuleNotBoolean"
    );
}

#[test]
fn an_evaluation_error_tells_types_and_not_content() {
    let object = json!({"status": {"phase": {"secret": "hunter2"}}});
    let Verdict::Unknown(error) = judged(r#"object.status.phase.startsWith("x")"#, object) else {
        panic!();
    };
    assert_eq!(
        error.to_string(),
        "rule `succeeded` failed on the object: `startsWith` doesn't take map, string"
    );
}

#[test]
fn failed_is_asked_first() {
    let object = json!({"s": true, "f": true});
    let judge = |succeeded, failed| {
        Rules::compile("v1", succeeded, failed)
            .unwrap()
            .judge(&object)
    };
    assert_eq!(judge("object.s", "object.f"), Verdict::Failed);
    assert_eq!(judge("object.s", "object.none"), Verdict::Succeeded);
    assert!(matches!(
        judge("object.s", "object.s.x"),
        Verdict::Unknown(RuleError::Evaluation {
            rule: Rule::Failed,
            ..
        })
    ));
    assert_eq!(judge("object.s.x", "object.f"), Verdict::Failed);
}

#[test]
fn undeclared_names_are_found_when_the_rule_is_written() {
    assert_eq!(
        refused("object.status.ok ||\n  status.phase == \"x\""),
        RuleError::UndeclaredName {
            rule: Rule::Failed,
            name: "status".to_owned(),
            line: 2,
            column: 3
        }
    );
    for rule in [
        "self.x",
        "false && oldObject.x",
        "object.l.exists(c, d)",
        "object.l.exists(c, true) && c",
        "object[key]",
        "true ? true : now",
        "[x] == []",
        "@result",
        "int",
        ".object",
    ] {
        assert!(
            ["RuleUndeclaredName", "RuleSyntax"].contains(&reason(rule)),
            "{rule}: {:?}",
            refused(rule)
        );
    }
}

#[test]
fn unknown_functions_are_found_when_the_rule_is_written() {
    let error = refused(r#"object.status.phase.matches("^x")"#);
    assert_eq!(error.reason(), "RuleUnknownFunction");
    let text = error.to_string();
    assert!(
        text.contains("line 1, column 28: no function `matches` for 1 argument(s)"),
        "{text}"
    );
    for rule in [
        "nothing()",
        "timestamp(object.x) == object.y",
        "object.size(1)",
        "size(object, object)",
        "object.l.exists(c)",
        "object.l.all(a, b, c)",
        "has(object)",
        "has(object.a, object.b)",
        "object.x.startsWith()",
        "optional.of(object)",
    ] {
        assert_eq!(reason(rule), "RuleUnknownFunction", "{rule}");
    }
}

#[test]
fn what_rules_do_not_have_is_refused() {
    for rule in [
        "{'a': 1} == object",
        "b'x' == object.x",
        "Message{x: 1} == object",
    ] {
        assert_eq!(reason(rule), "RuleUnsupported", "{rule}");
    }
    assert_eq!(reason("object.l.exists(c.d, true)"), "RuleUnsupported");
    for rule in [
        "object.?status",
        "object[?'x']",
        "",
        "  ",
        "object.",
        "a b",
        "'x",
        "1 +",
        "// x",
    ] {
        assert_eq!(reason(rule), "RuleSyntax", "{rule}");
    }
    let RuleError::Syntax { line, column, .. } = refused("true &&\n  (object.x") else {
        panic!()
    };
    assert_eq!((line, column), (2, 12));
}

#[test]
fn a_rule_that_can_never_be_a_bool_is_refused() {
    for rule in [
        "1",
        "'true'",
        "null",
        "object",
        "object.a + 1",
        "size(object)",
        "[true]",
        "object.l.map(x, true)",
        "object.l.filter(x, true)",
        "-object.x",
    ] {
        assert_eq!(reason(rule), "RuleNotBoolean", "{rule}");
    }
}

#[test]
fn size_and_nesting_are_bounded() {
    let long = format!("object.x == '{}'", "x".repeat(2048));
    assert_eq!(reason(&long), "RuleTooLong");
    let fits = format!("object.x == '{}'", "x".repeat(2048 - 14));
    assert_eq!(fits.len(), 2048);
    succeeded(&fits);
    assert_eq!(
        reason(&format!("{}true{}", "(".repeat(65), ")".repeat(65))),
        "RuleTooDeep"
    );
    succeeded(&format!("{}true{}", "(".repeat(64), ")".repeat(64)));
    assert_eq!(
        reason(&format!("{}1 == 1", "1 + ".repeat(100))),
        "RuleTooDeep"
    );
    succeeded("object.l.all(a, object.l.all(b, a == b))");
    let three = "object.l.all(a, object.l.all(b, object.l.all(c, true)))";
    assert_eq!(reason(three), "RuleTooDeep");
}

#[test]
fn constant_false_rules_need_no_object() {
    assert!(
        !Rules::compile("v1", "false", " false ")
            .unwrap()
            .needs_object()
    );
    assert!(
        Rules::compile("v1", "false", "object.x")
            .unwrap()
            .needs_object()
    );
    assert!(
        Rules::compile("v1", "true", "false")
            .unwrap()
            .needs_object()
    );
}

#[test]
fn rules_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&succeeded("true"));
}

#[test]
fn numbers_compare_by_value_and_types_differ() {
    let object = json!({"one": 1, "big": u64::MAX, "half": 0.5, "text": "1", "l": [1, 2]});
    for rule in [
        "object.one == 1.0 && object.one == 1u && 1u == object.one",
        "object.big > 9223372036854775807 && object.big == 18446744073709551615u",
        "object.half < object.one && object.one > 0.5 && -1 < 0u",
        "object.one != object.text",
        "object.l == [1, 2] && [1, 2] == object.l && [] != object.l && object.l != [1]",
        "1 in object.l && !(3 in object.l) && !('1' in object.l)",
        "object.l[1] == 2 && object.l[1.0] == 2",
        "object.l.map(x, x > 1, x * 2) == [4]",
        "object.l.exists_one(x, x == 1) && !object.l.exists_one(x, x > 0)",
        "'text' in object && !('none' in object)",
        "'🦀é'.size() == 2",
    ] {
        assert_eq!(judged(rule, object.clone()), Verdict::Succeeded, "{rule}");
    }
}
