//! What an agent is given, and how it gets there.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{bounds, immutable, schema};

/// The credential: a union by `delivery`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = immutable::always_there("delivery"),
    validation = immutable::optional("secret"),
    validation = immutable::optional("request"),
    validation = immutable::optional("workload"),
    validation = immutable::always_there("keyAlgorithm"),
    validation = Rule::new("self.delivery == 'Secret' || !has(self.secret)")
        .message("`secret` must not be set unless `delivery` is Secret")
        .field_path(".secret"),
    validation = Rule::new("self.delivery != 'Request' || has(self.request)")
        .message("`request` must be set when `delivery` is Request")
        .field_path(".request"),
    validation = Rule::new("self.delivery == 'Request' || !has(self.request)")
        .message("`request` must not be set unless `delivery` is Request")
        .field_path(".request"),
    validation = Rule::new("self.delivery == 'Workload' || !has(self.workload)")
        .message("`workload` must not be set unless `delivery` is Workload")
        .field_path(".workload"),
    validation = Rule::new(
        "self.delivery != 'Secret' || !has(self.certificateTTLSeconds) || self.certificateTTLSeconds >= 300",
    )
    .message("`certificateTTLSeconds` must be 300 or more when `delivery` is Secret: a kubelet may take 90 s to show a new one")
    .field_path(".certificateTTLSeconds")
)]
pub struct CredentialSpec {
    /// How the agent gets its certificate. `Secret`: key, certificate and bundle in a Secret.
    /// `Request`: the agent keeps its own key and gets the chain from
    /// `status.certificate.chain`. `Workload`: issued in the pod, nothing is stored. Default:
    /// Secret. Immutable.
    #[serde(default)]
    pub delivery: Delivery,
    /// The Secret, for delivery `Secret` only. Default: absent, `<name>-identity`. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretDelivery>,
    /// The agent's own request; required for delivery `Request`, and for it only. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestDelivery>,
    /// Which pods get it, for delivery `Workload` only. Default: absent, all pods of the task.
    /// Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadDelivery>,
    /// How long a certificate is valid, in seconds: at least 300 for delivery `Secret`, 60
    /// otherwise, and at most the trust domain's `maxCertificateTTLSeconds`. It is renewed well
    /// before its end. Default: absent, the trust domain's `defaultCertificateTTLSeconds`. May be
    /// changed; the next renewal follows it.
    #[serde(
        default,
        rename = "certificateTTLSeconds",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 60, max = bounds::DAY_SECONDS))]
    pub certificate_ttl_seconds: Option<i64>,
    /// The algorithm of the key that is made for the agent. Without meaning for delivery `Request`,
    /// where the agent made it. Default: ECDSAP256. Immutable.
    #[serde(default)]
    pub key_algorithm: KeyAlgorithm,
}

/// How a credential gets to the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum Delivery {
    /// In a Secret.
    #[default]
    Secret,
    /// By the answer to a PKCS#10 request.
    Request,
    /// Into the pod, stored nowhere.
    Workload,
}

/// The algorithm of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum KeyAlgorithm {
    /// ECDSA on NIST P-256.
    #[default]
    #[serde(rename = "ECDSAP256")]
    EcdsaP256,
    /// ECDSA on NIST P-384.
    #[serde(rename = "ECDSAP384")]
    EcdsaP384,
    /// Ed25519 (RFC 8410); not every TLS stack takes it.
    Ed25519,
}

/// Delivery in a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretDelivery {
    /// The Secret's name, in the identity's namespace. A Secret of that name that isn't the
    /// identity's is left alone, and the identity is Stalled. Immutable.
    #[schemars(length(min = 1, max = bounds::MAX_NAME), regex(pattern = bounds::DNS_SUBDOMAIN))]
    pub name: String,
}

/// Delivery by the answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestDelivery {
    /// A PKCS#10 request (RFC 2986) as PEM. Its public key and the proof of the private one count;
    /// names and extensions in it are ignored. Immutable.
    #[schemars(length(min = 1, max = 8192))]
    pub pkcs10: String,
}

/// Delivery into pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.pods != 'ServiceAccount' || has(self.serviceAccountName)")
        .message("`serviceAccountName` must be set when `pods` is ServiceAccount")
        .field_path(".serviceAccountName")
)]
pub struct WorkloadDelivery {
    /// Which pods of the identity's namespace get it. `Task`: those that the task controls, at any
    /// depth, by the UIDs of their controllers. `ServiceAccount`: any that run as
    /// `serviceAccountName`, so that whoever may create a pod with it is the agent. Default: Task.
    /// Immutable.
    #[serde(default)]
    pub pods: WorkloadPods,
    /// The service account, in the identity's namespace, that the pods must run as; required when
    /// `pods` is ServiceAccount. Default: absent, any. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = bounds::MAX_NAME), regex(pattern = bounds::DNS_SUBDOMAIN))]
    pub service_account_name: Option<String>,
}

/// Which pods may have a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum WorkloadPods {
    /// Those that the task controls.
    #[default]
    Task,
    /// Those with the service account.
    ServiceAccount,
}
