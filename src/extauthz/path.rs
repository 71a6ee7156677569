//! From a request target to the path of a resource.
//!
//! Policies name paths, and a path that a service reads otherwise than a policy evades it. So each
//! path has one spelling here, and what services are known to read in several ways is refused.

use crate::ask::Unreadable;
use crate::percent;

/// Longer than any resource that somebody writes a policy about, shorter than what would be a burden
/// in a log.
const MAX_BYTES: usize = 2048;

/// The path of the resource that a request target names, without slashes at its ends: empty for `/`.
/// The query is cut off, and percent-encoding is undone once.
pub(crate) fn of_target(target: &[u8]) -> Result<String, Unreadable> {
    let mut parts = target.splitn(2, |it| *it == b'?');
    let path = parts.next().unwrap_or_default();
    if path.len() > MAX_BYTES {
        return Err(Unreadable("the path is longer than 2048 bytes"));
    }
    let path = path
        .strip_prefix(b"/")
        .ok_or(Unreadable("the path doesn't begin with a slash"))?;
    // `/ledger/` is `/ledger` for most services, so it is for policies.
    let path = path.strip_suffix(b"/").unwrap_or(path);
    if path.is_empty() {
        return match target {
            [b'/'] | [b'/', b'?', ..] => Ok(String::new()),
            _ => Err(EMPTY),
        };
    }
    let mut resource = String::with_capacity(path.len());
    for part in path.split(|it| *it == b'/') {
        if !resource.is_empty() {
            resource.push('/');
        }
        segment(part, &mut resource)?;
    }
    Ok(resource)
}

const EMPTY: Unreadable = Unreadable("the path has an empty segment");

fn segment(part: &[u8], resource: &mut String) -> Result<(), Unreadable> {
    if part.iter().any(|it| matches!(it, b';' | b'#')) {
        // Some services drop what follows, for them `/admin;x` is `/admin`.
        return Err(Unreadable("the path has a parameter (;) or a fragment (#)"));
    }
    let decoded =
        percent::decode(part).ok_or(Unreadable("the path's percent-encoding is broken"))?;
    let text = std::str::from_utf8(&decoded).map_err(|_| Unreadable("the path isn't UTF-8"))?;
    match text {
        "" => return Err(EMPTY),
        "." | ".." => return Err(Unreadable("the path has a segment . or ..")),
        "*" => return Err(Unreadable("the path has a segment *")),
        _ => {}
    }
    if text.contains(|it: char| matches!(it, '/' | '\\' | '%') || it.is_control()) {
        return Err(Unreadable(
            "the path has a backslash, a control character, or an encoded slash or percent sign",
        ));
    }
    resource.push_str(text);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_sent_a_path_leads_nowhere_else(
            target in proptest::collection::vec(prop_oneof![
                Just(b"/".to_vec()), Just(b"%2".to_vec()), Just(b"%".to_vec()), Just(b".".to_vec()),
                Just(b"%25".to_vec()), Just(b"%2e".to_vec()), Just(b"?".to_vec()), "[a-f0-9*;\\\\]".prop_map(String::into_bytes),
                any::<u8>().prop_map(|it| vec![it]),
            ], 0..12),
        ) {
            let target = [&b"/"[..], &target.concat()].concat();
            if let Ok(path) = of_target(&target) {
                let odd = |it: &str| matches!(it, "" | "." | ".." | "*");
                prop_assert!(path.is_empty() || !path.split('/').any(odd), "{path:?}");
                let bad = |it: char| matches!(it, '\\' | '%') || it.is_control();
                prop_assert!(!path.contains(bad), "{path:?}");
                // Spelled in full, it is the same one.
                let spelled = path.split('/').map(|part| {
                    part.bytes().map(|it| format!("%{it:02x}")).collect::<String>()
                });
                let spelled = format!("/{}", spelled.collect::<Vec<_>>().join("/"));
                prop_assert_eq!(of_target(spelled.as_bytes()).unwrap(), path);
            }
        }
    }

    #[test]
    fn a_path_has_one_spelling() {
        for (target, path) in [
            ("/", ""),
            ("/?x=/../", ""),
            ("/ledger", "ledger"),
            ("/ledger/", "ledger"),
            ("/ledger/invoices/7?page=2?", "ledger/invoices/7"),
            ("/%61dmin", "admin"),
            ("/a%20b/%c3%A9+", "a b/é+"),
            ("/v1/files:copy/...", "v1/files:copy/..."),
            ("/a%3Bb/**", "a;b/**"),
        ] {
            assert_eq!(of_target(target.as_bytes()).unwrap(), path, "{target}");
        }
    }

    #[test]
    fn what_services_read_in_several_ways_is_refused() {
        for target in [
            "",
            "*",
            "ledger",
            "?",
            "http://x/ledger",
            "//",
            "//x",
            "/a//b",
            "/a//",
            "/./a",
            "/a/..",
            "/a/../b",
            "/%2e%2E/b",
            "/a/.%2e",
            "/a%2fb",
            "/a%2Fb",
            "/a\\b",
            "/a%5cb",
            "/a%252fb",
            "/a%00",
            "/a%0d%0ab",
            "/a\tb",
            "/a%7f",
            "/a;x=1",
            "/..;/b",
            "/a#b",
            "/a%",
            "/a%zz",
            "/a/*",
            "/%2a",
            "/%ff",
            "/%c2%85",
        ] {
            assert!(of_target(target.as_bytes()).is_err(), "{target}");
        }
        assert!(of_target(b"/\xff").is_err());
        assert!(of_target(format!("/{}", "a".repeat(MAX_BYTES)).as_bytes()).is_err());
    }
}
