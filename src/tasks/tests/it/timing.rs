//! Prints what rules cost: `cargo test --release -p countersign-tasks -- --ignored --nocapture`.

use std::{hint::black_box, time::Instant};

use countersign_tasks::{Rules, defaults};
use serde_json::{Value, json};

use super::succeeded;

#[test]
#[ignore = "prints figures, asserts nothing"]
fn what_rules_cost() {
    for (name, status) in [
        (
            "running",
            json!({"active": 1, "ready": 1, "startTime": "2026-11-01T10:00:00Z"}),
        ),
        (
            "complete",
            json!({"conditions": [
                {"type": "SuccessCriteriaMet", "status": "True", "reason": "x", "message": "y"},
                {"type": "Complete", "status": "True", "reason": "x", "message": "y"},
            ]}),
        ),
    ] {
        let job = defaults()
            .iter()
            .find(|kind| kind.group == "batch")
            .unwrap();
        let rules = Rules::compile(job.version, job.succeeded, job.failed).unwrap();
        measure(&format!("judge, Job {name}"), 100_000, || {
            black_box(rules.judge(black_box(&json_job(&status))));
        });
        let object = json_job(&status);
        measure(
            &format!("judge, Job {name}, object made before"),
            100_000,
            || {
                black_box(rules.judge(black_box(&object)));
            },
        );
    }
    for kind in defaults() {
        measure(
            &format!("compile {}.{}", kind.resource, kind.group),
            20,
            || {
                black_box(Rules::compile(kind.version, kind.succeeded, kind.failed).unwrap());
            },
        );
    }
    for (head, middle, tail, times) in [
        ("1+", "1 == 1", "", 1020),
        ("true||", "true", "", 340),
        ("(", "true", ")", 64),
        ("size([", "1", "])", 32),
        ("a?b:a||b&&1<1+1*-(", "1", ")", 64),
        ("((", "", "", 32),
        (".b", "", "", 1000),
    ] {
        let rule = format!("{}{middle}{}", head.repeat(times), tail.repeat(times));
        measure(
            &format!("compile or refuse {} bytes of `{head}`", rule.len()),
            5,
            || {
                let _refused = black_box(Rules::compile("v1", "false", &rule));
            },
        );
    }
    let list: Vec<_> = (0..100_000)
        .map(|i| json!({"type": format!("t{i}")}))
        .collect();
    let text = "a".repeat(4 << 20);
    let keys: serde_json::Map<_, _> = (0..1000)
        .map(|i| (format!("{}{i:03}", "k".repeat(5000)), Value::from(1)))
        .collect();
    let key = format!("{}500", "k".repeat(5000));
    let object = json!({"l": list, "t": text, "u": text, "k": keys, "key": key});
    for rule in [
        "object.l.all(a, object.l.all(b, a != a || a == a))",
        "object.l.map(a, [a, a]).size() == 0",
        "object.l.all(x, object.t == object.u)",
        "object.l.all(x, object.t.contains(object.u))",
        "object.l.all(x, 'ab'.contains('b') && object.t.size() > 0)",
        "object.l.all(x, object.k[object.key] == 1)",
        "object.l.all(x, x.type.field == 1)",
        "object.l.all(x, object.k.exists(a, false) || true)",
    ] {
        let rules = succeeded(rule);
        measure(rule, 10, || {
            black_box(rules.judge(&object));
        });
    }
}

fn json_job(status: &Value) -> Value {
    json!({"metadata": {"name": "x"}, "status": status})
}

#[allow(clippy::print_stdout, reason = "figures are for reading")]
fn measure(name: &str, times: u32, mut run: impl FnMut()) {
    run();
    let start = Instant::now();
    for _ in 0..times {
        run();
    }
    println!("{:>12?}  {name}", start.elapsed() / times);
}
