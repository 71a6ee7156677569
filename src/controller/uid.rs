//! UIDs of objects, kept small.

use std::fmt;

/// A UID. Kubernetes makes UUIDs, and there are five for each identity: as numbers they take a
/// third of the memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Uid {
    Uuid([u8; 16]),
    /// Whatever else an API server calls a UID.
    Other(Box<str>),
}

impl Uid {
    /// Is this the UID that is written so?
    pub(crate) fn is(&self, text: &str) -> bool {
        *self == Self::from(text)
    }
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        uuid(text).map_or_else(|| Self::Other(text.into()), Self::Uuid)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(bytes) => {
                for (index, byte) in bytes.iter().enumerate() {
                    let dash = if matches!(index, 4 | 6 | 8 | 10) {
                        "-"
                    } else {
                        ""
                    };
                    write!(f, "{dash}{byte:02x}")?;
                }
                Ok(())
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Reads a UUID in the one form that RFC 9562 §4 writes, so that no two texts are one UID.
fn uuid(text: &str) -> Option<[u8; 16]> {
    const DIGITS: [usize; 5] = [8, 4, 4, 4, 12];
    let mut hex = [0; 32];
    let mut at = 0;
    let mut groups = text.split('-');
    for digits in DIGITS {
        let group = groups.next().filter(|group| group.len() == digits)?;
        if group.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        hex.get_mut(at..at + digits)?
            .copy_from_slice(group.as_bytes());
        at += digits;
    }
    let mut bytes = [0; 16];
    hex::decode_to_slice(hex, &mut bytes).ok()?;
    groups.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a failing test should panic")]

    use super::*;

    const UUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    #[test]
    fn a_uuid_is_a_number_and_is_written_as_it_came() {
        let uid = Uid::from(UUID);
        assert!(matches!(uid, Uid::Uuid(_)));
        assert_eq!(uid.to_string(), UUID);
        assert!(uid.is(UUID));
    }

    #[test]
    fn whatever_is_written_otherwise_is_another_uid() {
        let odd = [
            "",
            "a-uid",
            "0F8FAD5B-D9CB-469F-A165-70867728950E",
            "0f8fad5bd9cb469fa16570867728950e",
            "0f8fad5b-d9cb-469f-a165-70867728950e-",
            "0f8fad5b-d9cb-469f-a16-570867728950e",
            "0f8fad5b-d9cb-469f-a165-70867728950g",
            "0f8fad5b-d9cb-469f-a165-7086772895é",
        ];
        for text in odd {
            let uid = Uid::from(text);
            assert!(matches!(uid, Uid::Other(_)), "{text}");
            assert_eq!(uid.to_string(), text);
            assert!(!uid.is(UUID));
        }
    }
}
