//! More of what tests ask of a world: objects of one's own, and the state of what is there.

use std::sync::atomic::{AtomicU32, Ordering};

use countersign_api::{AgentIdentity, AgentOwner, TrustDomain};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Space, World, eventually, identity, owner, trust_domain};

/// The namespace of the operator, unless it is told otherwise.
pub(crate) const OPERATOR_NAMESPACE: &str = "countersign-system";

/// A name that no other test of this process uses.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Merges `patch` into an object of the API, as a template for a test.
pub(crate) fn with<T: serde::Serialize + DeserializeOwned>(object: &T, patch: &Value) -> T {
    fn merge(into: &mut Value, patch: &Value) {
        match (into, patch) {
            (Value::Object(into), Value::Object(patch)) => {
                for (key, value) in patch {
                    if value.is_null() {
                        into.remove(key);
                    } else {
                        merge(into.entry(key.clone()).or_insert(Value::Null), value);
                    }
                }
            }
            (into, patch) => *into = patch.clone(),
        }
    }
    let mut value = serde_json::to_value(object).unwrap();
    merge(&mut value, patch);
    serde_json::from_value(value).unwrap()
}

impl World {
    /// A trust domain of one's own, ready, with `patch` over the usual one.
    pub(crate) async fn domain(&self, prefix: &str, patch: Value) -> String {
        let name = unique(prefix);
        let client = self.client().await;
        let object = with(&trust_domain(&name), &patch);
        Api::<TrustDomain>::all(client.clone())
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        name
    }

    pub(crate) async fn until_domain(
        &self,
        name: &str,
        what: &str,
        good: impl Fn(&TrustDomain) -> bool,
    ) -> TrustDomain {
        let domains = Api::<TrustDomain>::all(self.client().await);
        until(&domains, name, what, good).await
    }

    pub(crate) async fn until_domain_ready(&self, name: &str) -> TrustDomain {
        self.until_domain(name, "Ready", |it| is(it, "Ready")).await
    }

    /// A namespace that this trust domain admits.
    pub(crate) async fn space_in(&self, prefix: &str, domain: &str) -> Space {
        let space = self.space(prefix).await;
        label_namespace(&space, json!({"trust-domain": domain})).await;
        space
    }

    /// An owner of one's own.
    pub(crate) async fn owner(&self, prefix: &str, patch: Value) -> String {
        let name = unique(prefix);
        let object = with(&owner(&name), &patch);
        Api::<AgentOwner>::all(self.client().await)
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        name
    }

    pub(crate) async fn patch_owner(&self, name: &str, patch: Value) {
        Api::<AgentOwner>::all(self.client().await)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    pub(crate) async fn patch_domain(&self, name: &str, patch: Value) {
        Api::<TrustDomain>::all(self.client().await)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Secrets of the operator's namespace.
    pub(crate) async fn operator_secrets(&self) -> Api<Secret> {
        // The namespace is the operator's to make.
        self.until_domain_ready(crate::harness::DOMAIN).await;
        Api::namespaced(self.client().await, OPERATOR_NAMESPACE)
    }

    /// Has another identity issued: whatever an attack did, others are served.
    pub(crate) async fn still_serves(&self) {
        let space = self.space("others").await;
        space.running("bystander", json!({})).await;
    }
}

impl Space {
    /// A Job and an identity for it, issued. `patch` goes over the usual identity. The Job is named
    /// `<name>-job`.
    pub(crate) async fn running(&self, name: &str, patch: Value) -> AgentIdentity {
        let job = format!("{name}-job");
        self.create_job(&crate::harness::job(&job)).await;
        let object = with(&identity(name, &format!("jobs.batch/{job}")), &patch);
        self.create_identity(&object).await;
        self.until_ready(name).await
    }

    pub(crate) async fn until_secret(
        &self,
        name: &str,
        what: &str,
        good: impl Fn(&Secret) -> bool,
    ) -> Secret {
        until(&self.secrets(), name, what, good).await
    }

    /// Waits for a refusal with this reason; gives its message.
    pub(crate) async fn until_refused(&self, name: &str, reason: &str) -> String {
        let stalled = |it: &AgentIdentity| find(it, "Stalled").map(|it| (it.reason, it.message));
        let it = self
            .until(name, &format!("refused for {reason}"), |it| {
                stalled(it).is_some_and(|(why, _)| why == reason)
            })
            .await;
        stalled(&it).unwrap().1
    }

    /// Has the operator look at an identity and waits until it did: changes what decides nothing.
    pub(crate) async fn looked_at(&self, name: &str) -> AgentIdentity {
        static NEXT: AtomicU32 = AtomicU32::new(100_000);
        let kept = NEXT.fetch_add(1, Ordering::Relaxed);
        let patch = json!({"spec": {"ttlSecondsAfterFinished": kept}});
        let generation = self.patch(name, patch).await.metadata.generation;
        self.until(name, "looked at", |it| {
            it.status.as_ref().and_then(|it| it.observed_generation) == generation
        })
        .await
    }

    pub(crate) async fn patch_secret(&self, name: &str, patch: Value) -> Secret {
        self.secrets()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap()
    }

    /// Objects of another kind in this namespace.
    pub(crate) fn objects(&self, group: &str, version: &str, kind: &str, plural: &str) -> Tasks {
        Api::namespaced_with(
            self.client.clone(),
            &self.name,
            &resource(group, version, kind, plural),
        )
    }
}

/// Objects of any kind.
pub(crate) type Tasks = Api<DynamicObject>;

pub(crate) fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

pub(crate) async fn label_namespace(space: &Space, labels: Value) {
    let patch = json!({"metadata": {"labels": labels}});
    Api::<Namespace>::all(space.client.clone())
        .patch(&space.name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

/// Asks for an object until it is as it should be.
pub(crate) async fn until<K>(api: &Api<K>, name: &str, what: &str, good: impl Fn(&K) -> bool) -> K
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut last = None;
    let started = std::time::Instant::now();
    while started.elapsed() < PATIENCE {
        last = api.get_opt(name).await.unwrap_or_default();
        if let Some(it) = last.take_if(|it| good(it)) {
            return it;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{name} does not become {what}: {last:#?}");
}

pub(crate) async fn until_gone<K>(api: &Api<K>, name: &str)
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    eventually(&format!("the end of {name}"), async || {
        api.get_opt(name).await.unwrap().is_none().then_some(())
    })
    .await;
}

/// Creates an object of any kind.
pub(crate) async fn create<K>(api: &Api<K>, object: Value) -> kube::Result<K>
where
    K: Resource + Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    let object = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await
}

/// Deletes at once, without what depends on it.
pub(crate) async fn delete<K>(api: &Api<K>, name: &str)
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    api.delete(name, &DeleteParams::background()).await.unwrap();
}

/// Writes the status of an object of any kind.
pub(crate) async fn put_status(api: &Tasks, name: &str, status: Value) {
    // A merge patch would keep what was there.
    let patch = json!([{"op": "add", "path": "/status", "value": status}]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(patch).unwrap());
    api.patch_status(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// The condition of this type of any of our kinds.
pub(crate) fn find(object: &impl serde::Serialize, kind: &str) -> Option<Condition> {
    let object = serde_json::to_value(object).unwrap();
    let conditions = object.pointer("/status/conditions")?.as_array()?.clone();
    let found = conditions.into_iter().find(|it| it["type"] == kind)?;
    Some(serde_json::from_value(found).unwrap())
}

/// Is the condition of this type True?
pub(crate) fn is(object: &impl serde::Serialize, kind: &str) -> bool {
    find(object, kind).is_some_and(|it| it.status == "True")
}

pub(crate) fn serial(identity: &AgentIdentity) -> String {
    let status = identity.status.as_ref();
    let certificate = status.and_then(|it| it.certificate.as_ref());
    certificate.map_or_else(String::new, |it| it.serial_number.clone())
}

/// The message of a refusal by the API server; panics when it was none.
pub(crate) fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> String {
    match result {
        Err(kube::Error::Api(status)) if [400, 403, 404, 409, 422].contains(&status.code) => {
            status.message.clone()
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// A user who is not the admin.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) client: Client,
}

impl World {
    /// A user without any rights.
    pub(crate) async fn user(&self, prefix: &str) -> User {
        let name = format!("{}@example.com", unique(prefix));
        let mut config = self.plane().config().unwrap();
        config.auth_info.impersonate = Some(name.clone());
        User {
            client: Client::try_from(config).unwrap(),
            name,
        }
    }

    /// Grants rules to a user, in a namespace or everywhere, and waits until they count.
    pub(crate) async fn allow(&self, user: &User, namespace: Option<&str>, rules: Value) {
        let name = unique("test");
        let kind = if namespace.is_some() { "" } else { "Cluster" };
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": format!("{kind}Role"),
            "metadata": {"name": name, "namespace": namespace},
            "rules": rules,
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": format!("{kind}RoleBinding"),
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": format!("{kind}Role"), "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user.name}],
        });
        let both = json!({"apiVersion": "v1", "kind": "List", "items": [role, binding]});
        let apply = ["apply", "--server-side", "-f", "-"];
        self.plane()
            .kubectl_with_input(&apply, &both.to_string())
            .await
            .unwrap();
        for rule in rules.as_array().unwrap() {
            let [group, resource, verb] = ["apiGroups", "resources", "verbs"]
                .map(|it| rule[it][0].as_str().unwrap().to_owned());
            let name = rule["resourceNames"][0].as_str().map(str::to_owned);
            let review = json!({"spec": {"user": user.name, "resourceAttributes": {
                "group": group, "resource": resource.split('/').next(), "verb": verb, "namespace": namespace,
                "subresource": resource.split('/').nth(1), "name": name,
            }}});
            let reviews = Api::<k8s_openapi::api::authorization::v1::SubjectAccessReview>::all(
                self.client().await,
            );
            eventually("the role", async || {
                let answer = create(&reviews, review.clone()).await.unwrap();
                answer.status.unwrap().allowed.then_some(())
            })
            .await;
        }
    }
}

impl User {
    pub(crate) fn identities(&self, space: &Space) -> Api<AgentIdentity> {
        Api::namespaced(self.client.clone(), &space.name)
    }

    pub(crate) fn secrets(&self, space: &Space) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &space.name)
    }
}

/// The UID of an object.
pub(crate) fn uid(object: &impl kube::Resource) -> String {
    object.meta().uid.clone().unwrap()
}

/// The resourceVersion of an object.
pub(crate) fn version(object: &impl kube::Resource) -> String {
    object.meta().resource_version.clone().unwrap()
}

/// Writes `object` as it is, over whatever version is there.
pub(crate) async fn replace(api: &Api<Secret>, object: &Secret) -> kube::Result<Secret> {
    api.replace(&object.name_any(), &PostParams::default(), object)
        .await
}

impl Space {
    /// Creates a Job a moment later, for who waits meanwhile.
    pub(crate) async fn create_job_soon(&self, name: &str) {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        self.create_job(&crate::harness::job(name)).await;
    }
}
