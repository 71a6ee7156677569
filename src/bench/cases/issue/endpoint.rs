//! `countersign issue` on one core, pods with identities, and a connection for each few of them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use countersign_authority::{Bundle, verify_svid};
use countersign_issuing::{Client, IssueX509Request, IssueX509Response};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint as Uri};

use crate::bed::{Bed, Programs};
use crate::cases::decide::Leashed;
use crate::clock::now;
use crate::objects::{Delivery, NAMESPACE, TRUST_DOMAIN, identities, identity};
use crate::published::free_address;
use crate::sight::Sight;
use crate::writer::names;

/// Pods that ask, each with its token.
const PODS: usize = 64;
/// Connections that they share.
const CONNECTIONS: usize = 16;
/// What tokens are for.
const AUDIENCE: &str = "countersign";

/// A running endpoint. Ends with the value.
pub(super) struct Endpoint {
    process: Leashed,
    pub(super) callers: Vec<Caller>,
}

/// A pod.
#[derive(Clone)]
pub(super) struct Caller {
    client: Client,
    token: String,
    request: IssueX509Request,
}

impl Endpoint {
    pub(super) async fn start(programs: &Programs, bed: &Bed) -> Result<Self> {
        let address = free_address()?;
        let log = programs.out().join("issue.log");
        let audit = programs.out().join("issue.db");
        for file in ["issue.db", "issue.db-wal", "issue.db-shm"] {
            drop(std::fs::remove_file(programs.out().join(file))); // of a run before
        }
        let arguments = [
            // The first core: what asks has the other.
            "-c".to_owned(),
            "0".to_owned(),
            programs.operator().display().to_string(),
            "issue".to_owned(),
            format!("--listen={address}"),
            "--metrics-listen=none".to_owned(),
            format!("--audit=sqlite:{}", audit.display()),
            "--audit-writer=issue".to_owned(),
            // A few pods ask here for as many as thousands would.
            "--max-per-pod=1000000".to_owned(),
        ];
        let kubeconfig = bed.kubeconfig();
        let process = Leashed::start(
            "taskset".as_ref(),
            &arguments,
            &[("KUBECONFIG", kubeconfig.as_path())],
            &log,
        )?;
        let tokens = pods(bed).await?;
        let bundle = published_bundle(bed).await?;
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(connect(&process, &address.to_string(), &bundle).await?);
        }
        let mut callers = Vec::new();
        for (number, token) in tokens.into_iter().enumerate() {
            let key = KeyPair::generate()?;
            let asked = CertificateParams::default().serialize_request(&key)?;
            let client = clients.get(number % CONNECTIONS).context("a connection")?;
            let caller = Caller {
                client: client.clone(),
                token,
                request: IssueX509Request {
                    pkcs10: asked.der().to_vec(),
                    ..IssueX509Request::default()
                },
            };
            caller.until_issued(&bundle).await?;
            callers.push(caller);
        }
        Ok(Self { process, callers })
    }

    /// Fails if it had ended before.
    pub(super) fn stop(self) -> Result<()> {
        self.process.check()
    }
}

impl Caller {
    pub(super) async fn ask(&self) -> Result<IssueX509Response> {
        let mut client = self.client.clone();
        Ok(client.issue_x509(&self.token, self.request.clone()).await?)
    }

    /// The first one is verified, as a sidecar does.
    async fn until_issued(&self, bundle: &Bundle) -> Result<()> {
        let started = Instant::now();
        let issued = loop {
            match self.ask().await {
                Ok(issued) => break issued,
                Err(why) if started.elapsed() > Duration::from_secs(60) => return Err(why),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let svid = verify_svid(&issued.chain, bundle, now())?;
        ensure!(svid.spiffe_id == issued.spiffe_id, "another's: {svid:?}");
        Ok(())
    }
}

/// Pods whose controllers are tasks with identities; their tokens.
async fn pods(bed: &Bed) -> Result<Vec<String>> {
    let api = bed.api();
    let base = format!("/api/v1/namespaces/{NAMESPACE}");
    let tasks = bed.tasks(names("issue", PODS)).await?;
    let sight = Sight::ready(api).await?;
    let mut tokens = Vec::new();
    for task in &tasks {
        let ready = sight.expect(&task.name);
        let mut object = identity(&task.name, Delivery::Secret, "");
        object["spec"]["credential"] =
            json!({"delivery": "Workload", "certificateTTLSeconds": 3600});
        api.create(&identities(), &object).await?;
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": task.name,
                "ownerReferences": [{
                    "apiVersion": "bench.example/v1", "kind": "Task",
                    "name": task.name, "uid": task.uid, "controller": true,
                }],
            },
            "spec": {
                "schedulerName": "nobody",
                "containers": [{"name": "main", "image": "none"}],
            },
        });
        let made: Value = until_made(bed, &format!("{base}/pods"), &pod).await?;
        let uid = made.pointer("/metadata/uid").context("a pod has no UID")?;
        let asked = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [AUDIENCE],
                "expirationSeconds": 3600,
                "boundObjectRef": {
                    "apiVersion": "v1", "kind": "Pod", "name": task.name, "uid": uid,
                },
            },
        });
        let path = format!("{base}/serviceaccounts/default/token");
        let made: Value = api.create_as(&path, &asked).await?;
        let token = made.pointer("/status/token").and_then(Value::as_str);
        tokens.push(token.context("no token")?.to_owned());
        ready.seen().await?;
    }
    Ok(tokens)
}

/// A namespace has no service account in its first moments.
async fn until_made(bed: &Bed, path: &str, object: &Value) -> Result<Value> {
    let started = Instant::now();
    loop {
        match bed.api().create_as(path, object).await {
            Err(_) if started.elapsed() < Duration::from_secs(20) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => return other,
        }
    }
}

async fn published_bundle(bed: &Bed) -> Result<Bundle> {
    let path = format!("/api/v1/namespaces/countersign-system/configmaps/{TRUST_DOMAIN}-bundle");
    let map: Value = bed.api().fetch(&path).await?;
    let json = map.pointer("/data/bundle.json").and_then(Value::as_str);
    Ok(Bundle::from_spiffe_json(json.context("no bundle")?)?)
}

/// One connection, to the trust domain's issuer and nobody else.
async fn connect(process: &Leashed, address: &str, bundle: &Bundle) -> Result<Client> {
    let started = Instant::now();
    loop {
        process.check()?;
        match try_connect(address, bundle).await {
            Ok(client) => return Ok(client),
            Err(why) if started.elapsed() > Duration::from_secs(60) => {
                bail!(
                    "no connection to the issuing endpoint: {why}\n{}",
                    process.log_end()
                );
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn try_connect(address: &str, bundle: &Bundle) -> Result<Client> {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let (to, seen) = (address.to_owned(), Arc::clone(&shown));
    let tls = TlsConnector::from(Arc::new(config()?));
    let connector = tower::service_fn(move |_: http::Uri| {
        let (to, seen, tls) = (to.clone(), Arc::clone(&seen), tls.clone());
        async move {
            let stream = TcpStream::connect(&to).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::try_from(TRUST_DOMAIN).map_err(std::io::Error::other)?;
            let stream = tls.connect(name, stream).await?;
            let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
            if let Ok(mut seen) = seen.lock() {
                *seen = chain.iter().map(|it| it.to_vec()).collect();
            }
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    let channel: Channel = Uri::from_shared(format!("http://{address}"))?
        .connect_with_connector(connector)
        .await?;
    let chain = shown.lock().map(|it| it.clone()).unwrap_or_default();
    let svid = verify_svid(&chain, bundle, now())?;
    let issuer = format!("spiffe://{TRUST_DOMAIN}/countersign/issuer");
    ensure!(svid.spiffe_id == issuer, "it is {}", svid.spiffe_id);
    Ok(Client::new(channel))
}

fn config() -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// Who it is is looked at after the handshake: nothing was sent before.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("it speaks TLS 1.3".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = aws_lc_rs::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
