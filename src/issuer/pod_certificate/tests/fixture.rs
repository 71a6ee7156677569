//! A request as a kubelet makes it, its pod, and an authority.

use std::collections::BTreeSet;

use countersign_authority::{
    AuthoritySet, KeyAlgorithm, LeafKey, LeafRequest, RequestedKey, Wanted,
};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::PodCertificateRequest;
use k8s_openapi::api::core::v1::Pod;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::IssuedX509;
use crate::pod_certificate::asked::Pending;

pub(super) const ID: &str = "spiffe://example.org/ns/finance/agent/reader/task/4f1c/9b2e";

pub(super) fn start() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// A stub PKCS#10 request: nothing but the key.
pub(super) fn stub(key: &KeyPair) -> Vec<u8> {
    let request = CertificateParams::default().serialize_request(key).unwrap();
    request.der().to_vec()
}

pub(super) fn requested(key: &KeyPair) -> RequestedKey {
    RequestedKey::from_pkcs10_der(&stub(key)).unwrap()
}

/// A request made at [`start`] with this key.
pub(super) fn request(der: Vec<u8>) -> PodCertificateRequest {
    let object = json!({
        "metadata": {
            "name": "req-1", "namespace": "finance", "uid": "u1", "resourceVersion": "7",
            "creationTimestamp": "2026-11-24T12:00:00Z",
        },
        "spec": {
            "signerName": "countersign.dev/agent",
            "podName": "work-x", "podUID": "p1",
            "serviceAccountName": "reader", "serviceAccountUID": "s1",
            "nodeName": "n1", "nodeUID": "n1u",
            "maxExpirationSeconds": 86_400,
            "stubPKCS10Request": "",
        },
    });
    let mut request: PodCertificateRequest = serde_json::from_value(object).unwrap();
    request.spec.stub_pkc_s10_request = ByteString(der);
    request
}

pub(super) fn pending(der: Vec<u8>) -> Pending {
    Pending::of(request(der)).unwrap()
}

/// The pod of [`request`], with `patch` over it at the top level.
pub(super) fn pod(patch: &Value) -> Pod {
    let mut object = json!({
        "metadata": {"name": "work-x", "namespace": "finance", "uid": "p1"},
        "spec": {
            "nodeName": "n1", "serviceAccountName": "reader",
            "containers": [{"name": "main"}],
            "volumes": [
                {"name": "scratch", "emptyDir": {}},
                {"name": "id", "projected": {"sources": [
                    {"podCertificate": {"signerName": "countersign.dev/agent", "keyType": "ECDSAP256"}},
                ]}},
            ],
        },
        "status": {"phase": "Pending"},
    });
    for (part, fields) in patch.as_object().unwrap() {
        for (field, value) in fields.as_object().unwrap() {
            object[part][field] = value.clone();
        }
    }
    serde_json::from_value(object).unwrap()
}

/// A certificate for this key, of `ttl_seconds` from [`start`] on.
pub(super) fn certificate(key: &RequestedKey, ttl_seconds: u64) -> IssuedX509 {
    let want = Wanted {
        trust_domain: "example.org".to_owned(),
        ca_lifetime_seconds: 30 * 86_400,
        key_algorithm: KeyAlgorithm::EcdsaP256,
        epoch: 1,
        distrusted: BTreeSet::new(),
        max_leaf_ttl_seconds: 86_400,
        bundle_propagated: true,
        propagation_seconds: 60,
    };
    let set = AuthoritySet::default()
        .next(&want, start())
        .unwrap()
        .unwrap();
    let asked = LeafRequest {
        spiffe_id: ID,
        key: LeafKey::Public(key),
        ttl_seconds,
        not_after_cap: None,
    };
    let leaf = set
        .signer()
        .unwrap()
        .unwrap()
        .issue(&asked, start())
        .unwrap();
    let chain = pem::parse_many(leaf.chain_pem).unwrap();
    IssuedX509 {
        spiffe_id: ID.to_owned(),
        chain: chain.into_iter().map(pem::Pem::into_contents).collect(),
    }
}
