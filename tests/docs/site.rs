//! The pages are one site: all of them are in its table of contents, and each link leads somewhere.

use std::collections::BTreeMap;

use crate::pages::{anchors, exists, files, links, read, target};

const SUMMARY: &str = "docs/SUMMARY.md";

/// Each page with its text.
fn pages() -> BTreeMap<String, String> {
    let pages = files("docs", ".md").into_iter();
    pages.map(|path| (path.clone(), read(&path))).collect()
}

#[test]
fn each_page_is_in_the_table_of_contents_once() {
    let listed: Vec<String> = links(&read(SUMMARY))
        .iter()
        .map(|link| target(SUMMARY, link))
        .collect();
    for page in pages().keys().filter(|page| *page != SUMMARY) {
        let times = listed.iter().filter(|it| *it == page).count();
        assert_eq!(times, 1, "{page} in {SUMMARY}");
    }
    assert_eq!(listed.len(), pages().len() - 1, "{listed:?}");
}

#[test]
fn each_link_leads_somewhere() {
    let mut pages = pages();
    for other in ["README.md", "SECURITY.md", "CONTRIBUTING.md"] {
        if exists(other) {
            pages.insert(other.to_owned(), read(other));
        }
    }
    let (mut count, mut dead) = (0, Vec::new());
    for (page, text) in &pages {
        for link in links(text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let path = if file.is_empty() {
                page.clone()
            } else {
                target(page, file)
            };
            if !exists(&path) {
                dead.push(format!("{page}: {link}: there is no {path}"));
            } else if !anchor.is_empty()
                && path.ends_with(".md")
                && !anchors(&read(&path)).iter().any(|it| it == anchor)
            {
                dead.push(format!("{page}: {link}: {path} has no such heading"));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
    assert!(count >= 60, "only {count} links were found");
}

#[test]
fn a_picture_is_a_picture() {
    for path in files("docs", ".svg") {
        let text = read(&path);
        assert!(text.starts_with("<svg "), "{path}");
        assert!(text.trim_end().ends_with("</svg>"), "{path}");
        assert!(text.contains("<title>"), "{path} for who can't see it");
    }
}
