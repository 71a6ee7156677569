//! Actions and paths.

use super::super::pattern::{common_path, path_covers};
use super::super::{Part, intersect, narrow, permits};
use super::grant;

#[test]
fn a_star_covers_one_segment_or_at_the_end_all_that_follow() {
    for (above, below, expected) in [
        ("ledger/*", "ledger/invoices", true),
        ("ledger/*", "ledger/invoices/*", true),
        ("ledger/*", "ledger/*", true),
        ("ledger/*", "ledger", false),
        ("ledger/*", "ledgers/a", false),
        ("a/*/c", "a/b/c", true),
        ("a/*/c", "a/*/c", true),
        ("a/*/c", "a/*", false),
        ("a/*/c", "a/b/b/c", false),
        ("a/b", "a/*", false),
        ("a/*", "a/*/*", true),
        ("a/*/*", "a/*", false),
        ("*", "a/b/c", true),
        ("a/b*", "a/bc", false),
        ("a/b*", "a/b*", true),
        ("a/b*/c", "a/b*/*", false),
        ("a/b*/*", "a/b*/c", true),
        ("a/*b", "a/*", false),
        ("a", "A", false),
        ("a", "a/", false),
    ] {
        assert_eq!(path_covers(above, below), expected, "{above} over {below}");
    }
}

#[test]
fn two_paths_have_the_segments_of_both_in_common() {
    for (one, other, common) in [
        ("ledger/*", "ledger/invoices/*", Some("ledger/invoices/*")),
        ("*/x", "y/*", Some("y/x")),
        ("*/x", "*", Some("*/x")),
        ("a/*/c", "*/b/*", Some("a/b/c")),
        ("a/*/c/*", "*/b/*", Some("a/b/c/*")),
        ("*/*", "a/*", Some("a/*")),
        ("*/*/*", "a/*", Some("a/*/*")),
        ("*/*", "a", None),
        ("a/*", "b/*", None),
        ("a/b", "a/b/c", None),
        ("/a", "*/a", Some("/a")),
    ] {
        assert_eq!(
            common_path(one, other).as_deref(),
            common,
            "{one} and {other}"
        );
        assert_eq!(
            common_path(other, one).as_deref(),
            common,
            "{other} and {one}"
        );
    }
}

#[test]
fn what_isnt_granted_is_named() {
    let parent = [grant(&["read", "list"], &["ledger/*"])];
    narrow(&parent, &[grant(&["read"], &["ledger/invoices/*"])]).unwrap();
    let child = [
        grant(&["list"], &["ledger/a"]),
        grant(&["read", "write"], &["ledger/a"]),
    ];
    let widening = narrow(&parent, &child).unwrap_err();
    assert_eq!((widening.grant, &widening.part), (1, &Part::NotGranted));
    let told = r#"grants[1] widens: "write" on "ledger/a" is not granted above"#;
    assert_eq!(widening.to_string(), told);
}

#[test]
fn two_grants_above_give_their_actions_each_on_its_own_resources() {
    let parent = [grant(&["read"], &["a"]), grant(&["write"], &["b"])];
    narrow(
        &parent,
        &[grant(&["read"], &["a"]), grant(&["write"], &["b"])],
    )
    .unwrap();
    narrow(&parent, &[grant(&["read", "write"], &["a", "b"])]).unwrap_err();
    let parent = [
        grant(&["read"], &["a", "b"]),
        grant(&["write"], &["b"]),
        grant(&["write"], &["a"]),
    ];
    narrow(&parent, &[grant(&["read", "write"], &["a", "b"])]).unwrap();
}

#[test]
fn any_verb_is_granted_by_a_star_alone() {
    narrow(&[grant(&["*"], &["a"])], &[grant(&["read", "*"], &["a"])]).unwrap();
    narrow(
        &[grant(&["read", "write"], &["a"])],
        &[grant(&["*"], &["a"])],
    )
    .unwrap_err();
}

#[test]
fn nobody_may_do_anything_under_an_owner_without_grants() {
    narrow(&[], &[]).unwrap();
    narrow(&[], &[grant(&["read"], &["a"])]).unwrap_err();
    narrow(&[], &[grant(&[], &["a"]), grant(&["read"], &[])]).unwrap();
}

#[test]
fn only_one_verb_on_one_path_can_be_permitted() {
    let all = [grant(&["*"], &["*"])];
    assert!(permits(&all, "read", "ledger/a"));
    for (action, path) in [
        ("*", "ledger/a"),
        ("", "ledger/a"),
        ("read", "ledger/*"),
        ("read", "*/a"),
        ("read", ""),
        ("read", "ledger/"),
        ("read", "/ledger"),
        ("read", "ledger//a"),
        ("read", "ledger/../payroll"),
        ("read", "./ledger"),
    ] {
        assert!(!permits(&all, action, path), "{action:?} on {path:?}");
    }
}

#[test]
fn of_two_sides_the_narrower_is_what_they_have_in_common_as_it_is_written() {
    let wide = [grant(&["*"], &["ledger/*", "orders/*"])];
    let narrow = [
        grant(&["read", "list"], &["orders/1", "ledger/invoices/*"]),
        grant(&["write"], &["ledger/notes"]),
    ];
    assert_eq!(intersect(&wide, &narrow), narrow);
    assert_eq!(intersect(&narrow, &wide), narrow);
}

#[test]
fn two_sides_that_only_overlap_have_the_overlap_in_common_once() {
    let a = [
        grant(&["read", "write"], &["ledger/*", "orders/*/lines"]),
        grant(&["list"], &["*"]),
    ];
    let b = [
        grant(&["read", "list"], &["*/7/*", "ledger/7/a"]),
        grant(&["delete"], &["*"]),
    ];
    let both = [
        grant(&["read"], &["ledger/7/*", "orders/7/lines"]),
        grant(&["list"], &["*/7/*"]),
    ];
    assert_eq!(intersect(&a, &b), both);
}

#[test]
fn what_is_in_common_may_be_as_long_as_the_product() {
    let side = |pattern: fn(usize) -> String| {
        let mut side = grant(&["read"], &[]);
        side.resources = (0..64).map(pattern).collect();
        [side]
    };
    let (a, b) = (side(|it| format!("*/x{it}")), side(|it| format!("y{it}/*")));
    let both = intersect(&a, &b);
    assert_eq!(both[0].resources.len(), 64 * 64);
    narrow(&a, &both).unwrap();
    narrow(&b, &both).unwrap();
}
