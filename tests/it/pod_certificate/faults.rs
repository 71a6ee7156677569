//! What becomes of an answer that is lost, of two that answer, and of a clock that is off. In one
//! test, since each wants signers of its own and no other.

use std::time::Duration;

use countersign_runtime::Clock;
use countersign_testbed::Deliver;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Pod;
use rcgen::KeyPair;
use serde_json::json;
use tokio::time::sleep;

use super::asker::hourly;
use super::setting::Signing;
use crate::harness::{Space, eventually};

#[tokio::test]
async fn each_request_has_one_answer_whatever_happens() {
    let signing = Signing::own().await;
    let space = signing.space().await;
    let pod = space.placed("work").await;
    space
        .create_identity(&hourly("reader", "work", &json!({})))
        .await;
    space.until_ready("reader").await;
    for deliver in [Deliver::Yes, Deliver::No] {
        a_lost_answer_makes_no_second_certificate(&signing, &space, &pod, deliver).await;
    }
    of_two_signers_one_answers(&signing, &space, &pod).await;
    a_clock_that_is_off_wedges_nothing(&signing, &space, &pod).await;
}

async fn a_lost_answer_makes_no_second_certificate(
    signing: &Signing,
    space: &Space,
    pod: &Pod,
    deliver: Deliver,
) {
    let proxy = signing.world.proxy();
    let signer = signing.signer(proxy.config(), Clock::system());
    let key = KeyPair::generate().unwrap();
    let first = space.ask(signing, pod, &key, &json!({})).await;
    space.issued(&first).await;
    assert_eq!(signer.signed(), 1);
    proxy.cut_after(1, deliver);
    let name = space.ask(signing, pod, &key, &json!({})).await;
    proxy.until_cut().await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(space.is_open(&name).await, deliver == Deliver::No);
    proxy.heal();
    let chain = space.issued(&name).await;
    // It comes to rest, with what it has.
    sleep(Duration::from_secs(2)).await;
    assert_eq!(space.issued(&name).await, chain);
    assert_eq!(signer.signed(), 2);
}

async fn of_two_signers_one_answers(signing: &Signing, space: &Space, pod: &Pod) {
    let config = || signing.world.plane().config().unwrap();
    let signers = [(); 2].map(|()| signing.signer(config(), Clock::system()));
    let key = KeyPair::generate().unwrap();
    let mut names = Vec::new();
    for _ in 0..20 {
        names.push(space.ask(signing, pod, &key, &json!({})).await);
    }
    for name in &names {
        space.issued(name).await;
    }
    let signed: Vec<_> = signers.iter().map(super::setting::Signer::signed).collect();
    let all: usize = signed.iter().sum();
    eprintln!("20 requests before two signers: {signed:?} signed");
    assert!((20..=40).contains(&all), "{signed:?}");
}

async fn a_clock_that_is_off_wedges_nothing(signing: &Signing, space: &Space, pod: &Pod) {
    let config = || signing.world.plane().config().unwrap();
    // The API server takes a notBefore of the last and the next five minutes.
    let ahead = Clock::shifted(SignedDuration::from_mins(6));
    let signer = signing.signer(config(), ahead);
    let key = KeyPair::generate().unwrap();
    let name = space.ask(signing, pod, &key, &json!({})).await;
    eventually("a second try", async || {
        (signer.signed() >= 2).then_some(())
    })
    .await;
    assert!(space.is_open(&name).await);
    drop(signer);
    let _right = signing.signer(config(), Clock::system());
    space.issued(&name).await;
}
