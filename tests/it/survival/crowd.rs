//! Many identities of one namespace, each with a Pod as its task.

use std::ops::Range;
use std::time::Duration;

use countersign_api::AgentIdentity;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::harness::{Space, condition, identity, within};

/// So many requests at once.
const AT_ONCE: usize = 16;

/// The name of the n-th task and of its identity.
pub(super) fn name(n: usize) -> String {
    format!("agent-{n}")
}

/// A Pod that nobody schedules.
pub(super) fn pod(name: &str) -> Pod {
    let object = json!({
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "schedulerName": "nobody",
            "automountServiceAccountToken": false,
            "containers": [{"name": "main", "image": "none"}],
        },
    });
    serde_json::from_value(object).unwrap()
}

/// An identity for the Pod of the same name.
pub(super) fn agent(name: &str) -> AgentIdentity {
    identity(name, &format!("pods/{name}"))
}

impl Space {
    pub(super) async fn create_pod(&self, name: &str) -> Pod {
        let params = PostParams::default();
        self.pods().create(&params, &pod(name)).await.unwrap()
    }

    /// A Pod and the identity that lives as long.
    pub(super) async fn create_agent(&self, name: &str) -> AgentIdentity {
        self.create_pod(name).await;
        self.create_identity(&agent(name)).await
    }

    /// `Succeeded` or `Failed`.
    pub(super) async fn finish_pod(&self, name: &str, phase: &str) {
        let patch = Patch::Merge(json!({"status": {"phase": phase}}));
        let params = PatchParams::default();
        self.pods()
            .patch_status(name, &params, &patch)
            .await
            .unwrap();
    }

    pub(super) async fn delete_pod(&self, name: &str) {
        let params = DeleteParams::default().grace_period(0);
        self.pods().delete(name, &params).await.unwrap();
    }

    /// Another Pod under the name of this one.
    pub(super) async fn replace_pod(&self, name: &str) {
        self.delete_pod(name).await;
        self.create_pod(name).await;
    }

    pub(super) async fn create_agents(&self, numbers: Range<usize>) {
        each(numbers, async |n| {
            self.create_agent(&name(n)).await;
        })
        .await;
    }

    pub(super) async fn patch_agents(&self, numbers: Range<usize>, patch: Value) {
        each(numbers, async |n| {
            self.patch(&name(n), patch.clone()).await;
        })
        .await;
    }

    /// All identities; nothing while the API server doesn't answer.
    pub(super) async fn all(&self) -> Option<Vec<AgentIdentity>> {
        let listed = self.identities().list(&ListParams::default()).await;
        listed.ok().map(|list| list.items)
    }

    /// How many are so.
    pub(super) async fn count(&self, good: impl Fn(&AgentIdentity) -> bool) -> usize {
        let all = self.all().await.unwrap_or_default();
        all.iter().filter(|it| good(it)).count()
    }

    /// Waits until `count` identities are so.
    pub(super) async fn until_count(
        &self,
        bound: Duration,
        count: usize,
        what: &str,
        good: impl Fn(&AgentIdentity) -> bool,
    ) {
        let mut last = 0;
        let met = async || {
            last = self.count(&good).await;
            (last >= count).then_some(())
        };
        let met = tokio::time::timeout(bound, within(2 * bound, what, met)).await;
        if met.is_err() {
            let rest = self.all().await.unwrap_or_default();
            let rest = rest.into_iter().find(|it| !good(it));
            panic!("{last} of {count} are {what} after {bound:?}; not this one: {rest:#?}");
        }
    }
}

pub(super) fn is_ready(identity: &AgentIdentity) -> bool {
    condition(identity, "Ready").is_some_and(|(status, _)| status == "True")
}

pub(super) fn is_completed(identity: &AgentIdentity) -> bool {
    condition(identity, "Completed").is_some_and(|(status, _)| status == "True")
}

/// How long the certificate lives, from its issue on; 0 without one.
pub(super) fn life_seconds(identity: &AgentIdentity) -> i64 {
    /// A certificate begins so long before its issue.
    const BACKDATE_SECONDS: i64 = 10;
    let status = identity.status.as_ref();
    let certificate = status.and_then(|status| status.certificate.as_ref());
    certificate.map_or(0, |it| {
        it.not_after.0.as_second() - it.not_before.0.as_second() - BACKDATE_SECONDS
    })
}

pub(super) fn serial(identity: &AgentIdentity) -> String {
    let status = identity.status.as_ref();
    let certificate = status.and_then(|status| status.certificate.as_ref());
    let serial = certificate.map(|it| it.serial_number.clone());
    serial.unwrap_or_else(|| panic!("{} has no certificate", identity.name_any()))
}

async fn each(numbers: Range<usize>, act: impl AsyncFn(usize)) {
    let act = &act;
    stream::iter(numbers)
        .for_each_concurrent(AT_ONCE, async |n| act(n).await)
        .await;
}
