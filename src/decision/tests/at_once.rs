//! A change counts for every question that comes after it, however many are being asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::fixture::*;
use crate::*;

#[test]
fn no_question_that_comes_after_a_revocation_is_allowed() {
    for _ in 0..20 {
        let bed = Bed::new();
        let question = bed.chained();
        let revoked = AtomicBool::new(false);
        let asked = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut after_it = 0;
                        while after_it < 20 {
                            let before = revoked.load(Ordering::SeqCst);
                            let answer = bed.ask(&question);
                            assert!(!(before && answer.allowed), "{answer:?}");
                            after_it += usize::from(before);
                        }
                        after_it
                    })
                })
                .collect();
            bed.world()
                .revoke_statement(bed.hops[0].digest, after(3600));
            revoked.store(true, Ordering::SeqCst);
            threads
                .into_iter()
                .map(|it| it.join().unwrap())
                .sum::<usize>()
        });
        assert_eq!(asked, 80);
    }
}

#[test]
fn of_calls_no_more_are_allowed_however_many_ask() {
    let bed = Bed::new();
    let bounded = serde_json::json!([{"actions": ["read"], "resources": ["ledger/*"],
        "constraints": {"maxCalls": 25}}]);
    bed.world().put_identity(IdentityFacts {
        grants: grants(bounded),
        ..identity(1)
    });
    let question = bed.question(1);
    let allowed: usize = thread::scope(|scope| {
        let ask = || (0..20).filter(|_| bed.ask(&question).allowed).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert_eq!(allowed, 25);
}
