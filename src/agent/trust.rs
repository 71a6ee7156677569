//! Whom to trust, as the issuing endpoint says it.

use countersign_authority::{AuthorityCertificate, Bundle};
use countersign_issuing as wire;
use serde_json::{Value, json};

use crate::crls::Crls;

/// Two slots, sixteen retired ones, and twice as many again.
const MAX_ROOTS: usize = 64;

/// The roots, the keys of JWT-SVIDs and the revocation lists of a trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trust {
    pub(crate) trust_domain: String,
    /// The roots, and the authorities below them.
    pub(crate) bundle: Bundle,
    /// The SPIFFE bundle.
    pub(crate) bundle_json: String,
    /// A JWK set of the keys that sign JWT-SVIDs; maybe none.
    pub(crate) jwt_keys: String,
    pub(crate) sequence: i64,
    pub(crate) crls: Crls,
}

impl Trust {
    /// Of the one trust domain that is expected. It has at least one root.
    pub(crate) fn read(message: wire::Trust, trust_domain: &str) -> Result<Self, String> {
        if message.trust_domain != trust_domain {
            let other = message.trust_domain;
            return Err(format!("it is of {other:?}, not of {trust_domain:?}"));
        }
        if message.roots.is_empty() || message.roots.len() > MAX_ROOTS {
            return Err(format!("it has no root, or more than {MAX_ROOTS}"));
        }
        let roots = message.roots.iter();
        let roots = roots.map(|der| AuthorityCertificate::from_der(der));
        let roots = roots.collect::<Result<Vec<_>, _>>();
        let roots = roots.map_err(|why| why.to_string())?;
        let bundle = Bundle::new(u64::try_from(message.sequence).unwrap_or_default(), roots);
        let bundle = bundle.with_intermediates(message.intermediates.iter().map(Vec::as_slice));
        Ok(Self {
            crls: Crls::read(message.crls, &bundle),
            bundle,
            jwt_keys: jwt_keys(&message.bundle_json)?,
            bundle_json: message.bundle_json,
            sequence: message.sequence,
            trust_domain: message.trust_domain,
        })
    }

    /// With the revocation lists of what was trusted `before`, where they are newer.
    pub(crate) fn after(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before {
            self.crls = self.crls.after(&before.crls, &self.bundle);
        }
        self
    }

    /// `spiffe://example.org`
    pub(crate) fn id(&self) -> String {
        format!("spiffe://{}", self.trust_domain)
    }

    /// The roots' DER, one behind the other.
    pub(crate) fn roots_der(&self) -> Vec<u8> {
        let roots = self.bundle.roots().iter();
        roots.flat_map(|root| root.der().iter().copied()).collect()
    }
}

/// Of a SPIFFE bundle, the keys whose use is `jwt-svid`. An empty text has none.
fn jwt_keys(bundle_json: &str) -> Result<String, String> {
    if bundle_json.is_empty() {
        return Ok(json!({ "keys": [] }).to_string());
    }
    let bundle: Value = serde_json::from_str(bundle_json).map_err(|why| why.to_string())?;
    let keys = bundle.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or("its bundle has no keys")?.iter();
    let keys: Vec<_> = keys
        .filter(|key| key.get("use").and_then(Value::as_str) == Some("jwt-svid"))
        .collect();
    Ok(json!({ "keys": keys }).to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;
    use crate::tests::fixture::TrustDomain;

    #[test]
    fn only_the_expected_trust_domain_is_read() {
        let message = TrustDomain::new().trust();
        assert!(Trust::read(message.clone(), "example.org").is_ok());
        let refused = Trust::read(message, "example.com").unwrap_err();
        assert_eq!(refused, "it is of \"example.org\", not of \"example.com\"");
    }

    #[test]
    fn trust_without_a_root_or_with_something_else_is_refused() {
        let mut message = TrustDomain::new().trust();
        message.roots = vec![b"no certificate".to_vec()];
        assert!(Trust::read(message.clone(), "example.org").is_err());
        message.roots.clear();
        assert!(Trust::read(message, "example.org").is_err());
    }

    #[test]
    fn only_keys_of_jwt_svids_are_handed_on_as_such() {
        let bundle = r#"{"keys":[{"use":"x509-svid","kid":"a"},{"use":"jwt-svid","kid":"b"},
            {"use":"statement","kid":"c"}]}"#;
        let expected = json!({ "keys": [{ "use": "jwt-svid", "kid": "b" }] });
        assert_eq!(jwt_keys(bundle).unwrap(), expected.to_string());
        assert_eq!(jwt_keys("").unwrap(), r#"{"keys":[]}"#);
        assert!(jwt_keys("{").is_err());
        assert!(jwt_keys("[]").is_err());
    }
}
