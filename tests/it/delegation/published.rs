//! A world whose operator publishes its lists, and what somebody without a cluster reads there.

use std::collections::HashMap;
use std::path::PathBuf;

use countersign_api::AgentIdentity;
use countersign_statement::{Digest, TrustedKeys, revocation};
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use super::setting::bundle_json;
use crate::harness::{DOMAIN, Operator, World, eventually};
use crate::pki::openssl;

/// A control plane of these tests' own, and where its operator publishes.
pub(super) struct Published {
    pub(super) world: World,
    name: &'static str,
    operator: Option<Operator>,
    port: u16,
}

impl Published {
    /// The one that tests share.
    pub(super) async fn shared() -> &'static Self {
        static SHARED: OnceCell<Published> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                let published = Self::own("published").await;
                let pid = published.operator.as_ref().map(Operator::pid);
                // It ends with this process, which drops no statics.
                published.world.plane().watch(pid).unwrap();
                published
            })
            .await
    }

    /// One to stop and start.
    pub(super) async fn own(name: &'static str) -> Self {
        let world = World::own().await;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut published = Self {
            world,
            name,
            operator: None,
            port,
        };
        published.start().await;
        published
    }

    pub(super) async fn start(&mut self) {
        let listen = format!("127.0.0.1:{}", self.port);
        let arguments = ["--secret-namespaces", "*", "--publish-listen", &listen];
        let operator = self.world.operator(self.name, &arguments);
        operator.until_leading().await;
        self.operator = Some(operator);
        self.world.until_domain_ready(DOMAIN).await;
        // Ready as the last operator left it, perhaps.
        eventually("the lists", async || {
            let (status, _, body) = self.page(&format!("/revocations/{DOMAIN}")).await;
            let index: Value = serde_json::from_slice(&body).ok()?;
            let lists = index["certificates"].as_array()?.len();
            let path = format!("/revocations/{DOMAIN}/statements/0");
            let good = status == 200 && lists > 0 && self.page(&path).await.0 == 200;
            good.then_some(())
        })
        .await;
    }

    /// Until [`Self::start`], with the same audit log.
    pub(super) fn stop(&mut self) {
        self.operator.take().unwrap().stop();
    }

    /// The URL of the audit log.
    pub(super) fn audit(&self) -> String {
        let file: PathBuf = self
            .world
            .plane()
            .dir()
            .join(format!("audit-{}.db", self.name));
        format!("sqlite:{}", file.display())
    }

    /// Status, content type and body of a page.
    pub(super) async fn page(&self, path: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let headers: HashMap<String, String> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let kind = headers.get("content-type").cloned().unwrap_or_default();
        (status, kind, answer[end + 4..].to_vec())
    }

    /// What the index of the trust domain says.
    pub(super) async fn index(&self) -> Value {
        let (status, kind, body) = self.page(&format!("/revocations/{DOMAIN}")).await;
        assert_eq!((status, kind.as_str()), (200, "application/json"));
        serde_json::from_slice(&body).unwrap()
    }

    pub(super) async fn keys(&self) -> TrustedKeys {
        let json = bundle_json(&self.world.client().await).await;
        TrustedKeys::from_bundle_json(DOMAIN, &json).unwrap()
    }

    /// The list where a digest would be, verified.
    pub(super) async fn list(&self, partition: u32) -> revocation::List {
        let path = format!("/revocations/{DOMAIN}/statements/{partition}");
        let (status, kind, body) = self.page(&path).await;
        let body = String::from_utf8(body).unwrap();
        assert_eq!((status, kind.as_str()), (200, "application/jwt"), "{body}");
        let keys = self.keys().await;
        let list = revocation::List::verify(&body, &keys, Timestamp::now()).unwrap();
        assert_eq!(list.partition, partition);
        list
    }

    /// Is this statement revoked, as its partition has it?
    pub(super) async fn lists(&self, digest: &str) -> bool {
        let digest = Digest::parse(digest).unwrap();
        let partitions = self.index().await["statements"]["partitions"].clone();
        let partitions = u32::try_from(partitions.as_u64().unwrap()).unwrap();
        let list = self
            .list(revocation::partition_of(&digest, partitions))
            .await;
        assert_eq!(list.partitions, partitions);
        list.contains(&digest).unwrap()
    }

    pub(super) async fn until_listed(&self, digest: &str) {
        eventually("the list", async || self.lists(digest).await.then_some(())).await;
    }

    pub(super) async fn until_not_listed(&self, digest: &str) {
        eventually("the list", async || {
            (!self.lists(digest).await).then_some(())
        })
        .await;
    }

    /// The list of an authority's certificates, in PEM, once openssl found its signature good.
    pub(super) async fn crl(&self, authority: &str, roots: &str) -> String {
        let path = format!("/revocations/{DOMAIN}/certificates/{authority}.crl");
        let (status, kind, body) = self.page(&path).await;
        assert_eq!((status, kind.as_str()), (200, "application/pkix-crl"));
        let dir = tempfile::tempdir().unwrap();
        let (der, ca) = (dir.path().join("list.crl"), dir.path().join("ca.pem"));
        std::fs::write(&der, body).unwrap();
        std::fs::write(&ca, roots).unwrap();
        let crl = [
            "crl",
            "-inform",
            "DER",
            "-in",
            der.to_str().unwrap(),
            "-CAfile",
            ca.to_str().unwrap(),
            "-verify",
        ];
        openssl(&crl, "").await.unwrap()
    }

    /// What openssl says of a certificate and the newest list of its authority.
    pub(super) async fn checked(&self, certificate: &Certificate) -> Result<(), String> {
        let crl = self.crl(&certificate.authority, &certificate.roots).await;
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let (crl, roots, chain) = (
            file("list.pem", &crl),
            file("roots.pem", &certificate.roots),
            file("chain.pem", &certificate.chain),
        );
        let arguments = [
            "verify",
            "-crl_check",
            "-CRLfile",
            &crl,
            "-CAfile",
            &roots,
            "-untrusted",
            &chain,
            &chain,
        ];
        openssl(&arguments, "").await.map(|_| ())
    }

    pub(super) async fn until_certificate_revoked(&self, certificate: &Certificate) {
        eventually("the list of certificates", async || {
            let why = self.checked(certificate).await.err()?;
            assert!(why.contains("certificate revoked"), "{why}");
            Some(())
        })
        .await;
        let crl = self.crl(&certificate.authority, &certificate.roots).await;
        let text = openssl(&["crl", "-noout", "-text"], &crl).await.unwrap();
        let serial = certificate.serial.to_uppercase();
        assert!(text.contains(&serial), "{serial}: {text}");
    }
}

/// A copy of what an agent held.
pub(super) struct Certificate {
    chain: String,
    pub(super) roots: String,
    pub(super) authority: String,
    pub(super) serial: String,
}

impl Certificate {
    pub(super) async fn of(space: &crate::harness::Space, agent: &AgentIdentity) -> Self {
        let name = agent.metadata.name.as_deref().unwrap();
        let secret = space.secret(&format!("{name}-identity")).await.unwrap();
        let credential = crate::pki::Credential::of(&secret);
        let status = agent.status.as_ref().unwrap().certificate.clone().unwrap();
        Self {
            chain: credential.chain,
            roots: credential.roots,
            authority: status.authority_id,
            serial: status.serial_number,
        }
    }
}
