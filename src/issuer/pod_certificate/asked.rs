//! What a PodCertificateRequest asks for.

use std::time::Duration;

use countersign_authority::{AuthorityError, RequestedKey};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::certificates::v1::{PodCertificateRequest, PodCertificateRequestSpec};

use super::IDENTITY_ANNOTATION;
use super::answer::Denial;
use crate::Lifetime;

/// The shortest certificate that the API server takes from a signer, from notBefore to notAfter
/// (`ValidatePodCertificateRequestStatusUpdate`).
pub(super) const FLOOR: Duration = Duration::from_secs(3600);
/// What the API server sets where the request says nothing.
const DEFAULT_MAX: i32 = 86_400;
/// The control plane's cleaner removes a request at this age, answered or not.
const CLEANED_AFTER: SignedDuration = SignedDuration::from_mins(30);
/// The longest name of an object.
const MAX_NAME: usize = 253;

/// A request without an answer, as it was last seen.
#[derive(Debug, PartialEq)]
pub(super) struct Pending {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) version: String,
    pub(super) created: Timestamp,
    pub(super) spec: PodCertificateRequestSpec,
}

/// What it asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) key: RequestedKey,
    pub(super) bounds: Lifetime,
    /// The AgentIdentity, where one is named.
    pub(super) which: Option<String>,
}

impl Pending {
    /// `None` for one that has its answer, or that isn't as the API server makes them.
    pub(super) fn of(request: PodCertificateRequest) -> Option<Self> {
        let status = request.status.unwrap_or_default();
        if status.conditions.is_some_and(|all| !all.is_empty()) {
            return None; // Issued, Denied or Failed: there are no others, and all are final
        }
        let metadata = request.metadata;
        Some(Self {
            namespace: metadata.namespace?,
            name: metadata.name?,
            uid: metadata.uid?,
            version: metadata.resource_version?,
            created: metadata.creation_timestamp?.0,
            spec: request.spec,
        })
    }

    /// How long it has waited; never negative, whatever the clocks say.
    pub(super) fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.created).max(SignedDuration::ZERO)
    }

    /// Is it about to be removed, so that an answer helps nobody?
    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        self.age(now) >= CLEANED_AFTER
    }

    /// Reads the request.
    ///
    /// # Errors
    /// It can't ever be granted: the key, an annotation.
    pub(super) fn read(&self) -> Result<Asked, Denial> {
        let key = key(&self.spec.stub_pkc_s10_request.0)?;
        let max = self.spec.max_expiration_seconds.unwrap_or(DEFAULT_MAX);
        let at_most = Duration::from_secs(u64::try_from(max).unwrap_or_default());
        if at_most < FLOOR {
            // The API server refuses these, so this is another's doing.
            return Err(Denial::new(
                "BadRequest",
                format!(
                    "spec.maxExpirationSeconds is {max}, but no certificate is shorter than 3600 s"
                ),
            ));
        }
        let bounds = Lifetime {
            at_least: FLOOR,
            at_most,
        };
        let which = self.which()?;
        Ok(Asked { key, bounds, which })
    }

    fn which(&self) -> Result<Option<String>, Denial> {
        let mut which = None;
        for (key, value) in self.spec.unverified_user_annotations.iter().flatten() {
            if key != IDENTITY_ANNOTATION {
                return Err(annotations(format!(
                    "userAnnotations has the key {key:.253}, which this signer doesn't know: {IDENTITY_ANNOTATION} is the only one"
                )));
            }
            if !is_name(value) {
                return Err(annotations(format!(
                    "userAnnotations[{IDENTITY_ANNOTATION}] must be the name of an AgentIdentity of the pod's namespace"
                )));
            }
            which = Some(value.clone());
        }
        Ok(which)
    }
}

fn key(der: &[u8]) -> Result<RequestedKey, Denial> {
    if der.is_empty() {
        return Err(Denial::new(
            "BadRequest",
            "spec.stubPKCS10Request is empty: a kubelet older than 1.37 asks by pkixPublicKey, which certificates.k8s.io/v1 doesn't have".to_owned(),
        ));
    }
    RequestedKey::from_pkcs10_der(der).map_err(|why| match why {
        // The reason that the API defines; it wants a kind that works in the message.
        AuthorityError::WeakKey(_) => Denial::new(
            "UnsupportedKeyType",
            "this signer takes the keyType ECDSAP256, ECDSAP384, ED25519, RSA3072 or RSA4096: set the first in the volume's podCertificate source".to_owned(),
        ),
        why => Denial::new("BadRequest", format!("spec.stubPKCS10Request: {why}")),
    })
}

fn annotations(message: String) -> Denial {
    Denial::new("InvalidUnverifiedUserAnnotations", message)
}

/// DNS-1123 subdomain, as far as a look-up cares: nothing else names an object.
fn is_name(value: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    bytes.len() <= MAX_NAME && ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(plain)
}
