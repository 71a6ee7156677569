//! An authority of one's own below a root: Envoy shows the leaf alone.

use countersign_api::TrustDomain;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use serde_json::json;

use super::decider::question;
use super::setting::{permit, shared, spiffe_id};
use super::shown::{leaf, showing};
use crate::domains::{Own, by_secret};
use crate::pki::{Credential, certificates};
use crate::support::{OPERATOR_NAMESPACE, create, replace, unique, until, with};

#[tokio::test]
async fn a_leaf_below_an_intermediate_is_allowed_until_the_intermediate_is_distrusted() {
    let (world, decider) = shared().await;
    let (name, secret_name) = (unique("below"), unique("corporate"));
    let mut own = Own::new("first");
    let labels = json!({"countersign.dev/authority": name});
    let secrets = world.operator_secrets().await;
    let secret = own.secret(&secret_name, &labels);
    create(&secrets, secret).await.unwrap();
    let object = with(
        &crate::harness::trust_domain(&name),
        &by_secret(&secret_name),
    );
    let domains = Api::<TrustDomain>::all(world.client().await);
    let params = PostParams::default();
    domains.create(&params, &object).await.unwrap();
    let domain = world.until_domain_ready(&name).await;
    let bundles: Api<ConfigMap> = Api::namespaced(world.client().await, OPERATOR_NAMESPACE);
    let bundle = format!("{name}-bundle");
    let published = |it: &ConfigMap| -> Vec<_> {
        let data = it.data.as_ref().unwrap();
        data.get("intermediates.crt")
            .map(|it| certificates(it))
            .unwrap_or_default()
    };
    let first = certificates(&own.chain);
    let is_first = |it: &ConfigMap| published(it) == first;
    until(&bundles, &bundle, "with the intermediate", is_first).await;

    let space = world.space_in("below", &name).await;
    space.set_policy("granted", &permit()).await;
    let patch = json!({"spec": {"trustDomainRef": {"name": name}}});
    space.running("reader", patch).await;
    let agent = space.until_ready("reader").await;
    let secret = space.secret("reader-identity").await.unwrap();
    let chain = Credential::of(&secret).chain;
    assert_eq!(certificates(&chain).len(), 2);
    let asked = question(&spiffe_id(&agent), "read", "ledger/invoices/7");
    decider.until(&asked, "Permitted").await; // by its name
    let old = showing(asked.clone(), &leaf(&chain));
    decider.until(&old, "Permitted").await;

    // Another intermediate of the same root; the first isn't trusted any more.
    own.renew("second");
    let stored = secrets.get(&secret_name).await.unwrap();
    let mut changed: k8s_openapi::api::core::v1::Secret =
        serde_json::from_value(own.secret(&secret_name, &labels)).unwrap();
    changed.metadata.resource_version = stored.metadata.resource_version;
    replace(&secrets, &changed).await.unwrap();
    let bad = crate::domains::active(&domain);
    world
        .until_domain(&name, "on the next one", |it| {
            crate::domains::active(it) != bad
        })
        .await;
    let both = |it: &ConfigMap| published(it).len() == 2;
    until(&bundles, &bundle, "with both", both).await;
    let patch = json!({"spec": {"authority": {"distrusted": [bad]}}});
    world.patch_domain(&name, patch).await;
    decider.until(&old, "BadCertificate").await;
    let second = certificates(&own.chain);
    let is_second = |it: &ConfigMap| published(it) == second;
    let now = until(&bundles, &bundle, "with the second alone", is_second).await;
    assert_eq!(
        certificates(&now.data.unwrap()["ca.crt"]),
        certificates(&own.root),
        "its root stays"
    );
    let new = crate::harness::eventually("the new certificate", async || {
        let chain = Credential::of(&space.secret("reader-identity").await?).chain;
        (certificates(&chain)[1] == second[0]).then_some(chain)
    })
    .await;
    let new = showing(asked, &leaf(&new));
    decider.until(&new, "Permitted").await;
}
