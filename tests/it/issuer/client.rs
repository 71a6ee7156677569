//! The end of a sidecar: TLS that demands the issuer's SPIFFE ID, tokens, and keys.

use countersign_authority::{Bundle, inspect_leaf, verify_svid};
use countersign_issuing::{
    Client, IssueX509Request, IssueX509Response, WatchRequest, WatchResponse, reason_of,
};
use countersign_runtime::Clock;
use countersign_testbed::Unverified;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Streaming};

use super::APod;
use crate::harness::{DOMAIN, Space, eventually};
use crate::pki::{pem, pkcs10};

/// The audience of tokens, by default.
pub(crate) const AUDIENCE: &str = "countersign";

/// A connection to an issuer.
pub(crate) struct Sidecar {
    pub(crate) client: Client,
    /// What it showed.
    pub(crate) shown: Vec<Vec<u8>>,
}

/// What was refused: the code, and the reason.
pub(crate) type Refusal = (Code, String);

impl Sidecar {
    /// Asks for the name `sni`, and demands the issuer of trust domain `domain` by this SPIFFE bundle.
    pub(crate) async fn connect(
        address: &str,
        sni: &str,
        domain: &str,
        bundle: &str,
    ) -> Result<Self, String> {
        Self::connect_at(address, sni, domain, bundle, &Clock::system()).await
    }

    /// As one whose clock is this.
    pub(crate) async fn connect_at(
        address: &str,
        sni: &str,
        domain: &str,
        bundle: &str,
        clock: &Clock,
    ) -> Result<Self, String> {
        let server = Unverified::http2(address, sni).unwrap();
        let dial = server.clone();
        let connector = tower::service_fn(move |_: Uri| dial.clone().connect());
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel: Channel = endpoint
            .connect_with_connector(connector)
            .await
            .map_err(|why| format!("{why:?}"))?;
        let shown = server.shown();
        let bundle = Bundle::from_spiffe_json(bundle).unwrap();
        let svid = verify_svid(&shown, &bundle, clock.now());
        let svid = svid.map_err(|why| why.to_string())?;
        let wanted = format!("spiffe://{domain}/countersign/issuer");
        if svid.spiffe_id != wanted {
            return Err(format!("it is {}", svid.spiffe_id));
        }
        Ok(Self {
            client: Client::new(channel),
            shown,
        })
    }

    /// Asks with a key of its own.
    pub(crate) async fn issue(&self, token: &str) -> Result<IssueX509Response, Refusal> {
        self.issue_for(token, request(&KeyPair::generate().unwrap()))
            .await
    }

    pub(crate) async fn issue_for(
        &self,
        token: &str,
        request: IssueX509Request,
    ) -> Result<IssueX509Response, Refusal> {
        let mut client = self.client.clone();
        let issued = client.issue_x509(token, request).await;
        issued.map_err(|why| {
            let reason = reason_of(&why).map(str::to_owned);
            (why.code(), reason.unwrap_or_else(|| why.to_string()))
        })
    }

    /// Asks until it is issued or is refused for another reason than these.
    pub(crate) async fn issue_past(
        &self,
        token: &str,
        reasons: &[&str],
    ) -> Result<IssueX509Response, Refusal> {
        eventually("another answer", async || match self.issue(token).await {
            Err((_, why)) if reasons.contains(&why.as_str()) => None,
            other => Some(other),
        })
        .await
    }

    /// Asks until it is refused so.
    pub(crate) async fn until_refused(&self, token: &str, reason: &str) {
        eventually(reason, async || match self.issue(token).await {
            Err((_, why)) if why == reason => Some(()),
            _ => None,
        })
        .await;
    }

    pub(crate) async fn watch(&self, token: &str) -> Result<Streaming<WatchResponse>, Refusal> {
        let mut client = self.client.clone();
        let watching = client.watch(token, WatchRequest::default()).await;
        watching.map_err(|why| {
            let reason = reason_of(&why).map(str::to_owned);
            (why.code(), reason.unwrap_or_else(|| why.to_string()))
        })
    }
}

/// A request by this key.
pub(crate) fn request(key: &KeyPair) -> IssueX509Request {
    IssueX509Request {
        pkcs10: pkcs10(key).der().to_vec(),
        ..IssueX509Request::default()
    }
}

/// Verifies what was issued by the bundle that came with it; gives the end of its life in seconds from
/// its begin.
pub(crate) fn verify(issued: &IssueX509Response, key: &KeyPair) -> i64 {
    let trust = issued.trust.as_ref().unwrap();
    assert_eq!(trust.trust_domain, DOMAIN);
    let bundle = Bundle::from_spiffe_json(&trust.bundle_json).unwrap();
    let roots: Vec<_> = bundle.roots().iter().map(|it| it.der().to_vec()).collect();
    assert_eq!(trust.roots, roots);
    let svid = verify_svid(&issued.chain, &bundle, Clock::system().now()).unwrap();
    assert_eq!(svid.spiffe_id, issued.spiffe_id);
    assert_eq!(svid.serial_number, issued.serial_number);
    assert_eq!(svid.not_after.as_second(), issued.not_after);
    let chain = issued.chain.iter().map(|it| pem("CERTIFICATE", it));
    let chain: String = chain.collect();
    let facts = inspect_leaf(chain.as_bytes(), Some(key.serialize_pem().as_bytes()));
    assert_eq!(facts.unwrap().serial_number, issued.serial_number);
    svid.not_after.duration_since(svid.not_before).as_secs()
}

impl Space {
    /// A token of the API server that is bound to this pod, as a kubelet projects it.
    pub(crate) async fn token(&self, pod: &APod) -> String {
        self.token_for(pod, "default", AUDIENCE).await
    }

    pub(crate) async fn token_for(&self, pod: &APod, account: &str, audience: &str) -> String {
        let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid});
        self.token_bound(&bound, account, audience).await
    }

    /// `bound` may be null.
    pub(crate) async fn token_bound(&self, bound: &Value, account: &str, audience: &str) -> String {
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.name);
        let request: TokenRequest = serde_json::from_value(json!({
            "metadata": {},
            "spec": {"audiences": [audience], "boundObjectRef": bound, "expirationSeconds": 600},
        }))
        .unwrap();
        eventually("a token", async || {
            let params = PostParams::default();
            let made = accounts
                .create_token_request(account, &params, &request)
                .await;
            made.ok()?.status?.token
        })
        .await
    }
}
