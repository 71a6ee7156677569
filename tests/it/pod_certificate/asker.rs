//! Pods with a volume of the signer, and requests for them as a kubelet makes them.

use countersign_api::AgentIdentity;
use k8s_openapi::ByteString;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::certificates::v1::PodCertificateRequest;
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt as _};
use rcgen::KeyPair;
use serde_json::{Value, json};

use super::setting::{NODE, Signing};
use crate::harness::{Space, eventually, identity, job};
use crate::pki::pkcs10;
use crate::support::with;

/// An identity that pods of a Job may have for an hour at a time.
pub(crate) fn hourly(name: &str, job: &str, patch: &Value) -> AgentIdentity {
    let base = json!({"spec": {"credential": {
        "delivery": "Workload", "certificateTTLSeconds": 3600,
    }}});
    let base = with(&identity(name, &format!("jobs.batch/{job}")), &base);
    with(&base, patch)
}

fn volume() -> Value {
    json!([{"name": "id", "projected": {"sources": [{"podCertificate": {
        "signerName": "countersign.dev/agent",
        "keyType": "ECDSAP256",
        "credentialBundlePath": "credentials.pem",
    }}]}}])
}

/// A Job whose pod is on the node and wants a certificate; nothing runs it.
pub(crate) fn placed(name: &str) -> Job {
    let patch = json!({"spec": {"template": {"spec": {
        "nodeName": NODE, "schedulerName": null, "volumes": volume(),
    }}}});
    with(&job(name), &patch)
}

impl Space {
    /// A Job and its pod.
    pub(crate) async fn placed(&self, job: &str) -> Pod {
        self.create_job(&placed(job)).await;
        let pod = self.pod_of(job).await;
        self.pods().get(&pod).await.unwrap()
    }

    /// A Job, its pod, and an identity that is ready for it.
    pub(crate) async fn placed_for(&self, identity: &str, job: &str) -> Pod {
        let pod = self.placed(job).await;
        self.create_identity(&hourly(identity, job, &json!({})))
            .await;
        self.until_ready(identity).await;
        pod
    }

    pub(crate) fn requests(&self) -> Api<PodCertificateRequest> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// A request for this pod by this key, with `patch` over it.
    pub(crate) async fn request(
        &self,
        pod: &Pod,
        key: &KeyPair,
        patch: &Value,
    ) -> PodCertificateRequest {
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.name);
        let account = eventually("the service account", async || {
            accounts.get_opt("default").await.unwrap()
        });
        let node = Api::<Node>::all(self.client.clone()).get(NODE).await;
        let object = json!({
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "PodCertificateRequest",
            "metadata": {"generateName": "req-"},
            "spec": {
                "signerName": "countersign.dev/agent",
                "podName": pod.name_any(), "podUID": pod.uid(),
                "serviceAccountName": "default", "serviceAccountUID": account.await.uid(),
                "nodeName": NODE, "nodeUID": node.unwrap().uid(),
                "stubPKCS10Request": "",
            },
        });
        let mut object: PodCertificateRequest = serde_json::from_value(object).unwrap();
        object.spec.stub_pkc_s10_request = ByteString(pkcs10(key).der().to_vec());
        with(&object, patch)
    }

    /// Asks as the pod's kubelet, and waits until it is issued; gives the chain.
    pub(crate) async fn obtain(&self, signing: &Signing, pod: &Pod, key: &KeyPair) -> String {
        self.issued(&self.ask(signing, pod, key).await).await
    }

    /// Asks as the pod's kubelet; gives the request's name.
    pub(crate) async fn ask(&self, signing: &Signing, pod: &Pod, key: &KeyPair) -> String {
        self.ask_with(signing, pod, key, &json!({})).await
    }

    /// As [`Self::ask`], with `patch` over the request.
    pub(crate) async fn ask_with(
        &self,
        signing: &Signing,
        pod: &Pod,
        key: &KeyPair,
        patch: &Value,
    ) -> String {
        let request = self.request(pod, key, patch).await;
        let kubelet = signing.kubelet(NODE);
        eventually("the request", async || {
            match self.ask_as(&kubelet, &request).await {
                Ok(name) => Some(name),
                // Its view of pods and nodes may lag, and then it says so.
                Err(kube::Error::Api(status)) if ![403, 422].contains(&status.code) => None,
                Err(why) => panic!("{why}"),
            }
        })
        .await
    }

    pub(crate) async fn ask_as(
        &self,
        client: &Client,
        request: &PodCertificateRequest,
    ) -> kube::Result<String> {
        let api = Api::<PodCertificateRequest>::namespaced(client.clone(), &self.name);
        let created = api.create(&PostParams::default(), request).await?;
        Ok(created.name_any())
    }

    /// The answer: type and reason of its condition, and the request.
    pub(crate) async fn answer(&self, name: &str) -> (String, String, PodCertificateRequest) {
        eventually("the answer", async || {
            let it = self.requests().get(name).await.unwrap();
            let all = it.status.clone()?.conditions?;
            assert_eq!(all.len(), 1, "{all:?}");
            Some((all[0].type_.clone(), all[0].reason.clone(), it))
        })
        .await
    }

    /// Waits until it is issued; gives the chain.
    pub(crate) async fn issued(&self, name: &str) -> String {
        let (kind, reason, it) = self.answer(name).await;
        assert_eq!(kind, "Issued", "{reason}: {:?}", it.status);
        it.status.unwrap().certificate_chain.unwrap()
    }

    /// Waits until it is denied with this reason; gives the message.
    pub(crate) async fn denied(&self, name: &str, reason: &str) -> String {
        let (kind, why, it) = self.answer(name).await;
        assert_eq!(
            (kind.as_str(), why.as_str()),
            ("Denied", reason),
            "{:?}",
            it.status
        );
        it.status.unwrap().conditions.unwrap().remove(0).message
    }

    pub(crate) async fn is_open(&self, name: &str) -> bool {
        let it = self.requests().get(name).await.unwrap();
        it.status
            .is_none_or(|it| it.conditions.is_none_or(|all| all.is_empty()))
    }
}
