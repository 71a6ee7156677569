//! Trust domains: their authorities, and the bundle that verifiers go by.

use countersign_api::{SlotState, TrustDomain};
use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::ClusterTrustBundle;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, Patch, PatchParams};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};

use crate::harness::{Space, World, eventually, identity, job};
use crate::pki::{Credential, certificates, verify_by_openssl, verify_by_webpki};
use crate::support::{
    OPERATOR_NAMESPACE, create, delete, find, is, replace, serial, uid, unique, until, until_gone,
    version, with,
};

const SECRET: &str = "reader-identity";

async fn config_maps(world: &World) -> Api<ConfigMap> {
    // The namespace is the operator's to make.
    world.until_domain_ready(crate::harness::DOMAIN).await;
    Api::namespaced(world.client().await, OPERATOR_NAMESPACE)
}

async fn trust_bundles(world: &World) -> Api<ClusterTrustBundle> {
    Api::all(world.client().await)
}

/// A running agent of a trust domain of one's own.
async fn agent(world: &World, domain: &str) -> Space {
    let space = world.space_in("domain", domain).await;
    let patch = json!({"spec": {"trustDomainRef": {"name": domain}}});
    space.running("reader", patch).await;
    space
}

async fn credential(space: &Space) -> Credential {
    Credential::of(&space.secret(SECRET).await.unwrap())
}

pub(crate) fn active(domain: &TrustDomain) -> String {
    let authorities = &domain.status.as_ref().unwrap().authorities;
    let active = authorities.iter().find(|it| it.slot == SlotState::Active);
    active.map_or_else(String::new, |it| it.id.clone())
}

/// A root and an issuing authority below it, in PEM: chain, key, root.
pub(crate) struct Own {
    pub(crate) chain: String,
    key: String,
    pub(crate) root: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Own {
    pub(crate) fn new(name: &str) -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root = params(&format!("{name} root"));
        let root_pem = root.self_signed(&root_key).unwrap().pem();
        let mut own = Self {
            chain: String::new(),
            key: String::new(),
            root: root_pem,
            issuer: Issuer::new(root, root_key),
        };
        own.renew(name);
        own
    }

    /// Another issuing authority below the same root.
    pub(crate) fn renew(&mut self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let issuing = params(&format!("{name} issuing"));
        self.chain = issuing.signed_by(&key, &self.issuer).unwrap().pem();
        self.key = key.serialize_pem();
    }

    pub(crate) fn secret(&self, name: &str, labels: &Value) -> Value {
        json!({
            "metadata": {"name": name, "labels": labels},
            "stringData": {"tls.crt": self.chain, "tls.key": self.key, "ca.crt": self.root},
        })
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

pub(crate) fn by_secret(name: &str) -> Value {
    json!({"spec": {"authority": {"builtIn": null, "secretRef": {"name": name}}}})
}

#[tokio::test]
async fn a_trust_domain_makes_its_authority_and_keeps_it_in_a_labelled_secret() {
    let world = World::shared().await;
    let name = world.domain("built-in", json!({})).await;
    let domain = world.until_domain_ready(&name).await;
    for kind in [
        "Ready",
        "BundlePublished",
        "PoliciesInstalled",
        "ClockSynchronized",
    ] {
        assert!(is(&domain, kind), "{kind}: {:?}", domain.status);
    }
    let secret = world
        .operator_secrets()
        .await
        .get(&format!("{name}-authority"))
        .await
        .unwrap();
    assert_eq!(
        secret.metadata.labels.unwrap()["countersign.dev/authority"],
        name
    );
    assert!(
        secret.metadata.owner_references.is_none(),
        "deleting a trust domain destroys no key"
    );
    let status = serde_json::to_string(&domain.status).unwrap();
    assert!(!status.contains("PRIVATE"));
    assert!(!active(&domain).is_empty());
}

#[tokio::test]
async fn an_authority_of_ones_own_signs_and_what_replaces_it_issues_anew() {
    let world = World::shared().await;
    let (name, secret_name) = (unique("own"), unique("corporate"));
    let own = Own::new("first");
    let labels = json!({"countersign.dev/authority": name});
    let secrets = world.operator_secrets().await;
    create(&secrets, own.secret(&secret_name, &labels))
        .await
        .unwrap();
    let object = with(
        &crate::harness::trust_domain(&name),
        &by_secret(&secret_name),
    );
    let domains = Api::<TrustDomain>::all(world.client().await);
    domains
        .create(&kube::api::PostParams::default(), &object)
        .await
        .unwrap();
    let domain = world.until_domain_ready(&name).await;
    let space = agent(world, &name).await;
    let before = credential(&space).await;
    assert_eq!(certificates(&before.chain)[1], certificates(&own.chain)[0]);
    verify_by_webpki(&before.chain, &own.root).unwrap();
    verify_by_openssl(&before.chain, &own.root).await.unwrap();
    assert_eq!(certificates(&before.roots), certificates(&own.root));
    let bundle = config_maps(world)
        .await
        .get(&format!("{name}-bundle"))
        .await
        .unwrap();
    assert_eq!(
        certificates(&bundle.data.unwrap()["ca.crt"]),
        certificates(&own.root)
    );

    let next = Own::new("second");
    let old = serial(&space.get("reader").await);
    let stored = secrets.get(&secret_name).await.unwrap();
    let mut changed: Secret = serde_json::from_value(next.secret(&secret_name, &labels)).unwrap();
    changed.metadata.resource_version = stored.metadata.resource_version;
    replace(&secrets, &changed).await.unwrap();
    space
        .until("reader", "issued anew", |it| {
            serial(it) != old && is(it, "Ready")
        })
        .await;
    let after = credential(&space).await;
    verify_by_webpki(&after.chain, &next.root).unwrap();
    verify_by_openssl(&after.chain, &next.root).await.unwrap();
    verify_by_webpki(&after.chain, &own.root).unwrap_err();
    let now = world
        .until_domain(&name, "on the next one", |it| active(it) != active(&domain))
        .await;
    let sequence = |it: &TrustDomain| it.status.as_ref().unwrap().bundle_sequence;
    assert!(
        sequence(&now) > sequence(&domain),
        "it rises with every change"
    );
}

#[tokio::test]
async fn an_authority_of_ones_own_that_is_distrusted_leaves_nothing_to_trust_until_there_is_another()
 {
    let world = World::shared().await;
    let (name, secret_name) = (unique("own"), unique("corporate"));
    let own = Own::new("first");
    let labels = json!({"countersign.dev/authority": name});
    let secrets = world.operator_secrets().await;
    create(&secrets, own.secret(&secret_name, &labels))
        .await
        .unwrap();
    let object = with(
        &crate::harness::trust_domain(&name),
        &by_secret(&secret_name),
    );
    let domains = Api::<TrustDomain>::all(world.client().await);
    let params = kube::api::PostParams::default();
    domains.create(&params, &object).await.unwrap();
    let domain = world.until_domain_ready(&name).await;
    let space = agent(world, &name).await;
    let old = credential(&space).await;

    let bad = active(&domain);
    let patch = json!({"spec": {"authority": {"distrusted": [bad]}}});
    world.patch_domain(&name, patch).await;
    world
        .until_domain(&name, "refused", |it| {
            find(it, "Stalled").is_some_and(|it| it.reason == "AuthorityDistrusted")
        })
        .await;
    let config_maps = config_maps(world).await;
    let bundle = format!("{name}-bundle");
    let empty = |it: &ConfigMap| it.data.as_ref().is_some_and(|it| it["ca.crt"].is_empty());
    let withdrawn = until(&config_maps, &bundle, "empty", empty).await;
    let json: Value = serde_json::from_str(&withdrawn.data.unwrap()["bundle.json"]).unwrap();
    // The signing keys stay: they vouch for no certificate.
    let mut keys = json["keys"].as_array().unwrap().iter();
    assert!(!keys.any(|key| key["use"] == "x509-svid"), "{json}");
    assert!(json["spiffe_sequence"].as_i64() > domain.status.unwrap().bundle_sequence);
    let trust_bundle = format!("countersign.dev:agent:{name}");
    until_gone(&trust_bundles(world).await, &trust_bundle).await;

    let next = Own::new("second");
    let mut changed: Secret = serde_json::from_value(next.secret(&secret_name, &labels)).unwrap();
    changed.metadata.resource_version = None;
    replace(&secrets, &changed).await.unwrap();
    world.until_domain_ready(&name).await;
    space
        .until("reader", "issued anew", |it| {
            is(it, "Ready") && authority(it) != bad
        })
        .await;
    let roots = until(&config_maps, &bundle, "published", |it| !empty(it)).await;
    let roots = &roots.data.unwrap()["ca.crt"];
    verify_by_webpki(&old.chain, roots).unwrap_err();
    verify_by_webpki(&credential(&space).await.chain, roots).unwrap();
}

fn authority(identity: &countersign_api::AgentIdentity) -> String {
    let certificate = identity.status.as_ref().unwrap().certificate.as_ref();
    certificate.map_or_else(String::new, |it| it.authority_id.clone())
}

#[tokio::test]
async fn a_secret_that_is_no_labelled_authority_is_refused_with_the_reason() {
    let world = World::shared().await;
    let secrets = world.operator_secrets().await;
    let (first, second) = (Own::new("first"), Own::new("second"));
    let name = unique("refused");
    let labels = json!({"countersign.dev/authority": name});
    let secret_name = unique("corporate");
    let domain = with(
        &crate::harness::trust_domain(&name),
        &by_secret(&secret_name),
    );
    let domains = Api::<TrustDomain>::all(world.client().await);
    domains
        .create(&kube::api::PostParams::default(), &domain)
        .await
        .unwrap();
    let until_refused = async |reason: &str, words: &str| {
        let it = world
            .until_domain(&name, reason, |it| {
                find(it, "Stalled").is_some_and(|it| it.reason == reason)
            })
            .await;
        let message = find(&it, "Stalled").unwrap().message;
        assert!(message.contains(words), "{message}");
        assert!(!is(&it, "Ready"));
        assert!(!message.contains("PRIVATE"));
    };
    until_refused("AuthoritySecretMissing", &secret_name).await;
    // A Secret without the label can't be seen to come: any other look at the trust domain finds it.
    let unlabelled = create(&secrets, first.secret(&secret_name, &json!({})))
        .await
        .unwrap();
    world
        .patch_domain(&name, json!({"spec": {"maxCertificateTTLSeconds": 1800}}))
        .await;
    until_refused("AuthoritySecretNotLabelled", "countersign.dev/authority").await;

    let put = async |own: Value| {
        let mut secret: Secret = serde_json::from_value(own).unwrap();
        secret.metadata.uid = unlabelled.metadata.uid.clone();
        secret.type_ = unlabelled.type_.clone();
        replace(&secrets, &secret).await.unwrap();
    };
    let mut incomplete = first.secret(&secret_name, &labels);
    incomplete["stringData"]
        .as_object_mut()
        .unwrap()
        .remove("tls.key");
    put(incomplete).await;
    until_refused("AuthoritySecretIncomplete", "tls.key").await;
    let mut swapped = first.secret(&secret_name, &labels);
    swapped["stringData"]["tls.key"] = json!(second.key);
    put(swapped).await;
    until_refused("KeyMismatch", "private key").await;
    let mut torn = first.secret(&secret_name, &labels);
    torn["stringData"]["ca.crt"] = json!(second.root);
    put(torn).await;
    until_refused("ChainBroken", "chain").await;
    put(first.secret(&secret_name, &labels)).await;
    let ready = world.until_domain_ready(&name).await;
    assert!(find(&ready, "Stalled").is_none());
}

#[tokio::test]
async fn the_authority_of_another_trust_domain_cannot_be_named() {
    let world = World::shared().await;
    let victim = world.domain("victim", json!({})).await;
    world.until_domain_ready(&victim).await;
    let theft = by_secret(&format!("{victim}-authority"));
    let thief = world.domain("thief", theft).await;
    world
        .until_domain(&thief, "refused", |it| {
            find(it, "Stalled").is_some_and(|it| it.reason == "AuthoritySecretNotLabelled")
        })
        .await;
    let space = world.space_in("thief", &thief).await;
    space.create_job(&job("work")).await;
    let patch = json!({"spec": {"trustDomainRef": {"name": thief}}});
    space
        .create_identity(&with(&identity("reader", "jobs.batch/work"), &patch))
        .await;
    let it = space
        .until("reader", "waiting", |it| {
            is(it, "Reconciling") || is(it, "Stalled")
        })
        .await;
    assert!(!is(&it, "Ready"));
    assert!(space.secret(SECRET).await.is_none());
}

#[tokio::test]
async fn a_distrusted_authority_leaves_the_bundle_and_what_it_signed_is_issued_anew() {
    let world = World::shared().await;
    let name = world.domain("distrust", json!({})).await;
    let before = world.until_domain_ready(&name).await;
    let bad = active(&before);
    let space = agent(world, &name).await;
    let old = credential(&space).await;
    let old_serial = serial(&space.get("reader").await);

    world
        .patch_domain(&name, json!({"spec": {"authority": {"distrusted": [bad]}}}))
        .await;
    space
        .until("reader", "issued anew", |it| {
            serial(it) != old_serial && is(it, "Ready")
        })
        .await;
    let new = credential(&space).await;
    verify_by_webpki(&new.chain, &new.roots).unwrap();
    verify_by_webpki(&old.chain, &new.roots).unwrap_err();
    let domain = world
        .until_domain(&name, "on another authority", |it| {
            is(it, "Ready") && active(it) != bad
        })
        .await;
    let status = domain.status.as_ref().unwrap();
    let slot = status
        .authorities
        .iter()
        .find(|it| it.id == bad)
        .map(|it| it.slot);
    assert_eq!(slot, Some(SlotState::Distrusted));
    assert!(status.bundle_sequence > before.status.unwrap().bundle_sequence);
    let published = config_maps(world)
        .await
        .get(&format!("{name}-bundle"))
        .await
        .unwrap();
    let roots = &published.data.unwrap()["ca.crt"];
    verify_by_webpki(&old.chain, roots).unwrap_err();
    verify_by_webpki(&new.chain, roots).unwrap();
    let bundle = trust_bundles(world)
        .await
        .get(&format!("countersign.dev:agent:{name}"))
        .await
        .unwrap();
    verify_by_webpki(&old.chain, &bundle.spec.trust_bundle).unwrap_err();
}

#[tokio::test]
async fn a_bundle_that_somebody_changed_or_deleted_is_mended() {
    let world = World::shared().await;
    let name = world.domain("mended", json!({})).await;
    world
        .until_domain(&name, "published", |it| is(it, "BundlePublished"))
        .await;
    let bundle = format!("{name}-bundle");
    let config_maps = config_maps(world).await;
    let good = config_maps.get(&bundle).await.unwrap().data;
    let params = kube::api::PatchParams::default();
    let evil = Own::new("evil").root;
    for patch in [
        json!({"data": {"ca.crt": evil}}),
        json!({"data": {"bundle.json": null}}),
        json!({"data": {"more": "of it"}}),
    ] {
        config_maps
            .patch(&bundle, &params, &kube::api::Patch::Merge(patch))
            .await
            .unwrap();
        until(&config_maps, &bundle, "mended", |it| it.data == good).await;
    }
    delete(&config_maps, &bundle).await;
    until(&config_maps, &bundle, "published again", |it| {
        it.data == good
    })
    .await;
}

#[tokio::test]
async fn a_config_map_and_a_trust_bundle_of_somebody_elses_stay_as_they_are() {
    let world = World::shared().await;
    let name = unique("conflict");
    let config_maps = config_maps(world).await;
    let theirs = json!({"metadata": {"name": format!("{name}-bundle")}, "data": {"it": "is mine"}});
    let before = create(&config_maps, theirs).await.unwrap();
    let domains = Api::<TrustDomain>::all(world.client().await);
    let object = crate::harness::trust_domain(&name);
    domains
        .create(&kube::api::PostParams::default(), &object)
        .await
        .unwrap();
    let domain = world
        .until_domain(&name, "in conflict", |it| {
            find(it, "BundlePublished").is_some_and(|it| it.reason == "BundleConflict")
        })
        .await;
    let message = find(&domain, "BundlePublished").unwrap().message;
    assert!(message.contains(&format!("{name}-bundle")), "{message}");
    assert!(is(&domain, "Ready"), "it signs all the same");
    assert_eq!(
        config_maps.get(&format!("{name}-bundle")).await.unwrap(),
        before
    );
    agent(world, &name).await;
}

#[tokio::test]
async fn a_deleted_trust_domain_destroys_no_key_and_comes_back_with_its_authority() {
    let world = World::shared().await;
    let name = world.domain("back", json!({})).await;
    let before = active(&world.until_domain_ready(&name).await);
    let space = agent(world, &name).await;
    let old = space.get("reader").await;
    let domains = Api::<TrustDomain>::all(world.client().await);
    delete(&domains, &name).await;
    until_gone(&domains, &name).await;
    space.until_refused("reader", "UnknownTrustDomain").await;
    assert!(
        is(&space.get("reader").await, "Ready"),
        "what is good stays"
    );

    let object = crate::harness::trust_domain(&name);
    domains
        .create(&kube::api::PostParams::default(), &object)
        .await
        .unwrap();
    assert_eq!(active(&world.until_domain_ready(&name).await), before);
    let it = space
        .until("reader", "in order", |it| find(it, "Stalled").is_none())
        .await;
    assert_eq!(
        serial(&it),
        serial(&old),
        "nothing was lost, nothing is issued"
    );
}

#[tokio::test]
async fn an_authority_comes_back_from_its_backup_and_old_certificates_verify() {
    let world = World::shared().await;
    let name = world.domain("backup", json!({})).await;
    let before = active(&world.until_domain_ready(&name).await);
    let space = agent(world, &name).await;
    let old = credential(&space).await;

    let secrets = world.operator_secrets().await;
    let secret_name = format!("{name}-authority");
    // As `kubectl get secret -o yaml > backup.yaml` keeps it.
    let get = [
        "get",
        "secret",
        &secret_name,
        "-n",
        OPERATOR_NAMESPACE,
        "-o",
        "json",
    ];
    let backup = world.plane().kubectl(&get).await.unwrap();
    let domains = Api::<TrustDomain>::all(world.client().await);
    delete(&domains, &name).await;
    until_gone(&domains, &name).await;
    delete(&secrets, &secret_name).await;
    until_gone(&secrets, &secret_name).await;
    let mut backup: Value = serde_json::from_str(&backup).unwrap();
    for server_side in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
    ] {
        backup["metadata"]
            .as_object_mut()
            .unwrap()
            .remove(server_side);
    }
    let restored = create(&secrets, backup).await.unwrap();
    assert!(!uid(&restored).is_empty());
    let object = crate::harness::trust_domain(&name);
    domains
        .create(&kube::api::PostParams::default(), &object)
        .await
        .unwrap();
    let domain = world.until_domain_ready(&name).await;
    assert_eq!(active(&domain), before);
    let bundle = format!("{name}-bundle");
    let config_maps = config_maps(world).await;
    let published = until(&config_maps, &bundle, "published", |it| it.data.is_some()).await;
    let roots = &published.data.unwrap()["ca.crt"];
    verify_by_webpki(&old.chain, roots).unwrap();
    verify_by_openssl(&old.chain, roots).await.unwrap();
    let fresh = agent(world, &name).await;
    verify_by_webpki(&credential(&fresh).await.chain, &old.roots).unwrap();
}

#[tokio::test]
async fn a_lost_authority_is_told_and_replaced_only_when_it_is_distrusted() {
    let world = World::shared().await;
    let name = world.domain("lost", json!({})).await;
    let before = active(&world.until_domain_ready(&name).await);
    let secrets = world.operator_secrets().await;
    let secret_name = format!("{name}-authority");
    delete(&secrets, &secret_name).await;
    let domains = Api::<TrustDomain>::all(world.client().await);
    let lost = until(&domains, &name, "lost", |it| {
        let conditions = it.status.iter().flat_map(|status| &status.conditions);
        conditions
            .into_iter()
            .any(|it| it.type_ == "Stalled" && it.reason == "AuthorityLost")
    })
    .await;
    assert_eq!(active(&lost), before, "it isn't forgotten");
    assert!(secrets.get_opt(&secret_name).await.unwrap().is_none());

    let distrust = json!({"spec": {"authority": {"distrusted": [before]}}});
    let (params, patch) = (PatchParams::default(), Patch::Merge(distrust));
    domains.patch(&name, &params, &patch).await.unwrap();
    let anew = until(&domains, &name, "ready again", |it| {
        let conditions = it.status.iter().flat_map(|status| &status.conditions);
        conditions
            .into_iter()
            .any(|it| it.type_ == "Ready" && it.status == "True")
    })
    .await;
    assert_ne!(active(&anew), before);
}

#[tokio::test]
async fn an_authoritys_secret_that_is_broken_is_told_and_never_overwritten() {
    let world = World::shared().await;
    let name = world.domain("broken", json!({})).await;
    world.until_domain_ready(&name).await;
    let secrets = world.operator_secrets().await;
    let secret_name = format!("{name}-authority");
    let good = secrets.get(&secret_name).await.unwrap();
    let mut broken = good.clone();
    for value in broken.data.as_mut().unwrap().values_mut() {
        value.0 = b"rubbish".to_vec();
    }
    let broken = replace(&secrets, &broken).await.unwrap();
    let domain = world
        .until_domain(&name, "refused", |it| is(it, "Stalled"))
        .await;
    let refused = find(&domain, "Stalled").unwrap();
    assert_eq!(refused.reason, "BadAuthorityState");
    assert!(
        refused.message.contains("restore the Secret from a backup"),
        "{}",
        refused.message
    );
    let still = secrets.get(&secret_name).await.unwrap();
    assert_eq!(version(&still), version(&broken));

    let restored = with(
        &good,
        &json!({"metadata": {"resourceVersion": version(&still)}}),
    );
    replace(&secrets, &restored).await.unwrap();
    world.until_domain_ready(&name).await;
}

#[tokio::test]
async fn a_raised_epoch_prepares_the_next_authority_beside_the_old_one() {
    let world = World::shared().await;
    let name = world.domain("epoch", json!({})).await;
    let before = world.until_domain_ready(&name).await;
    let space = agent(world, &name).await;
    let patch = json!({"spec": {"authority": {"builtIn": {"epoch": 2}}}});
    world.patch_domain(&name, patch).await;
    let both = world
        .until_domain(&name, "prepared", |it| {
            let status = it.status.as_ref().unwrap();
            status
                .authorities
                .iter()
                .any(|it| it.slot == SlotState::Prepared)
        })
        .await;
    assert_eq!(
        active(&both),
        active(&before),
        "the old one signs until the new one is known"
    );
    // Agents learn of it at once.
    let roots = eventually("both roots in the Secret", async || {
        let roots = credential(&space).await.roots;
        (certificates(&roots).len() == 2).then_some(roots)
    })
    .await;
    verify_by_webpki(&credential(&space).await.chain, &roots).unwrap();
    let published = config_maps(world)
        .await
        .get(&format!("{name}-bundle"))
        .await
        .unwrap();
    assert_eq!(certificates(&published.data.unwrap()["ca.crt"]).len(), 2);
    let ends = both.status.unwrap().authorities;
    assert!(ends.iter().all(|it| it.not_after.0 > Timestamp::UNIX_EPOCH));
}
