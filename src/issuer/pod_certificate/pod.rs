//! The pod that a request names, as the API server has it.
//!
//! The API server checks what a request says of its pod when a node makes it (NodeRestriction), not
//! when anybody else does who may create requests. So none of it is taken on trust.

use k8s_openapi::api::certificates::v1::PodCertificateRequestSpec;
use k8s_openapi::api::core::v1::Pod;

use super::SIGNER_NAME;
use super::answer::Denial;
use crate::PodRef;

/// The pod that asks.
///
/// # Errors
/// It isn't there, isn't the one that the request means, or didn't ask.
pub(super) fn check(
    pod: Option<&Pod>,
    namespace: &str,
    asked: &PodCertificateRequestSpec,
) -> Result<PodRef, Denial> {
    let name = asked.pod_name.as_str();
    let deny = |why: &str| Err(Denial::new("UnknownPod", format!("pod {name} {why}")));
    let Some(pod) = pod.filter(|pod| pod.metadata.uid.as_deref() == Some(&asked.pod_uid)) else {
        return deny("isn't there any more, or is another of the same name");
    };
    let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
    if pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Succeeded" | "Failed")) {
        return deny("ends or is over");
    }
    let spec = pod.spec.as_ref();
    let account = spec.and_then(|it| it.service_account_name.as_deref());
    if account != Some(&asked.service_account_name) {
        return deny("doesn't run as the service account of the request");
    }
    if spec.and_then(|it| it.node_name.as_deref()) != Some(&asked.node_name) {
        return deny("isn't on the node of the request");
    }
    if !asks(pod) {
        return deny("has no projected volume with a podCertificate source of this signer");
    }
    Ok(PodRef {
        namespace: namespace.to_owned(),
        name: asked.pod_name.clone(),
        uid: asked.pod_uid.clone(),
        service_account: asked.service_account_name.clone(),
    })
}

/// Does the pod's own spec want a certificate of this signer?
fn asks(pod: &Pod) -> bool {
    let volumes = pod
        .spec
        .iter()
        .filter_map(|it| it.volumes.as_ref())
        .flatten();
    let sources = volumes
        .filter_map(|volume| volume.projected.as_ref()?.sources.as_ref())
        .flatten();
    let mut certificates = sources.filter_map(|source| source.pod_certificate.as_ref());
    certificates.any(|it| it.signer_name == SIGNER_NAME)
}
