//! Bodies that can't be read.

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};

use crate::client::{Client, EVALUATION, POSTED, settings};
use crate::evaluation::may_read;
use crate::fake::{Fake, yes};

/// Refused at every endpoint, and nothing is asked.
async fn refused(body: impl Into<Bytes>, status: StatusCode) -> String {
    let body: Bytes = body.into();
    let point = Fake::new(yes);
    let client = Client::new(point.clone());
    let mut message = String::new();
    for path in POSTED {
        message = client.post(path, body.clone()).await.refused(status);
    }
    assert!(point.asked.lock().is_empty());
    assert!(point.searched.lock().is_empty());
    message
}

async fn bad(body: impl Into<Bytes>) -> String {
    refused(body, StatusCode::BAD_REQUEST).await
}

#[tokio::test]
async fn an_empty_body_is_refused() {
    for body in ["", " ", "\r\n\t"] {
        assert_eq!(bad(body).await, "the body is empty");
    }
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused() {
    for body in ["[]", "null", "true", "7", "\"{}\"", "[{}]"] {
        let message = bad(body).await;
        assert!(
            message.starts_with("the body must be an object, not "),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused() {
    let cut = may_read().to_string();
    for body in [
        "{",
        "}",
        "{}{}",
        "{\"subject\"}",
        "{'subject': {}}",
        "{\"subject\": {},}",
        "{\"a\": 01}",
        "{\"a\": NaN}",
        "{\"a\": 1e999}",
        "{\"a\": \"\u{1}\"}",
        "{\"subject\": \"\\ud800\"}",
        "\u{feff}{}",
        "subject=alice",
        &cut[..cut.len() - 1],
    ] {
        bad(body.to_owned()).await;
    }
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_is_refused() {
    let mut body = may_read().to_string().into_bytes();
    let place = body.windows(4).position(|it| it == b"read").unwrap();
    body[place] = 0xff;
    assert_eq!(bad(body).await, "the body is not UTF-8");
    assert_eq!(
        bad(vec![0xff, 0xfe, b'{', 0]).await,
        "the body is not UTF-8"
    );
}

#[tokio::test]
async fn a_body_that_nests_ten_thousand_deep_is_refused() {
    let lists = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    for deep in [lists.clone(), objects.clone(), "[".repeat(100_000)] {
        assert_eq!(bad(deep).await, "the body nests deeper than 64 levels");
    }
    for deep in [lists, objects] {
        for at in [
            "/subject",
            "/subject/id",
            "/context/x",
            "/resource/properties",
            "/x",
        ] {
            let mut body = may_read();
            body["context"] = json!({});
            let (parent, member) = at.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap()[member] = json!("DEEP");
            bad(body.to_string().replace("\"DEEP\"", &deep)).await;
        }
    }
}

#[tokio::test]
async fn a_body_may_nest_as_deep_as_it_may() {
    let client = Client::new(Fake::new(yes));
    for (depth, good) in [(63, true), (64, false)] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body = may_read()
            .to_string()
            .replacen('{', &format!("{{\"x\":{deep},"), 1);
        let status = client.post(EVALUATION, body).await.status;
        assert_eq!(status == StatusCode::OK, good);
    }
    let mut settings = settings();
    settings.max_depth = usize::MAX;
    let client = Client::with(Fake::new(yes), settings);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for at in ["x", "context", "subject"] {
        let body = may_read().to_string();
        let body = body.replacen('{', &format!("{{\"{at}\":{deep},"), 1);
        // Nothing overflows, whatever comes of it.
        client.post(EVALUATION, body).await;
    }
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_too_large() {
    let mut body = may_read();
    body["x"] = json!("x".repeat(10 << 20));
    let body = body.to_string();
    refused(body.clone(), StatusCode::PAYLOAD_TOO_LARGE).await;
    // The same without a length in front.
    let parts = body.into_bytes();
    let parts: Vec<_> = parts.chunks(1 << 16).map(Bytes::copy_from_slice).collect();
    let parts = futures::stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>));
    let request = Request::post(EVALUATION)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from_stream(parts));
    let got = Client::new(Fake::new(yes)).send(request.unwrap()).await;
    got.refused(StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_length_that_lies_is_refused_before_anything_is_read() {
    let request = Request::post(EVALUATION)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, "99999999999")
        .body(Body::empty());
    let got = Client::new(Fake::new(yes)).send(request.unwrap()).await;
    got.refused(StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let parts = [
        Ok(Bytes::from("{\"subject\"")),
        Err(std::io::Error::other("gone")),
    ];
    let request = Request::post(EVALUATION)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from_stream(futures::stream::iter(parts)));
    let got = Client::new(Fake::new(yes)).send(request.unwrap()).await;
    got.refused(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_member_that_is_there_twice_is_refused() {
    let good = may_read().to_string();
    for (once, twice) in [
        ("\"action\":{", "\"action\":{\"name\":\"x\"},\"action\":{"),
        (
            "\"type\":\"agent\"",
            "\"type\":\"agent\",\"type\":\"agent\"",
        ),
        ("\"id\":\"ledger", "\"id\":\"a\",\"id\":\"ledger"),
        ("\"id\":\"ledger", "\"id\":\"a\",\"\\u0069d\":\"ledger"),
        (
            "\"id\":\"ledger",
            "\"properties\":{\"a\":1,\"a\":2},\"id\":\"ledger",
        ),
        (
            "\"id\":\"ledger",
            "\"properties\":{\"a\":[],\"a\":2},\"id\":\"ledger",
        ),
        (
            "\"action\":{",
            "\"context\":{\"tool\":\"a\",\"tool\":\"b\"},\"action\":{",
        ),
        ("\"action\":{", "\"context\":{},\"context\":{},\"action\":{"),
    ] {
        let body = good.replace(once, twice);
        assert_ne!(body, good, "{once}");
        bad(body).await;
    }
}

#[tokio::test]
async fn every_member_of_the_wrong_type_is_named() {
    let text = [
        json!(null),
        json!(1),
        json!(-1),
        json!(0.5),
        json!(true),
        json!([]),
        json!({}),
    ];
    let object = [json!(null), json!(1), json!(true), json!([]), json!("x")];
    let whole = [
        json!(null),
        json!("1"),
        json!(-1),
        json!(0.5),
        json!(true),
        json!([]),
        json!({}),
    ];
    let flag = [json!(null), json!("true"), json!(1), json!([]), json!({})];
    let chain = [json!(null), json!(1), json!(true), json!({})];
    let client = Client::new(Fake::new(yes));
    let cases: [(&str, &[Value]); 20] = [
        ("subject", &object),
        ("subject.type", &text),
        ("subject.id", &text),
        ("subject.properties", &object),
        ("action", &object),
        ("action.name", &text),
        ("action.properties", &object),
        ("action.properties.tool", &text),
        ("action.properties.bytes", &whole),
        ("action.properties.destructive", &flag),
        ("resource", &object),
        ("resource.type", &text),
        ("resource.id", &text),
        ("resource.properties", &object),
        ("context", &object),
        ("context.delegation", &chain),
        ("context.sourceIP", &text),
        ("context.tool", &text),
        ("context.bytes", &whole),
        ("context.destructive", &flag),
    ];
    for (at, values) in cases {
        for value in values {
            let mut body = may_read();
            let mut place = &mut body;
            for member in at.split('.') {
                place = &mut place[member];
            }
            *place = value.clone();
            let message = client.refused(EVALUATION, &body).await;
            assert!(
                message.starts_with(&format!("{at} must be ")),
                "{at} {value}: {message}"
            );
        }
    }
    for at in ["audience", "certificate"] {
        for value in &text {
            let mut body = may_read();
            body["context"][at] = value.clone();
            let message = client.refused(EVALUATION, &body).await;
            assert!(
                message.starts_with(&format!("context.{at} must be ")),
                "{message}"
            );
        }
    }
}

#[tokio::test]
async fn every_member_that_is_missing_is_named() {
    let client = Client::new(Fake::new(yes));
    for at in [
        "subject",
        "subject.type",
        "subject.id",
        "action",
        "action.name",
        "resource",
        "resource.type",
        "resource.id",
    ] {
        let mut body = may_read();
        match at.split_once('.') {
            None => body.as_object_mut().unwrap().remove(at),
            Some((entity, member)) => body[entity].as_object_mut().unwrap().remove(member),
        };
        let message = client.refused(EVALUATION, &body).await;
        assert_eq!(message, format!("{at} is missing"));
    }
}
