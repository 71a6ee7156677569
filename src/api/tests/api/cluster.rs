//! The shared control plane with everything installed and in effect, and users on it.

use std::time::{Duration, Instant};

use countersign_api::manifests;
use countersign_testbed::{ControlPlane, shared};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use kube::{Client, Error};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::samples;

/// A user and what it may do.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: Option<String>,
    pub(crate) groups: Vec<String>,
}

impl User {
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            uid: None,
            groups: Vec::new(),
        }
    }

    pub(crate) async fn client(&self) -> Client {
        let mut config = installed().await.config().unwrap();
        config.auth_info.impersonate = Some(self.name.clone());
        config.auth_info.impersonate_groups = Some(self.groups.clone());
        config.auth_info.impersonate_uid = self.uid.clone();
        Client::try_from(config).unwrap()
    }

    pub(crate) async fn identities(&self, namespace: &str) -> Api<DynamicObject> {
        identities(self.client().await, namespace)
    }

    pub(crate) async fn delegations(&self, namespace: &str) -> Api<DynamicObject> {
        delegations(self.client().await, namespace)
    }
}

/// The control plane, with the manifests applied and the policies in effect.
pub(crate) async fn installed() -> &'static ControlPlane {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let plane = shared().await.unwrap();
    INSTALLED.get_or_init(|| install(plane)).await;
    plane
}

pub(crate) fn identities(client: Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(
        client,
        namespace,
        &resource("AgentIdentity", "agentidentities"),
    )
}

pub(crate) fn delegations(client: Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client, namespace, &resource("Delegation", "delegations"))
}

pub(crate) fn agent_policies(client: Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client, namespace, &resource("AgentPolicy", "agentpolicies"))
}

pub(crate) fn cluster_agent_policies(client: Client) -> Api<DynamicObject> {
    cluster_scoped(client, "ClusterAgentPolicy", "clusteragentpolicies")
}

pub(crate) fn cluster_scoped(client: Client, kind: &str, plural: &str) -> Api<DynamicObject> {
    Api::all_with(client, &resource(kind, plural))
}

pub(crate) fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

pub(crate) fn dry_run() -> PostParams {
    PostParams {
        dry_run: true,
        ..PostParams::default()
    }
}

/// Creates an object.
pub(crate) async fn create(api: &Api<DynamicObject>, value: Value) -> Result<DynamicObject, Error> {
    api.create(&PostParams::default(), &object(value)).await
}

/// Applies a merge patch.
pub(crate) async fn patch(
    api: &Api<DynamicObject>,
    name: &str,
    patch: Value,
) -> Result<DynamicObject, Error> {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
}

/// The message of a refusal; panics when it was none.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Api(status)) if status.code == 403 || status.code == 422 => status.message,
        other => panic!("not refused: {other:?}"),
    }
}

/// Grants rules to a user in a namespace, or everywhere, and waits until they count.
pub(crate) async fn allow(
    user: &str,
    namespace: Option<&str>,
    group: &str,
    resource: &str,
    verbs: &[&str],
) {
    let client = installed().await.client().await.unwrap();
    let name = format!("{user}-{resource}-{}", verbs.join("-")).replace('/', "-");
    let rules = json!([{"apiGroups": [group], "resources": [resource], "verbs": verbs}]);
    let (scope, prefix) = match namespace {
        Some(namespace) => (format!("/namespaces/{namespace}"), ""),
        None => (String::new(), "cluster"),
    };
    let kind = if prefix.is_empty() {
        "Role"
    } else {
        "ClusterRole"
    };
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    for (plural, body) in [
        ("roles", json!({"metadata": {"name": name}, "rules": rules})),
        ("rolebindings", binding),
    ] {
        let path = format!("/apis/rbac.authorization.k8s.io/v1{scope}/{prefix}{plural}");
        let request = http::Request::post(path)
            .body(serde_json::to_vec(&body).unwrap())
            .unwrap();
        client.request::<Value>(request).await.unwrap();
    }
    let reviews = Api::<SubjectAccessReview>::all(client);
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    for verb in verbs {
        let review = serde_json::from_value(json!({"spec": {"user": user, "resourceAttributes": {
            "group": group, "resource": resource, "subresource": subresource, "verb": verb,
            "namespace": namespace,
        }}}));
        let review: SubjectAccessReview = review.unwrap();
        until("the role counts", async || {
            let answer = reviews.create(&PostParams::default(), &review).await;
            answer.unwrap().status.unwrap().allowed
        })
        .await;
    }
}

/// Asks until it is so, for 20 s at most.
pub(crate) async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !look().await {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "not so: {what}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    let gvk = GroupVersionKind::gvk("countersign.dev", "v1alpha1", kind);
    ApiResource::from_gvk_with_plural(&gvk, plural)
}

async fn install(plane: &ControlPlane) {
    let all: Vec<String> = manifests().into_iter().map(|(_, yaml)| yaml).collect();
    let apply = ["apply", "--server-side", "-f", "-"];
    let applied = plane.kubectl_with_input(&apply, &all.join("---\n")).await;
    assert_eq!(applied.unwrap().lines().count(), all.len());
    let wait = [
        "wait",
        "--for=condition=Established",
        "crd",
        "--all",
        "--timeout=20s",
    ];
    plane.kubectl(&wait).await.unwrap();
    // Discovery and OpenAPI come later than the kinds themselves; kubectl keeps the former.
    let discover = ["api-resources", "--api-group=countersign.dev", "-o=name"];
    until("the kinds are discovered", async || {
        plane.kubectl(&discover).await.unwrap().lines().count() == 7
    })
    .await;
    for short_name in ["agid", "agown", "agpol", "cagpol", "deleg", "td", "tkind"] {
        until("the kinds are explained", async || {
            plane.kubectl(&["explain", short_name]).await.is_ok()
        })
        .await;
    }
    in_effect(plane.client().await.unwrap(), plane.config().unwrap()).await;
}

/// Waits until each policy was seen to act: they take effect a moment after their creation.
async fn in_effect(client: Client, mut config: kube::Config) {
    let namespaces = Api::<Namespace>::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": "probe"}})).unwrap();
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    let admin = identities(client, "probe");
    let mut probe = samples::identity("probe");
    probe["spec"]["requester"] = json!({"username": "forged"});
    probe["spec"]["desiredState"] = json!("Suspended");
    until("the stamp", async || {
        match admin.create(&dry_run(), &object(probe.clone())).await {
            Ok(made) => made.data["spec"]["requester"]["username"] != "forged",
            Err(_) => false, // not served yet, or the check is in effect and the stamp isn't
        }
    })
    .await;
    admin
        .create(&PostParams::default(), &object(probe.clone()))
        .await
        .unwrap();

    // May write identities and nothing else.
    config.auth_info.impersonate = Some("prober".to_owned());
    let prober = identities(Client::try_from(config).unwrap(), "probe");
    let role = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: prober}
rules: [{apiGroups: [countersign.dev], resources: [agentidentities], verbs: ['*']}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: prober}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: prober}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: prober}]
";
    let plane = shared().await.unwrap();
    let apply = ["apply", "--server-side", "-f", "-"];
    plane.kubectl_with_input(&apply, role).await.unwrap();
    let mut other = samples::identity("other");
    until("the check of the task", async || {
        let made = prober.create(&dry_run(), &object(other.take())).await;
        other = samples::identity("other");
        made.is_err_and(|error| error.to_string().contains("countersign-name-task"))
    })
    .await;
    let dry = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let resume = Patch::Merge(json!({"spec": {"desiredState": "Active"}}));
    until("the check of a resumption", async || {
        let patched = prober.patch("probe", &dry, &resume).await;
        patched.is_err_and(|error| error.to_string().contains("countersign-resume"))
    })
    .await;
}
