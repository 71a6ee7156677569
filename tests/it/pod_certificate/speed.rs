//! How long a kubelet waits.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, pin_mut};
use k8s_openapi::api::certificates::v1::PodCertificateRequest;
use kube::ResourceExt as _;
use kube::api::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use rcgen::KeyPair;
use serde_json::json;

use super::setting::{NODE, Signing};

/// Of quiet machines; a busy one keeps the bound of the test.
const GOAL: Duration = Duration::from_millis(50);
const BOUND: Duration = Duration::from_millis(500);
const REQUESTS: usize = 100;

#[tokio::test]
async fn a_kubelet_has_its_answer_soon() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    let pod = space.placed_for("reader", "work").await;
    let key = KeyPair::generate().unwrap();
    let kubelet = signing.kubelet(NODE);
    space.obtain(signing, &pod, &key).await;

    // As a kubelet sees it.
    let api = Api::<PodCertificateRequest>::all(kubelet.clone());
    let config = watcher::Config::default().fields(&format!("spec.nodeName={NODE}"));
    let seen = watcher(api, config)
        .applied_objects()
        .try_filter_map(async |it| {
            let answered = it
                .status
                .as_ref()
                .is_some_and(|it| it.certificate_chain.is_some());
            Ok(answered.then(|| (it.name_any(), Instant::now())))
        });
    pin_mut!(seen);
    let request = space.request(&pod, &key, &json!({})).await;
    let mut times = Vec::new();
    let mut answers = HashMap::new();
    for _ in 0..REQUESTS {
        let asked = Instant::now();
        let name = space.ask_as(&kubelet, &request).await.unwrap();
        let created = Instant::now();
        let answered = loop {
            if let Some(at) = answers.remove(&name) {
                break at;
            }
            let (name, at) = seen.next().await.unwrap().unwrap();
            answers.insert(name, at);
        };
        times.push((
            answered.saturating_duration_since(created),
            answered - asked,
        ));
    }
    let percentile = |part: f64, of: fn(&(Duration, Duration)) -> Duration| {
        let mut all: Vec<_> = times.iter().map(of).collect();
        all.sort();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index below a hundred"
        )]
        all[((REQUESTS - 1) as f64 * part) as usize]
    };
    let (signed, whole) = (percentile(0.5, |it| it.0), percentile(0.5, |it| it.1));
    eprintln!(
        "pod certificates: created to seen issued p50 {signed:.1?}, p99 {:.1?} (goal p50 {GOAL:?}); with its creation p50 {whole:.1?}",
        percentile(0.99, |it| it.0),
    );
    assert!(signed < BOUND, "{signed:?}");
}
