//! Texts that are made to exhaust the stack or the time of whoever reads them.

use std::time::Duration;

use super::fixture::{accepts, cluster, lines, refuses};
use crate::depth::{MAX_BRACKETS, MAX_DEPTH, MAX_IFS};
use crate::{MAX_POLICY_BYTES, compile};

fn when(condition: &str) -> String {
    format!("permit (principal, action, resource) when {{ {condition} }};")
}

fn nested(open: &str, close: &str, times: usize) -> String {
    when(&format!(
        "{}true{}",
        open.repeat(times),
        close.repeat(times)
    ))
}

fn chain(first: &str, part: &str, times: usize) -> String {
    when(&format!("{first}{}", part.repeat(times)))
}

#[test]
fn they_are_answered_soon() {
    for text in [
        nested("(", ")", 5_000),
        nested("[", "]", 5_000),
        nested("{a:", "}", 2_500),
        nested("!(", ")", 3_000),
        nested("!", "", 10_000),
        nested("-", "", 10_000),
        nested("[true].contains(", ")", 590),
        nested("if true then ", " else true", 440),
        nested("if true then true else ", "", 440),
        nested("if ", " then true else true", 440),
        chain("true", "&&true", 1_600),
        chain("true", "||false", 1_400),
        chain("1", "==1", 3_000),
        chain("1", "+1", 5_000),
        chain("resource", ".a", 5_000),
        chain("resource", "[\"a\"]", 2_000),
        chain("resource", ".a()", 2_500),
        chain("resource has a", ".a", 5_000),
        "(".repeat(MAX_POLICY_BYTES),
        "\"".repeat(MAX_POLICY_BYTES),
        "permit (principal, action, resource) ".to_owned() + &"when { true } ".repeat(700) + ";",
        (0..1_000)
            .map(|it| format!("@a{it}(\"\")"))
            .collect::<String>()
            + "permit (principal, action, resource);",
        format!(
            "permit (principal, action in [{}Countersign::Action::\"read\"], resource);",
            "Countersign::Action::\"read\",".repeat(320)
        ),
        when(&format!("[{}1].contains(1)", "1,".repeat(5_000))),
        chain("resource in [resource]", " || resource in [resource]", 380),
        when(&format!("resource.path like \"{}\"", "*".repeat(10_000))),
    ] {
        assert!(text.len() <= MAX_POLICY_BYTES, "{}", text.len());
        let start = stopwatch();
        let _either = compile(&cluster(&[&text]));
        let took = start();
        assert!(took < Duration::from_secs(20), "{took:?}: {text:.80}");
    }
}

#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn stopwatch() -> impl Fn() -> Duration {
    let start = std::time::Instant::now();
    move || start.elapsed()
}

#[test]
fn brackets_depth_and_ifs_are_bounded() {
    // The scope's and the condition's own.
    accepts(&nested("(", ")", MAX_BRACKETS - 1));
    let it = refuses(&nested("(", ")", MAX_BRACKETS));
    assert!(it.message.contains("64 brackets"), "{it}");
    assert_eq!((it.line, it.column), (1, 45 + MAX_BRACKETS - 1));
    let it = refuses(&chain("resource.sensitivity == 1", "+1", MAX_DEPTH));
    assert!(it.message.contains("400 deep"), "{it}");
    accepts(&nested(
        "if context.call.destructive then false else ",
        "",
        MAX_IFS,
    ));
    let it = refuses(&nested("if true then ", " else true", MAX_IFS + 1));
    assert!(it.message.contains("6 ifs"), "{it}");
}

#[test]
fn what_is_as_deep_as_it_may_be_is_checked_to_its_bottom() {
    let times = MAX_DEPTH - 8;
    for good in [
        chain("true", " && true", times),
        chain("resource.sensitivity == 1", "+1", times),
    ] {
        accepts(&good);
    }
    for wrong in [
        chain("1", " && true", times),
        chain("context.signals.risk == \"1\"", " || true", times),
        chain("\"a\"", "+1", times),
        chain("0 == \"a\"", "+1", times),
        chain("resource", ".a", times),
        chain("resource", "[\"a\"]", times),
        nested("[1].contains(", ")", MAX_BRACKETS - 1),
        nested("[", "]", MAX_BRACKETS - 1),
        nested("{a:", "}", MAX_BRACKETS - 1),
    ] {
        let problems = compile(&cluster(&[&wrong])).expect_err(&wrong);
        assert!(
            problems.iter().all(|it| !it.message.contains("split")),
            "{}",
            lines(&problems)
        );
    }
}
