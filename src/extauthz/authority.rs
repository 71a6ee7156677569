//! A chain of delegations, as a header or a field carries it.

use countersign_decision::Authority;
use countersign_statement::{Digest, MAX_STATEMENT_BYTES, MAX_STATEMENTS};

use crate::ask::Unreadable;

/// What Envoy takes of headers in all is 60 KiB, and what many servers take of one is 8.
const MAX_BYTES: usize = 8 * 1024;

/// Reads the digest of a chain's last statement (43 characters of base64url), or its statements, from
/// hop 0 and joined by `~`, 8 KiB in all. Whether they are what they seem is for the decision point.
pub(crate) fn read(text: &[u8]) -> Result<Authority, Unreadable> {
    if text.len() > MAX_BYTES {
        return Err(Unreadable(
            "the delegation is longer than 8 KiB: send its digest",
        ));
    }
    let text = std::str::from_utf8(text).map_err(|_| BAD)?;
    if let Ok(digest) = Digest::parse(text) {
        return Ok(Authority::Digest(digest));
    }
    let statements: Vec<&str> = text.split('~').take(MAX_STATEMENTS + 1).collect();
    if statements.len() > MAX_STATEMENTS {
        return Err(Unreadable("the delegation has too many statements"));
    }
    if !statements.iter().all(|it| is_compact_jws(it)) {
        return Err(BAD);
    }
    let statements = statements.into_iter().map(str::to_owned);
    Ok(Authority::Statements(statements.collect()))
}

const BAD: Unreadable = Unreadable("the delegation is neither a digest nor statements joined by ~");

/// Three parts of base64url (RFC 7515, section 7.1).
fn is_compact_jws(text: &str) -> bool {
    let part = |it: &str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !it.is_empty() && it.bytes().all(good)
    };
    text.len() <= MAX_STATEMENT_BYTES && text.split('.').count() == 3 && text.split('.').all(part)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;

    #[test]
    fn a_digest_or_statements_are_read() {
        let digest = Digest::from_bytes([7; 32]);
        let read_digest = read(digest.to_string().as_bytes()).unwrap();
        assert_eq!(read_digest, Authority::Digest(digest));
        assert_eq!(
            read(b"aa.bb.c-_~dd.ee.ff").unwrap(),
            Authority::Statements(vec!["aa.bb.c-_".to_owned(), "dd.ee.ff".to_owned()])
        );
    }

    #[test]
    fn anything_else_is_refused() {
        let digest = Digest::from_bytes([7; 32]).to_string();
        for text in [
            String::new(),
            format!("{digest},{digest}"),
            format!("{digest} "),
            format!("{digest}="),
            digest.replace('B', "+"),
            "a.b".to_owned(),
            "a.b.c.d".to_owned(),
            "a..c".to_owned(),
            "a.b.c~".to_owned(),
            "~a.b.c".to_owned(),
            "a.b.c,d.e.f".to_owned(),
            vec!["a.b.c"; MAX_STATEMENTS + 1].join("~"),
            format!("a.b.{}", "c".repeat(MAX_BYTES)),
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(b"\xff").is_err());
    }
}
