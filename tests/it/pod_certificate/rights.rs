//! What the API server refuses before the signer sees it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use rcgen::KeyPair;
use serde_json::json;

use super::setting::{NODE, Signing};
use crate::harness::eventually;

fn code(refused: kube::Result<String>) -> (u16, String) {
    match refused {
        Err(kube::Error::Api(status)) => (status.code, status.message.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_forged_proof_and_too_short_a_life_are_refused() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    let pod = space.placed("work").await;
    let key = KeyPair::generate().unwrap();
    let kubelet = signing.kubelet(NODE);
    // So that its view of the pod doesn't lag.
    space.ask(signing, &pod, &key).await;
    let mut forged = space.request(&pod, &key, &json!({})).await;
    *forged.spec.stub_pkc_s10_request.0.last_mut().unwrap() ^= 1;
    let (status, message) = code(space.ask_as(&kubelet, &forged).await);
    assert_eq!(status, 422, "{message}");
    assert!(message.contains("invalid signature"), "{message}");
    forged.spec.stub_pkc_s10_request = ByteString(STANDARD.decode("").unwrap());
    assert_eq!(code(space.ask_as(&kubelet, &forged).await).0, 422);
    let short = json!({"spec": {"maxExpirationSeconds": 3599}});
    let short = space.request(&pod, &key, &short).await;
    assert_eq!(code(space.ask_as(&kubelet, &short).await).0, 422);
}

#[tokio::test]
async fn a_node_asks_for_its_own_pods_alone() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    let pod = space.placed("work").await;
    let request = space
        .request(&pod, &KeyPair::generate().unwrap(), &json!({}))
        .await;
    let refused = space.ask_as(&signing.kubelet("n2"), &request).await;
    assert_eq!(code(refused).0, 403);
}

#[tokio::test]
async fn under_the_policy_nodes_alone_ask() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    signing.guard(&space).await;
    let pod = space.placed_for("reader", "work").await;
    let key = KeyPair::generate().unwrap();
    let request = space.request(&pod, &key, &json!({})).await;
    eventually("the policy", async || {
        let (status, message) = match space.ask_as(&space.client, &request).await {
            Ok(_) => return None, // a policy is not in force at once
            refused => code(refused),
        };
        assert_eq!(status, 403, "{message}");
        assert!(message.contains("by nobody else"), "{message}");
        Some(())
    })
    .await;
    // Other signers are none of its business.
    let other = json!({"spec": {"signerName": "example.com/other"}});
    let other = space.request(&pod, &key, &other).await;
    space.ask_as(&space.client, &other).await.unwrap();
    space.obtain(signing, &pod, &key).await;
}
