//! What is published as a SPIFFE document: X.509 roots and signing keys, numbered.

use countersign_authority::Bundle;
use countersign_statement::KeyRing;
use serde_json::Value;

/// How often verifiers should fetch the bundle again: well within the propagation of a rotation.
const REFRESH_HINT_SECONDS: u64 = 60;

/// The signing keys of a document.
#[derive(Clone, Copy)]
pub(crate) enum SigningKeys<'a> {
    Ring(&'a KeyRing),
    /// They can't be read: those that are published stay, but for the distrusted.
    AsPublished {
        distrusted: &'a [String],
    },
}

/// A document, and its sequence number.
pub(crate) struct Document {
    pub(crate) json: String,
    pub(crate) sequence: u64,
}

impl Document {
    /// The document to publish in place of `before`. Its number rises with each change, whatever
    /// the parts number themselves: a verifier never takes an older one for a newer.
    pub(crate) fn next(bundle: &Bundle, keys: SigningKeys<'_>, before: Option<&str>) -> Self {
        let published = before.and_then(|json| serde_json::from_str::<Value>(json).ok());
        let (keys, own) = match keys {
            SigningKeys::Ring(ring) => (ring.jwks(), ring.sequence()),
            SigningKeys::AsPublished { distrusted } => (kept(published.as_ref(), distrusted), 0),
        };
        let numbered = |sequence| bundle.spiffe_json_with(REFRESH_HINT_SECONDS, &keys, sequence);
        let last = published.and_then(|it| it.get("spiffe_sequence")?.as_u64());
        if let (Some(last), Some(before)) = (last, before) {
            let same = numbered(last);
            if same == before {
                return Self {
                    json: same,
                    sequence: last,
                };
            }
        }
        let next = last.map_or(0, |last| last.saturating_add(1));
        let sequence = bundle.sequence.saturating_add(own).max(next);
        Self {
            json: numbered(sequence),
            sequence,
        }
    }
}

/// The signing keys of a published document that nobody distrusts.
fn kept(published: Option<&Value>, distrusted: &[String]) -> Vec<Value> {
    let keys = published.and_then(|it| it.get("keys")?.as_array());
    let text = |key: &Value, member: &str| {
        let value = key.get(member).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let ours = keys.into_iter().flatten().filter(|key| {
        let used = text(key, "use");
        (used.starts_with("countersign-") || used == "jwt-svid")
            && !distrusted.contains(&text(key, "kid"))
    });
    ours.cloned().collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;

    fn sequence(json: &str) -> u64 {
        let json: Value = serde_json::from_str(json).unwrap();
        json["spiffe_sequence"].as_u64().unwrap()
    }

    #[test]
    fn what_is_the_same_keeps_its_number_and_what_changes_gets_a_higher_one() {
        let (ring, none) = (KeyRing::default(), Bundle::new(7, []));
        let first = Document::next(&none, SigningKeys::Ring(&ring), None);
        assert_eq!((first.sequence, sequence(&first.json)), (7, 7));
        let again = Document::next(&none, SigningKeys::Ring(&ring), Some(&first.json));
        assert_eq!(again.json, first.json);
        let other = first
            .json
            .replace("\"keys\":[]", "\"keys\":[{\"use\":\"x\"}]");
        let next = Document::next(&Bundle::new(1, []), SigningKeys::Ring(&ring), Some(&other));
        assert_eq!(next.sequence, 8, "though the bundle began anew");
    }

    #[test]
    fn keys_that_cant_be_read_stay_published_unless_they_are_distrusted() {
        let before = r#"{"keys":[
            {"use":"countersign-statement","kid":"aa"},
            {"use":"countersign-list","kid":"bb"},
            {"use":"jwt-svid","kid":"cc"},
            {"use":"x509-svid"}],"spiffe_sequence":3}"#;
        let distrusted = ["aa".to_owned()];
        let keys = SigningKeys::AsPublished {
            distrusted: &distrusted,
        };
        let next = Document::next(&Bundle::new(1, []), keys, Some(before));
        let json: Value = serde_json::from_str(&next.json).unwrap();
        let kids: Vec<_> = json["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["kid"].as_str().unwrap())
            .collect();
        assert_eq!((kids, next.sequence), (vec!["bb", "cc"], 4));
    }
}
