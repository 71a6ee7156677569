//! Whatever bytes come, they are refused and nothing more.

use proptest::prelude::*;

use super::fixture::Notary;
use crate::columns::Columns;
use crate::record::Stored;
use crate::walk::Walk;
use crate::{CheckpointVerifier, Hash, read_segment};

const HEADER: &str = r#"{"format":"countersign.dev/audit-segment/v1","chain":"a/b","firstSeq":1,"lastSeq":3,"previousHash":"0000000000000000000000000000000000000000000000000000000000000000"}"#;

proptest! {
    #[test]
    fn any_bytes_as_a_segment(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        drop(read_segment(&bytes[..], &Notary));
    }

    #[test]
    fn any_lines_behind_a_header(lines in proptest::collection::vec(any::<String>(), 0..8)) {
        let file = format!("{HEADER}\n{}", lines.join("\n"));
        let report = read_segment(file.as_bytes(), &Notary).unwrap();
        prop_assert!(report.finding.is_some());
    }

    #[test]
    fn any_record_behind_a_header(seq in any::<u64>(), hash in "[0-9a-f]{64}", body in "\\{.{0,60}\\}") {
        let line = format!(r#"{{"chain":"a/b","seq":{seq},"hash":"{hash}","body":{body}}}"#);
        let report = read_segment(format!("{HEADER}\n{line}\n").as_bytes(), &Notary).unwrap();
        prop_assert!(report.finding.is_some());
    }

    #[test]
    fn any_header(first in any::<u64>(), last in any::<u64>()) {
        let header = HEADER.replace("Seq\":1", &format!("Seq\":{first}")).replace("Seq\":3", &format!("Seq\":{last}"));
        drop(read_segment(header.as_bytes(), &Notary));
    }

    #[test]
    fn any_body_and_hash_as_a_record(seq in any::<u64>(), body in any::<String>(), hash in any::<String>()) {
        let stored = Stored { chain: "a/b".to_owned(), seq, columns: Columns::default(), body, hash };
        let mut walk = Walk { chain: "a/b".to_owned(), seq: seq.saturating_sub(1), hash: Hash([0; 32]) };
        if let Err(broken) = walk.step(&stored) {
            walk.judge(broken, &stored, Some(&stored));
        }
        drop(stored.parse());
    }

    #[test]
    fn any_text_as_a_hash_or_token(text in any::<String>()) {
        if let Some(hash) = Hash::parse(&text) {
            prop_assert_eq!(hash.to_string(), text.clone());
        }
        Notary.verify(&text).unwrap_err();
    }
}
