//! Constraints.

use super::super::{Constraints, DataClass, Grant, Part, intersect, narrow};
use super::{at, bounded, grant, owned};

fn full() -> Constraints {
    Constraints {
        max_data_class: Some(DataClass::Internal),
        audiences: Some(owned(&["auditors", "clerks"])),
        not_after: Some(at(0)),
        max_calls: Some(10),
    }
}

fn told(parent: Constraints, child: Constraints) -> String {
    let widening = narrow(&[bounded(parent)], &[bounded(child)]).unwrap_err();
    widening.to_string()
}

#[test]
fn a_stricter_bound_narrows() {
    let free = Constraints::default();
    let stricter = Constraints {
        max_data_class: Some(DataClass::Public),
        audiences: Some(owned(&["clerks", "clerks"])),
        not_after: Some(at(-1)),
        max_calls: Some(9),
    };
    let none = Constraints {
        audiences: Some(Vec::new()),
        max_calls: Some(0),
        ..stricter.clone()
    };
    for (above, below) in [
        (&free, &full()),
        (&full(), &full()),
        (&full(), &stricter),
        (&stricter, &none),
    ] {
        let (above, below) = (bounded(above.clone()), bounded(below.clone()));
        narrow(&[above], &[below]).unwrap();
    }
}

#[test]
fn each_laxer_bound_widens_and_is_named() {
    let moment = at(0);
    let on = r#"for "read" on "ledger/a""#;
    for (child, expected) in [
        (
            Constraints {
                max_data_class: Some(DataClass::Restricted),
                ..full()
            },
            format!("maxDataClass Restricted {on} is more than the Internal granted above"),
        ),
        (
            Constraints {
                audiences: Some(owned(&["clerks", "press"])),
                ..full()
            },
            format!(
                r#"audience "press" {on} is not among the audiences granted above ("auditors", "clerks")"#
            ),
        ),
        (
            Constraints {
                not_after: Some(at(1)),
                ..full()
            },
            format!(
                "notAfter {} {on} is later than the {moment} granted above",
                at(1)
            ),
        ),
        (
            Constraints {
                max_calls: Some(20),
                ..full()
            },
            format!("maxCalls 20 {on} is more than the 10 granted above"),
        ),
    ] {
        assert_eq!(told(full(), child), format!("grants[0] widens: {expected}"));
    }
}

#[test]
fn each_bound_that_is_left_out_widens_and_is_named() {
    let moment = at(0);
    let what = r#""read" on "ledger/a""#;
    for (child, expected) in [
        (
            Constraints {
                max_data_class: None,
                ..full()
            },
            format!("{what} has no maxDataClass, but Internal at most is granted above"),
        ),
        (
            Constraints {
                audiences: None,
                ..full()
            },
            format!(
                r#"{what} has no audiences, but only some are granted above ("auditors", "clerks")"#
            ),
        ),
        (
            Constraints {
                not_after: None,
                ..full()
            },
            format!("{what} has no notAfter, but nothing after {moment} is granted above"),
        ),
        (
            Constraints {
                max_calls: None,
                ..full()
            },
            format!("{what} has no maxCalls, but 10 at most are granted above"),
        ),
    ] {
        assert_eq!(told(full(), child), format!("grants[0] widens: {expected}"));
    }
}

#[test]
fn a_message_names_few_of_many_audiences() {
    let audiences = |all: &[&str]| Constraints {
        audiences: Some(owned(all)),
        ..Constraints::default()
    };
    let many = told(
        audiences(&["a", "b", "c", "d", "e", "f"]),
        audiences(&["x"]),
    );
    assert!(
        many.ends_with(r#"("a", "b", "c", "d" and 2 more)"#),
        "{many}"
    );
    let nobody = told(audiences(&[]), audiences(&["x"]));
    assert!(nobody.ends_with("(nobody)"), "{nobody}");
}

#[test]
fn two_grants_above_dont_add_up_to_one_bound() {
    let above = |calls, class| {
        bounded(Constraints {
            max_calls: calls,
            max_data_class: class,
            ..Constraints::default()
        })
    };
    let parent = [
        above(Some(10), None),
        above(None, Some(DataClass::Internal)),
    ];
    narrow(&parent, &[above(None, None)]).unwrap_err();
    narrow(&parent, &[above(Some(20), Some(DataClass::Restricted))]).unwrap_err();
    narrow(&parent, &[above(Some(20), Some(DataClass::Public))]).unwrap();
}

#[test]
fn the_grant_above_that_comes_closest_is_compared() {
    let calls = |calls| Constraints {
        max_calls: Some(calls),
        ..Constraints::default()
    };
    let parent = [
        grant(&["write"], &["*"]),
        bounded(full()),
        bounded(calls(5)),
        bounded(calls(7)),
    ];
    let child = [
        grant(&["write"], &["ledger/a"]),
        Grant {
            constraints: calls(9),
            ..grant(&["read"], &["ledger/a"])
        },
    ];
    let widening = narrow(&parent, &child).unwrap_err();
    let part = Part::MaxCalls {
        asked: Some(9),
        above: 5,
    };
    assert_eq!((widening.grant, widening.part), (1, part));
}

#[test]
fn two_sides_have_the_stricter_of_their_bounds_in_common() {
    let other = Constraints {
        max_data_class: Some(DataClass::Confidential),
        audiences: Some(owned(&["press", "clerks"])),
        not_after: None,
        max_calls: Some(3),
    };
    let both = Constraints {
        audiences: Some(owned(&["clerks"])),
        max_calls: Some(3),
        ..full()
    };
    let (a, b) = ([bounded(full())], [bounded(other)]);
    assert_eq!(intersect(&a, &b), [bounded(both)]);
}

#[test]
fn what_two_sides_grant_to_different_audiences_they_grant_to_nobody() {
    let to = |name| {
        [bounded(Constraints {
            audiences: Some(owned(&[name])),
            ..Constraints::default()
        })]
    };
    let both = intersect(&to("auditors"), &to("clerks"));
    assert_eq!(both[0].constraints.audiences, Some(Vec::new()));
}
