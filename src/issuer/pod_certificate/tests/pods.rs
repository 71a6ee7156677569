//! Requests are held against the pod that they name.

use rcgen::KeyPair;
use serde_json::json;

use super::fixture::{pending, pod, stub};
use crate::PodRef;
use crate::pod_certificate::pod::check;

#[test]
fn a_pod_that_is_as_the_request_says_is_known() {
    let asked = pending(stub(&KeyPair::generate().unwrap())).spec;
    let found = check(Some(&pod(&json!({}))), "finance", &asked).unwrap();
    let expected = PodRef {
        namespace: "finance".to_owned(),
        name: "work-x".to_owned(),
        uid: "p1".to_owned(),
        service_account: "reader".to_owned(),
    };
    assert_eq!(found, expected);
    for phase in ["Running", "Unknown"] {
        let later = pod(&json!({"status": {"phase": phase}}));
        assert!(check(Some(&later), "finance", &asked).is_ok(), "{phase}");
    }
}

#[test]
fn a_pod_that_is_not_is_denied() {
    let asked = pending(stub(&KeyPair::generate().unwrap())).spec;
    let denied = |patch| check(Some(&pod(&patch)), "finance", &asked).unwrap_err();
    let volume =
        |source| json!({"spec": {"volumes": [{"name": "id", "projected": {"sources": [source]}}]}});
    for (patch, words) in [
        (
            json!({"metadata": {"uid": "p2"}}),
            "another of the same name",
        ),
        (
            json!({"metadata": {"deletionTimestamp": "2026-11-24T12:00:00Z"}}),
            "ends or is over",
        ),
        (json!({"status": {"phase": "Succeeded"}}), "ends or is over"),
        (json!({"status": {"phase": "Failed"}}), "ends or is over"),
        (
            json!({"spec": {"serviceAccountName": "boss"}}),
            "service account",
        ),
        (
            json!({"spec": {"serviceAccountName": null}}),
            "service account",
        ),
        (json!({"spec": {"nodeName": "n2"}}), "node"),
        (json!({"spec": {"nodeName": null}}), "node"),
        (json!({"spec": {"volumes": null}}), "projected volume"),
        (
            volume(json!({"serviceAccountToken": {"path": "token"}})),
            "projected volume",
        ),
        (
            volume(
                json!({"podCertificate": {"signerName": "example.com/other", "keyType": "ED25519"}}),
            ),
            "projected volume",
        ),
    ] {
        let denial = denied(patch);
        assert_eq!(denial.reason, "UnknownPod");
        assert!(denial.message.contains(words), "{}", denial.message);
    }
    let gone = check(None, "finance", &asked).unwrap_err();
    assert!(gone.message.contains("isn't there"), "{}", gone.message);
}
