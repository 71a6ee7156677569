//! What people and tools read.

use kube::Api;
use serde_json::json;

use countersign_api::admission::{Shipped, names};
use countersign_api::{AgentIdentity, Delegation, TrustDomain};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};

use crate::cluster::{cluster_scoped, create, delegations, identities, installed, until};
use crate::samples;

#[tokio::test]
async fn live_policies_equal_what_shipped() {
    let client = installed().await.client().await.unwrap();
    let mut seen = 0;
    macro_rules! check {
        ($($kind:ty),*) => {$(
            for expected in <$kind>::expected() {
                let name = expected.metadata.name.clone().unwrap();
                let live = Api::<$kind>::all(client.clone()).get(&name).await.unwrap();
                assert_eq!(live.spec, expected.spec);
                assert!(live.as_shipped());
                assert_eq!(live.metadata.labels, expected.metadata.labels);
                seen += 1;
            }
        )*};
    }
    check!(
        MutatingAdmissionPolicy,
        MutatingAdmissionPolicyBinding,
        ValidatingAdmissionPolicy,
        ValidatingAdmissionPolicyBinding
    );
    assert_eq!(seen, names().count());
}

#[test]
fn an_altered_policy_is_told_from_what_shipped() {
    let mut altered = ValidatingAdmissionPolicy::expected().remove(0);
    assert!(altered.as_shipped());
    altered.spec.as_mut().unwrap().failure_policy = Some("Ignore".to_owned());
    assert!(!altered.as_shipped());
    let mut binding = ValidatingAdmissionPolicyBinding::expected().remove(0);
    binding.spec.validation_actions = vec!["Audit".to_owned()];
    assert!(!binding.as_shipped());
    let mut renamed = MutatingAdmissionPolicy::expected().remove(0);
    renamed.metadata.name = Some("other".to_owned());
    assert!(!renamed.as_shipped());
}

#[tokio::test]
async fn the_type_checker_finds_nothing_in_the_policies() {
    let client = installed().await.client().await.unwrap();
    let policies = Api::<ValidatingAdmissionPolicy>::all(client);
    for expected in ValidatingAdmissionPolicy::expected() {
        let name = expected.metadata.name.unwrap();
        until("the type check is done", async || {
            let live = policies.get(&name).await.unwrap();
            live.status
                .is_some_and(|it| it.observed_generation.is_some())
        })
        .await;
        let status = policies.get(&name).await.unwrap().status.unwrap();
        let warnings = status.type_checking.and_then(|it| it.expression_warnings);
        assert_eq!(warnings.unwrap_or_default(), vec![], "{name}");
    }
}

#[tokio::test]
async fn nobody_takes_an_object_for_ready_that_nobody_looked_at() {
    let plane = installed().await;
    let client = plane.client().await.unwrap();
    let namespace = plane.namespace("pending").await.unwrap();
    let identities = identities(client.clone(), &namespace);
    create(&identities, samples::identity("a")).await.unwrap();
    let domains = cluster_scoped(client.clone(), "TrustDomain", "trustdomains");
    let domain = samples::trust_domain("pending.example");
    create(&domains, domain).await.unwrap();
    let delegations = delegations(client.clone(), &namespace);
    create(&delegations, samples::root("a")).await.unwrap();

    let identity = Api::<AgentIdentity>::namespaced(client.clone(), &namespace)
        .get("a")
        .await
        .unwrap();
    let status = identity.status.unwrap();
    assert_eq!(status.observed_generation, Some(0));
    let delegation = Api::<Delegation>::namespaced(client.clone(), &namespace);
    let delegation = delegation.get("a").await.unwrap().status.unwrap();
    assert_eq!(delegation.observed_generation, Some(0));
    let domain = Api::<TrustDomain>::all(client).get("pending.example").await;
    for condition in [
        &status.conditions,
        &delegation.conditions,
        &domain.unwrap().status.unwrap().conditions,
    ] {
        let [ready] = condition.as_slice() else {
            panic!("{condition:?}");
        };
        assert_eq!(
            (ready.type_.as_str(), ready.status.as_str()),
            ("Ready", "Unknown")
        );
        assert_eq!(ready.reason, "Pending");
    }

    let wait = [
        "wait",
        "--for=condition=Ready",
        "--timeout=1s",
        "-n",
        &namespace,
        "agid/a",
    ];
    let error = plane.kubectl(&wait).await.unwrap_err();
    assert!(error.to_string().contains("timed out"), "{error}");
}

#[tokio::test]
async fn defaults_are_those_that_explain_tells() {
    let plane = installed().await;
    let client = plane.client().await.unwrap();
    let namespace = plane.namespace("defaults").await.unwrap();
    let identities = identities(client.clone(), &namespace);
    let made = create(&identities, samples::identity("a"));
    let mut spec = made.await.unwrap().data["spec"].clone();
    spec.as_object_mut().unwrap().remove("requester").unwrap();
    let expected = json!({
        "trustDomainRef": {"name": "example.org"},
        "ownerRef": {"name": "alice"},
        "taskRef": {"group": "batch", "resource": "jobs", "name": "reconcile"},
        "grants": [],
        "attributes": {},
        "credential": {"delivery": "Secret", "keyAlgorithm": "ECDSAP256"},
        "desiredState": "Active",
    });
    assert_eq!(spec, expected);

    let delegations = delegations(client.clone(), &namespace);
    let domains = cluster_scoped(client, "TrustDomain", "trustdomains");
    let domain = samples::trust_domain("defaults.example");
    let made = create(&domains, domain).await.unwrap();
    let expected = json!({
        "authority": {
            "builtIn": {"caLifetimeSeconds": 2592000, "keyAlgorithm": "ECDSAP256", "epoch": 1},
            "distrusted": [],
        },
        "defaultCertificateTTLSeconds": 600,
        "maxCertificateTTLSeconds": 3600,
        "maxIdentityLifetimeSeconds": 86400,
        "maxDelegationLifetimeSeconds": 86400,
    });
    assert_eq!(made.data["spec"], expected);

    let made = create(&delegations, samples::root("a")).await.unwrap();
    let mut spec = made.data["spec"].clone();
    spec.as_object_mut().unwrap().remove("requester").unwrap();
    let mut expected = samples::root("a")["spec"].clone();
    expected["expiresAfterSeconds"] = json!(900);
    expected["maxDepth"] = json!(0);
    expected["desiredState"] = json!("Active");
    assert_eq!(spec, expected);
}

#[tokio::test]
async fn a_null_is_the_same_as_nothing() {
    let plane = installed().await;
    let client = plane.client().await.unwrap();
    let namespace = plane.namespace("null").await.unwrap();
    let identities = identities(client, &namespace);
    let mut nulls = samples::identity("a");
    for field in [
        "grants",
        "credential",
        "desiredState",
        "activeDeadlineSeconds",
        "requester",
    ] {
        nulls["spec"][field] = json!(null);
    }
    let made = create(&identities, nulls);
    let spec = made.await.unwrap().data["spec"].clone();
    assert_eq!(spec["grants"], json!([]));
    assert_eq!(spec["credential"]["delivery"], "Secret");
    assert_eq!(spec["desiredState"], "Active");
    assert!(spec.get("activeDeadlineSeconds").is_none());
    assert_eq!(spec["requester"]["username"], "admin");
}

#[tokio::test]
async fn an_equal_apply_changes_nothing() {
    let plane = installed().await;
    let namespace = plane.namespace("gitops").await.unwrap();
    let mut yaml = samples::identity("a");
    yaml["metadata"]["namespace"] = json!(namespace);
    let version = async || {
        let output = "-o=jsonpath={.metadata.resourceVersion}";
        let get = ["get", "agid", "a", "-n", &namespace, output];
        plane.kubectl(&get).await.unwrap()
    };
    let input = yaml.to_string();
    let server_side = ["apply", "--server-side", "-f", "-"];
    let client_side = ["apply", "-f", "-"];
    let diff = ["diff", "--server-side", "-f", "-"];
    let run = async |args: &[&str]| plane.kubectl_with_input(args, &input).await.unwrap();
    run(&server_side).await;
    // The default of the status isn't stored until something is: the operator's first write comes
    // before the second sync.
    let name = [
        "patch",
        "agid",
        "a",
        "-n",
        &namespace,
        "--subresource=status",
    ];
    let seen = [
        "--type=merge",
        "-p",
        r#"{"status": {"observedGeneration": 1}}"#,
    ];
    plane
        .kubectl(&[&name[..], &seen[..]].concat())
        .await
        .unwrap();
    let first = version().await;
    run(&server_side).await;
    run(&diff).await;
    assert_eq!(version().await, first);
    run(&client_side).await; // adds its annotation once
    let second = version().await;
    run(&client_side).await;
    assert_eq!(version().await, second);
}

#[tokio::test]
async fn explain_reads_well() {
    let plane = installed().await;
    let explain = async |what: &str| plane.kubectl(&["explain", what]).await.unwrap();
    let spec = explain("agid.spec").await;
    for field in [
        "taskRef\t<Object> -required-",
        "desiredState\t<string>",
        "Immutable.",
    ] {
        assert!(spec.contains(field), "{spec}");
    }
    let outcome = explain("agid.status.task.outcome").await;
    assert!(outcome.contains("What became of the task."), "{outcome}");
    assert!(outcome.contains("ENUM:"), "{outcome}");
    let delivery = explain("agid.spec.credential.delivery").await;
    assert!(
        delivery.contains("How the agent gets its certificate."),
        "{delivery}"
    );
    for (kind, about) in [
        ("td", "TrustDomain is"),
        ("agown", "AgentOwner is"),
        ("agid", "AgentIdentity is"),
        ("agpol", "AgentPolicy permits"),
        ("cagpol", "ClusterAgentPolicy permits"),
        ("deleg", "Delegation hands"),
        ("tkind", "TaskKind makes"),
    ] {
        assert!(explain(kind).await.contains(about), "{kind}");
        for part in ["spec", "status"] {
            let text = plane
                .kubectl(&["explain", "--recursive", &format!("{kind}.{part}")])
                .await;
            assert!(!text.unwrap().contains("<no description>"), "{kind}.{part}");
        }
    }
}

#[tokio::test]
async fn columns_and_field_selectors_tell_the_state() {
    let plane = installed().await;
    let client = plane.client().await.unwrap();
    let namespace = plane.namespace("columns").await.unwrap();
    let all = identities(client, &namespace);
    let conditions = |list: &[(&str, &str, &str)]| {
        let all: Vec<_> = list
            .iter()
            .map(|(type_, status, reason)| {
                json!({
                    "type": type_, "status": status, "reason": reason, "message": "",
                    "lastTransitionTime": "2026-11-24T10:00:00Z",
                })
            })
            .collect();
        json!(all)
    };
    for (name, list) in [
        ("good", conditions(&[("Ready", "True", "Issued")])),
        (
            "over",
            conditions(&[("Completed", "True", "TaskSucceeded")]),
        ),
        (
            "bad",
            conditions(&[
                ("Ready", "False", "OwnerNotFound"),
                ("Stalled", "True", "OwnerNotFound"),
            ]),
        ),
    ] {
        let mut made = samples::identity(name);
        made["spec"]["taskRef"]["name"] = json!(format!("task-{name}"));
        create(&all, made).await.unwrap();
        let status = json!({"status": {
            "conditions": list,
            "certificate": {
                "serialNumber": "4f", "publicKeySHA256": "00", "authorityID": "aa",
                "notBefore": "2026-11-24T10:00:00Z", "notAfter": "2026-11-24T10:05:00Z",
            },
        }});
        let patch = kube::api::Patch::Merge(status);
        all.patch_status(name, &kube::api::PatchParams::default(), &patch)
            .await
            .unwrap();
    }
    let table = plane
        .kubectl(&["get", "agid", "-n", &namespace])
        .await
        .unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|row| row.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["NAME", "OWNER", "TASK", "READY", "STATE", "EXPIRES", "AGE"]
    );
    let expires = "2026-11-24T10:05:00Z";
    assert_eq!(
        rows[1][..6],
        ["bad", "alice", "task-bad", "False", "Stalled", expires]
    );
    assert_eq!(
        rows[2][..6],
        ["good", "alice", "task-good", "True", "Ready", expires]
    );
    assert_eq!(
        rows[3][..5],
        ["over", "alice", "task-over", "Completed", expires]
    );
    let wide = plane
        .kubectl(&["get", "agid", "over", "-n", &namespace, "-o", "wide"])
        .await
        .unwrap();
    assert!(wide.contains("TaskSucceeded"), "{wide}");

    for (selector, count) in [
        ("spec.taskRef.name=task-good", 1),
        ("spec.ownerRef.name=alice", 3),
        (
            "spec.trustDomainRef.name=example.org,spec.desiredState=Active",
            3,
        ),
        ("spec.desiredState=Suspended", 0),
    ] {
        let args = [
            "get",
            "agid",
            "-n",
            &namespace,
            "-o",
            "name",
            "--field-selector",
            selector,
        ];
        assert_eq!(
            plane.kubectl(&args).await.unwrap().lines().count(),
            count,
            "{selector}"
        );
    }
    plane
        .kubectl(&["get", "countersign", "-n", &namespace])
        .await
        .unwrap();
}
