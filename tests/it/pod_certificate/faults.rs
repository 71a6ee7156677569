//! What becomes of an answer that is lost, of two that answer, and of a clock that is off. In one
//! test, since each wants signers of its own and no other.

use std::time::Duration;

use countersign_runtime::Clock;
use countersign_testbed::Deliver;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Pod;
use rcgen::KeyPair;
use tokio::time::sleep;

use super::setting::{Signer, Signing};
use crate::harness::{Space, eventually};

#[tokio::test]
async fn each_request_has_one_answer_whatever_happens() {
    let signing = Signing::own().await;
    let space = signing.space().await;
    let pod = space.placed_for("reader", "work").await;
    for deliver in [Deliver::Yes, Deliver::No] {
        a_lost_answer_makes_no_second_certificate(&signing, &space, &pod, deliver).await;
    }
    of_two_signers_one_signs(&signing, &space, &pod).await;
    of_two_that_think_they_lead_one_is_refused(&signing, &space, &pod).await;
    a_clock_that_is_off_wedges_nothing(&signing, &space, &pod).await;
}

async fn a_lost_answer_makes_no_second_certificate(
    signing: &Signing,
    space: &Space,
    pod: &Pod,
    deliver: Deliver,
) {
    let proxy = signing.world.proxy();
    let signer = signing.usurper(proxy.config(), Clock::system());
    let key = KeyPair::generate().unwrap();
    space.obtain(signing, pod, &key).await;
    assert_eq!(signer.signed(), 1);
    proxy.cut_after(1, deliver);
    let name = space.ask(signing, pod, &key).await;
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

/// And when it ends, the other does.
async fn of_two_signers_one_signs(signing: &Signing, space: &Space, pod: &Pod) {
    let config = || signing.world.plane().config().unwrap();
    let signers = [(); 2].map(|()| signing.signer(config()));
    let key = KeyPair::generate().unwrap();
    for _ in 0..10 {
        space.obtain(signing, pod, &key).await;
    }
    let mut signed = signers.each_ref().map(Signer::signed);
    signed.sort_unstable();
    assert_eq!(signed, [0, 10]);
    let [one, other] = signers;
    let (leader, standby) = if one.signed() == 10 {
        (one, other)
    } else {
        (other, one)
    };
    drop(leader);
    space.obtain(signing, pod, &key).await;
    assert_eq!(standby.signed(), 1);
}

/// A machine that was stopped for longer than its lease, for an instant.
async fn of_two_that_think_they_lead_one_is_refused(signing: &Signing, space: &Space, pod: &Pod) {
    let config = || signing.world.plane().config().unwrap();
    let _signers = [(); 2].map(|()| signing.usurper(config(), Clock::system()));
    let key = KeyPair::generate().unwrap();
    let mut chains = Vec::new();
    for _ in 0..20 {
        let name = space.ask(signing, pod, &key).await;
        let chain = space.issued(&name).await;
        chains.push((name, chain));
    }
    sleep(Duration::from_secs(1)).await;
    for (name, chain) in chains {
        assert_eq!(space.issued(&name).await, chain);
    }
}

async fn a_clock_that_is_off_wedges_nothing(signing: &Signing, space: &Space, pod: &Pod) {
    let config = || signing.world.plane().config().unwrap();
    // The API server takes a notBefore of the last and the next five minutes.
    let ahead = Clock::shifted(SignedDuration::from_mins(6));
    let signer = signing.usurper(config(), ahead);
    let key = KeyPair::generate().unwrap();
    let name = space.ask(signing, pod, &key).await;
    eventually("a second try", async || {
        (signer.signed() >= 2).then_some(())
    })
    .await;
    assert!(space.is_open(&name).await);
    drop(signer);
    let _right = signing.signer(config());
    space.issued(&name).await;
}
