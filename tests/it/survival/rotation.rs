//! Authorities change under two agents who call each other all the time.

use countersign_api::{SlotState, TrustDomain, TrustDomainStatus};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use super::crowd::is_ready;
use super::pair::{Pair, SERVER_LOOKS_EVERY};
use crate::harness::{DOMAIN, PATIENCE, World, eventually};
use crate::pki::{Credential, certificates, handshake};

/// So long may a Secret take to reach a running agent.
const PROPAGATION_SECONDS: &str = "2";

#[tokio::test]
async fn no_handshake_fails_while_the_authority_is_rotated_and_the_old_one_distrusted() {
    let world = World::own().await;
    let space = world.space("pair").await;
    let arguments = [
        "--secret-namespaces",
        "*",
        "--bundle-propagation-seconds",
        PROPAGATION_SECONDS,
    ];
    let operator = world.operator("only", &arguments);
    space.create_agent("client").await;
    space.create_agent("server").await;
    space.until_count(PATIENCE, 2, "Ready", is_ready).await;
    let domain = Domain::of(&world).await;
    let first = domain.active(&domain.status().await).unwrap();
    let pair = Pair::begin(space.secrets());

    domain
        .patch(json!({"authority": {"builtIn": {"epoch": 2}}}))
        .await;
    let second = eventually("another authority", async || {
        let status = domain.status().await;
        let active = domain.active(&status).filter(|it| *it != first)?;
        (domain.slot(&status, &first) == Some(SlotState::Retired)).then_some(active)
    })
    .await;
    let signed_by = async |authority: &str| {
        eventually("its certificates", async || {
            let by_it = |it: &_| signed(it) == Some(authority);
            (space.count(by_it).await == 2).then_some(())
        })
        .await;
    };
    signed_by(&second).await;
    // Whoever has not noticed yet must still be understood.
    tokio::time::sleep(2 * SERVER_LOOKS_EVERY).await;

    domain
        .patch(json!({"authority": {"distrusted": [first]}}))
        .await;
    eventually("bundles without it", async || {
        let status = domain.status().await;
        let out = domain.slot(&status, &first) == Some(SlotState::Distrusted);
        let mut roots = vec![domain.published().await];
        for secret in space.credentials().await {
            roots.push(certificates(&Credential::of(&secret).roots).len());
        }
        (out && roots == [1, 1, 1]).then_some(())
    })
    .await;
    tokio::time::sleep(2 * SERVER_LOOKS_EVERY).await;
    let (count, failed) = pair.end().await;
    assert!(failed.is_empty(), "of {count}: {failed:#?}");
    assert!(count > 30, "only {count} handshakes");

    // In an emergency the one that signs is distrusted: what it signed is worth nothing at once.
    let stolen = space.secret("client-identity").await.unwrap();
    let stolen = Credential::of(&stolen);
    domain
        .patch(json!({"authority": {"distrusted": [first, second]}}))
        .await;
    let third = eventually("a third authority", async || {
        let active = domain.active(&domain.status().await)?;
        (active != second).then_some(active)
    })
    .await;
    signed_by(&third).await;
    let [client, server] = ["client", "server"].map(|it| format!("{it}-identity"));
    let client = Credential::of(&space.secret(&client).await.unwrap());
    let server = Credential::of(&space.secret(&server).await.unwrap());
    handshake(&client, &server).await.unwrap();
    let refused = handshake(&stolen, &server).await;
    assert!(refused.is_err(), "the stolen certificate still works");
    space.assert_in_order().await;
    assert!(!operator.log().contains("panicked"));
}

fn signed(identity: &countersign_api::AgentIdentity) -> Option<&str> {
    let certificate = identity.status.as_ref()?.certificate.as_ref()?;
    Some(&certificate.authority_id)
}

/// The trust domain and what is published of it.
struct Domain {
    domains: Api<TrustDomain>,
    bundles: Api<ConfigMap>,
}

impl Domain {
    async fn of(world: &World) -> Self {
        let client = world.client().await;
        Self {
            domains: Api::all(client.clone()),
            bundles: Api::namespaced(client, "countersign-system"),
        }
    }

    async fn patch(&self, spec: Value) {
        let (params, patch) = (PatchParams::default(), Patch::Merge(json!({"spec": spec})));
        let patched = self.domains.patch(DOMAIN, &params, &patch).await;
        patched.unwrap();
    }

    async fn status(&self) -> TrustDomainStatus {
        let domain = self.domains.get(DOMAIN).await.unwrap();
        domain.status.unwrap_or_default()
    }

    fn active(&self, status: &TrustDomainStatus) -> Option<String> {
        let mut all = status.authorities.iter();
        let active = all.find(|it| it.slot == SlotState::Active);
        active.map(|it| it.id.clone())
    }

    fn slot(&self, status: &TrustDomainStatus, id: &str) -> Option<SlotState> {
        let mut all = status.authorities.iter();
        all.find(|it| it.id == id).map(|it| it.slot)
    }

    /// How many roots are in the bundle for everybody.
    async fn published(&self) -> usize {
        let name = format!("{DOMAIN}-bundle");
        let bundle = self.bundles.get(&name).await.unwrap();
        certificates(&bundle.data.unwrap()["ca.crt"]).len()
    }
}
