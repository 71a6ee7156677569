//! The metadata.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use countersign_authzen::{BaseUrl, Settings};
use serde_json::json;

use crate::client::{Client, EVALUATION};
use crate::evaluation::may_read;
use crate::fake::{Fake, yes};

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn the_metadata_say_where_everything_is_to_everybody() {
    let client = Client::new(Fake::new(yes)).asked_by(None);
    let got = client.send(get("/.well-known/authzen-configuration")).await;
    assert_eq!(
        got.json(),
        json!({
            "policy_decision_point": "https://pdp.example.com",
            "access_evaluation_endpoint": "https://pdp.example.com/access/v1/evaluation",
            "access_evaluations_endpoint": "https://pdp.example.com/access/v1/evaluations",
            "search_subject_endpoint": "https://pdp.example.com/access/v1/search/subject",
            "search_resource_endpoint": "https://pdp.example.com/access/v1/search/resource",
            "search_action_endpoint": "https://pdp.example.com/access/v1/search/action"
        })
    );
}

#[tokio::test]
async fn a_path_of_the_base_comes_after_the_well_known_one() {
    let base = BaseUrl::parse("https://pdp.example.com:8443/tenant1").unwrap();
    let client = Client::with(Fake::new(yes), Settings::new(base));
    let metadata = get("/.well-known/authzen-configuration/tenant1");
    let metadata = client.send(metadata).await.json();
    let base = "https://pdp.example.com:8443/tenant1";
    assert_eq!(metadata["policy_decision_point"], json!(base));
    let endpoint = format!("{base}{EVALUATION}");
    assert_eq!(metadata["access_evaluation_endpoint"], json!(endpoint));
    let answer = client
        .ask("/tenant1/access/v1/evaluation", &may_read())
        .await;
    assert_eq!(answer["decision"], json!(true));
    for elsewhere in ["/.well-known/authzen-configuration", EVALUATION] {
        let got = client.send(get(elsewhere)).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND);
    }
}
