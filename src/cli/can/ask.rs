//! Asking a decision point.
//!
//! By the client that kube has: it brings TLS with the process's one provider, and bounds in time.
//! Nothing of Kubernetes is asked by it, redirects aren't followed, and nothing is tried twice.

use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::uri::Scheme;
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use kube::{Client, Config};
use tokio::time::timeout;

use super::DecisionPointArgs;
use super::answer::Answer;
use super::question::Question;

/// Source: OpenID AuthZEN Authorization API 1.0, section 10.1.1 (HTTPS binding).
const PATH: &str = "/access/v1/evaluation";
/// An answer has some hundred bytes; more than this is none.
const MAX_ANSWER: usize = 1024 * 1024;
/// A token has some kilobytes at most: it is sent in a header.
const MAX_TOKEN: u64 = 16 * 1024;
/// Bundles of authorities have some hundred kilobytes.
const MAX_CA: u64 = 4 * 1024 * 1024;

/// A decision point, and what is shown to it.
pub(super) struct Target {
    address: Uri,
    client: Client,
    authorization: Option<HeaderValue>,
}

impl Target {
    /// Nothing is asked yet.
    pub(super) fn new(args: &DecisionPointArgs) -> Result<Self> {
        let address = address(&args.decision_point, args.insecure_http)?;
        let authorization = args.token_file.as_deref().map(token).transpose()?;
        let mut config = Config::new(address.clone());
        config.default_retry = false;
        config.root_cert = args.ca_file.as_deref().map(authorities).transpose()?;
        let client = Client::try_from(config).context("make a client")?;
        Ok(Self {
            address,
            client,
            authorization,
        })
    }
}

/// The base address: TLS, or this machine itself if that is allowed.
fn address(text: &str, insecure_http: bool) -> Result<Uri> {
    let help = "--decision-point must be an address such as https://decide.example.org:9443";
    let uri: Uri = text.trim_end_matches('/').parse().context(help)?;
    let authority = uri.authority().map_or("", |it| it.as_str());
    if authority.is_empty()
        || authority.contains('@')
        || uri.query().is_some()
        || text.contains('#')
    {
        bail!("{help}");
    }
    let host = uri.host().unwrap_or_default();
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => Ok(uri),
        Some(scheme) if *scheme == Scheme::HTTP && !is_loopback(host) => bail!(
            "{text}: without TLS whoever is between could read the token and answer yes: only this \
             machine itself may be asked so (127.0.0.1, ::1, localhost)"
        ),
        Some(scheme) if *scheme == Scheme::HTTP && insecure_http => Ok(uri),
        Some(scheme) if *scheme == Scheme::HTTP => {
            bail!("{text}: without TLS it is only asked with --insecure-http")
        }
        _ => bail!("{help}"),
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|it| it.is_loopback())
}

fn token(path: &Path) -> Result<HeaderValue> {
    let text = read(path, MAX_TOKEN)?;
    let token = text.trim();
    // RFC 6750, section 2.1: b64token. What else is in a file was never a token.
    let good = |it: u8| it.is_ascii_alphanumeric() || b"-._~+/=".contains(&it);
    if token.is_empty() || !token.bytes().all(good) {
        bail!("{} holds no bearer token", path.display());
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).context("make a header")?;
    value.set_sensitive(true);
    Ok(value)
}

/// Certificates in DER.
fn authorities(path: &Path) -> Result<Vec<Vec<u8>>> {
    let text = read(path, MAX_CA)?;
    let blocks = pem::parse_many(&text).with_context(|| format!("read {}", path.display()))?;
    let certificates = blocks.into_iter().filter(|it| it.tag() == "CERTIFICATE");
    let found: Vec<Vec<u8>> = certificates.map(pem::Pem::into_contents).collect();
    if found.is_empty() {
        bail!("{} holds no certificate", path.display());
    }
    Ok(found)
}

fn read(path: &Path, most: u64) -> Result<String> {
    let doing = || format!("read {}", path.display());
    let mut text = String::new();
    let file = File::open(path).with_context(doing)?;
    let taken = file.take(most + 1).read_to_string(&mut text);
    if taken.with_context(doing)? as u64 > most {
        bail!("{} is too large", path.display());
    }
    Ok(text)
}

/// What the decision point answers, at most after `bound`.
pub(super) async fn ask(target: &Target, question: &Question, bound: Duration) -> Result<Answer> {
    let asking = timeout(bound, exchange(target, question)).await;
    asking.unwrap_or_else(|_| {
        let seconds = bound.as_secs();
        Err(anyhow!("{}: no answer within {seconds} s", target.address))
    })
}

async fn exchange(target: &Target, question: &Question) -> Result<Answer> {
    let address = &target.address;
    let body = serde_json::to_vec(question).context("write the question")?;
    // The client puts the address in front.
    let mut request = Request::post(PATH)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json");
    if let Some(value) = &target.authorization {
        request = request.header(AUTHORIZATION, value);
    }
    let request = request.body(Body::from(body)).context("make a request")?;
    let response = target.client.send(request).await.map_err(|why| {
        anyhow!(why).context(format!(
            "ask {address} (is it there, and its certificate of --ca-file?)"
        ))
    })?;
    let status = response.status();
    let read = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await;
    let read = read.map_err(|why| anyhow!("{address}: read the answer: {why}"))?;
    let bytes = read.to_bytes();
    let said = || {
        String::from_utf8_lossy(&bytes)
            .chars()
            .take(300)
            .collect::<String>()
    };
    match status.as_u16() {
        200 => serde_json::from_slice(&bytes)
            .with_context(|| format!("{address}: that is no answer of a decision point")),
        401 => bail!(
            "{address} doesn't know who asks ({}): --token-file holds the token",
            said()
        ),
        403 => bail!(
            "{address} doesn't let this token's holder ask ({}): it takes the right `vouches`",
            said()
        ),
        404 | 405 => bail!("{address} is no decision point: it has no {PATH}"),
        code => bail!("{address} answered {code}: {}", said()),
    }
}
