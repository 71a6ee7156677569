//! Searches and their pages.

use axum::http::StatusCode;
use countersign_decision::Caller;
use serde_json::{Value, json};

use crate::client::{Client, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT, gateway, settings};
use crate::fake::{Fake, yes};

fn who_may_read() -> Value {
    json!({
        "subject": {"type": "user"},
        "action": {"name": "read"},
        "resource": {"type": "record", "id": "record-1"}
    })
}

fn what_may_be_read() -> Value {
    json!({
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "read"},
        "resource": {"type": "record"}
    })
}

fn what_may_be_done() -> Value {
    json!({
        "subject": {"type": "user", "id": "alice"},
        "resource": {"type": "record", "id": "record-1"}
    })
}

#[tokio::test]
async fn subjects_are_found() {
    let point = Fake::finding(yes, &["alice", "bob"]);
    let answer = Client::new(point.clone())
        .ask(SEARCH_SUBJECT, &who_may_read())
        .await;
    assert_eq!(
        answer,
        json!({
            "results": [{"type": "user", "id": "alice"}, {"type": "user", "id": "bob"}],
            "page": {"next_token": "", "count": 2}
        })
    );
    let search = point.searched.lock()[0].clone();
    assert_eq!(search.agent, None);
    assert_eq!(search.action.as_deref(), Some("read"));
    assert_eq!(search.resource.unwrap().path, "record-1");
    assert_eq!(search.resource_kind, None);
    assert_eq!(search.after, None);
    assert_eq!(search.limit, 1000);
}

#[tokio::test]
async fn resources_are_found() {
    let point = Fake::finding(yes, &["record-1"]);
    let answer = Client::new(point.clone())
        .ask(SEARCH_RESOURCE, &what_may_be_read())
        .await;
    assert_eq!(
        answer["results"],
        json!([{"type": "record", "id": "record-1"}])
    );
    let search = point.searched.lock()[0].clone();
    assert_eq!(search.agent.as_deref(), Some("alice"));
    assert_eq!(search.action.as_deref(), Some("read"));
    assert_eq!(search.resource, None);
    assert_eq!(search.resource_kind.as_deref(), Some("record"));
}

#[tokio::test]
async fn actions_are_found() {
    let point = Fake::finding(yes, &["read", "write"]);
    let answer = Client::new(point.clone())
        .ask(SEARCH_ACTION, &what_may_be_done())
        .await;
    assert_eq!(
        answer["results"],
        json!([{"name": "read"}, {"name": "write"}])
    );
    let search = point.searched.lock()[0].clone();
    assert_eq!(search.agent.as_deref(), Some("alice"));
    assert_eq!(search.action, None);
    assert_eq!(search.resource.unwrap().kind, "record");
}

#[tokio::test]
async fn what_is_looked_for_is_ignored_where_it_is_named() {
    let point = Fake::finding(yes, &["alice"]);
    let client = Client::new(point.clone());
    for (path, mut body) in [
        (SEARCH_SUBJECT, who_may_read()),
        (SEARCH_RESOURCE, what_may_be_read()),
        (SEARCH_ACTION, what_may_be_done()),
    ] {
        client.ask(path, &body).await;
        body["context"] = json!({"time": "2024-10-26T01:22-07:00"});
        match path {
            SEARCH_SUBJECT => body["subject"]["id"] = json!("x"),
            SEARCH_RESOURCE => body["resource"]["id"] = json!("x"),
            _ => body["action"] = json!({"name": "x"}),
        }
        client.ask(path, &body).await;
        let searched = point.searched.lock();
        let [.., plain, named] = &**searched else {
            panic!("two searches")
        };
        assert_eq!(plain, named);
    }
}

#[tokio::test]
async fn a_subject_of_an_unknown_type_is_nobody() {
    let mut body = who_may_read();
    body["subject"]["type"] = json!("spaceship");
    let client = Client::new(Fake::finding(yes, &["alice"]));
    assert_eq!(
        client.ask(SEARCH_SUBJECT, &body).await["results"],
        json!([])
    );
}

#[tokio::test]
async fn pages_lead_through_all_results_once() {
    let names = ["a", "b", "c", "d", "e"];
    let client = Client::new(Fake::finding(yes, &names));
    for limit in 1..=6 {
        let mut body = who_may_read();
        let mut found = Vec::new();
        let mut pages = 0;
        loop {
            pages += 1;
            body["page"]["limit"] = json!(limit);
            let answer = client.ask(SEARCH_SUBJECT, &body).await;
            let results = answer["results"].as_array().unwrap();
            assert_eq!(answer["page"]["count"], json!(results.len()));
            assert!(results.len() <= limit);
            found.extend(
                results
                    .iter()
                    .map(|it| it["id"].as_str().unwrap().to_owned()),
            );
            match answer["page"]["next_token"].as_str().unwrap() {
                "" => break,
                token => body["page"] = json!({"token": token}),
            }
        }
        assert_eq!(found, names);
        assert_eq!(pages, names.len().div_ceil(limit));
    }
}

#[tokio::test]
async fn a_page_has_no_more_than_the_most() {
    let mut settings = settings();
    settings.max_results = 2;
    let client = Client::with(Fake::finding(yes, &["a", "b", "c"]), settings);
    for page in [json!({}), json!({"limit": 3}), json!({"limit": u64::MAX})] {
        let mut body = who_may_read();
        body["page"] = page;
        let answer = client.ask(SEARCH_SUBJECT, &body).await;
        assert_eq!(answer["results"].as_array().unwrap().len(), 2);
        assert_ne!(answer["page"]["next_token"], json!(""));
    }
}

#[tokio::test]
async fn an_empty_page_says_where_to_go_on() {
    let client = Client::new(Fake::finding(yes, &["a", "b"]));
    let mut body = who_may_read();
    body["page"] = json!({"limit": 0});
    let answer = client.ask(SEARCH_SUBJECT, &body).await;
    assert_eq!(answer["results"], json!([]));
    body["page"] = json!({"token": answer["page"]["next_token"]});
    let answer = client.ask(SEARCH_SUBJECT, &body).await;
    assert_eq!(answer["page"], json!({"next_token": "", "count": 2}));
}

#[tokio::test]
async fn a_token_of_another_search_or_caller_is_refused() {
    let point = Fake::finding(yes, &["a", "b"]);
    let client = Client::new(point.clone());
    let mut body = who_may_read();
    body["page"] = json!({"limit": 1});
    let answer = client.ask(SEARCH_SUBJECT, &body).await;
    let page = json!({"token": answer["page"]["next_token"]});
    body["page"] = page.clone();
    client.ask(SEARCH_SUBJECT, &body).await;

    let other = Caller {
        name: "other".to_owned(),
        ..gateway()
    };
    let other = Client::new(point).asked_by(Some(other));
    assert!(
        other
            .refused(SEARCH_SUBJECT, &body)
            .await
            .contains("page.token")
    );
    body["action"]["name"] = json!("write");
    assert!(
        client
            .refused(SEARCH_SUBJECT, &body)
            .await
            .contains("page.token")
    );
    let mut elsewhere = what_may_be_done();
    elsewhere["page"] = page;
    assert!(
        client
            .refused(SEARCH_ACTION, &elsewhere)
            .await
            .contains("page.token")
    );
}

#[tokio::test]
async fn a_page_that_cant_be_read_is_named() {
    let client = Client::new(Fake::finding(yes, &["a"]));
    for (page, message) in [
        (json!(7), "page must be an object"),
        (json!({"limit": "3"}), "page.limit"),
        (json!({"limit": -1}), "page.limit"),
        (json!({"limit": 1.5}), "page.limit"),
        (json!({"token": 7}), "page.token"),
        (json!({"token": "xyz"}), "page.token"),
        (json!({"properties": []}), "page.properties"),
    ] {
        let mut body = who_may_read();
        body["page"] = page;
        let got = client.refused(SEARCH_SUBJECT, &body).await;
        assert!(got.contains(message), "{got}");
    }
}

#[tokio::test]
async fn what_a_search_needs_is_named_where_it_is_missing() {
    let client = Client::new(Fake::finding(yes, &["a"]));
    for (path, body, missing) in [
        (SEARCH_SUBJECT, who_may_read(), "subject"),
        (SEARCH_SUBJECT, who_may_read(), "subject.type"),
        (SEARCH_SUBJECT, who_may_read(), "action"),
        (SEARCH_SUBJECT, who_may_read(), "action.name"),
        (SEARCH_SUBJECT, who_may_read(), "resource"),
        (SEARCH_SUBJECT, who_may_read(), "resource.type"),
        (SEARCH_SUBJECT, who_may_read(), "resource.id"),
        (SEARCH_RESOURCE, what_may_be_read(), "subject"),
        (SEARCH_RESOURCE, what_may_be_read(), "subject.id"),
        (SEARCH_RESOURCE, what_may_be_read(), "action"),
        (SEARCH_RESOURCE, what_may_be_read(), "resource"),
        (SEARCH_RESOURCE, what_may_be_read(), "resource.type"),
        (SEARCH_ACTION, what_may_be_done(), "subject"),
        (SEARCH_ACTION, what_may_be_done(), "subject.type"),
        (SEARCH_ACTION, what_may_be_done(), "subject.id"),
        (SEARCH_ACTION, what_may_be_done(), "resource"),
        (SEARCH_ACTION, what_may_be_done(), "resource.id"),
    ] {
        let mut body = body;
        match missing.split_once('.') {
            None => body.as_object_mut().unwrap().remove(missing),
            Some((entity, member)) => body[entity].as_object_mut().unwrap().remove(member),
        };
        let got = client.refused(path, &body).await;
        assert_eq!(got, format!("{missing} is missing"));
    }
}

#[tokio::test]
async fn who_doesnt_vouch_may_not_search() {
    let caller = Caller {
        vouches: false,
        ..gateway()
    };
    let point = Fake::finding(yes, &["a"]);
    let client = Client::new(point.clone()).asked_by(Some(caller));
    let got = client
        .post(SEARCH_SUBJECT, who_may_read().to_string())
        .await;
    got.refused(StatusCode::FORBIDDEN);
    assert!(point.searched.lock().is_empty());
}
