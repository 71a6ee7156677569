//! The operator may not do what it should, yet.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::crowd::is_ready;
use crate::harness::{DOMAIN, World};
use crate::support::{find, is};

/// The longest wait of a watch that was refused, and a bit.
const WATCH_BACKOFF: Duration = Duration::from_secs(36 + 14);
/// How long it is left in the dark.
const DARKNESS: Duration = Duration::from_secs(3);

/// Everything but Secrets.
const WITHOUT_SECRETS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: countersign-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: operator, namespace: countersign-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: operator}
rules:
- {apiGroups: [countersign.dev], resources: ["*"], verbs: ["*"]}
- {apiGroups: [""], resources: [namespaces, pods], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [configmaps], verbs: [get, list, watch, create, update, delete]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update]}
- {apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch]}
- {apiGroups: [admissionregistration.k8s.io], resources: ["*"], verbs: [get, list, watch]}
- {apiGroups: [authorization.k8s.io], resources: [subjectaccessreviews], verbs: [create]}
- {apiGroups: [certificates.k8s.io], resources: [clustertrustbundles], verbs: [get, list, watch, create, update]}
- {apiGroups: [certificates.k8s.io], resources: [signers], verbs: [attest]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: operator}
subjects: [{kind: ServiceAccount, name: operator, namespace: countersign-system}]
"#;

/// Secrets.
const SECRETS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: operator-secrets}
rules:
- {apiGroups: [""], resources: [secrets], verbs: [get, list, watch, create, update, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: operator-secrets}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: operator-secrets}
subjects: [{kind: ServiceAccount, name: operator, namespace: countersign-system}]
"#;

#[tokio::test]
async fn an_operator_that_may_not_touch_secrets_says_so_and_goes_on_when_it_may() {
    let world = World::own().await;
    let plane = world.plane();
    let apply = ["apply", "-f", "-"];
    plane
        .kubectl_with_input(&apply, WITHOUT_SECRETS)
        .await
        .unwrap();
    let kubeconfig = kubeconfig(&world).await;
    let mut operator = world.operator_by(&kubeconfig, "only", &["--secret-namespaces", "*"]);
    let space = world.space("forbidden").await;
    space.create_agent("early").await;
    operator.until_leading().await;
    assert_eq!(space.until_stalled("early").await, "SecretsForbidden");
    let domain = world
        .until_domain(DOMAIN, "Stalled", |it| is(it, "Stalled"))
        .await;
    let said = find(&domain, "Ready").unwrap();
    assert_eq!(
        (&*said.status, &*said.reason),
        ("False", "AuthorityForbidden")
    );
    tokio::time::sleep(DARKNESS).await;
    assert!(!operator.is_over(), "it gave up:\n{}", operator.log());

    plane.kubectl_with_input(&apply, SECRETS).await.unwrap();
    space.create_agent("later").await;
    space.until_count(WATCH_BACKOFF, 2, "Ready", is_ready).await;
    assert_eq!(space.assert_in_order().await.len(), 2);
    world.assert_written(&space, 1).await;
    space.finish_pod("early", "Succeeded").await;
    assert_eq!(space.until_completed("early").await, "TaskSucceeded");
    space.until_no_secret("early-identity").await;
}

/// For the operator's ServiceAccount.
async fn kubeconfig(world: &World) -> std::path::PathBuf {
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client().await, "countersign-system");
    let request: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": []}})).unwrap();
    let params = PostParams::default();
    let token = accounts
        .create_token_request("operator", &params, &request)
        .await
        .unwrap();
    let token = token.status.unwrap().token;
    let admin = std::fs::read_to_string(world.plane().kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&admin).unwrap();
    config["users"][0]["user"] = json!({"token": token});
    let path = world.plane().dir().join("operator.kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}
