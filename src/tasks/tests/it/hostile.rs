//! Objects and rules that somebody wrote to do harm.

use std::sync::LazyLock;

use countersign_tasks::{KindDefault, Rule, RuleError, Rules, Verdict, defaults};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::succeeded;

/// What `succeeded` says of the object. That the worst rule is still quick on the worst object is
/// the budget's doing, and so what is asserted is the budget; `timing` has the figures.
fn judge(rule: &str, object: &Value) -> Verdict {
    succeeded(rule).judge(object)
}

#[test]
fn a_long_list_ends_the_evaluation_and_not_the_operator() {
    let conditions: Vec<_> = (0..100_000)
        .map(|i| json!({"type": format!("t{i}"), "status": "True"}))
        .collect();
    let object = json!({"l": conditions, "status": {"conditions": conditions}});
    for rule in [
        "object.l.all(a, object.l.all(b, a == a))",
        "object.l.exists(a, object.l.exists(b, a == b && false))",
        "object.l.map(a, object.l).map(l, l.map(x, x)).size() == 0",
        "object.l == object.status.conditions",
        "object.l.filter(a, a in object.l).size() == 0",
        "object.l.all(a, [a, a, a, a].all(b, b in [a, a, a, a]))",
    ] {
        assert!(
            matches!(
                judge(rule, &object),
                Verdict::Unknown(RuleError::TooCostly { .. })
            ),
            "{rule}"
        );
    }
    // What doesn't look at it doesn't pay for it.
    assert_eq!(
        judge("object.l.size() == 100000", &object),
        Verdict::Succeeded
    );
}

#[test]
fn ten_thousand_conditions_are_still_judged() {
    let mut conditions: Vec<_> = (0..10_000)
        .map(|i| json!({"type": format!("t{i}"), "status": "True"}))
        .collect();
    conditions.push(json!({"type": "Complete", "status": "True"}));
    let job = defaults()
        .iter()
        .find(|kind| kind.group == "batch")
        .unwrap();
    let rules = Rules::compile(job.version, job.succeeded, job.failed).unwrap();
    assert_eq!(
        rules.judge(&json!({"status": {"conditions": conditions}})),
        Verdict::Succeeded
    );
}

#[test]
fn long_text_ends_the_evaluation() {
    let text = "a".repeat(4 << 20);
    let object = json!({"t": text, "u": text, "k": {text.clone(): 1}, "l": vec![0; 1000]});
    for rule in [
        "object.l.all(x, object.t == object.u)",
        "object.l.all(x, object.t.contains(object.u))",
        "object.l.all(x, object.t <= object.u)",
        "object.l.all(x, size(object.t) > 0)",
        "object.l.all(x, object.k[object.t] == 1)",
        "object.l.all(x, object.t in object.k)",
        "object.l.all(x, object.k == object.k)",
    ] {
        assert!(
            matches!(
                judge(rule, &object),
                Verdict::Unknown(RuleError::TooCostly { .. })
            ),
            "{rule}"
        );
    }
}

#[test]
fn a_deep_object_is_looked_at_only_so_deep() {
    // Two levels each. serde_json reads 128 at most, so that no object from an API server is deeper.
    let deep = |levels| (0..levels).fold(json!(1), |inner, _| json!({ "a": [inner] }));
    let object = json!({"x": deep(100), "y": deep(100), "p": deep(20), "q": deep(20)});
    assert!(matches!(
        judge("object.x == object.y", &object),
        Verdict::Unknown(RuleError::Evaluation { .. })
    ));
    assert_eq!(judge("object.p == object.q", &object), Verdict::Succeeded);
    assert_eq!(
        judge("object.x.a[0].a[0].a.size() == 1", &object),
        Verdict::Succeeded
    );
}

#[test]
fn unicode_and_empty_keys_are_keys() {
    let object = json!({"": {"": 1}, "ключ": "значение", "🦀": ["\u{0}", "\u{202e}x"]});
    for rule in [
        r#"object[""][""] == 1"#,
        r#"object["ключ"].endsWith("ние")"#,
        r#"object["🦀"][0] == "\u0000" && object["🦀"].exists(x, x.contains("\u202e"))"#,
    ] {
        assert_eq!(judge(rule, &object), Verdict::Succeeded, "{rule}");
    }
}

#[test]
fn no_nesting_overflows_the_stack() {
    // With a small stack here: the parser has its own, and the evaluator must do with little.
    let small = std::thread::Builder::new().stack_size(512 << 10).spawn(|| {
        for (head, middle, tail) in [
            ("(", "true", ")"),
            ("(", "", ""),
            ("[", "", "]"),
            ("{1:", "1", "}"),
            ("f(", "1", ")"),
            ("!(", "true", ")"),
            ("-(", "1", ")"),
            ("object[", "0", "]"),
            ("object.l.all(x,", "true", ")"),
            ("true?(", "true", "):true"),
            ("(\")\"==", "true", ")"),
            ("", "object", ".b"),
            ("", "object", "[0]"),
            ("", "object", ".f()"),
            ("1+", "1", ""),
            ("1<", "1", ""),
            ("!", "true", ""),
            ("-", "1", ""),
            ("true?", "true", ":true"),
            ("true?true:", "true", ""),
            ("true||", "true", ""),
            ("true||true&&", "true", ""),
            ("\"a\\x", "", ""),
            ("", "", "\u{0}"),
            ("é🦀", "", ""),
        ] {
            for times in [16, 64, 100, 2048] {
                let unit = head.len() + tail.len();
                let times = times.min((2048 - middle.len()) / unit);
                let rule = format!("{}{middle}{}", head.repeat(times), tail.repeat(times));
                if let Ok(rules) = Rules::compile("v1", &rule, &rule) {
                    let _verdict = rules.judge(&json!({"l": [1, 2], "b": {"b": {}}}));
                }
            }
        }
    });
    small.unwrap().join().unwrap();
}

/// JSON of every shape, with the keys that rules ask for.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["True", "Complete", "Failed", "Finished", "Succeeded"])
            .prop_map(Value::from),
    ];
    let key = prop_oneof![
        prop::sample::select(vec![
            "status",
            "conditions",
            "type",
            "reason",
            "phase",
            "state",
            "jobStatus",
            "jobDeploymentStatus",
            "applicationState",
        ])
        .prop_map(str::to_owned),
        ".{0,4}",
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|entries| Value::from(
                entries.into_iter().collect::<serde_json::Map<_, _>>()
            )),
        ]
    })
}

/// Text made of the pieces of rules, which gets further into the parser than any text.
fn almost_rule() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "object",
        ".status",
        ".",
        "conditions",
        ".exists(c, ",
        ".all(",
        "c",
        ",",
        ")",
        "(",
        "[",
        "]",
        "{",
        "}",
        "has(",
        "size(",
        "==",
        "!=",
        "<",
        " in ",
        "&&",
        "||",
        "!",
        "-",
        "?",
        ":",
        "\"True\"",
        "'",
        "\"",
        "\\",
        "r\"\"\"",
        "0x",
        "1",
        "1u",
        "1.5e",
        "9223372036854775808",
        "true",
        "null",
        "b'",
        "\n",
        "//",
        "`",
        "@",
        "é",
        "\u{0}",
        "+",
        "%",
        ".?",
        "[?",
        "\\u",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn default_rules_judge_any_json(object in any_json(), status in any_json()) {
        let object = match object {
            Value::Object(mut map) => {
                map.insert("status".to_owned(), status);
                Value::Object(map)
            }
            other => other,
        };
        for (rules, _) in compiled_defaults() {
            let _verdict = rules.judge(&object);
        }
    }

    #[test]
    fn failed_wins_over_succeeded(object in any_json()) {
        for (rules, eager) in compiled_defaults() {
            let (verdict, eager) = (rules.judge(&object), eager.judge(&object));
            match verdict {
                Verdict::Running | Verdict::Succeeded => prop_assert_eq!(eager, Verdict::Succeeded),
                Verdict::Failed => prop_assert_eq!(eager, Verdict::Failed),
                Verdict::Unknown(RuleError::Evaluation { rule: Rule::Succeeded, .. }) => {
                    prop_assert_eq!(eager, Verdict::Succeeded);
                }
                Verdict::Unknown(error) => prop_assert_eq!(eager, Verdict::Unknown(error)),
            }
        }
    }

    #[test]
    fn any_text_compiles_or_is_refused(rule in ".{0,200}") {
        if let Ok(rules) = Rules::compile("v1", &rule, &rule) {
            let _verdict = rules.judge(&json!({"status": {}}));
        }
    }

    #[test]
    fn almost_rules_compile_or_are_refused(rule in almost_rule(), object in any_json()) {
        match Rules::compile("v1", &rule, &rule) {
            Ok(rules) => {
                let _verdict = rules.judge(&object);
            }
            Err(error) => {
                prop_assert!(!error.to_string().is_empty());
                prop_assert!(error.reason().starts_with("Rule"));
            }
        }
    }
}

/// Each default kind's rules, and the same with a `succeeded` that always holds.
fn compiled_defaults() -> &'static [(Rules, Rules)] {
    static RULES: LazyLock<Vec<(Rules, Rules)>> = LazyLock::new(|| {
        let compile = |kind: &KindDefault| {
            (
                Rules::compile(kind.version, kind.succeeded, kind.failed).unwrap(),
                Rules::compile(kind.version, "true", kind.failed).unwrap(),
            )
        };
        defaults().iter().map(compile).collect()
    });
    &RULES
}
