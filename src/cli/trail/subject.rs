//! What a trail is asked for.

use countersign_statement::Digest;

/// Something that somebody saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A certificate's serial number, in lower-case hex.
    Serial(String),
    SpiffeId(String),
    /// A Delegation's UID.
    Uid(String),
    /// The digest of a statement.
    Digest(String),
    /// A record of the audit log.
    Record {
        chain: String,
        seq: u64,
    },
    /// A Delegation by its name, in the namespace that is looked at if none is said.
    Name {
        namespace: Option<String>,
        name: String,
    },
}

impl Subject {
    /// By its form: `spiffe://…`, `<chain>:<seq>`, a UID, a serial number in hex (with or without
    /// colons, as OpenSSL and browsers show it), a digest, or a name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with("spiffe://") {
            return Ok(Self::SpiffeId(text.to_owned()));
        }
        if let Some(serial) = serial(text) {
            return Ok(Self::Serial(serial));
        }
        if let Some((chain, seq)) = text.rsplit_once(':') {
            return match seq.parse() {
                Ok(seq) if chain.contains('/') => Ok(Self::Record {
                    chain: chain.to_owned(),
                    seq,
                }),
                _ => Err(format!(
                    "{text:?} is no record: expected <trust domain>/<writer>:<number>"
                )),
            };
        }
        if is_uid(text) {
            return Ok(Self::Uid(text.to_owned()));
        }
        if Digest::parse(text).is_ok() {
            return Ok(Self::Digest(text.to_owned()));
        }
        let name = text.strip_prefix("delegation/").unwrap_or(text);
        let (namespace, name) = match name.split_once('/') {
            Some((namespace, name)) => (Some(namespace.to_owned()), name),
            None => (None, name),
        };
        if name.is_empty() || name.contains('/') {
            return Err(format!(
                "{text:?} is none of: a serial number, a SPIFFE ID, a delegation (name, namespace/name or UID), a digest, or <chain>:<number>"
            ));
        }
        Ok(Self::Name {
            namespace,
            name: name.to_owned(),
        })
    }
}

/// 16 bytes as those issued here; others may have up to 20 (RFC 5280, section 4.1.2.2).
fn serial(text: &str) -> Option<String> {
    let digits = text.replace(':', "").to_ascii_lowercase();
    let hex = (30..=40).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_hexdigit());
    hex.then_some(digits)
}

/// 8-4-4-4-12 hex digits, as the API server makes them.
fn is_uid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|it| it == b'-' || it.is_ascii_hexdigit())
}
