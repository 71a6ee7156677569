//! What stays of it: records, and no writes.

use countersign_audit::{Kind, Outcome, Reader};
use countersign_testbed::{FaultProxy, ProxyOptions};

use super::client::Sidecar;
use super::program::{Issuer, roots};
use crate::harness::{DOMAIN, OWNER, World};
use crate::support::{uid, unique};

#[tokio::test]
async fn each_certificate_is_on_record_before_it_is_handed_over() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("audit").await;
    let pod = space.working_for("reader", "work").await;
    let reader = space.get("reader").await;
    let token = space.token(&pod).await;
    let sidecar = issuer.sidecar(world).await;
    let issued = sidecar.issue_past(&token, &["UnknownPod"]).await.unwrap();
    let log = Reader::open(&issuer.audit).await.unwrap();
    let found = log.by_serial(&issued.serial_number).await.unwrap();
    let entry = &found[0].entry;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (entry.kind, entry.outcome),
        (Kind::IdentityIssued, Outcome::Allowed)
    );
    assert_eq!(entry.object.uid, uid(&reader));
    assert_eq!(entry.spiffe_id.as_ref(), Some(&issued.spiffe_id));
    assert_eq!(entry.owner.as_deref(), Some(OWNER));
    assert_eq!(entry.requester.as_ref().unwrap().username, "admin");
    assert_eq!(entry.not_after.unwrap().as_second(), issued.not_after);
    assert!(entry.authority_id.is_some());
    assert_eq!(entry.permissions.len(), 1);
    let task = entry.task.as_ref().unwrap();
    assert_eq!(
        (task.resource.as_str(), task.name.as_str()),
        ("jobs", "work")
    );
    assert!(entry.message.contains(&pod.uid), "{}", entry.message);
}

#[tokio::test]
async fn an_endpoint_writes_nothing_and_asks_nothing_for_a_certificate() {
    let world = World::shared().await;
    let space = world.space("audit").await;
    let pod = space.working_for("reader", "work").await;
    let token = space.token(&pod).await;
    let proxy = FaultProxy::start(world.plane(), ProxyOptions::default()).unwrap();
    let name = unique("counted");
    let issuer = Issuer::by(proxy.kubeconfig(), world.plane().dir(), &name, &[]);
    issuer.ready().await;
    let bundle = roots(world, DOMAIN).await;
    let sidecar = Sidecar::connect(&issuer.address, DOMAIN, DOMAIN, &bundle).await;
    let sidecar = sidecar.unwrap();
    sidecar
        .issue_past(&token, &["UnknownPod", "Stale"])
        .await
        .unwrap();
    proxy.forget_requests();
    for _ in 0..50 {
        sidecar.issue(&token).await.unwrap();
    }
    let asked = proxy.requests();
    let other: Vec<_> = asked
        .iter()
        .filter(|it| !it.query.contains("watch=true"))
        .filter(|it| !it.path.contains("openid"))
        .collect();
    assert!(other.is_empty(), "{other:?}");
    assert_eq!(proxy.mutations(), 0);
    assert!(
        issuer
            .metric("countersign_credentials_issued_total", "X509")
            .await
            >= 51.0
    );
}
