//! PodCertificateRequests, answered by the program itself with the desk that sidecars ask too.

use countersign_audit::{Kind, Reader};
use countersign_authority::inspect_leaf;
use rcgen::KeyPair;
use serde_json::json;

use super::program::{Issuer, roots};
use crate::decision::setting::spiffe_id;
use crate::harness::DOMAIN;
use crate::pki::verify_by_webpki;
use crate::pod_certificate::asker::hourly;
use crate::pod_certificate::setting::Signing;

#[tokio::test]
async fn a_kubelet_gets_what_a_sidecar_would_and_is_denied_what_it_would_be_refused() {
    let signing = Signing::own().await;
    let world = &signing.world;
    let issuer = Issuer::start(world, "kubelet", &["--pod-certificates"]);
    issuer.ready().await;
    let space = signing.space().await;
    let pod = space.placed_for("reader", "work").await;
    let reader = space.get("reader").await;
    let key = KeyPair::generate().unwrap();
    let chain = space.obtain(&signing, &pod, &key).await;
    let facts = inspect_leaf(chain.as_bytes(), Some(key.serialize_pem().as_bytes())).unwrap();
    assert_eq!(facts.spiffe_id, spiffe_id(&reader));
    let bundle = countersign_authority::Bundle::from_spiffe_json(&roots(world, DOMAIN).await);
    verify_by_webpki(&chain, &bundle.unwrap().pem()).unwrap();
    let log = Reader::open(&issuer.audit).await.unwrap();
    let found = log.by_serial(&facts.serial_number).await.unwrap();
    assert_eq!(found[0].entry.kind, Kind::IdentityIssued);

    // A minute is less than the API server takes.
    let brief = space.placed("brief").await;
    let minute = json!({"spec": {"credential": {"certificateTTLSeconds": 60}}});
    space
        .create_identity(&hourly("brief", "brief", &minute))
        .await;
    space.until_ready("brief").await;
    let name = space.ask(&signing, &brief, &key).await;
    space.denied(&name, "TTLOutOfBounds").await;
    space.finish_job("work", "Succeeded").await;
    space.until_completed("reader").await;
}
