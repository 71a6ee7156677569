//! What the schema refuses.

use countersign_api::TrustDomain;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::cluster::{cluster_scoped, create, identities, installed, patch, refusal};
use crate::samples;

#[tokio::test]
async fn an_identity_is_immutable_but_for_three_fields() {
    let all = namespaced("immutable").await;
    let mut full = samples::identity("a");
    full["spec"]["taskRef"]["uid"] = json!("u-1");
    full["spec"]["grants"] = json!([{"actions": ["read"], "resources": ["ledger/*"]}]);
    full["spec"]["attributes"] = json!({"purpose": "reconciliation"});
    full["spec"]["credential"] = json!({"secret": {"name": "mine"}, "certificateTTLSeconds": 300});
    full["spec"]["activeDeadlineSeconds"] = json!(3600);
    create(&all, full).await.unwrap();
    create(&all, samples::identity("bare")).await.unwrap();

    for (name, change, field) in [
        (
            "a",
            json!({"trustDomainRef": {"name": "other.org"}}),
            "trustDomainRef",
        ),
        ("a", json!({"ownerRef": {"name": "bob"}}), "ownerRef"),
        ("a", json!({"taskRef": {"name": "other"}}), "taskRef"),
        ("a", json!({"taskRef": {"uid": "u-2"}}), "taskRef"),
        ("a", json!({"taskRef": {"uid": null}}), "taskRef"),
        ("bare", json!({"taskRef": {"uid": "u-1"}}), "taskRef"),
        (
            "a",
            json!({"grants": [{"actions": ["*"], "resources": ["*"]}]}),
            "grants",
        ),
        ("a", json!({"grants": null}), "grants"),
        (
            "bare",
            json!({"grants": [{"actions": ["*"], "resources": ["*"]}]}),
            "grants",
        ),
        (
            "a",
            json!({"attributes": {"purpose": "other"}}),
            "attributes",
        ),
        (
            "bare",
            json!({"attributes": {"purpose": "other"}}),
            "attributes",
        ),
        (
            "a",
            json!({"credential": {"secret": {"name": "other"}}}),
            "credential.secret",
        ),
        (
            "a",
            json!({"credential": {"secret": null}}),
            "credential.secret",
        ),
        (
            "bare",
            json!({"credential": {"secret": {"name": "other"}}}),
            "credential.secret",
        ),
        (
            "a",
            json!({"credential": {"keyAlgorithm": "Ed25519"}}),
            "credential.keyAlgorithm",
        ),
        (
            "bare",
            json!({"credential": {"delivery": "Workload"}}),
            "credential.delivery",
        ),
        ("a", json!({"credential": null}), "credential.secret"),
        (
            "a",
            json!({"activeDeadlineSeconds": 7200}),
            "activeDeadlineSeconds",
        ),
        (
            "a",
            json!({"activeDeadlineSeconds": null}),
            "activeDeadlineSeconds",
        ),
        (
            "bare",
            json!({"activeDeadlineSeconds": 1}),
            "activeDeadlineSeconds",
        ),
    ] {
        let why = refusal(patch(&all, name, json!({"spec": change})).await);
        let wanted = format!("spec.{field}: Forbidden: must not be changed");
        assert!(why.contains(&wanted), "{change}: {why}");
    }

    for change in [
        json!({"credential": {"certificateTTLSeconds": 900}}),
        json!({"credential": {"certificateTTLSeconds": null}}),
        json!({"ttlSecondsAfterFinished": 0}),
        json!({"ttlSecondsAfterFinished": null}),
        json!({"desiredState": "Suspended"}),
        json!({"desiredState": "Revoked"}),
    ] {
        for name in ["a", "bare"] {
            patch(&all, name, json!({"spec": change})).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_credential_is_a_union_by_delivery() {
    let all = namespaced("union").await;
    let request = json!({"pkcs10": "-----BEGIN CERTIFICATE REQUEST-----"});
    let workload = json!({"serviceAccountName": "agent"});
    for (name, fine) in [
        (
            "secret",
            json!({"secret": {"name": "s"}, "certificateTTLSeconds": 300}),
        ),
        (
            "request",
            json!({"delivery": "Request", "request": request, "certificateTTLSeconds": 60}),
        ),
        (
            "workload",
            json!({"delivery": "Workload", "workload": workload}),
        ),
        (
            "bare",
            json!({"delivery": "Workload", "certificateTTLSeconds": 60}),
        ),
        ("empty", json!({})),
    ] {
        let mut wanted = samples::identity(name);
        wanted["spec"]["credential"] = fine;
        create(&all, wanted).await.unwrap();
    }
    for (bad, wanted) in [
        (json!({"delivery": "Request"}), "`request` must be set when"),
        (
            json!({"request": request}),
            "`request` must not be set unless",
        ),
        (
            json!({"workload": workload}),
            "`workload` must not be set unless",
        ),
        (
            json!({"delivery": "Workload", "workload": {"pods": "ServiceAccount"}}),
            "`serviceAccountName` must be set when",
        ),
        (
            json!({"delivery": "Workload", "workload": {"pods": "All"}}),
            "Unsupported value",
        ),
        (
            json!({"delivery": "Workload", "secret": {"name": "s"}}),
            "`secret` must not be set unless",
        ),
        (
            json!({"delivery": "Workload", "request": request}),
            "`request` must not be set unless",
        ),
        (json!({"certificateTTLSeconds": 299}), "must be 300 or more"),
        (
            json!({"delivery": "Workload", "certificateTTLSeconds": 59}),
            "greater than or equal to 60",
        ),
        (
            json!({"certificateTTLSeconds": 86401}),
            "less than or equal to 86400",
        ),
        (json!({"delivery": "Pigeon"}), "Unsupported value"),
        (json!({"delivery": "secret"}), "Unsupported value"),
        (json!({"keyAlgorithm": "RSA2048"}), "Unsupported value"),
    ] {
        let mut object = samples::identity("bad");
        object["spec"]["credential"] = bad.clone();
        let why = refusal(create(&all, object).await);
        assert!(why.contains(wanted), "{bad}: {why}");
    }
}

#[tokio::test]
async fn references_and_grants_hold_no_junk() {
    let all = namespaced("junk").await;
    for (field, bad) in [
        ("ownerRef", json!({"name": "../alice"})),
        ("ownerRef", json!({"name": "Alice"})),
        ("ownerRef", json!({"name": ""})),
        ("trustDomainRef", json!({"name": "a_b"})),
        ("taskRef", json!({"resource": "jobs/status", "name": "a"})),
        ("taskRef", json!({"resource": "*", "name": "a"})),
        ("taskRef", json!({"resource": "jobs", "name": "a/b"})),
        (
            "taskRef",
            json!({"resource": "jobs", "name": "a", "group": "batch/v1"}),
        ),
        ("grants", json!([{"actions": [], "resources": ["a"]}])),
        ("grants", json!([{"actions": ["read"]}])),
        (
            "grants",
            json!([{"actions": ["read"], "resources": ["a*"]}]),
        ),
        (
            "grants",
            json!([{"actions": ["read"], "resources": ["/a"]}]),
        ),
        (
            "grants",
            json!([{"actions": ["read"], "resources": ["a//b"]}]),
        ),
        (
            "grants",
            json!([{"actions": ["read"], "resources": ["a b"]}]),
        ),
        ("grants", json!([{"actions": ["re*"], "resources": ["a"]}])),
        ("attributes", json!({"": "a"})),
        ("activeDeadlineSeconds", json!(0)),
        ("activeDeadlineSeconds", json!("1h")),
        ("ttlSecondsAfterFinished", json!(-1)),
        ("desiredState", json!("Paused")),
    ] {
        let mut object = samples::identity("bad");
        object["spec"][field] = bad.clone();
        let why = refusal(create(&all, object).await);
        assert!(why.contains(&format!("spec.{field}")), "{bad}: {why}");
    }
    for missing in ["trustDomainRef", "ownerRef", "taskRef"] {
        let mut object = samples::identity("bad");
        object["spec"].as_object_mut().unwrap().remove(missing);
        refusal(create(&all, object).await);
    }
    refusal(create(&all, samples::identity(&"a".repeat(245))).await);
    create(&all, samples::identity(&"a".repeat(244)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_trust_domain_has_one_authority_that_outlives_what_it_signs() {
    let client = installed().await.client().await.unwrap();
    let all = cluster_scoped(client, "TrustDomain", "trustdomains");
    let domain = |name: &str, spec: &Value| {
        let mut object = samples::trust_domain(name);
        object["spec"] = spec.clone();
        object
    };
    let built_in = json!({"builtIn": {}});
    for (name, spec) in [
        (
            "a.example",
            json!({"authority": built_in, "namespaceSelector": {}}),
        ),
        (
            "b.example",
            json!({
                "authority": {"secretRef": {"name": "ca"}, "distrusted": ["00ff"]},
                "namespaceSelector": {
                    "matchLabels": {"example.org/trust": "a"},
                    "matchExpressions": [{"key": "b", "operator": "In", "values": ["c"]}],
                },
            }),
        ),
        (
            "c.example",
            json!({
                "authority": {"builtIn": {"caLifetimeSeconds": 21600, "keyAlgorithm": "Ed25519"}},
                "issuerURL": "https://id.example.org:8443/agents",
            }),
        ),
    ] {
        create(&all, domain(name, &spec)).await.unwrap();
    }
    for (spec, wanted) in [
        (json!({}), "spec.authority: Required"),
        (
            json!({"authority": {}}),
            "exactly one of `builtIn` and `secretRef`",
        ),
        (
            json!({"authority": {"builtIn": {}, "secretRef": {"name": "ca"}}}),
            "exactly one of `builtIn` and `secretRef`",
        ),
        (
            json!({"authority": {"builtIn": {"caLifetimeSeconds": 21599}}}),
            "must be at least 6 times",
        ),
        (
            json!({"authority": built_in, "defaultCertificateTTLSeconds": 3601}),
            "must not be more than `maxCertificateTTLSeconds`",
        ),
        (
            json!({"authority": {"builtIn": {}, "distrusted": ["00ff", "00ff"]}}),
            "Duplicate value",
        ),
        (json!({"authority": {"builtIn": {"epoch": 0}}}), "epoch"),
        (
            json!({"authority": built_in, "maxDelegationLifetimeSeconds": 59}),
            "maxDelegationLifetimeSeconds",
        ),
        (
            json!({"authority": built_in, "maxDelegationLifetimeSeconds": 31_536_001}),
            "maxDelegationLifetimeSeconds",
        ),
        (
            json!({"authority": built_in, "namespaceSelector": {
                "matchExpressions": [{"key": "b", "operator": "Exists", "values": ["c"]}],
            }}),
            "`values` must be set for In and NotIn",
        ),
        (
            json!({"authority": built_in, "namespaceSelector": {"matchLabels": {"a": "b c"}}}),
            "matchLabels",
        ),
        (
            json!({"authority": built_in, "issuerURL": "http://id.example.org"}),
            "issuerURL",
        ),
        (
            json!({"authority": built_in, "issuerURL": "https://id.example.org/"}),
            "issuerURL",
        ),
        (
            json!({"authority": built_in, "issuerURL": "https://ID.example.org"}),
            "issuerURL",
        ),
        (
            json!({"authority": built_in, "issuerURL": "https://id.example.org/a?b"}),
            "issuerURL",
        ),
    ] {
        let why = refusal(create(&all, domain("bad.example", &spec)).await);
        assert!(why.contains(wanted), "{spec}: {why}");
    }
    refusal(create(&all, domain("Example.org", &json!({"authority": built_in}))).await);
    let label = "a".repeat(63);
    let long = [label.as_str(); 4].join(".");
    let why = refusal(create(&all, domain(&long, &json!({"authority": built_in}))).await);
    assert!(why.contains("243"), "{why}");
}

#[tokio::test]
async fn a_signing_key_has_one_purpose_and_is_told_once() {
    let client = installed().await.client().await.unwrap();
    let all = cluster_scoped(client, "TrustDomain", "trustdomains");
    create(&all, samples::trust_domain("keys.example"))
        .await
        .unwrap();
    let key = |id: &str, purpose: &str, slot: &str| {
        json!({
            "id": id, "purpose": purpose, "slot": slot,
            "notBefore": "2026-11-24T10:00:00Z", "notAfter": "2026-12-24T10:00:00Z",
        })
    };
    let write = async |keys: Value| {
        let patch = Patch::Merge(json!({"status": {"signingKeys": keys}}));
        all.patch_status("keys.example", &PatchParams::default(), &patch)
            .await
    };
    let fine = json!([
        key("00aa", "Statements", "Active"),
        key("00ab", "Statements", "Prepared"),
        key("00ac", "Lists", "Retired"),
        key("00ad", "Checkpoints", "Distrusted"),
    ]);
    let made = write(fine.clone()).await.unwrap();
    assert_eq!(made.data["status"]["signingKeys"], fine);
    let domain = serde_json::from_value::<TrustDomain>(serde_json::to_value(made).unwrap());
    let keys = domain.unwrap().status.unwrap().signing_keys;
    assert_eq!(serde_json::to_value(keys).unwrap(), fine);
    for bad in [
        json!([key("AA", "Statements", "Active")]),
        json!([key("", "Statements", "Active")]),
        json!([key("aa", "Certificates", "Active")]),
        json!([key("aa", "Statements", "Lost")]),
        json!([
            key("aa", "Statements", "Active"),
            key("aa", "Lists", "Active")
        ]),
    ] {
        let why = refusal(write(bad.clone()).await);
        assert!(why.contains("status.signingKeys["), "{bad}: {why}");
    }
}

#[tokio::test]
async fn an_owner_is_nobody_in_particular_never() {
    let client = installed().await.client().await.unwrap();
    let all = cluster_scoped(client, "AgentOwner", "agentowners");
    let mut fine = samples::owner("fine");
    fine["spec"]["subjects"] = json!([
        {"kind": "Group", "name": "finance"},
        {"kind": "ServiceAccount", "name": "ci", "namespace": "finance"},
    ]);
    create(&all, fine).await.unwrap();
    for (bad, wanted) in [
        (
            json!({"kind": "Group", "name": "system:authenticated"}),
            "must not be a `system:` group",
        ),
        (
            json!({"kind": "User", "name": "system:anonymous"}),
            "must not be system:anonymous",
        ),
        (
            json!({"kind": "ServiceAccount", "name": "ci"}),
            "`namespace` must be set",
        ),
        (
            json!({"kind": "User", "name": "a", "namespace": "b"}),
            "`namespace` must be set",
        ),
        (json!({"kind": "Robot", "name": "a"}), "Unsupported value"),
    ] {
        let mut object = samples::owner("bad");
        object["spec"]["subjects"] = json!([bad]);
        let why = refusal(create(&all, object).await);
        assert!(why.contains(wanted), "{bad}: {why}");
    }
}

#[tokio::test]
async fn a_task_kind_is_a_resource_that_ends() {
    let client = installed().await.client().await.unwrap();
    let all = cluster_scoped(client, "TaskKind", "taskkinds");
    for name in ["jobs.batch", "pods", "rayjobs.ray.io"] {
        let made = create(&all, samples::task_kind(name)).await.unwrap();
        assert_eq!(made.data["spec"]["failed"], "false");
    }
    let long = format!("{}.example.org", "a".repeat(64));
    for name in [
        "agentidentities.countersign.dev",
        "secrets",
        "namespaces",
        "roles.rbac.authorization.k8s.io",
        "events.events.k8s.io",
        &long,
    ] {
        let why = refusal(create(&all, samples::task_kind(name)).await);
        assert!(why.contains("`metadata.name` must"), "{name}: {why}");
    }
    for (field, bad) in [
        ("version", "1"),
        ("version", "v1/jobs"),
        ("succeeded", ""),
        ("failed", &"a".repeat(2049)),
    ] {
        let mut object = samples::task_kind("bad.example");
        object["spec"][field] = json!(bad);
        let why = refusal(create(&all, object).await);
        assert!(why.contains(&format!("spec.{field}")), "{why}");
    }
}

async fn namespaced(prefix: &str) -> Api<DynamicObject> {
    let plane = installed().await;
    let namespace = plane.namespace(prefix).await.unwrap();
    identities(plane.client().await.unwrap(), &namespace)
}
