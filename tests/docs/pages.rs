//! What all checks need of a page: its text, its parts, its links.

use std::fs;
use std::path::PathBuf;

/// The repository's folder.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file's text.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// All files below a folder whose names end so, sorted, from the repository's folder.
pub(crate) fn files(folder: &str, end: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(end) {
                let path = path.strip_prefix(root()).unwrap();
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// A source without its tests, which come last.
pub(crate) fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]")
        .map_or(text, |(before, _)| before)
}

/// The fenced blocks of a language.
pub(crate) fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    let mut found = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once(&start) {
        let (block, after) = after.split_once("\n```").unwrap();
        found.push(block);
        rest = after;
    }
    found
}

/// The lines outside of fenced blocks.
pub(crate) fn prose(page: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push(line);
        }
    }
    lines
}

/// What stands between backticks.
pub(crate) fn code_words(page: &str) -> Vec<String> {
    let mut words = Vec::new();
    for line in prose(page) {
        words.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    words
}

/// Where its links lead, as they are written.
pub(crate) fn links(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(page) {
        let plain: Vec<&str> = line.split('`').collect();
        // What a link is called may be code: its brackets meet again on both sides of it.
        let line = plain
            .iter()
            .enumerate()
            .map(|(at, part)| if at % 2 == 0 { *part } else { "" })
            .collect::<String>();
        let mut rest = line.as_str();
        while let Some((_, after)) = rest.split_once("](") {
            let (link, after) = after.split_once(')').unwrap_or((after, ""));
            found.push(link.to_owned());
            rest = after;
        }
    }
    found
}

/// The anchors of its headings, as GitHub and mdBook make them.
pub(crate) fn anchors(page: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in prose(page) {
        let Some(heading) = line.strip_prefix('#') else {
            continue;
        };
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let anchor: String = heading
            .chars()
            .filter(|it| it.is_alphanumeric() || [' ', '-', '_'].contains(it))
            .map(|it| if it == ' ' { '-' } else { it })
            .collect();
        let again = found
            .iter()
            .filter(|it| it.strip_prefix(&anchor).is_some_and(is_count))
            .count();
        found.push(if again == 0 {
            anchor
        } else {
            format!("{anchor}-{again}")
        });
    }
    found
}

fn is_count(end: &str) -> bool {
    end.is_empty()
        || end
            .strip_prefix('-')
            .is_some_and(|number| number.parse::<u32>().is_ok())
}

/// A link's file, from the repository's folder, with `..` resolved.
pub(crate) fn target(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Does it exist?
pub(crate) fn exists(path: &str) -> bool {
    root().join(path).exists()
}
