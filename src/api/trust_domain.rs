//! TrustDomain: who signs, for whom and for how long.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::credential::KeyAlgorithm;
use crate::reference::Reference;
use crate::{bounds, schema};

/// Who signs, who may use it, and how long things may live.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "countersign.dev",
    version = "v1alpha1",
    kind = "TrustDomain",
    plural = "trustdomains",
    singular = "trustdomain",
    shortname = "td",
    category = "countersign",
    status = "TrustDomainStatus",
    derive = "PartialEq",
    doc = "TrustDomain is a SPIFFE trust domain, whose name is the object's name: an authority that signs certificates, and the namespaces that may have them.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "An authority is stored and signs"),
    printcolumn(name = "Authority", type_ = "string", json_path = ".status.authorities[?(@.slot==\"Active\")].id", description = "The authority that signs"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.authorities[?(@.slot==\"Active\")].notAfter", description = "When that authority ends"),
    printcolumn(name = "Reason", type_ = "string", priority = 1, json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why it is ready or not"),
    printcolumn(name = "Published", type_ = "string", priority = 1, json_path = ".status.conditions[?(@.type==\"BundlePublished\")].status", description = "Verifiers can get the bundle"),
    printcolumn(name = "Bundle", type_ = "integer", priority = 1, json_path = ".status.bundleSequence", description = "The sequence number of the bundle"),
    printcolumn(name = "MaxTTL", type_ = "integer", priority = 1, json_path = ".spec.maxCertificateTTLSeconds", description = "The longest certificate, in seconds"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Since when the object exists"),
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message("`metadata.name` must be a SPIFFE trust domain name of a-z, 0-9, '.' and '-'"),
    validation = Rule::new("self.metadata.name.size() <= 243")
        .message("`metadata.name` must not be longer than 243 characters: the authority's Secret is named <name>-authority")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.authority.builtIn) || self.authority.builtIn.caLifetimeSeconds >= 6 * self.maxCertificateTTLSeconds")
        .message("`authority.builtIn.caLifetimeSeconds` must be at least 6 times `maxCertificateTTLSeconds`, so that a certificate never outlives its authority"),
    validation = Rule::new("self.defaultCertificateTTLSeconds <= self.maxCertificateTTLSeconds")
        .message("must not be more than `maxCertificateTTLSeconds`")
        .field_path(".defaultCertificateTTLSeconds")
)]
pub struct TrustDomainSpec {
    /// Who signs: exactly one of `builtIn` and `secretRef`.
    pub authority: AuthoritySpec,
    /// The namespaces that may have identities here, asked again at each renewal. `{}` is every
    /// namespace. Default: absent, none. May be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub namespace_selector: Option<LabelSelector>,
    /// How long a certificate is valid where its identity doesn't say, in seconds. Default: 600. May
    /// be changed.
    #[serde(
        rename = "defaultCertificateTTLSeconds",
        default = "default_certificate_ttl_seconds"
    )]
    #[schemars(range(min = 60, max = bounds::DAY_SECONDS))]
    pub default_certificate_ttl_seconds: i64,
    /// How long a certificate may be valid at most, in seconds. Default: 3600. May be changed.
    #[serde(
        rename = "maxCertificateTTLSeconds",
        default = "max_certificate_ttl_seconds"
    )]
    #[schemars(range(min = 60, max = bounds::DAY_SECONDS))]
    pub max_certificate_ttl_seconds: i64,
    /// How long an identity may live at most, in seconds from its first certificate on: default and
    /// cap of its `activeDeadlineSeconds`. Default: 86400. May be changed.
    #[serde(default = "max_identity_lifetime_seconds")]
    #[schemars(range(min = 60, max = bounds::YEAR_SECONDS))]
    pub max_identity_lifetime_seconds: i64,
    /// How long a delegation may live at most, in seconds: cap of its `expiresAfterSeconds`. A key
    /// that signed statements stays published that long after it signs no more. Default: 86400.
    /// May be changed.
    #[serde(default = "max_delegation_lifetime_seconds")]
    #[schemars(range(min = 60, max = bounds::YEAR_SECONDS))]
    pub max_delegation_lifetime_seconds: i64,
    /// The `iss` of JWT-SVIDs, by which services of others know this trust domain: an https URL in
    /// lower case without query, fragment or trailing slash, under which they find the discovery
    /// document and the keys. Default: absent, JWT-SVIDs have no `iss`. May be changed; whoever
    /// trusts the URL of before then takes no new token.
    #[serde(rename = "issuerURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = ISSUER_URL))]
    pub issuer_url: Option<String>,
}

/// Compared byte by byte by those who trust it, so that there is one way to write it.
const ISSUER_URL: &str = r"^https://[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~-]+)*$";

/// Who signs: exactly one of `builtIn` and `secretRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.builtIn), has(self.secretRef)].exists_one(it, it)")
    .message("exactly one of `builtIn` and `secretRef` must be set"))]
pub struct AuthoritySpec {
    /// An authority that the operator makes, keeps and rotates. `{}` takes all defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_in: Option<BuiltInAuthority>,
    /// An authority of one's own: a Secret in the operator's namespace, with `tls.crt` and
    /// `tls.key`, that carries the label `countersign.dev/authority: <trust domain>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<Reference>,
    /// Ids of authorities, as in `status.authorities`, and of signing keys, as in
    /// `status.signingKeys`, that are no longer published, from now on: lower-case hex. Whatever
    /// they signed is refused. Default: empty. May be changed.
    #[serde(default)]
    #[schemars(
        length(max = 64),
        inner(length(min = 2, max = 128), regex(pattern = bounds::HEX))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub distrusted: Vec<String>,
}

/// An authority that the operator makes, keeps and rotates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuiltInAuthority {
    /// How long an authority is valid, in seconds: at least 6 times `maxCertificateTTLSeconds`. The
    /// next one is prepared at half of it. Default: 2592000, 30 days. May be changed; the next
    /// authority follows it.
    #[serde(default = "ca_lifetime_seconds")]
    #[schemars(range(min = 360, max = bounds::TEN_YEARS_SECONDS))]
    pub ca_lifetime_seconds: i64,
    /// The algorithm of the authority's key. Default: ECDSAP256. May be changed; the next authority
    /// follows it.
    #[serde(default)]
    pub key_algorithm: KeyAlgorithm,
    /// Raise it, and the authority is rotated now. A lower one changes nothing. Default: 1. May be
    /// changed.
    #[serde(default = "epoch")]
    #[schemars(range(min = 1, max = i32::MAX))]
    pub epoch: i64,
}

/// What the operator found and did. Default: `Ready` is Unknown, since nobody has looked at it yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustDomainStatus {
    /// The `metadata.generation` that this status was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = bounds::MAX_EXACT_INTEGER))]
    pub observed_generation: Option<i64>,
    /// The authorities that are known.
    #[serde(default)]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub authorities: Vec<AuthorityStatus>,
    /// The keys that sign what isn't a certificate: one after the other for each purpose.
    #[serde(default)]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub signing_keys: Vec<SigningKeyStatus>,
    /// The sequence number of the bundle; it rises with every change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = bounds::MAX_EXACT_INTEGER))]
    pub bundle_sequence: Option<i64>,
    /// `Ready`: an authority is stored and signs. `BundlePublished`, `PoliciesInstalled`,
    /// `ClockSynchronized`: what else must be so. `Stalled`: refused until a person acts.
    #[serde(default)]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// One authority.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityStatus {
    /// Its id: its key identifier in lower-case hex.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// `Prepared`: in the bundle, signs later. `Active`: signs. `Retired`: in the bundle, signs no
    /// more. `Distrusted`: out of the bundle.
    pub slot: SlotState,
    /// From when on it is valid.
    #[schemars(schema_with = "schema::time")]
    pub not_before: Time,
    /// Until when it is valid.
    #[schemars(schema_with = "schema::time")]
    pub not_after: Time,
}

/// One key that signs what isn't a certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SigningKeyStatus {
    /// Its id, the `kid` of what it signs: lower-case hex.
    #[schemars(length(min = 2, max = 128), regex(pattern = bounds::HEX))]
    pub id: String,
    /// What it signs, and nothing else. `Statements`: hops of delegations. `Lists`: lists of what
    /// is revoked. `Checkpoints`: states of the audit log. `JWTSVIDs`: tokens in the name of agents.
    pub purpose: SigningKeyPurpose,
    /// `Prepared`: published, signs later. `Active`: signs. `Retired`: published, signs no more.
    /// `Distrusted`: no longer published.
    pub slot: SlotState,
    /// From when on it is valid.
    #[schemars(schema_with = "schema::time")]
    pub not_before: Time,
    /// Until when it is valid.
    #[schemars(schema_with = "schema::time")]
    pub not_after: Time,
}

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum SigningKeyPurpose {
    /// Hops of delegations.
    Statements,
    /// Lists of what is revoked.
    Lists,
    /// States of the audit log.
    Checkpoints,
    /// Tokens in the name of agents.
    #[serde(rename = "JWTSVIDs")]
    JwtSvids,
}

/// Where an authority or a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum SlotState {
    /// Published, signs later.
    Prepared,
    /// Signs.
    Active,
    /// Published, signs no more.
    Retired,
    /// No longer published.
    Distrusted,
}

impl Default for BuiltInAuthority {
    fn default() -> Self {
        Self {
            ca_lifetime_seconds: ca_lifetime_seconds(),
            key_algorithm: KeyAlgorithm::default(),
            epoch: epoch(),
        }
    }
}

fn default_certificate_ttl_seconds() -> i64 {
    600
}

fn max_certificate_ttl_seconds() -> i64 {
    3_600
}

fn max_identity_lifetime_seconds() -> i64 {
    86_400
}

fn max_delegation_lifetime_seconds() -> i64 {
    86_400
}

fn ca_lifetime_seconds() -> i64 {
    2_592_000
}

fn epoch() -> i64 {
    1
}
