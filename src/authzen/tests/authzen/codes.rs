//! Who may ask, how, and what comes back with every answer.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use countersign_decision::Reason;

use crate::client::{Client, EVALUATION, POSTED};
use crate::evaluation::may_read;
use crate::fake::{Fake, answer, yes};

#[tokio::test]
async fn nobody_asks_without_a_name() {
    let point = Fake::new(yes);
    let client = Client::new(point.clone()).asked_by(None);
    for path in POSTED {
        let got = client.post(path, may_read().to_string()).await;
        got.refused(StatusCode::UNAUTHORIZED);
        assert_eq!(got.headers[header::WWW_AUTHENTICATE], "Bearer");
    }
    assert!(point.asked.lock().is_empty());
}

#[tokio::test]
async fn what_the_caller_may_not_ask_is_forbidden() {
    let client = Client::new(Fake::new(|_| answer(false, Reason::CallerNotAllowed)));
    let got = client.post(EVALUATION, may_read().to_string()).await;
    got.refused(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn other_methods_are_refused_with_those_that_are_allowed() {
    let client = Client::new(Fake::new(yes));
    let metadata = "/.well-known/authzen-configuration";
    for (path, method, allow) in [
        (EVALUATION, Method::GET, "POST"),
        (EVALUATION, Method::PUT, "POST"),
        (POSTED[4], Method::DELETE, "POST"),
        (metadata, Method::POST, "GET,HEAD"),
    ] {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("x-request-id", "7").body(Body::empty());
        let got = client.send(request.unwrap()).await;
        got.refused(StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(got.headers[header::ALLOW], allow);
        assert_eq!(got.headers["x-request-id"], "7");
    }
}

#[tokio::test]
async fn the_content_must_be_json() {
    let client = Client::new(Fake::new(yes));
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/jsonx"),
        Some(""),
    ] {
        let mut request = Request::post(EVALUATION);
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(may_read().to_string().into()).unwrap();
        let message = client.send(request).await.refused(StatusCode::BAD_REQUEST);
        assert!(message.contains("application/json"), "{message}");
    }
    let request = Request::post(EVALUATION)
        .header(header::CONTENT_TYPE, "application/json; charset=UTF-8")
        .body(may_read().to_string().into());
    client.send(request.unwrap()).await.json();
}

#[tokio::test]
async fn the_content_must_not_be_coded() {
    let request = Request::post(EVALUATION)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_ENCODING, "gzip")
        .body(may_read().to_string().into());
    let got = Client::new(Fake::new(yes)).send(request.unwrap()).await;
    got.refused(StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn the_name_of_a_request_comes_back_whatever_comes_of_it() {
    let answered = Client::new(Fake::new(yes));
    let unknown = Client::new(Fake::new(yes)).asked_by(None);
    let good = may_read().to_string();
    let long = "x".repeat(2000);
    for (client, body, status) in [
        (&answered, &*good, 200),
        (&answered, "{", 400),
        (&unknown, &*good, 401),
    ] {
        for id in ["bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "a b", "ü", &*long] {
            let id = HeaderValue::from_bytes(id.as_bytes()).unwrap();
            let request = Request::post(EVALUATION)
                .header(header::CONTENT_TYPE, "application/json")
                .header("X-Request-ID", &id)
                .body(body.to_owned().into());
            let got = client.send(request.unwrap()).await;
            assert_eq!(got.status.as_u16(), status);
            assert_eq!(got.headers["x-request-id"], id);
        }
    }
}

#[tokio::test]
async fn without_a_name_a_request_is_answered_all_the_same() {
    let got = Client::new(Fake::new(yes))
        .post(EVALUATION, may_read().to_string())
        .await;
    assert_eq!(got.status, StatusCode::OK);
    assert!(!got.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn the_name_of_a_request_goes_into_the_question_if_a_log_can_take_it() {
    let long = "x".repeat(257);
    for (id, expected) in [
        ("7-a", Some("7-a")),
        ("ü", None),
        ("", None),
        (&*long, None),
    ] {
        let point = Fake::new(yes);
        let request = Request::post(EVALUATION)
            .header(header::CONTENT_TYPE, "application/json")
            .header(
                "x-request-id",
                HeaderValue::from_bytes(id.as_bytes()).unwrap(),
            )
            .body(may_read().to_string().into());
        Client::new(point.clone()).send(request.unwrap()).await;
        assert_eq!(point.question().call.request_id.as_deref(), expected);
    }
}
