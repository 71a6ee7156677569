//! Nothing else goes on: from the create call of a PodCertificateRequest, as a kubelet makes it, to a
//! watch that shows it issued. The signer records and signs, and writes the status; the plain writer
//! writes such a status alone.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::PLAIN;
use super::statistics::percentile;
use crate::api::Api;
use crate::bed::{Bed, Programs};
use crate::issuing::{Issuing, request};
use crate::objects::{NAMESPACE, identities, pod_certificate_requests};
use crate::pods;
use crate::progress;
use crate::results::Entry;
use crate::sight::Sight;
use crate::writer::{Half, names};

/// Between two requests, so that each finds everybody at rest.
const PAUSE: Duration = Duration::from_millis(30);
/// The first few wake everybody up and aren't counted.
const WARM_UP: usize = 10;
/// Half of them take no longer, in milliseconds.
const GOAL: f64 = 50.0;

const NODE: &str = "n1";
const POD: &str = "pod";

/// A pod on a node, and its kubelet.
struct Kubelet {
    api: Api,
    /// What it asks, but for the name.
    request: Value,
}

pub(super) async fn run(programs: &Programs, quick: bool) -> Result<Vec<Entry>> {
    let count = if quick { 30 } else { 200 };
    // One key: the API server compares it with the certificate of the plain writer's status.
    let pkcs10 = STANDARD.encode(request()?.pkcs10);
    let (live, status) = live(programs, &pkcs10, count).await?;
    let plain = plain(programs, &pkcs10, count, &status).await?;
    let entry = |percent| {
        let name = format!("pod certificate requested to issued when idle, p{percent}");
        Entry::new(&name, percentile(live.clone(), percent), "ms")
            .against(PLAIN, percentile(plain.clone(), percent))
    };
    Ok(vec![entry(50).at_most(GOAL), entry(99)])
}

/// By the signer: milliseconds of each, and the status of one.
async fn live(programs: &Programs, pkcs10: &str, count: usize) -> Result<(Vec<f64>, Value)> {
    let bed = Bed::with_nodes(programs).await?;
    let operator = bed.operator(programs).await?;
    let issuing = Issuing::start(programs, &bed, &["--pod-certificates"])?;
    let kubelet = Kubelet::make(&bed, pkcs10).await?;
    let took = one_by_one(&bed, Half::Live, count, async |name| {
        kubelet.ask(name).await.map(drop)
    })
    .await?;
    let last = numbered(count).pop().context("none")?;
    let path = format!("{}/{last}", pod_certificate_requests());
    let object: Value = bed.api().fetch(&path).await?;
    issuing.check()?;
    operator.stop().await?;
    Ok((took, object["status"].clone()))
}

/// By the harness, with such a status.
async fn plain(
    programs: &Programs,
    pkcs10: &str,
    count: usize,
    status: &Value,
) -> Result<Vec<f64>> {
    let bed = Bed::with_nodes(programs).await?;
    let kubelet = Kubelet::make(&bed, pkcs10).await?;
    one_by_one(&bed, Half::Plain, count, async |name| {
        let mut object = kubelet.ask(name).await?;
        object["status"] = status.clone();
        let path = format!("{}/{name}/status", pod_certificate_requests());
        bed.api().replace(&path, &object).await
    })
    .await
}

async fn one_by_one(
    bed: &Bed,
    half: Half,
    count: usize,
    ask: impl AsyncFn(&str) -> Result<()>,
) -> Result<Vec<f64>> {
    progress(&format!("pod certificates: {count} one by one, {half:?}"));
    let sight = Sight::issued(bed.api()).await?;
    let mut took = Vec::new();
    for name in numbered(count) {
        let awaited = sight.expect(&name);
        let sent = Instant::now();
        ask(&name).await?;
        let issued = awaited.seen().await?;
        took.push(issued.duration_since(sent).as_secs_f64() * 1000.0);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(took.split_off(WARM_UP))
}

fn numbered(count: usize) -> Vec<String> {
    names("request", WARM_UP + count)
}

impl Kubelet {
    /// Of a new node, with a pod on it whose task has an identity.
    async fn make(bed: &Bed, pkcs10: &str) -> Result<Self> {
        let api = bed.api();
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}});
        let node: Value = api.create_as("/api/v1/nodes", &object).await?;
        let tasks = bed.tasks(vec![POD.to_owned()]).await?;
        let task = tasks.first().context("a task")?;
        api.create(&identities(), &pods::identity_of(task)).await?;
        let mut pod = pods::pod_of(task);
        pod["spec"]["nodeName"] = json!(NODE);
        pod["spec"]["volumes"] = json!([{"name": "id", "projected": {"sources": [{
            "podCertificate": {
                "signerName": "countersign.dev/agent",
                "keyType": "ECDSAP256",
                "credentialBundlePath": "credentials.pem",
            },
        }]}}]);
        let pod = pods::create(bed, &pod).await?;
        let account = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default");
        let account: Value = api.fetch(&account).await?;
        let request = json!({
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "PodCertificateRequest",
            "metadata": {},
            "spec": {
                "signerName": "countersign.dev/agent",
                "podName": POD, "podUID": pod,
                "serviceAccountName": "default", "serviceAccountUID": account["metadata"]["uid"],
                "nodeName": NODE, "nodeUID": node["metadata"]["uid"],
                "stubPKCS10Request": pkcs10,
            },
        });
        Ok(Self {
            api: bed.node(NODE)?,
            request,
        })
    }

    /// Asks; gives the request as the API server has it.
    async fn ask(&self, name: &str) -> Result<Value> {
        let mut request = self.request.clone();
        request["metadata"]["name"] = json!(name);
        self.api
            .create_as(&pod_certificate_requests(), &request)
            .await
    }
}
