#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

use super::*;
use crate::feed::identity::tests::{Given, seen};

fn pod() -> PodRef {
    PodRef {
        namespace: "ns".to_owned(),
        name: "pod".to_owned(),
        uid: "pod-uid".to_owned(),
        service_account: "agent".to_owned(),
    }
}

/// Of all these, by a pod whose controllers are `job` and above it `set`.
fn choose(which: Option<&str>, all: &[Given]) -> Result<String, Reason> {
    let pod = pod();
    let all: Vec<Arc<Seen>> = all.iter().map(|it| Arc::new(seen(it))).collect();
    let mut choice = Choice::new(&pod, which);
    choice.by_account(all.iter().cloned());
    for uid in ["job", "set"] {
        if choice.by_task(uid, all.iter().cloned()) {
            break;
        }
    }
    choice
        .made()
        .map(|it| it.name.clone())
        .map_err(|it| it.reason)
}

const FIT: Given = Given {
    name: "a",
    namespace: "ns",
    task: Some("job"),
    account: None,
    pods: Pods::Task,
    over: false,
};

#[test]
fn a_pod_has_the_identity_of_the_task_that_controls_it() {
    let table: [(&str, Given, Result<&str, Reason>); 9] = [
        ("the Job itself", FIT, Ok("a")),
        (
            "what controls the Job",
            Given {
                task: Some("set"),
                ..FIT
            },
            Ok("a"),
        ),
        (
            "another task",
            Given {
                task: Some("other"),
                ..FIT
            },
            Err(Reason::NoIdentity),
        ),
        (
            "a task that nobody found",
            Given { task: None, ..FIT },
            Err(Reason::NoIdentity),
        ),
        (
            "another namespace",
            Given {
                namespace: "other",
                ..FIT
            },
            Err(Reason::NoIdentity),
        ),
        (
            "its service account",
            Given {
                account: Some("agent"),
                ..FIT
            },
            Ok("a"),
        ),
        (
            "another service account",
            Given {
                account: Some("default"),
                ..FIT
            },
            Err(Reason::NoIdentity),
        ),
        (
            "the service account alone, without having asked for it",
            Given {
                task: Some("other"),
                account: Some("agent"),
                ..FIT
            },
            Err(Reason::NoIdentity),
        ),
        (
            "a task that is over",
            Given { over: true, ..FIT },
            Err(Reason::TaskOver),
        ),
    ];
    for (what, given, expected) in table {
        let expected = expected.map(str::to_owned);
        assert_eq!(choose(None, &[given]), expected, "{what}");
    }
}

#[test]
fn a_service_account_alone_is_enough_where_the_identity_says_so() {
    let by_account = Given {
        task: Some("elsewhere"),
        account: Some("agent"),
        pods: Pods::ServiceAccount,
        ..FIT
    };
    assert_eq!(choose(None, &[by_account]), Ok("a".to_owned()));
    let other = Given {
        account: Some("default"),
        ..by_account
    };
    assert_eq!(choose(None, &[other]), Err(Reason::NoIdentity));
    let unnamed = Given {
        account: None,
        ..by_account
    };
    assert_eq!(choose(None, &[unnamed]), Err(Reason::NoIdentity));
    let elsewhere = Given {
        namespace: "other",
        ..by_account
    };
    assert_eq!(choose(None, &[elsewhere]), Err(Reason::NoIdentity));
}

#[test]
fn of_several_one_must_be_named_and_a_name_gives_no_right() {
    let b = Given { name: "b", ..FIT };
    let strange = Given {
        name: "c",
        task: Some("other"),
        ..FIT
    };
    let all = [FIT, b, strange];
    assert_eq!(choose(None, &all), Err(Reason::SeveralIdentities));
    assert_eq!(choose(Some("b"), &all), Ok("b".to_owned()));
    assert_eq!(choose(Some("c"), &all), Err(Reason::NoIdentity));
    let by_account = Given {
        name: "d",
        account: Some("agent"),
        pods: Pods::ServiceAccount,
        ..FIT
    };
    let both = [FIT, by_account];
    assert_eq!(choose(None, &both), Err(Reason::SeveralIdentities));
    assert_eq!(choose(Some("d"), &both), Ok("d".to_owned()));
}

#[test]
fn the_nearest_task_with_an_identity_decides() {
    let above = Given {
        name: "above",
        task: Some("set"),
        ..FIT
    };
    assert_eq!(choose(None, &[above, FIT]), Ok("a".to_owned()));
    assert_eq!(choose(Some("above"), &[above, FIT]), Ok("above".to_owned()));
}

#[test]
fn what_is_over_stands_in_nobodys_way() {
    let over = Given {
        name: "old",
        over: true,
        ..FIT
    };
    assert_eq!(choose(None, &[over, FIT]), Ok("a".to_owned()));
    assert_eq!(choose(Some("old"), &[over, FIT]), Err(Reason::TaskOver));
}
