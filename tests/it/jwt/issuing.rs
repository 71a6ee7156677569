//! What a pod gets, and until when.

use countersign_api::AgentIdentity;
use countersign_audit::{Entry, Kind, Outcome, Reader};
use serde_json::{Value, json};

use super::setting::{OVER, published};
use crate::decision::setting::spiffe_id;
use crate::harness::eventually;
use crate::issuer::program::Issuer;
use crate::support::uid;

#[tokio::test]
async fn a_pod_gets_a_token_of_its_tasks_identity_until_the_task_is_over() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("jwt").await;
    let pod = space.working_for("reader", "work").await;
    let identity = space.get("reader").await;
    let sidecar = issuer.sidecar(world).await;
    let token = space.token(&pod).await;
    let issued = eventually("a token", async || {
        sidecar.jwt(&token, &["one", "two"]).await.ok()
    })
    .await;
    let now = jiff::Timestamp::now();
    let keys = published(space.client.clone()).await;
    let svid = keys.verify(&issued.token, "two", now).unwrap();
    assert_eq!(svid.subject.as_str(), spiffe_id(&identity));
    assert_eq!(issued.spiffe_id, spiffe_id(&identity));
    assert_eq!(svid.expires_at.as_second(), issued.not_after);
    let lifetime = issued.not_after - svid.claims["iat"].as_i64().unwrap();
    assert_eq!(lifetime, 60, "as long as its certificates");
    assert!(
        !svid.claims.contains_key("iss"),
        "the trust domain has none"
    );
    assert!(keys.verify(&issued.token, "three", now).is_err());

    let none: [&str; 0] = [];
    let (many, long) = (["a"; 17], "a".repeat(2049));
    for audience in [&none[..], &[""], &many, &[&long]] {
        let refused = sidecar.jwt(&token, audience).await.unwrap_err();
        assert_eq!(refused, "BadRequest");
    }
    let jti = &svid.claims["jti"];
    on_record(issuer, &identity, jti, &issued.token).await;

    let suspend = |state: &str| json!({"spec": {"desiredState": state}});
    space.patch("reader", suspend("Suspended")).await;
    sidecar.until_no_jwt(&token, &["IdentitySuspended"]).await;
    space.patch("reader", suspend("Active")).await;
    let resumed = eventually("a token again", async || {
        sidecar.jwt(&token, &["one"]).await.ok()
    });
    let resumed = resumed.await;
    space.finish_job("work", "Succeeded").await;
    sidecar.until_no_jwt(&token, &OVER).await;
    // Nobody can call it back: it is over within its minute.
    let at = jiff::Timestamp::from_second(resumed.not_after).unwrap();
    assert!(keys.verify(&resumed.token, "one", at).is_err());
}

/// What is on record of a token: its id, and nothing that is a key to anything.
async fn on_record(issuer: &Issuer, identity: &AgentIdentity, jti: &Value, token: &str) {
    let log = Reader::open(&issuer.audit).await.unwrap();
    let all = log.unexpired(jiff::Timestamp::now()).await.unwrap();
    let mut all = all.iter().map(|it| &it.entry);
    let of_token = |it: &&Entry| it.object.uid == uid(identity) && it.reason == "TokenIssued";
    let entry = all.find(of_token).unwrap();
    assert_eq!(
        (entry.kind, entry.outcome),
        (Kind::IdentityIssued, Outcome::Allowed)
    );
    assert!(entry.message.contains(jti.as_str().unwrap()));
    assert!(entry.message.contains("for one, two"), "{}", entry.message);
    assert_eq!(entry.serial_number, None);
    let signature = token.rsplit('.').next().unwrap();
    assert!(!serde_json::to_string(entry).unwrap().contains(signature));
}
