//! What a transmitter says about itself (SSF 1.0, section 7).

use std::time::Duration;

use countersign_core::json::Object;
use countersign_http::{Http, HttpError, secure, shown};
use http::{StatusCode, Uri};
use serde::Deserialize;

const WELL_KNOWN: &str = "/.well-known/ssf-configuration";
pub(crate) const WITHIN: Duration = Duration::from_secs(10);
/// Far more than one of these documents has.
const MAX_BYTES: usize = 256 * 1024;

/// A transmitter's configuration, as far as a receiver needs it. Unknown members are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TransmitterConfiguration {
    /// `iss` of its tokens.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: Option<String>,
    /// `urn:ietf:rfc:8935` for push, `urn:ietf:rfc:8936` for poll.
    #[serde(default)]
    pub delivery_methods_supported: Vec<String>,
    /// Where streams are made and changed.
    pub configuration_endpoint: Option<String>,
    /// Where a stream's status is.
    pub status_endpoint: Option<String>,
    /// Where a verification is asked for.
    pub verification_endpoint: Option<String>,
}

/// Gets the configuration of a transmitter.
///
/// The document's place is between host and path of the issuer; where it isn't there, it is looked
/// for after the path too, as some have it who serve several issuers below one path.
///
/// # Errors
/// There is none, it can't be read, or it is another issuer's (SSF 1.0, section 7.2.3).
pub async fn discover(http: &Http, issuer: &str) -> Result<TransmitterConfiguration, HttpError> {
    let [between, after] = places(issuer)?;
    let document = match http.get(&between, WITHIN, MAX_BYTES).await {
        Err(why) if why.status() == Some(StatusCode::NOT_FOUND) && between != after => {
            http.get(&after, WITHIN, MAX_BYTES).await?
        }
        other => other?,
    };
    let Object(found): Object<TransmitterConfiguration> =
        serde_json::from_slice(&document).map_err(|why| HttpError::Unreadable(why.to_string()))?;
    if found.issuer != issuer {
        let other = shown(&found.issuer);
        return Err(HttpError::Unreadable(format!(
            "it is of another issuer: {other:?}"
        )));
    }
    Ok(found)
}

fn places(issuer: &str) -> Result<[String; 2], HttpError> {
    let uri: Uri = secure(issuer)?;
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.authority()) else {
        return Err(HttpError::BadAddress(shown(issuer)));
    };
    let path = uri.path().trim_end_matches('/');
    Ok([
        format!("{scheme}://{host}{WELL_KNOWN}{path}"),
        format!("{scheme}://{host}{path}{WELL_KNOWN}"),
    ])
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_place_is_between_host_and_path() {
        let of = |issuer| places(issuer).unwrap();
        let root = "https://tr.example.com/.well-known/ssf-configuration";
        assert_eq!(of("https://tr.example.com"), [root, root]);
        assert_eq!(of("https://tr.example.com/"), [root, root]);
        assert_eq!(
            of("https://tr.example.com/realms/a"),
            [
                "https://tr.example.com/.well-known/ssf-configuration/realms/a",
                "https://tr.example.com/realms/a/.well-known/ssf-configuration",
            ]
        );
        assert!(places("http://tr.example.com").is_err());
    }
}
