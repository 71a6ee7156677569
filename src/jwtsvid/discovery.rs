//! What a relying party reads first (OpenID Connect Discovery 1.0, section 3).

use serde::Serialize;

use crate::IssuerUrl;

/// Where the discovery document is, behind the issuer URL (section 4).
pub const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// Where the keys are, behind the issuer URL.
pub const KEYS_PATH: &str = "/keys";

#[derive(Serialize)]
struct Document<'a> {
    issuer: &'a str,
    jwks_uri: String,
    response_types_supported: [&'static str; 1],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'static str; 1],
}

/// The discovery document of `issuer`. It has no `authorization_endpoint`, though the standard wants
/// one: nobody logs in here, and those who federate workloads read only the issuer and the keys (the
/// document of Kubernetes' own issuer has none either).
pub fn discovery(issuer: &IssuerUrl) -> String {
    let document = Document {
        issuer: issuer.as_str(),
        jwks_uri: format!("{issuer}{KEYS_PATH}"),
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["ES256"],
    };
    // Strings always serialise.
    serde_json::to_string(&document).unwrap_or_default()
}
