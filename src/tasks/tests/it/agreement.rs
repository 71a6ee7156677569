//! Our evaluator against cel's own, on random rules and objects.

use cel::{Context, Env};
use countersign_tasks::{RuleError, Rules, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Rules of the parts that both evaluators have.
fn rule() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "object.a",
        "object.b",
        "object.l",
        "object.m",
        "object.m.a",
        "object.m['b']",
        "object.none",
        "object.l[0]",
        "object.l[1]",
        "1",
        "2u",
        "1.5",
        "0",
        "'x'",
        "''",
        "true",
        "false",
        "[1, 'x']",
        "[object.a, object.b]",
        "size(object.l)",
        "object.b.size()",
        "object.l.filter(v, v == object.a)",
        "object.l.map(v, [v])",
    ])
    .prop_map(str::to_owned);
    let value = (value.clone(), value, 0..8).prop_map(|(a, b, operator)| match operator {
        0 => format!("({a} * {b})"),
        1 => format!("({a} - {b})"),
        2 => format!("({a} / {b})"),
        3 => format!("(-{a})"),
        4 => format!("(true ? {a} : {b})"),
        _ => a,
    });
    let comparison = (value.clone(), value, 0..9).prop_map(|(a, b, operator)| match operator {
        0 => format!("{a} != {b}"),
        1 => format!("{a} < {b}"),
        2 => format!("{a} >= {b}"),
        3 => format!("{a} in {b}"),
        4 => format!("{a}.contains({b})"),
        5 => format!("{a}.startsWith({b})"),
        6 => a,
        _ => format!("{a} == {b}"),
    });
    let leaf = prop_oneof![
        6 => comparison,
        1 => Just("has(object.a)".to_owned()),
        1 => Just("has(object.m.none)".to_owned()),
        1 => Just("has(object.none.a)".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let list = prop::sample::select(vec!["object.l", "object.m", "object.none", "[1, 'x', 2]"]);
        prop_oneof![
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            (list.clone(), inner.clone())
                .prop_map(|(l, a)| format!("{l}.exists(e, e == object.a || {a})")),
            (list.clone(), inner.clone()).prop_map(|(l, a)| format!("{l}.all(e, e != 1 && {a})")),
            (list, inner).prop_map(|(l, a)| format!("{l}.exists_one(e, e == 'x' && {a})")),
        ]
    })
}

/// Objects without null, which counts as missing here and not there.
fn object() -> impl Strategy<Value = Value> {
    let scalar = prop::sample::select(vec![
        json!(1),
        json!(0),
        json!(-3),
        json!(i64::MAX),
        json!(1.5),
        json!("x"),
        json!("xy"),
        json!(""),
        json!(true),
        json!(false),
    ]);
    let list = prop::collection::vec(scalar.clone(), 0..4).prop_map(Value::from);
    (
        scalar.clone(),
        prop_oneof![scalar.clone(), list.clone()],
        list,
        scalar,
    )
        .prop_map(|(a, b, l, c)| json!({"a": a, "b": b, "l": l, "m": {"a": c, "b": b, "x": 1}}))
}

/// cel's own conversion makes uints of positive numbers.
fn to_cel(json: &Value) -> cel::Value {
    match json {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match number.as_i64() {
            Some(int) => int.into(),
            None => number.as_f64().unwrap().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(array) => array.iter().map(to_cel).collect::<Vec<_>>().into(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), to_cel(value)))
            .collect::<std::collections::HashMap<_, _>>()
            .into(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn both_evaluators_give_the_same_answer(rule in rule(), object in object()) {
        let Ok(ours) = Rules::compile("v1", &rule, "false") else {
            // Refused when written, for a result that is no bool or too many nested macros.
            return Ok(());
        };
        let ours = ours.judge(&object);
        let program = Env::stdlib().compile(&rule).unwrap();
        let mut context = Context::default();
        context.add_variable_from_value("object", to_cel(&object));
        let theirs = program.execute(&context);
        let agree = match (&ours, &theirs) {
            (Verdict::Succeeded, theirs) => *theirs == Ok(true.into()),
            (Verdict::Running, Ok(theirs)) => *theirs == false.into(),
            // A missing key is false here. Of two faults in one call cel may tell the other one.
            (Verdict::Running, Err(_)) => {
                ["none", "[0]", "[1]", "['b']"].iter().any(|missing| rule.contains(missing))
            }
            (Verdict::Unknown(RuleError::NotBoolean { .. }), Ok(theirs)) => {
                !matches!(theirs, cel::Value::Bool(_))
            }
            (Verdict::Unknown(RuleError::Evaluation { .. }), theirs) => theirs.is_err(),
            _ => false,
        };
        prop_assert!(agree, "{rule} on {object}: {ours:?}, cel says {theirs:?}");
    }
}
