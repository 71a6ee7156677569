//! What the world reads of a trust domain.

use countersign_api::{SigningKeyPurpose, SlotState, TrustDomain};
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::setting::{ISSUER, Setting, published};
use crate::harness::{DOMAIN, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documents_are_those_of_the_key_that_signs_and_follow_it_when_it_is_distrusted() {
    let setting = Setting::new().await;
    let client = setting.world.client().await;
    let discovery = setting.get("/agents/.well-known/openid-configuration");
    let discovery = discovery.unwrap();
    assert_eq!(discovery["issuer"], ISSUER);
    assert_eq!(discovery["jwks_uri"], format!("{ISSUER}/keys"));
    let [first] = setting.kids().unwrap().try_into().unwrap();
    let domains = Api::<TrustDomain>::all(client.clone());
    let status = domains.get(DOMAIN).await.unwrap().status.unwrap();
    let listed = status.signing_keys.iter();
    let listed: Vec<_> = listed
        .filter(|it| it.purpose == SigningKeyPurpose::JwtSvids)
        .map(|it| (it.id.clone(), it.slot))
        .collect();
    assert_eq!(listed, [(first.clone(), SlotState::Active)]);

    let space = setting.world.space("jwt").await;
    let pod = space.working_for("reader", "work").await;
    let sidecar = setting.issuer.sidecar(&setting.world).await;
    let token = space.token(&pod).await;
    let signed = async || {
        let issued = sidecar.jwt(&token, &["a"]).await.ok()?;
        let keys = published(client.clone()).await;
        keys.verify(&issued.token, "a", jiff::Timestamp::now()).ok()
    };
    let svid = eventually("a token", signed).await;
    assert_eq!(svid.claims["iss"], ISSUER);

    let patch = json!({"spec": {"authority": {"distrusted": [first]}}});
    domains
        .patch(DOMAIN, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    let second = eventually("the next key", async || {
        let [kid] = setting.kids()?.try_into().ok()?;
        (kid != first).then_some(kid)
    })
    .await;
    let keys = published(client.clone()).await;
    assert_eq!(keys.kids().collect::<Vec<_>>(), [second]);
    eventually("a token by the next key", signed).await;
}
