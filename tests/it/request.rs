//! Delivery Request: the agent keeps its own key, and the chain comes back in status.

use countersign_api::{self as api, AgentIdentity};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType,
};
use serde_json::json;

use crate::harness::{Space, World, identity, job};
use crate::pki::{
    Credential, described, handshake, openssl, pem, pkcs10, verify_by_openssl, verify_by_webpki,
};
use crate::support::{OPERATOR_NAMESPACE, serial, with};

fn asking(name: &str, pkcs10: &str) -> AgentIdentity {
    let patch = json!({"spec": {"credential": {
        "delivery": "Request",
        "request": {"pkcs10": pkcs10},
        "certificateTTLSeconds": 60,
    }}});
    with(&identity(name, "jobs.batch/work"), &patch)
}

fn request(key: &KeyPair) -> String {
    pkcs10(key).pem().unwrap()
}

fn chain(identity: &AgentIdentity) -> String {
    let certificate = identity.status.as_ref().unwrap().certificate.as_ref();
    certificate.unwrap().chain.clone().unwrap()
}

async fn bundle(space: &Space) -> String {
    let bundles = kube::Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(
        space.client.clone(),
        OPERATOR_NAMESPACE,
    );
    bundles
        .get("example.org-bundle")
        .await
        .unwrap()
        .data
        .unwrap()["ca.crt"]
        .clone()
}

#[tokio::test]
async fn the_chain_comes_in_status_and_there_is_no_secret() {
    let world = World::shared().await;
    let space = world.space("request").await;
    space.create_job(&job("work")).await;
    let roots = bundle(&space).await;
    for (name, key) in [
        ("p256", KeyPair::generate().unwrap()),
        (
            "p384",
            KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        ),
        ("ed25519", KeyPair::generate_for(&PKCS_ED25519).unwrap()),
    ] {
        space.create_identity(&asking(name, &request(&key))).await;
        let it = space.until_ready(name).await;
        let credential = Credential {
            chain: chain(&it),
            key: key.serialize_pem(),
            roots: roots.clone(),
        };
        verify_by_webpki(&credential.chain, &roots).unwrap();
        verify_by_openssl(&credential.chain, &roots).await.unwrap();
        handshake(&credential, &credential).await.unwrap();
        assert!(it.status.unwrap().secret.is_none());
        assert!(space.secret(&format!("{name}-identity")).await.is_none());
    }
}

#[tokio::test]
async fn the_chain_leaves_the_status_when_the_task_is_over() {
    let world = World::shared().await;
    let space = world.space("request").await;
    space.create_job(&job("work")).await;
    let key = KeyPair::generate().unwrap();
    space.create_identity(&asking("own", &request(&key))).await;
    let issued = space.until_ready("own").await;
    space.finish_job("work", "Succeeded").await;
    assert_eq!(space.until_completed("own").await, "TaskSucceeded");
    let over = space.get("own").await;
    assert_eq!(serial(&over), serial(&issued), "its record stays");
    let certificate = over.status.unwrap().certificate.unwrap();
    assert_eq!((certificate.chain, certificate.renewal_time), (None, None));
}

#[tokio::test]
async fn a_renewal_certifies_the_same_key_and_a_suspension_takes_the_chain() {
    let world = World::shared().await;
    let space = world.space("request").await;
    space.create_job(&job("work")).await;
    let key = KeyPair::generate().unwrap();
    space.create_identity(&asking("own", &request(&key))).await;
    let before = space.until_ready("own").await;
    let longer = json!({"spec": {"credential": {"certificateTTLSeconds": 120}}});
    space.patch("own", longer).await;
    let after = space
        .until("own", "renewed", |it| serial(it) != serial(&before))
        .await;
    let public = |it: &AgentIdentity| {
        let certificate = it.status.as_ref().unwrap().certificate.as_ref();
        certificate.unwrap().public_key_sha256.clone()
    };
    assert_eq!(public(&after), public(&before));
    assert_ne!(chain(&after), chain(&before));

    space
        .patch("own", json!({"spec": {"desiredState": "Suspended"}}))
        .await;
    let it = space
        .until("own", "suspended", |it| crate::support::is(it, "Suspended"))
        .await;
    assert!(it.status.unwrap().certificate.unwrap().chain.is_none());
    space
        .patch("own", json!({"spec": {"desiredState": "Active"}}))
        .await;
    let back = space.until_ready("own").await;
    assert_ne!(serial(&back), serial(&after));
}

#[tokio::test]
async fn a_request_gives_nothing_but_its_key() {
    let world = World::shared().await;
    let space = world.space("request").await;
    space.create_job(&job("work")).await;
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["api.example.com".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "admin");
    params
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    let forged = "spiffe://example.org/ns/finance/agent/boss/task/x/y";
    params
        .subject_alt_names
        .push(SanType::URI(forged.try_into().unwrap()));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    let pkcs10 = params.serialize_request(&key).unwrap().pem().unwrap();
    assert!(
        openssl(&["req", "-noout", "-text"], &pkcs10)
            .await
            .unwrap()
            .contains("system:masters")
    );

    space.create_identity(&asking("sly", &pkcs10)).await;
    let chain = chain(&space.until_ready("sly").await);
    let described = described(&chain).await;
    for word in [
        "admin",
        "masters",
        "api.example.com",
        "boss",
        "CA:TRUE",
        "Code Signing",
        "Certificate Sign",
    ] {
        assert!(!described.contains(word), "{word}:\n{described}");
    }
    assert_eq!(described.matches("URI:").count(), 1);
    let public = ["-noout", "-pubkey"];
    assert_eq!(
        openssl(&["x509", public[0], public[1]], &chain)
            .await
            .unwrap(),
        openssl(&["req", public[0], public[1]], &pkcs10)
            .await
            .unwrap(),
    );
}

#[tokio::test]
async fn a_request_that_proves_nothing_is_refused_and_says_why() {
    let world = World::shared().await;
    let space = world.space("request").await;
    space.create_job(&job("work")).await;
    let key = KeyPair::generate().unwrap();
    let mut der = pkcs10(&key).der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let forged = pem("CERTIFICATE REQUEST", &der);
    let weak = [
        "req",
        "-new",
        "-batch",
        "-nodes",
        "-subj",
        "/",
        "-newkey",
        "rsa:1024",
        "-keyout",
        "/dev/null",
    ];
    let weak = openssl(&weak, "").await.unwrap();
    let odd = [
        "req",
        "-new",
        "-batch",
        "-nodes",
        "-subj",
        "/",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:secp256k1",
        "-keyout",
        "/dev/null",
    ];
    let odd = openssl(&odd, "").await.unwrap();
    for (name, pkcs10, reason, words) in [
        (
            "forged",
            forged.as_str(),
            "BadCertificateRequest",
            "signature",
        ),
        ("weak", &weak, "WeakKey", "2048"),
        ("odd", &odd, "WeakKey", "use ECDSA P-256"),
        ("noise", "open sesame", "BadCertificateRequest", ""),
        (
            "other",
            &key.serialize_pem(),
            "BadCertificateRequest",
            "CERTIFICATE REQUEST",
        ),
    ] {
        space.create_identity(&asking(name, pkcs10)).await;
        let message = space.until_refused(name, reason).await;
        assert!(message.contains(words), "{name}: {message}");
        let it = space.get(name).await;
        assert_eq!(serial(&it), "");
        assert!(
            !serde_json::to_string(&it.status)
                .unwrap()
                .contains("PRIVATE")
        );
    }
}

#[tokio::test]
async fn what_pods_may_have_is_ready_at_one_write_and_over_with_its_task() {
    let world = World::shared().await;
    let space = world.space("workload").await;
    space.create_job(&job("work")).await;
    let patch =
        json!({"spec": {"credential": {"delivery": "Workload", "certificateTTLSeconds": 60}}});
    let object = with(&identity("pod", "jobs.batch/work"), &patch);
    space.create_identity(&object).await;
    let ready = space.until_ready("pod").await;
    let status = ready.status.clone().unwrap();
    assert!(status.certificate.is_none() && status.secret.is_none());
    let condition = status.conditions.iter().find(|it| it.type_ == "Ready");
    assert_eq!(condition.unwrap().reason, "Issuable");
    let task = status.task.unwrap();
    assert_eq!(task.outcome, Some(api::TaskOutcome::Running));
    let id = status.spiffe_id.unwrap();
    assert!(id.contains(&task.uid.unwrap()), "{id}");
    assert!(id.ends_with(&ready.metadata.uid.clone().unwrap()), "{id}");
    assert!(status.deadline_time.is_some());
    space.finish_job("work", "Succeeded").await;
    assert_eq!(space.until_completed("pod").await, "TaskSucceeded");
    let status = space.get("pod").await.status.unwrap();
    assert_eq!(status.spiffe_id, Some(id));
}
