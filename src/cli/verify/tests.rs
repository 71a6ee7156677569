#![allow(clippy::unwrap_used, reason = "a failing test should panic")]

use countersign_statement::Statement;
use serde_json::json;

use super::check::{Evidence, Report, check, text};
use super::input::chain;
use crate::fixture::{DOMAIN, Signed, now, plus, spiffe_id};

fn texts(chain: &[Statement]) -> Vec<String> {
    chain.iter().map(|it| it.compact().to_owned()).collect()
}

fn report<'a>(
    statements: &'a [String],
    bundle: &'a str,
    alter: impl FnOnce(&mut Evidence<'a>),
) -> Report {
    let mut evidence = Evidence {
        statements,
        bundle,
        trust_domain: DOMAIN,
        certificate: None,
        revocations: &[],
        agent_signatures: false,
        at: now(),
    };
    alter(&mut evidence);
    check(&evidence).unwrap()
}

#[test]
fn chains_come_in_four_forms() {
    let statements = texts(&Signed::new(DOMAIN).chain());
    let (own, ancestors) = statements.split_last().unwrap();
    let object = json!({
        "apiVersion": "countersign.dev/v1alpha1", "kind": "Delegation", "metadata": {"name": "a"},
        "status": {"statement": own, "ancestors": ancestors},
    });
    let forms = [
        serde_json::to_string(&statements).unwrap(),
        format!("\n{}\n\n", statements.join("\n")),
        object.to_string(),
        serde_saphyr::to_string(&object).unwrap(),
        json!({"kind": "List", "items": [object]}).to_string(),
    ];
    for form in forms {
        assert_eq!(chain(&form).unwrap(), statements, "{form}");
    }
}

#[test]
fn what_is_no_chain_is_told_apart() {
    let pod = json!({"kind": "Pod"}).to_string();
    let pending = json!({"kind": "Delegation", "status": {"conditions": []}}).to_string();
    let two = json!({"kind": "List", "items": [{}, {}]}).to_string();
    for (text, said) in [
        ("", "empty"),
        ("[1]", "no JSON array"),
        ("{", "no JSON"),
        (pod.as_str(), "not a Delegation"),
        (pending.as_str(), "not countersigned"),
        (two.as_str(), "several"),
        ("a.b\nc.d", "kind \"\""),
    ] {
        let why = format!("{:#}", chain(text).unwrap_err());
        assert!(why.contains(said), "{text}: {why}");
    }
}

#[test]
fn a_good_chain_with_its_certificate_is_valid() {
    let signed = Signed::new(DOMAIN);
    let statements = texts(&signed.chain());
    let bundle = signed.bundle();
    let (certificate, _) = signed.certificate(&spiffe_id("finance", "invoice-reader"));
    let found = report(&statements, &bundle, |it| {
        it.certificate = Some(&certificate)
    });
    assert!(found.valid, "{found:?}");
    assert_eq!(
        found.delegate.as_deref(),
        Some(spiffe_id("finance", "invoice-reader").as_str())
    );
    let shown = text(&found);
    assert!(shown.starts_with("HOP  VERDICT  FROM"), "{shown}");
    assert!(
        shown.contains("valid: spiffe://example.org/ns/finance/agent/invoice-reader"),
        "{shown}"
    );
    assert!(shown.contains("revocation was not looked at"), "{shown}");
    assert!(shown.contains("read on ledger/*"), "{shown}");
}

#[test]
fn failures_name_the_hop_and_the_reason() {
    let signed = Signed::new(DOMAIN);
    let chain = signed.chain();
    let statements = texts(&chain);
    let bundle = signed.bundle();
    let expired = report(&statements, &bundle, |it| it.at = plus(901));
    assert_eq!(
        (expired.valid, expired.broken_hop, expired.category),
        (false, Some(1), Some("expired"))
    );
    let shown = text(&expired);
    assert!(shown.contains("1    BROKEN"), "{shown}");
    assert!(
        shown.contains("not valid: hop 1: it expired at 2026-11-24T12:15:00Z"),
        "{shown}"
    );
    let cut = report(statements.get(1..).unwrap(), &bundle, |_| {});
    assert_eq!(cut.category, Some("no-root"));
    let mut forged = statements.clone();
    forged.swap(1, 2);
    assert_eq!(report(&forged, &bundle, |_| {}).broken_hop, Some(1));
    let other = Signed::new(DOMAIN).bundle();
    assert_eq!(
        report(&statements, &other, |_| {}).category,
        Some("unknown-key")
    );
    let junk = report(&["a.b.c".to_owned()], &bundle, |_| {});
    assert!(!junk.valid && junk.broken_hop == Some(0));
    assert!(text(&junk).contains("<unreadable>"));
    assert!(!report(&[], &bundle, |_| {}).valid);
}

#[test]
fn another_agents_certificate_is_refused() {
    let signed = Signed::new(DOMAIN);
    let statements = texts(&signed.chain());
    let bundle = signed.bundle();
    let (certificate, _) = signed.certificate(&spiffe_id("finance", "planner"));
    let found = report(&statements, &bundle, |it| {
        it.certificate = Some(&certificate)
    });
    assert!(
        !found.valid && found.reason.as_deref().unwrap().contains("/agent/planner/"),
        "{found:?}"
    );
    let (theirs, _) = Signed::new(DOMAIN).certificate(&spiffe_id("finance", "invoice-reader"));
    let found = report(&statements, &bundle, |it| it.certificate = Some(&theirs));
    assert_eq!((found.valid, found.category), (false, Some("certificate")));
}

#[test]
fn a_revoked_hop_and_a_hop_that_no_list_covers_are_refused() {
    let signed = Signed::new(DOMAIN);
    let chain = signed.chain();
    let statements = texts(&chain);
    let bundle = signed.bundle();
    let with = |lists: &[String], at| {
        let evidence = Evidence {
            statements: &statements,
            bundle: &bundle,
            trust_domain: DOMAIN,
            certificate: None,
            revocations: lists,
            agent_signatures: false,
            at,
        };
        check(&evidence).unwrap()
    };
    let none = signed.revocations(&[], (0, 1));
    assert!(with(std::slice::from_ref(&none), now()).valid);
    let stale = with(std::slice::from_ref(&none), plus(61));
    assert_eq!((stale.valid, stale.category), (false, Some("stale")));
    let root = signed.revocations(&[chain.get(1).unwrap()], (0, 1));
    let revoked = with(&[root], now());
    assert_eq!(
        (revoked.broken_hop, revoked.category),
        (Some(1), Some("revoked"))
    );
    // One partition of many: it can't speak of all three hops.
    let part = signed.revocations(&[], (7, 65_536));
    assert_eq!(with(&[part], now()).category, Some("revocation-unknown"));
    assert!(!with(&["junk".to_owned()], now()).valid);
}
