//! What is no statement, or too much.

use crate::keys::{FOREIGN, STATEMENTS, decode, encode};
use crate::story::{Draft, chain, text};
use crate::vector::Vector;

/// What is done to a statement's text.
type Edit = fn(&str) -> String;

pub(crate) fn vectors() -> Vec<Vector> {
    let mut all = vec![
        Vector::broken("empty", "no statement at all", Vec::new(), None, "empty"),
        Vector::broken(
            "eighteen-statements",
            "one more than a chain has",
            chain(18, |_, _| {}),
            None,
            "too-long",
        ),
        Vector::broken(
            "too-large",
            "well signed, but of more than 32,768 bytes: it isn't read",
            chain(3, |hop, draft| {
                if hop == 1 {
                    enlarge(draft);
                }
            }),
            1,
            "too-large",
        ),
        Vector::broken(
            "too-large-goes-first",
            "hop 0 is nothing, but hop 2 is too large, which is looked at first",
            vec![".".to_owned(), "..".to_owned(), "x".repeat(32_769)],
            2,
            "too-large",
        ),
    ];
    let not_compact: [(&str, &str, Edit); 11] = [
        (
            "two-parts",
            "the signature is missing, and its dot",
            |text| text.rsplit_once('.').unwrap().0.to_owned(),
        ),
        ("four-parts", "one part more", |text| format!("{text}.AA")),
        ("no-text", "an empty string", |_| String::new()),
        ("padded-signature", "base64 with padding", |text| {
            format!("{text}==")
        }),
        ("new-line", "a line end behind it", |text| {
            format!("{text}\n")
        }),
        (
            "non-canonical-signature",
            "its last character has bits set that aren't used",
            |text| with_unused_bits(text),
        ),
        ("short-signature", "63 bytes", |text| {
            cut_signature(text, 63)
        }),
        ("no-signature", "an empty signature", |text| {
            cut_signature(text, 0)
        }),
        ("long-signature", "65 bytes", |text| {
            let (input, signature) = text.rsplit_once('.').unwrap();
            let mut bytes = decode(signature);
            bytes.push(0);
            format!("{input}.{}", encode(&bytes))
        }),
        (
            "other-alphabet",
            "a character of the other base64 in its header",
            |text| format!("+{}", &text[1..]),
        ),
        (
            "no-ascii",
            "a character beyond ASCII in its signature",
            |text| format!("{}\u{e9}", &text[..text.len() - 1]),
        ),
    ];
    for (name, description, edit) in not_compact {
        let mut statements = chain(3, |_, _| {});
        statements[1] = edit(&statements[1]);
        all.push(Vector::broken(
            name,
            description,
            statements,
            1,
            "not-compact",
        ));
    }
    all.extend(signatures());
    all
}

fn signatures() -> Vec<Vector> {
    let mut altered = chain(3, |_, _| {});
    altered[2] = with_payload(&altered[2], |text| {
        text.replace("\"exp\":1794817800", "\"exp\":1794819600")
    });
    let mut swapped = chain(3, |_, _| {});
    let signature = swapped[0].rsplit_once('.').unwrap().1.to_owned();
    let input = swapped[1].rsplit_once('.').unwrap().0;
    swapped[1] = format!("{input}.{signature}");
    let mut beyond_the_order = chain(3, |_, _| {});
    beyond_the_order[1] = plus_order(&beyond_the_order[1]);
    let mut unread = chain(3, |_, _| {});
    unread[2] = with_payload(&unread[2], |_| "not JSON".to_owned());
    let mut empty = chain(3, |hop, draft| {
        if hop == 1 {
            draft.payload = Some(String::new());
        }
    });
    empty.truncate(2);
    let mut unused_bits = chain(3, |hop, draft| {
        if hop == 1 {
            draft.payload = Some(with_a_byte_left(text(&draft.claims)));
        }
    });
    let input = unused_bits[1].rsplit_once('.').unwrap().0;
    unused_bits[1] = STATEMENTS.sign_input(with_unused_bits(input));
    vec![
        Vector::broken(
            "moved-expiry",
            "hop 2 was altered after it had been signed: it lives as long as its parent",
            altered,
            2,
            "bad-signature",
        ),
        Vector::broken(
            "another-signature",
            "hop 1 with the signature of hop 0",
            swapped,
            1,
            "bad-signature",
        ),
        Vector::broken(
            "signature-beyond-the-order",
            "the group's order added to S: RFC 8032 refuses it, some libraries don't",
            beyond_the_order,
            1,
            "bad-signature",
        ),
        Vector::broken(
            "signature-goes-first",
            "the payload can't be read, but nobody signed it",
            unread,
            2,
            "bad-signature",
        ),
        Vector::broken(
            "wrong-key",
            "hop 1 names the trust domain's key and is signed by another",
            chain(3, |hop, draft| {
                if hop == 1 {
                    draft.header = Some(draft.key.header());
                    draft.key = FOREIGN;
                }
            }),
            1,
            "bad-signature",
        ),
        Vector::broken(
            "empty-payload",
            "well signed, without a payload",
            empty,
            1,
            "bad-claims",
        ),
        Vector::broken(
            "non-canonical-payload",
            "well signed, but the last character of the payload has bits set that aren't used",
            unused_bits,
            1,
            "not-compact",
        ),
    ]
}

/// More than a statement may have.
fn enlarge(draft: &mut Draft) {
    draft.payload = Some(text(&draft.claims) + &" ".repeat(24 * 1024));
}

/// With white space behind it, so that the last group of base64 has one byte.
fn with_a_byte_left(text: String) -> String {
    let missing = (4 - text.len() % 3) % 3;
    text + &" ".repeat(missing)
}

fn with_payload(text: &str, edit: impl Fn(&str) -> String) -> String {
    let parts: Vec<&str> = text.split('.').collect();
    let payload = String::from_utf8(decode(parts[1])).unwrap();
    let edited = edit(&payload);
    assert_ne!(payload, edited);
    format!("{}.{}.{}", parts[0], encode(edited.as_bytes()), parts[2])
}

fn cut_signature(text: &str, length: usize) -> String {
    let (input, signature) = text.rsplit_once('.').unwrap();
    format!("{input}.{}", encode(&decode(signature)[..length]))
}

/// The same bytes to a reader that doesn't look: one byte leaves four bits of its last character.
fn with_unused_bits(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = text.split_at(text.len() - 1);
    let place = ALPHABET.iter().position(|&it| it == last.as_bytes()[0]);
    format!("{rest}{}", char::from(ALPHABET[place.unwrap() + 1]))
}

/// RFC 8032, section 5.1.7: S must be less than L.
fn plus_order(text: &str) -> String {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (input, signature) = text.rsplit_once('.').unwrap();
    let mut bytes = decode(signature);
    let mut carry = 0;
    for (byte, more) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    format!("{input}.{}", encode(&bytes))
}
