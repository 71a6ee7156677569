//! Many sidecars, and an endpoint that was away.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::time::{Instant, sleep, timeout};

use tonic::Code;

use crate::fake_issuer::FakeIssuer;
use crate::pod::{Pod, until};

const PODS: usize = 500;
const BUCKET: Duration = Duration::from_millis(100);

/// A socket, both ends of a connection, and what a runtime has: many machines start with 1024 files.
fn may_open(files: u64) -> bool {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let raised = setrlimit(Resource::Nofile, limit).is_ok();
    let enough = raised && limit.maximum.is_none_or(|it| it >= files);
    if !enough {
        eprintln!("SKIPPED: {PODS} sidecars take {files} open files, and {limit:?} are allowed");
    }
    enough
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sidecars_that_lost_their_endpoint_do_not_come_back_at_once() {
    if !may_open(8 * PODS as u64) {
        return;
    }
    let mut issuer = FakeIssuer::start().await;
    issuer.inner.terms(600, 6);
    // Started over some seconds, as pods are, and each due within the outage.
    let pods = join_all((0..PODS).map(|_| Pod::start(&issuer))).await;
    let all = async {
        while issuer.inner.serials.lock().len() < PODS {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), all).await.unwrap();
    issuer.go_away().await;
    // Long enough that every renewal is overdue and every backoff is on its way.
    sleep(Duration::from_secs(12)).await;
    issuer.inner.terms(600, 500);
    issuer.inner.asked.lock().clear();
    let back = Instant::now();
    issuer.come_back().await;
    let all = async {
        while issuer.inner.asked.lock().len() < PODS {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), all).await.unwrap();
    let mut after: Vec<_> = issuer
        .inner
        .asked
        .lock()
        .iter()
        .map(|it| *it - back)
        .collect();
    after.sort();
    let mut most = 0;
    for (begin, at) in after.iter().enumerate() {
        let within = after
            .iter()
            .skip(begin)
            .take_while(|it| **it < *at + BUCKET);
        most = most.max(within.count());
    }
    let (first, last) = (after[0], after[PODS - 1]);
    eprintln!("{PODS} sidecars: first {first:?}, last {last:?}, at most {most} within {BUCKET:?}");
    assert!(last - first > Duration::from_secs(2), "{first:?} {last:?}");
    assert!(most < PODS / 4, "{most} of {PODS} within {BUCKET:?}");
    drop(pods);
}

#[tokio::test]
async fn a_replica_that_cannot_answer_is_left_for_another() {
    let issuer = FakeIssuer::start().await;
    issuer.inner.refuse(Some((Code::Unavailable, "Stale")));
    let pod = Pod::start(&issuer).await;
    // Behind one address there may be several.
    until(|| issuer.inner.connections.load(Ordering::Relaxed) >= 3).await;
    issuer.inner.refuse(None);
    pod.client().await.fetch_x509_svid().await.unwrap();
    let made = issuer.inner.connections.load(Ordering::Relaxed);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(issuer.inner.connections.load(Ordering::Relaxed), made);
}
