//! Policies for a space, and a decision point that all tests share.

use countersign_api::{AgentIdentity, AgentPolicy, ClusterAgentPolicy};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::decider::Decider;
use crate::harness::{Space, World, eventually};

/// What the shared decision point suspends at.
pub(super) const SUSPEND_AT: i64 = 80;

/// The decision point of the shared world, which is ready.
pub(super) async fn shared() -> (&'static World, &'static Decider) {
    static SHARED: OnceCell<Decider> = OnceCell::const_new();
    let world = World::shared().await;
    let decider = SHARED
        .get_or_init(|| async {
            set_cluster_policy(world, "guard", &guard()).await;
            let secret = world.plane().dir().join("falco.token");
            std::fs::write(&secret, FALCO_TOKEN).unwrap();
            let secret = secret.display().to_string();
            let decider = Decider::start(world, "shared", &["--falco-token", &secret]);
            // It ends with this process, which drops no statics.
            world.plane().watch(Some(decider.pid())).unwrap();
            decider.ready().await;
            decider
        })
        .await;
    (world, decider)
}

pub(super) const FALCO_TOKEN: &str = "a-token-for-falco-long-enough";

/// Everything under `ledger` is Internal but the secrets, and risk suspends.
pub(crate) fn guard() -> Value {
    json!({
        "policies": [{
            "id": "no-destruction",
            "cedar": "forbid (principal, action, resource) when { context.call.destructive && context.signals.risk >= 30 };",
        }],
        "resources": [
            {"pattern": "ledger/*", "sensitivity": "Internal"},
            {"pattern": "ledger/secrets/*", "sensitivity": "Restricted"},
        ],
        "risk": {"suspendAt": SUSPEND_AT, "resumeBelow": 20},
        "recordFirst": "Confidential",
    })
}

/// Permits everything that is granted to the agents of a space.
pub(crate) fn permit() -> Value {
    json!({"policies": [{"id": "granted", "cedar": "permit (principal, action, resource);"}]})
}

pub(crate) async fn set_cluster_policy(world: &World, name: &str, spec: &Value) {
    let api = Api::<ClusterAgentPolicy>::all(world.client().await);
    let object = json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "ClusterAgentPolicy",
        "metadata": {"name": name},
        "spec": spec,
    });
    let params = PatchParams::apply("tests").force();
    eventually("the kind of policies", async || {
        api.patch(name, &params, &Patch::Apply(&object)).await.ok()
    })
    .await;
}

impl Space {
    pub(super) fn policies(&self) -> Api<AgentPolicy> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    pub(crate) async fn set_policy(&self, name: &str, spec: &Value) -> AgentPolicy {
        let object = json!({
            "apiVersion": "countersign.dev/v1alpha1",
            "kind": "AgentPolicy",
            "metadata": {"name": name, "namespace": self.name},
            "spec": spec,
        });
        let params = PatchParams::apply("tests").force();
        self.policies()
            .patch(name, &params, &Patch::Apply(&object))
            .await
            .unwrap()
    }
}

pub(crate) fn spiffe_id(identity: &AgentIdentity) -> String {
    identity.status.as_ref().unwrap().spiffe_id.clone().unwrap()
}
