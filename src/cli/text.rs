//! Text of others, made fit to be shown.

use jiff::Timestamp;

/// `text` on one line and as it is read: control characters, and those that turn, hide or break what
/// is around them, become U+FFFD. A name must not be able to repaint a terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|it| if is_treacherous(it) { '\u{fffd}' } else { it })
        .collect()
}

/// [`clean`], and at most `most` characters.
pub(crate) fn short(text: &str, most: usize) -> String {
    let mut shown: String = clean(text);
    if shown.chars().count() > most {
        shown = shown.chars().take(most.saturating_sub(1)).collect();
        shown.push('…');
    }
    shown
}

/// Controls, bidirectional controls (UAX #9, section 2), zero-width characters, and separators of
/// lines; tags (U+E0000 on) hide a whole text.
fn is_treacherous(it: char) -> bool {
    it.is_control()
        || matches!(it,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// How far away, in the two largest units: `3d4h`, `14m`, `0s`.
pub(crate) fn span(seconds: i64) -> String {
    let seconds = seconds.unsigned_abs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, unit) in units {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() {
        "0s".to_owned()
    } else {
        parts.concat()
    }
}

/// `in 14m`, or `2h ago`.
pub(crate) fn relative(moment: Timestamp, now: Timestamp) -> String {
    let seconds = moment.duration_since(now).as_secs();
    if seconds < 0 {
        format!("{} ago", span(seconds))
    } else {
        format!("in {}", span(seconds))
    }
}

/// To the second, in UTC.
pub(crate) fn time(moment: Timestamp) -> String {
    Timestamp::from_second(moment.as_second())
        .unwrap_or(moment)
        .to_string()
}

/// `namespace/name`, or the name alone.
pub(crate) fn qualified(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) if !namespace.is_empty() => format!("{namespace}/{name}"),
        _ => name.to_owned(),
    }
}

/// `3 delegations`, `1 delegation`.
pub(crate) fn count(number: usize, of: &str) -> String {
    let plural = match of.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{of}s"),
    };
    if number == 1 {
        format!("1 {of}")
    } else {
        format!("{number} {plural}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;

    #[test]
    fn what_could_repaint_a_terminal_or_turn_a_line_around_is_replaced() {
        assert_eq!(
            clean("a\u{1b}[31mb\r\nc"),
            "a\u{fffd}[31mb\u{fffd}\u{fffd}c"
        );
        assert_eq!(clean("ali\u{202e}ecila"), "ali\u{fffd}ecila");
        assert_eq!(clean("a\u{200b}b\u{e0041}"), "a\u{fffd}b\u{fffd}");
        assert_eq!(clean("Zoë 日本 \"x\""), "Zoë 日本 \"x\"");
    }

    #[test]
    fn spans_have_their_two_largest_units() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (254, "4m14s"),
            (3_605, "1h"),
            (90_000, "1d1h"),
            (-7, "7s"),
        ] {
            assert_eq!(span(seconds), text);
        }
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        assert_eq!(
            relative("2026-11-24T12:14:00Z".parse().unwrap(), now),
            "in 14m"
        );
        assert_eq!(
            relative("2026-11-24T11:00:00Z".parse().unwrap(), now),
            "1h ago"
        );
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(short("日本語です", 3), "日本…");
        assert_eq!(short("ab", 3), "ab");
        assert_eq!(count(1, "identity"), "1 identity");
        assert_eq!(count(2, "identity"), "2 identities");
        assert_eq!(count(0, "delegation"), "0 delegations");
    }
}
