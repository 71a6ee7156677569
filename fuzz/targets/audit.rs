//! Audit records from a file: no panic, and no segment passes whose records are not those that were
//! signed.
//!
//! The first byte of an input says what the rest is.

#![no_main]

use std::sync::LazyLock;

use countersign_audit::{Entry, Hash, Position, Record, ocsf, read_segment};
use countersign_fuzz::segment::{CHAIN, Notary, Segment};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::value::RawValue;

static NOTARY: LazyLock<Notary> = LazyLock::new(Notary::new);
static HONEST: LazyLock<Segment> = LazyLock::new(|| {
    let honest = NOTARY.honest();
    let report = read_segment(honest.file.as_bytes(), &*NOTARY).expect("it is a segment");
    assert_eq!(report.finding, None, "an honest segment passes");
    honest
});

/// A record's line, as far as it is compared.
#[derive(Deserialize)]
struct Line<'a> {
    seq: u64,
    #[serde(borrow)]
    body: &'a RawValue,
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => any_file(rest),
        1 => any_bodies(rest),
        2 => any_entry(rest),
        _ => any_position(rest),
    }
});

/// Nobody signed it, unless it is the honest one or its end.
fn any_file(file: &[u8]) {
    let Ok(report) = read_segment(file, &*NOTARY) else {
        return;
    };
    if report.finding.is_some() {
        return;
    }
    let segment = &report.segment;
    assert_eq!(report.chain, CHAIN);
    assert_eq!(segment.last_hash.as_bytes(), &HONEST.last);
    assert_eq!(report.records, segment.last_seq + 1 - segment.first_seq);
    let text = std::str::from_utf8(file).expect("what passes is JSON");
    let lines: Vec<&str> = text.lines().collect();
    let records = &lines[1..lines.len() - 1];
    assert_eq!(records.len() as u64, report.records);
    for (seq, line) in (segment.first_seq..).zip(records) {
        let line: Line<'_> = serde_json::from_str(line).expect("what passes is a record");
        let honest = usize::try_from(seq)
            .ok()
            .and_then(|it| HONEST.bodies.get(it - 1));
        assert_eq!(line.seq, seq);
        assert_eq!(Some(line.body.get()), honest.map(String::as_str));
    }
}

/// Hashed and signed as the log does it, whatever it says. A body on each line.
fn any_bodies(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let bodies: Vec<String> = text.lines().take(8).map(str::to_owned).collect();
    if bodies.is_empty() {
        return;
    }
    let file = NOTARY.segment(1, &bodies).file;
    let report = read_segment(file.as_bytes(), &*NOTARY).expect("it has a header");
    if report.finding.is_none() {
        let entries = bodies.iter().map(|it| serde_json::from_str::<Entry>(it));
        for entry in entries {
            let entry = entry.expect("what passes is an entry");
            assert_eq!(entry.trust_domain, "example.org", "of another trust domain");
        }
    }
}

/// The body of a record as a store gives it back.
fn any_entry(body: &[u8]) {
    let Ok(entry) = serde_json::from_slice::<Entry>(body) else {
        return;
    };
    let text = serde_json::to_string(&entry).expect("what was read can be written");
    let again: Entry = serde_json::from_str(&text).expect("and read");
    assert_eq!(again, entry, "and says the same");
    let record = Record {
        position: Position {
            chain: CHAIN.to_owned(),
            seq: 1,
            hash: Hash::parse(&"0".repeat(64)).expect("it is a hash"),
        },
        entry,
        body: text,
    };
    assert!(ocsf(&record).is_object());
}

fn any_position(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(hash) = Hash::parse(&text) {
        assert_eq!(hash.to_string(), text, "a hash has one spelling");
    }
    if let Ok(position) = serde_json::from_slice::<Position>(bytes) {
        let text = serde_json::to_string(&position).expect("what was read can be written");
        let again: Position = serde_json::from_str(&text).expect("and read");
        assert_eq!(again, position);
    }
}
