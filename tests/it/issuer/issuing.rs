//! What a pod gets.

use countersign_runtime::Clock;
use kube::ResourceExt as _;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use serde_json::json;

use super::client::{Sidecar, request, verify};
use super::program::{Issuer, roots};
use super::workload;
use crate::decision::setting::spiffe_id;
use crate::harness::{DOMAIN, World, eventually, job};
use crate::support::{create, uid, unique, with};
use crate::tasks::Kind;

#[tokio::test]
async fn a_pod_gets_a_certificate_of_its_tasks_identity_and_nothing_is_written() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("issue").await;
    let pod = space.working_for("reader", "work").await;
    let before = space.get("reader").await;
    let token = space.token(&pod).await;
    let sidecar = issuer.sidecar(world).await;
    for key in [
        KeyPair::generate().unwrap(),
        KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        KeyPair::generate_for(&PKCS_ED25519).unwrap(),
    ] {
        let asked = Clock::system().now().as_second();
        let issued = sidecar.issue_for(&token, request(&key)).await.unwrap();
        assert_eq!(issued.spiffe_id, spiffe_id(&before));
        assert_eq!(
            verify(&issued, &key),
            70,
            "a minute, and ten seconds before"
        );
        let renewal = issued.renew_at - asked;
        assert!((23..=32).contains(&renewal), "{renewal}");
    }
    let after = space.get("reader").await;
    assert_eq!(before.resource_version(), after.resource_version());
    assert!(after.status.unwrap().certificate.is_none());
}

#[tokio::test]
async fn what_is_above_the_pods_controller_counts_uid_by_uid() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("issue").await;
    let kind = Kind::new("jobset.x-k8s.io", "v1alpha2", "JobSet", "jobsets");
    kind.install(world).await;
    // As the controller of JobSets makes them; only one of the two has an identity.
    for name in ["set", "other"] {
        let set = json!({
            "apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet",
            "metadata": {"name": name},
        });
        let set = create(&kind.tasks(&space), set).await.unwrap();
        let owners = json!([{
            "apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet",
            "name": name, "uid": uid(&set), "controller": true,
        }]);
        let owned = json!({"metadata": {"ownerReferences": owners}});
        space.create_job(&with(&job(name), &owned)).await;
    }
    let other = space.pod_of("other").await;
    let other = space.token(&space.a_pod(&other).await).await;
    let good = space.pod_of("set").await;
    let good = space.token(&space.a_pod(&good).await).await;
    let task = "jobsets.jobset.x-k8s.io/set";
    space
        .create_identity(&workload("runner", task, &json!({})))
        .await;
    let runner = space.until_ready("runner").await;
    let sidecar = issuer.sidecar(world).await;
    let issued = sidecar
        .issue_past(&good, &["NoIdentity", "UnknownPod"])
        .await;
    assert_eq!(issued.unwrap().spiffe_id, spiffe_id(&runner));
    let refused = sidecar.issue_past(&other, &["UnknownPod"]).await;
    assert_eq!(refused.unwrap_err().1, "NoIdentity");
}

#[tokio::test]
async fn a_pod_may_be_the_task_itself() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("issue").await;
    let pod = space.lone("lone").await;
    space
        .create_identity(&workload("one", "pods/lone", &json!({})))
        .await;
    let one = space.until_ready("one").await;
    let token = space.token(&pod).await;
    let sidecar = issuer.sidecar(world).await;
    let issued = sidecar
        .issue_past(&token, &["NoIdentity", "UnknownPod"])
        .await;
    assert_eq!(issued.unwrap().spiffe_id, spiffe_id(&one));
}

#[tokio::test]
async fn of_two_identities_the_sidecar_names_one() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("issue").await;
    let pod = space.working("work").await;
    for name in ["reader", "writer"] {
        space
            .create_identity(&workload(name, "jobs.batch/work", &json!({})))
            .await;
    }
    space.until_ready("reader").await;
    let writer = space.until_ready("writer").await;
    let token = space.token(&pod).await;
    let sidecar = issuer.sidecar(world).await;
    sidecar.until_refused(&token, "SeveralIdentities").await;
    let mut asked = request(&KeyPair::generate().unwrap());
    "writer".clone_into(&mut asked.identity);
    let issued = sidecar.issue_for(&token, asked.clone()).await.unwrap();
    assert_eq!(issued.spiffe_id, spiffe_id(&writer));
    // A name gives a right to nothing, nor does a trust domain's.
    "boss".clone_into(&mut asked.identity);
    let refused = sidecar.issue_for(&token, asked.clone()).await.unwrap_err();
    assert_eq!(refused.1, "NoIdentity");
    "writer".clone_into(&mut asked.identity);
    "elsewhere.org".clone_into(&mut asked.trust_domain);
    let refused = sidecar.issue_for(&token, asked).await.unwrap_err();
    assert_eq!(refused.1, "NoIdentity");
}

#[tokio::test]
async fn a_service_account_alone_is_enough_for_an_identity_that_says_so() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("issue").await;
    space.working("work").await;
    let lone = space.lone("lone").await;
    space
        .create_identity(&workload("strict", "jobs.batch/work", &json!({})))
        .await;
    space.until_ready("strict").await;
    let token = space.token(&lone).await;
    let sidecar = issuer.sidecar(world).await;
    let refused = sidecar.issue_past(&token, &["UnknownPod"]).await;
    assert_eq!(refused.unwrap_err().1, "NoIdentity");
    let by_account = json!({"spec": {"credential": {"workload": {
        "pods": "ServiceAccount", "serviceAccountName": "default",
    }}}});
    space
        .create_identity(&workload("wide", "jobs.batch/work", &by_account))
        .await;
    let wide = space.until_ready("wide").await;
    let issued = sidecar
        .issue_past(&token, &["NoIdentity", "NotReady"])
        .await;
    assert_eq!(issued.unwrap().spiffe_id, spiffe_id(&wide));
}

#[tokio::test]
async fn the_task_narrowed_by_a_service_account_is_for_pods_with_it_only() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("issue").await;
    let pod = space.working("work").await;
    let other = json!({"spec": {"credential": {"workload": {"serviceAccountName": "other"}}}});
    space
        .create_identity(&workload("reader", "jobs.batch/work", &other))
        .await;
    space.until_ready("reader").await;
    let token = space.token(&pod).await;
    let sidecar = issuer.sidecar(world).await;
    let refused = sidecar.issue_past(&token, &["UnknownPod"]).await;
    assert_eq!(refused.unwrap_err().1, "NoIdentity");
}

#[tokio::test]
async fn the_name_that_a_client_asks_for_says_which_trust_domains_issuer_it_meets() {
    let (world, issuer) = Issuer::shared().await;
    let other = world.domain(&unique("second"), json!({})).await;
    world.until_domain_ready(&other).await;
    let (first, second) = (roots(world, DOMAIN).await, roots(world, &other).await);
    let address = &issuer.address;
    eventually("the second trust domain's issuer", async || {
        let met = Sidecar::connect(address, &other, &other, &second).await;
        met.ok()
    })
    .await;
    let met = Sidecar::connect(address, DOMAIN, DOMAIN, &first).await;
    let first_shown = met.unwrap().shown;
    let crossed = Sidecar::connect(address, &other, DOMAIN, &first).await;
    assert!(crossed.is_err());
    let strange = Sidecar::connect(address, "strange.example", DOMAIN, &first).await;
    assert!(strange.is_err(), "nobody is taken for another");
    let again = Sidecar::connect(address, DOMAIN, DOMAIN, &first).await;
    assert_eq!(again.unwrap().shown, first_shown, "it is kept");
}

#[tokio::test]
async fn a_certificate_outlives_neither_its_identitys_deadline_nor_its_bounds() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("issue").await;
    let pod = space.working("work").await;
    let brief = json!({"spec": {
        "activeDeadlineSeconds": 40,
        "credential": {"certificateTTLSeconds": 600},
    }});
    space
        .create_identity(&workload("reader", "jobs.batch/work", &brief))
        .await;
    let reader = space.until_ready("reader").await;
    let deadline = reader.status.unwrap().deadline_time.unwrap().0;
    let token = space.token(&pod).await;
    let sidecar = issuer.sidecar(world).await;
    let issued = sidecar
        .issue_past(&token, &["NoIdentity", "NotReady"])
        .await;
    assert_eq!(issued.unwrap().not_after, deadline.as_second());
}

#[tokio::test]
async fn an_endpoint_issues_from_the_moment_that_it_is_ready() {
    let world = World::shared().await;
    let space = world.space("issue").await;
    let pod = space.working_for("reader", "work").await;
    let token = space.token(&pod).await;
    let issuer = Issuer::start(world, &unique("fresh"), &[]);
    issuer.ready().await;
    let sidecar = issuer.sidecar(world).await;
    sidecar.issue(&token).await.unwrap();
}
