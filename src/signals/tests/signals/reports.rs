//! Falco's alerts, and signals of others' adapters.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use countersign_decision::{Caller, Effect, Signal, SignalSink as _, SignalSubject};
use countersign_signals::{BearerToken, FALCO_PATH, REPORT_PATH, Settings, router};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::push::settings;
use crate::table::{Table, start};
use crate::wire::{Answer, Server, request};

const TOKEN: &str = "a-token-of-falco";
pub(crate) const SENSOR: &str = "spiffe://example.org/ns/security/sensor";
const SENSORS: &str = "spiffe://example.org/ns/sensors/";

/// Stands for the server that terminates mTLS: who calls says so by a header.
pub(crate) async fn authenticated(mut request: Request, next: Next) -> Response {
    let name = request.headers().get("test-caller").cloned();
    if let Some(name) = name {
        request.extensions_mut().insert(Caller {
            name: name.to_str().unwrap().to_owned(),
            vouches: false,
            authoritative: false,
        });
    }
    next.run(request).await
}

async fn world() -> (Arc<Table>, Server) {
    let table = Table::new();
    let settings = Settings {
        falco: vec![BearerToken::new(TOKEN).unwrap()],
        reporters: vec![SENSOR.to_owned(), format!("{SENSORS}*")],
        ..settings(Vec::new())
    };
    let router = router(table.clone(), settings).layer(from_fn(authenticated));
    (table, Server::start(router).await)
}

async fn falco(address: SocketAddr, token: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", bearer.as_str()),
    ];
    request(
        address,
        &format!("POST {FALCO_PATH}"),
        &headers,
        body.as_bytes(),
    )
    .await
}

async fn report(address: SocketAddr, caller: &str, body: &str) -> Answer {
    let headers = [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Test-Caller", caller),
    ];
    request(
        address,
        &format!("POST {REPORT_PATH}"),
        &headers,
        body.as_bytes(),
    )
    .await
}

/// As in Falco's documentation of its JSON output, with the fields of a pod.
fn alert() -> Value {
    json!({
        "hostname": "falco-xczjd",
        "output": "12:00:00.000000000: Notice A shell was spawned in a container (user=root)",
        "priority": "Notice",
        "rule": "Terminal shell in container",
        "source": "syscall",
        "tags": ["T1059", "container", "maturity_stable", "mitre_execution", "shell"],
        "time": start().to_string(),
        "uuid": "f6b0a6a4-4d7c-4bd7-b2d1-6a3d0a1f4f7a",
        "output_fields": {
            "container.id": "ee97d9c4186f",
            "evt.time": 1_796_212_800_000_000_000_u64,
            "k8s.ns.name": "finance",
            "k8s.pod.name": "planner-7d4f",
            "proc.cmdline": "sh -c cat /etc/shadow",
        },
    })
}

pub(crate) fn signal(id: &str) -> Signal {
    Signal {
        id: id.to_owned(),
        source: format!("{SENSOR}/egress"),
        subject: SignalSubject::Agent("spiffe://example.org/ns/finance/agent/planner".to_owned()),
        kind: "egress/unusual".to_owned(),
        severity: 30,
        observed: start(),
        lifetime: SignedDuration::from_mins(30),
        effect: Effect::Risk,
        why: "it talks to hosts that it never talked to".to_owned(),
    }
}

#[tokio::test]
async fn an_alert_about_a_pod_counts_and_one_about_a_host_doesnt() {
    let (table, server) = world().await;
    let answer = falco(server.address, TOKEN, &alert().to_string()).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, r#"{"accepted":1}"#)
    );
    let again = falco(server.address, TOKEN, &alert().to_string()).await;
    assert_eq!(again.status, 200);
    let mut host = alert();
    host["output_fields"]["k8s.pod.name"] = Value::Null;
    let answer = falco(server.address, TOKEN, &host.to_string()).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, r#"{"accepted":0}"#)
    );
    let all = table.all();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].severity, all[0].source.as_str()), (20, "falco"));
}

#[tokio::test]
async fn who_isnt_falco_and_what_is_no_alert_are_refused() {
    let (table, server) = world().await;
    let answer = falco(server.address, "a-token-of-nobody", &alert().to_string()).await;
    assert_eq!(
        (answer.status, answer.err().as_str()),
        (401, "authentication_failed")
    );
    let deep = "[".repeat(10_000);
    let long = " ".repeat(64 * 1024 + 1);
    let changed = |member: &str, value: Value| {
        let mut alert = alert();
        alert[member] = value;
        alert.to_string()
    };
    for (body, status) in [
        (String::new(), 400),
        (deep, 400),
        (long, 413),
        (changed("priority", json!("Terrible")), 400),
        (changed("time", json!("2025-11-24T12:00:00Z")), 400),
        (changed("time", json!(7)), 400),
        (changed("rule", json!("")), 400),
        (changed("output_fields", json!([])), 400),
    ] {
        let answer = falco(server.address, TOKEN, &body).await;
        assert_eq!(
            (answer.status, answer.err().as_str()),
            (status, "invalid_request"),
            "{body}"
        );
    }
    table.full.store(true, Ordering::Relaxed);
    let answer = falco(server.address, TOKEN, &alert().to_string()).await;
    assert_eq!(answer.status, 503);
    assert!(table.all().is_empty());
}

#[tokio::test]
async fn a_reporter_may_say_one_signal_or_many_of_its_own() {
    let (table, server) = world().await;
    let mut over = signal("over");
    over.observed -= over.lifetime;
    let answer = report(server.address, SENSOR, &json!(over).to_string()).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, r#"{"accepted":0}"#)
    );
    let one = json!(signal("1")).to_string();
    let answer = report(server.address, SENSOR, &one).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, r#"{"accepted":1}"#)
    );
    let many: Vec<_> = (1..=1000).map(|it| signal(&it.to_string())).collect();
    let answer = report(server.address, SENSOR, &json!(many).to_string()).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, r#"{"accepted":1000}"#)
    );
    assert_eq!(table.all().len(), 1000);
    assert_eq!(table.all()[0], signal("1"), "times and all");
}

#[tokio::test]
async fn nobody_speaks_for_another() {
    let (table, server) = world().await;
    let one = json!(signal("1")).to_string();
    for caller in ["", "spiffe://example.org/ns/security/sensors", "falco"] {
        let answer = report(server.address, caller, &one).await;
        assert_eq!(
            (answer.status, answer.err().as_str()),
            (403, "access_denied")
        );
    }
    let headers = [("Content-Type", "application/json")];
    let line = format!("POST {REPORT_PATH}");
    let answer = request(server.address, &line, &headers, one.as_bytes()).await;
    assert_eq!(answer.status, 403);
    for source in [
        "falco",
        "spiffe://example.org/ns/security/sensors",
        "https://idp.example.com",
    ] {
        let mut other = signal("1");
        other.source = source.to_owned();
        let answer = report(server.address, SENSOR, &json!(other).to_string()).await;
        assert_eq!(
            (answer.status, answer.err().as_str()),
            (400, "invalid_request")
        );
    }
    assert!(table.all().is_empty());
}

#[tokio::test]
async fn of_a_list_with_a_bad_signal_none_is_taken() {
    let (table, server) = world().await;
    let mut bad = signal("2");
    bad.severity = 101;
    let list = json!([signal("1"), bad]).to_string();
    let answer = report(server.address, SENSOR, &list).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("signal 1: severity"),
        "{}",
        answer.body
    );
    let many: Vec<_> = (0..1001).map(|it| signal(&it.to_string())).collect();
    let many = json!(many).to_string();
    let mut unknown = json!(signal("1"));
    unknown["unknown"] = json!(1);
    for body in [
        "",
        "[",
        "7",
        "[7]",
        "{}",
        "\u{0}",
        &many,
        &unknown.to_string(),
    ] {
        let answer = report(server.address, SENSOR, body).await;
        assert_eq!(answer.status, 400);
    }
    assert!(table.all().is_empty());
}

#[tokio::test]
async fn one_of_many_reporters_reports_under_its_own_name() {
    let (table, server) = world().await;
    let one = format!("{SENSORS}one");
    let own = Signal {
        source: one.clone(),
        ..signal("of one")
    };
    let answer = report(server.address, &one, &json!(own).to_string()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(table.all(), std::slice::from_ref(&own));
    let other = format!("{SENSORS}other");
    let answer = report(server.address, &other, &json!(own).to_string()).await;
    assert_eq!(answer.status, 400, "it speaks for another");
    let answer = report(server.address, "spiffe://example.org/ns/sensor", "{}").await;
    assert_eq!(answer.status, 403);
}
