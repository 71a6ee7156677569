//! A real Keycloak as a relying party: an agent is a client of it, by its JWT-SVID in place of a
//! client secret. Skipped, and says so, where there is no Keycloak and none can be fetched;
//! `REQUIRE_KEYCLOAK=1` makes that a failure.

use std::time::Duration;

use countersign_testbed::{Keycloak, KeycloakAnswer, Wanted, left_out};
use http::{Method, StatusCode};
use serde_json::json;

use super::setting::{ISSUER, OVER, Setting};
use crate::decision::setting::spiffe_id;
use crate::harness::{DOMAIN, eventually, within};
use crate::issuer::workload;

const REALM: &str = "agents";
const ALIAS: &str = "countersign";
const CLIENT: &str = "reader";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_keycloak_takes_an_agent_for_a_client_by_its_jwt_svid_until_its_task_is_over() {
    let keycloak = match Keycloak::start(&[]).await {
        Ok(keycloak) => keycloak,
        Err(why) => return left_out(Wanted::Keycloak, format!("there is no Keycloak: {why:#}")),
    };
    let setting = Setting::new().await;
    let space = setting.world.space("jwt").await;
    for (job, name) in [("work", "reader"), ("other", "stranger")] {
        space.working(job).await;
        let identity = workload(name, &format!("jobs.batch/{job}"), &json!({}));
        space.create_identity(&identity).await;
    }
    let reader = space.until_ready("reader").await;
    space.until_ready("stranger").await;
    realm(&keycloak, &setting.url("/agents/keys"), &spiffe_id(&reader)).await;
    let sidecar = setting.issuer.sidecar(&setting.world).await;
    let pods_token = async |job: &str| {
        let pod = space.pod_of(job).await;
        space.token(&space.a_pod(&pod).await).await
    };
    let (work, other) = (pods_token("work").await, pods_token("other").await);
    let svid = async |token: &str, audience: &str| {
        let issued = eventually("a JWT-SVID", async || {
            sidecar.jwt(token, &[audience]).await.ok()
        });
        issued.await
    };
    let here = format!("{}/realms/{REALM}", keycloak.url());

    // The agent, by nothing but its pod.
    let good = svid(&work, &here).await;
    let answer = log_in(&keycloak, &good.token).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.body["token_type"], "Bearer");
    assert!(answer.body["access_token"].is_string());

    // For somebody else, of somebody else, and altered.
    let elsewhere = svid(&work, ISSUER).await.token;
    let strangers = svid(&other, &here).await.token;
    let (head, signature) = good.token.rsplit_once('.').unwrap();
    let (_, others_signature) = strangers.rsplit_once('.').unwrap();
    assert_ne!(signature, others_signature);
    let altered = format!("{head}.{others_signature}");
    for bad in [&elsewhere, &strangers, &altered] {
        let answer = log_in(&keycloak, bad).await;
        assert!(answer.status.is_client_error(), "{answer:?}");
        assert!(answer.body.get("access_token").is_none());
    }

    // The task ends: there is no new one, and what is out there is over within its minute.
    space.finish_job("work", "Succeeded").await;
    assert_eq!(space.until_completed("reader").await, "TaskSucceeded");
    sidecar.until_no_jwt(&work, &OVER).await;
    let minute = Duration::from_secs(75);
    let refused = within(minute, "the end of the token", async || {
        let answer = log_in(&keycloak, &good.token).await;
        let over = jiff::Timestamp::now().as_second() >= good.not_after;
        assert!(over || answer.status == StatusCode::OK, "{answer:?}");
        answer.status.is_client_error().then_some(answer)
    })
    .await;
    eprintln!("after the end: {} {}", refused.status, refused.body);
}

/// A realm that trusts the trust domain, and a client that is this agent.
async fn realm(keycloak: &Keycloak, keys: &str, id: &str) {
    let realm = json!({
        "realm": REALM, "enabled": true, "sslRequired": "none",
        "identityProviders": [{
            "alias": ALIAS, "providerId": "spiffe", "enabled": true,
            "config": {
                "trustDomain": format!("spiffe://{DOMAIN}"), "bundleEndpoint": keys,
            },
        }],
        "clients": [{
            "clientId": CLIENT, "enabled": true, "publicClient": false,
            "serviceAccountsEnabled": true, "standardFlowEnabled": false,
            "clientAuthenticatorType": "federated-jwt",
            "attributes": {"jwt.credential.issuer": ALIAS, "jwt.credential.sub": id},
        }],
    });
    keycloak
        .admin(Method::POST, "/admin/realms", Some(&realm))
        .await
        .unwrap();
}

async fn log_in(keycloak: &Keycloak, token: &str) -> KeycloakAnswer {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", token),
    ];
    let path = format!("/realms/{REALM}/protocol/openid-connect/token");
    keycloak.form(&path, &form).await.unwrap()
}
