//! How we show a transmitter who we are.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::json::Object;
use countersign_http::{Ask, Http, HttpError};
use http::Method;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;

use crate::bearer::Secret;

/// A token is given up so long before its end: a request takes time.
const SPARE: Duration = Duration::from_secs(15);
/// Where the end isn't said (RFC 6749, section 5.1 has it only recommended).
const UNSAID: Duration = Duration::from_secs(60);
const WITHIN: Duration = Duration::from_secs(10);
const MAX_BYTES: usize = 64 * 1024;

/// What is shown.
#[derive(Debug, Clone)]
pub enum Authorization {
    /// This token, for ever.
    Bearer(Secret),
    /// Tokens of the transmitter's own OAuth 2.0 server, as the CAEP Interoperability Profile 1.0
    /// (section 2.7) has it.
    ClientCredentials(ClientCredentials),
}

/// The client credentials grant (RFC 6749, section 4.4).
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// Where tokens are got.
    pub token_endpoint: String,
    /// Our id there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: Secret,
    /// Such as `ssf.read`.
    pub scope: Option<String>,
}

/// Has a token at hand.
#[derive(Debug)]
pub(crate) struct Authorizer {
    with: Authorization,
    token: Mutex<Option<(Secret, Instant)>>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: Option<u64>,
}

impl Authorizer {
    pub(crate) fn new(with: Authorization) -> Self {
        Self {
            with,
            token: Mutex::default(),
        }
    }

    /// The value of the header `Authorization`.
    pub(crate) async fn header(&self, http: &Http) -> Result<String, HttpError> {
        let credentials = match &self.with {
            Authorization::Bearer(token) => return Ok(format!("Bearer {}", token.reveal())),
            Authorization::ClientCredentials(credentials) => credentials,
        };
        let known = self.token.lock().clone();
        if let Some((token, until)) = known
            && Instant::now() < until
        {
            return Ok(format!("Bearer {}", token.reveal()));
        }
        let (token, lasts) = credentials.token(http).await?;
        let header = format!("Bearer {}", token.reveal());
        let until = Instant::now() + lasts.saturating_sub(SPARE);
        *self.token.lock() = Some((token, until));
        Ok(header)
    }

    /// The token was refused: the next one is a new one.
    pub(crate) fn forget(&self) {
        *self.token.lock() = None;
    }
}

impl ClientCredentials {
    async fn token(&self, http: &Http) -> Result<(Secret, Duration), HttpError> {
        let mut body = "grant_type=client_credentials".to_owned();
        if let Some(scope) = &self.scope {
            body.push_str("&scope=");
            body.push_str(&form_encoded(scope));
        }
        // RFC 6749, section 2.3.1: both are form-encoded first.
        let (id, secret) = (&self.client_id, self.client_secret.reveal());
        let pair = format!("{}:{}", form_encoded(id), form_encoded(secret));
        let answer = http
            .ask(Ask {
                method: Method::POST,
                address: self.token_endpoint.clone(),
                authorization: Some(format!("Basic {}", STANDARD.encode(pair))),
                content_type: "application/x-www-form-urlencoded",
                body: body.into_bytes(),
                within: WITHIN,
                most_bytes: MAX_BYTES,
            })
            .await?;
        let unreadable = |why: &str| HttpError::Unreadable(why.to_owned());
        let Object(answer): Object<TokenAnswer> =
            serde_json::from_slice(&answer).map_err(|_| unreadable("it has no access_token"))?; // the reason might show the token
        let token = Secret::new(&answer.access_token)
            .map_err(|_| unreadable("its access_token can't be sent"))?;
        Ok((token, answer.expires_in.map_or(UNSAID, Duration::from_secs)))
    }
}

/// `application/x-www-form-urlencoded` (URL standard, section 5).
fn form_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'*' | b'-' | b'.' | b'_' => encoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_its_encoding() {
        assert_eq!(form_encoded("a b-c_d.e*f"), "a+b-c_d.e*f");
        assert_eq!(form_encoded("p:s%/ü"), "p%3As%25%2F%C3%BC");
    }
}
