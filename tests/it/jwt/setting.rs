//! A trust domain with an issuer URL, the operator, and an issuing endpoint that serves its documents.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use countersign_api::TrustDomain;
use countersign_issuing::{IssueJwtRequest, IssueJwtResponse, reason_of};
use countersign_jwtsvid::Keys;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::{DOMAIN, Operator, World, eventually};
use crate::issuer::client::Sidecar;
use crate::issuer::program::Issuer;
use crate::support::OPERATOR_NAMESPACE;

pub(crate) const ISSUER: &str = "https://id.example.org/agents";

pub(crate) struct Setting {
    pub(crate) issuer: Issuer,
    documents: SocketAddr,
    _operator: Operator,
    pub(crate) world: World, // last: the others' logs are in its folder
}

impl Setting {
    pub(crate) async fn new() -> Self {
        let world = World::own().await;
        let operator = world.operator("jwt", &["--issuing"]);
        world.until_domain_ready(DOMAIN).await;
        let domains = Api::<TrustDomain>::all(world.client().await);
        let patch = Patch::Merge(json!({"spec": {"issuerURL": ISSUER}}));
        domains
            .patch(DOMAIN, &PatchParams::default(), &patch)
            .await
            .unwrap();
        let documents = free_address();
        let issuer = Issuer::start(&world, "jwt", &["--oidc-listen", &documents.to_string()]);
        issuer.ready().await;
        let setting = Self {
            issuer,
            documents,
            _operator: operator,
            world,
        };
        eventually("the documents", async || {
            let keys = setting.get("/agents/keys")?;
            (!keys["keys"].as_array()?.is_empty()).then_some(())
        })
        .await;
        setting
    }

    /// The address of a document.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.documents)
    }

    /// A document, as an ingress asks for it; `None` where there is none.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(self.documents).ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nhost: 10.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ")
            .then(|| serde_json::from_str(body).unwrap())
    }

    /// The ids of the keys in the document.
    pub(crate) fn kids(&self) -> Option<Vec<String>> {
        let keys = self.get("/agents/keys")?;
        let keys = keys["keys"].as_array()?;
        let kids = keys.iter().map(|it| it["kid"].as_str().unwrap().to_owned());
        Some(kids.collect())
    }
}

/// What everybody in the cluster verifies with, out of the ConfigMap.
pub(crate) async fn published(client: Client) -> Keys {
    let maps = Api::<ConfigMap>::namespaced(client, OPERATOR_NAMESPACE);
    let map = maps.get(&format!("{DOMAIN}-bundle")).await.unwrap();
    Keys::from_bundle_json(DOMAIN, &map.data.unwrap()["bundle.json"]).unwrap()
}

impl Sidecar {
    /// Asks for a JWT-SVID; or the reason why there is none.
    pub(crate) async fn jwt(
        &self,
        token: &str,
        audience: &[&str],
    ) -> Result<IssueJwtResponse, String> {
        let request = IssueJwtRequest {
            audience: audience.iter().map(|&it| it.to_owned()).collect(),
            ..IssueJwtRequest::default()
        };
        let issued = self.client.clone().issue_jwt(token, request).await;
        issued.map_err(|why| {
            let reason = reason_of(&why).map(str::to_owned);
            reason.unwrap_or_else(|| why.to_string())
        })
    }

    /// Asks until it is refused for one of these reasons.
    pub(crate) async fn until_no_jwt(&self, token: &str, reasons: &[&str]) {
        let what = reasons.join(" or ");
        eventually(&what, async || match self.jwt(token, &["a"]).await {
            Err(why) if reasons.contains(&why.as_str()) => Some(()),
            _ => None,
        })
        .await;
    }
}

/// The task is over, and so is its pod: whichever is seen first.
pub(crate) const OVER: [&str; 2] = ["TaskOver", "UnknownPod"];

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
