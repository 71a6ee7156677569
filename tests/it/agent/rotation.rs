//! A real authority that changes under sidecars.

use serde_json::json;
use spiffe::TrustDomain;

use super::program::Agent;
use super::setting;
use crate::harness::{DOMAIN, World, eventually};
use crate::issuer::program::Issuer;
use crate::pki::{certificates, handshake, verify_by_webpki};

#[tokio::test]
async fn sidecars_follow_a_rotation_and_pods_understand_one_another_all_the_time() {
    let world = World::own().await;
    let arguments = ["--issuing", "--bundle-propagation-seconds", "2"];
    let operator = world.operator("only", &arguments);
    operator.until_leading().await;
    let issuer = Issuer::start(&world, "only", &[]);
    issuer.ready().await;
    let (space, pod, id) = setting(&world).await;
    let token = space.token(&pod).await;
    let agent = Agent::start(&world, &issuer, &token).await;
    let other = Agent::start(&world, &issuer, &token).await;
    let client = agent.client().await;
    client.fetch_x509_svid().await.unwrap();
    let (first, peer) = (agent.held().await.unwrap(), other.held().await.unwrap());
    assert_eq!(certificates(&first.roots).len(), 1);
    handshake(&first, &peer).await.unwrap();

    let epoch = json!({"spec": {"authority": {"builtIn": {"epoch": 2}}}});
    world.patch_domain(DOMAIN, epoch).await;
    eventually("both roots, and the new one's certificate", async || {
        let (now, peer) = (agent.held().await.unwrap(), other.held().await.unwrap());
        handshake(&now, &peer).await.unwrap();
        handshake(&peer, &now).await.unwrap();
        let both = certificates(&now.roots).len() == 2;
        (both && verify_by_webpki(&now.chain, &first.roots).is_err()).then_some(())
    })
    .await;
    let domain = TrustDomain::try_from(DOMAIN).unwrap();
    let bundles = client.fetch_x509_bundles().await.unwrap();
    let bundle = bundles.get(&domain).unwrap();
    assert_eq!(bundle.authorities().len(), 2);
    let svid = client.fetch_x509_svid().await.unwrap();
    assert_eq!(svid.spiffe_id().to_string(), id);
}
