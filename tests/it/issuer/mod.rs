//! `countersign issue` on a real control plane: pods are those that the real Job controller made, their
//! tokens are the API server's, and the sidecar is the wire's own client.

mod audit;
mod chains;
pub(crate) mod client;
mod clock;
mod issuing;
mod kubelet;
pub(crate) mod program;
mod refusing;
mod rights;
mod set_back;
pub(crate) mod tokens;
mod watching;

use countersign_api::AgentIdentity;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::harness::{Space, identity, job};
use crate::support::with;

/// An identity that pods of a Job may have, for a minute at a time.
pub(crate) fn workload(name: &str, task: &str, patch: &Value) -> AgentIdentity {
    let base = json!({"spec": {"credential": {
        "delivery": "Workload", "certificateTTLSeconds": 60,
    }}});
    with(&with(&identity(name, task), &base), patch)
}

/// A pod of a space.
#[derive(Debug, Clone)]
pub(crate) struct APod {
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Space {
    /// A Job, and the pod that the real controller makes of it.
    pub(crate) async fn working(&self, name: &str) -> APod {
        self.create_job(&job(name)).await;
        let pod = self.pod_of(name).await;
        self.a_pod(&pod).await
    }

    /// A Job, its pod, and an identity that is ready for it.
    pub(crate) async fn working_for(&self, identity: &str, job: &str) -> APod {
        let pod = self.working(job).await;
        let task = format!("jobs.batch/{job}");
        self.create_identity(&workload(identity, &task, &json!({})))
            .await;
        self.until_ready(identity).await;
        pod
    }

    /// A pod that nobody controls.
    pub(crate) async fn lone(&self, name: &str) -> APod {
        let pod = json!({
            "metadata": {"name": name},
            "spec": {"schedulerName": "nobody", "containers": [{"name": "main", "image": "none"}]},
        });
        crate::support::create(&self.pods(), pod).await.unwrap();
        self.a_pod(name).await
    }

    pub(crate) async fn a_pod(&self, name: &str) -> APod {
        let pod = self.pods().get(name).await.unwrap();
        APod {
            name: name.to_owned(),
            uid: pod.uid().unwrap(),
        }
    }
}
