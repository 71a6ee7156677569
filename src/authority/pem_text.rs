//! PEM (RFC 7468), read strictly: nothing but blocks, nothing in front, between or behind.
//!
//! Own code because decoded private keys are overwritten on drop, and because trailing text, which
//! lenient readers skip, is where two readers come to see different certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A chain, a bundle or a key in PEM is never larger: eight certificates of 8 KiB.
pub(crate) const MAX_CHAIN_BYTES: usize = 64 * 1024;
/// Line length of RFC 7468.
const LINE: usize = 64;
/// More blocks than any chain or bundle has.
const MAX_BLOCKS: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PemProblem {
    #[error("it is empty: provide a PEM block")]
    Empty,
    #[error("it has more than {0} bytes of PEM")]
    TooLarge(usize),
    #[error("it has text outside of PEM blocks: remove it")]
    Outside,
    #[error("a PEM block is not closed, or closed under another label")]
    Unclosed,
    #[error("a PEM block has headers: encrypted keys and the like are not accepted")]
    Headers,
    #[error("the base64 of a PEM block is damaged")]
    Base64,
    #[error("it has more than one PEM block: provide one")]
    Several,
    #[error("it has more than {MAX_BLOCKS} PEM blocks")]
    TooMany,
    #[error("it is not text")]
    NotText,
}

pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// Reads every block; at least one.
pub(crate) fn blocks(text: &str, limit: usize) -> Result<Vec<Block>, PemProblem> {
    if text.len() > limit {
        return Err(PemProblem::TooLarge(limit));
    }
    let mut found = Vec::new();
    let mut open: Option<(&str, Zeroizing<String>)> = None;
    for line in text.lines().map(str::trim_ascii) {
        match open.take() {
            None if line.is_empty() => {}
            None => {
                let label = armour(line, "-----BEGIN ").ok_or(PemProblem::Outside)?;
                open = Some((label, Zeroizing::new(String::with_capacity(text.len()))));
            }
            Some((label, body)) if line.starts_with("-----") => {
                if armour(line, "-----END ") != Some(label) {
                    return Err(PemProblem::Unclosed);
                }
                let der = STANDARD
                    .decode(body.as_bytes())
                    .map_err(|_| PemProblem::Base64)?;
                if found.len() == MAX_BLOCKS {
                    return Err(PemProblem::TooMany);
                }
                found.push(Block {
                    label: label.to_owned(),
                    der: Zeroizing::new(der),
                });
            }
            Some(_) if line.contains(':') => return Err(PemProblem::Headers),
            Some((label, mut body)) => {
                // Within capacity: a growing buffer would leave copies of a key behind.
                body.push_str(line);
                open = Some((label, body));
            }
        }
    }
    if open.is_some() {
        return Err(PemProblem::Unclosed);
    }
    if found.is_empty() {
        return Err(PemProblem::Empty);
    }
    Ok(found)
}

/// Reads exactly one block.
pub(crate) fn one_block(text: &str, limit: usize) -> Result<Block, PemProblem> {
    let mut found = blocks(text, limit)?;
    match (found.pop(), found.is_empty()) {
        (Some(block), true) => Ok(block),
        _ => Err(PemProblem::Several),
    }
}

pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    std::mem::take(&mut *encode_secret(label, der))
}

pub(crate) fn encode_secret(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let room = body.len() + body.len() / LINE + 2 * label.len() + 64;
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

fn armour<'a>(line: &'a str, begin: &str) -> Option<&'a str> {
    let label = line.strip_prefix(begin)?.strip_suffix("-----")?;
    (!label.is_empty() && !label.contains('-')).then_some(label)
}
