#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test should panic"
)]

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::answer::{Answer, text};
use super::ask::{Target, ask};
use super::question::{Question, of};
use super::{CanArgs, run};
use crate::cluster::Cluster;
use crate::failure::Failure;

const ID: &str = "spiffe://example.org/ns/finance/agent/reader/task/t/u";
const BOUND: Duration = Duration::from_secs(20);

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    cluster: Cluster,
    #[command(flatten)]
    can: CanArgs,
}

fn parsed(more: &[&str]) -> Line {
    let words = ["can", "read", "ledger/invoices/7", "--spiffe-id", ID];
    Line::parse_from(words.iter().chain(more))
}

/// A scripted decision point: answers one question, whatever it is, and gives it back.
struct Scripted {
    listener: TcpListener,
}

impl Scripted {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener }
    }

    fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    async fn answer(self, status: &str, body: &str) -> (String, String) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut seen = Vec::new();
        let whole = loop {
            let mut some = [0; 4096];
            let read = stream.read(&mut some).await.unwrap();
            seen.extend(some.iter().take(read));
            let text = String::from_utf8_lossy(&seen).into_owned();
            let length: Option<usize> = text.lines().find_map(|it| {
                it.to_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            });
            if let (Some((head, body)), Some(length)) = (text.split_once("\r\n\r\n"), length)
                && body.len() == length
            {
                break (head.to_owned(), body.to_owned());
            }
            assert_ne!(read, 0, "{text}");
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        whole
    }
}

/// What comes of `status` and `body`, and what was asked.
async fn exchange(
    status: &str,
    body: &str,
    more: &[&str],
) -> (Result<Answer, String>, String, Value) {
    let scripted = Scripted::new().await;
    let url = scripted.url();
    let line = [&["--decision-point", &url, "--insecure-http"], more].concat();
    let line = parsed(&line);
    let target = Target::new(&line.can.decision_point).unwrap();
    let question = of(&line.cluster, &line.can).await.unwrap();
    let asking = ask(&target, &question, BOUND);
    let (answer, (head, asked)) = tokio::join!(asking, scripted.answer(status, body));
    let answer = answer.map_err(|why| format!("{why:#}"));
    (answer, head, serde_json::from_str(&asked).unwrap())
}

#[tokio::test]
async fn the_question_is_one_of_authzen_and_shows_the_token() {
    let place = TempDir::new().unwrap();
    let token = place.path().join("token");
    std::fs::write(&token, "s3cret.token\n").unwrap();
    let more = [
        "--token-file",
        token.to_str().unwrap(),
        "--delegation",
        "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
        "--tool",
        "post_entry",
        "--audience",
        "finance",
        "--destructive",
        "--bytes",
        "7",
        "--source-ip",
        "::1",
        "--type",
        "document",
    ];
    let body = r#"{"decision": true}"#;
    let (answer, head, asked) = exchange("200 OK", body, &more).await;
    assert!(answer.unwrap().decision);
    assert!(
        head.starts_with("POST /access/v1/evaluation HTTP/1.1"),
        "{head}"
    );
    let head = head.to_lowercase();
    assert!(
        head.contains("authorization: bearer s3cret.token"),
        "{head}"
    );
    assert!(head.contains("content-type: application/json"), "{head}");
    let expected = json!({
        "subject": {"type": "agent", "id": ID},
        "action": {"name": "read"},
        "resource": {"type": "document", "id": "ledger/invoices/7"},
        "context": {
            "delegation": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", "tool": "post_entry",
            "audience": "finance", "bytes": 7, "destructive": true, "sourceIP": "::1",
        },
    });
    assert_eq!(asked, expected);
    let (_, head, asked) = exchange("200 OK", body, &[]).await;
    assert!(!head.to_lowercase().contains("authorization"), "{head}");
    assert_eq!(asked["context"], json!({}));
}

#[tokio::test]
async fn an_answer_is_shown_with_what_decided_it() {
    let body = json!({"decision": false, "context": {
        "id": "9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d", "reason": "ForbiddenByPolicy",
        "explanation": "cluster/guard/night forbids it\u{1b}[2J", "policies": ["cluster/guard/night"],
        "obligations": [{"id": "1", "type": "step-up", "properties": {"acr_value": "x"}}],
        "risk": {"risk": 40, "anomaly": 3, "parts": [{"kind": "falco/x", "score": 40, "why": "y"}]},
        "more": 1,
    }});
    let (answer, ..) = exchange("200 OK", &body.to_string(), &[]).await;
    let answer = answer.unwrap();
    let short = text(&answer, ID, false);
    assert_eq!(
        short,
        "no (ForbiddenByPolicy)\n  \
         cluster/guard/night forbids it\u{fffd}[2J\n  \
         policies      cluster/guard/night\n  \
         obligations   step-up\n  \
         decision      9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d"
    );
    let long = text(&answer, ID, true);
    assert!(
        long.contains("risk          risk 40, anomaly 3, falco/x 40"),
        "{long}"
    );
    assert!(long.contains("what to do\n  a forbid wins"), "{long}");
    assert_eq!(serde_json::to_value(&answer).unwrap(), body, "as it came");
    let bare: Answer = serde_json::from_str(r#"{"decision": true}"#).unwrap();
    assert_eq!(text(&bare, ID, true), "yes");
    let number: Answer =
        serde_json::from_value(json!({"decision": true, "context": {"risk": 7}})).unwrap();
    assert_eq!(text(&number, ID, true), "yes\n  risk          7");
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_that_says_what_to_do() {
    for (status, body, part) in [
        ("200 OK", "", "no answer of a decision point"),
        (
            "200 OK",
            r#"{"decision": "true"}"#,
            "no answer of a decision point",
        ),
        (
            "200 OK",
            r#"{"allowed": true}"#,
            "no answer of a decision point",
        ),
        (
            "400 Bad Request",
            r#""subject.id is missing""#,
            "subject.id is missing",
        ),
        ("401 Unauthorized", r#""no token""#, "--token-file"),
        ("403 Forbidden", r#""not you""#, "not you"),
        ("404 Not Found", "", "no decision point"),
        ("302 Found", r#"{"decision": true}"#, "302"),
        ("503 Service Unavailable", "", "503"),
    ] {
        let (answer, ..) = exchange(status, body, &[]).await;
        let why = answer.expect_err(status);
        assert!(why.contains(part), "{status}: {why}");
    }
    let huge = format!(
        r#"{{"decision": true, "x": "{}"}}"#,
        "x".repeat(2 * 1024 * 1024)
    );
    let (answer, ..) = exchange("200 OK", &huge, &[]).await;
    assert!(answer.expect_err("2 MiB").contains("read the answer"));
}

#[tokio::test]
async fn who_does_not_answer_is_waited_for_no_longer_than_said() {
    let scripted = Scripted::new().await;
    let url = scripted.url();
    let line = parsed(&["--decision-point", &url, "--insecure-http"]);
    let target = Target::new(&line.can.decision_point).unwrap();
    let question = of(&line.cluster, &line.can).await.unwrap();
    let why = ask(&target, &question, Duration::from_millis(50)).await;
    assert!(why.unwrap_err().to_string().contains("no answer within"));
    drop(scripted);
    let why = ask(&target, &question, BOUND).await.unwrap_err();
    assert!(format!("{why:#}").contains("is it there"), "{why:#}");
}

#[tokio::test]
async fn only_tls_or_this_machine_itself_is_asked() {
    let refused = |url: &str, more: &[&str]| {
        let line = parsed(&[&["--decision-point", url], more].concat());
        let made = Target::new(&line.can.decision_point);
        made.err().map(|why| format!("{why:#}"))
    };
    let allow = ["--insecure-http"];
    for url in [
        "http://decisions.example.org",
        "http://10.0.0.1:8443",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "http://[::2]:1",
    ] {
        let why = refused(url, &allow).expect(url);
        assert!(why.contains("without TLS"), "{url}: {why}");
    }
    let why = refused("http://127.0.0.1:1", &[]).unwrap();
    assert!(why.contains("--insecure-http"), "{why}");
    for url in [
        "http://127.0.0.1:1",
        "http://[::1]:1/",
        "http://localhost:1",
    ] {
        assert_eq!(refused(url, &allow), None, "{url}");
    }
    assert_eq!(refused("https://decisions.example.org:8443/", &[]), None);
    for url in [
        "decisions.example.org",
        "ftp://decisions.example.org",
        "https://",
        "https://user:secret@decisions.example.org",
        "https://decisions.example.org?x=1",
        "/path",
        "",
    ] {
        let why = refused(url, &allow).expect(url);
        assert!(why.contains("--decision-point"), "{url}: {why}");
        assert!(!why.contains("secret"), "{why}");
    }
}

#[tokio::test]
async fn a_file_that_holds_something_else_is_refused() {
    let place = TempDir::new().unwrap();
    let file = |name: &str, content: &[u8]| -> PathBuf {
        let path = place.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let refused = |flag: &str, path: &PathBuf| {
        let url = "https://decisions.example.org";
        let line = parsed(&["--decision-point", url, flag, path.to_str().unwrap()]);
        let made = Target::new(&line.can.decision_point);
        made.err().map(|why| format!("{why:#}"))
    };
    for (name, content) in [
        ("empty", b" \n".as_slice()),
        ("lines", b"a\nb"),
        ("words", b"a b"),
        ("binary", b"\xff\xfe"),
        ("large", &[b'a'; 20_000]),
    ] {
        assert!(
            refused("--token-file", &file(name, content)).is_some(),
            "{name}"
        );
    }
    assert_eq!(
        refused("--token-file", &file("good", b"abc.def-_~+/==\n")),
        None
    );
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let why = refused("--ca-file", &file("key", key.as_bytes())).unwrap();
    assert!(why.contains("no certificate"), "{why}");
    assert!(refused("--ca-file", &place.path().join("absent")).is_some());
}

#[tokio::test]
async fn no_is_exit_code_1_and_an_error_2() {
    for (body, outcome) in [
        (r#"{"decision": true}"#, Ok(())),
        (r#"{"decision": false}"#, Err("No")),
        ("junk", Err("Usage")),
    ] {
        let scripted = Scripted::new().await;
        let url = scripted.url();
        let line = parsed(&["--decision-point", &url, "--insecure-http", "-o", "json"]);
        let asking = run(&line.cluster, &line.can);
        let (ran, _) = tokio::join!(asking, scripted.answer("200 OK", body));
        let ran = ran.map_err(|why| match why {
            Failure::No => "No",
            Failure::Usage(_) => "Usage",
            other => panic!("{other:?}"),
        });
        assert_eq!(ran, outcome, "{body}");
    }
}

#[test]
fn a_question_has_nothing_that_was_not_said() {
    let question = Question {
        subject: super::question::Subject {
            kind: "agent",
            id: ID.to_owned(),
        },
        action: super::question::Action {
            name: "read".to_owned(),
        },
        resource: super::question::Resource {
            kind: String::new(),
            id: "a".to_owned(),
        },
        context: super::question::Context::default(),
    };
    let written = serde_json::to_value(&question).unwrap();
    assert_eq!(written["resource"], json!({"type": "", "id": "a"}));
    assert_eq!(written["context"], json!({}));
}
