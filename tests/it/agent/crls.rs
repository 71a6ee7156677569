//! Revocation lists from the operator to a program in a pod, as a client reads them that makes something of
//! them: the public ones leave them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use countersign_authority::{
    AuthoritySet, Bundle, KeyAlgorithm, RevocationReason, Revoked, Wanted, inspect_leaf,
};
use countersign_issuing::Bytes;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use prost::Message;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::transport::Endpoint;
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

use super::program::Agent;
use super::setting;
use crate::harness::{DOMAIN, Space, World, eventually};
use crate::issuer::program::{Issuer, free_address, roots};
use crate::issuer::workload;
use crate::pki::openssl;

/// The operator looks it up, the endpoint fetches it, and the sidecar is told: each at its own pace.
const REACHES: Duration = Duration::from_secs(60);

/// Of `X509SVIDResponse`.
#[derive(Clone, PartialEq, Message)]
struct Svids {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    crl: Vec<Bytes>,
}

impl Agent {
    /// What a program is sent.
    async fn svids(&self) -> Streaming<Svids> {
        let socket = self.socket();
        let connect = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        let mut grpc = Grpc::new(endpoint.connect_with_connector_lazy(connect));
        grpc.ready().await.unwrap();
        let mut request = Request::new(());
        let header = "true".parse().unwrap();
        request.metadata_mut().insert("workload.spiffe.io", header);
        let path = PathAndQuery::from_static("/SpiffeWorkloadAPI/FetchX509SVID");
        let codec = ProstCodec::<(), Svids>::default();
        let answer = grpc.server_streaming(request, path, codec).await;
        answer.unwrap().into_inner()
    }
}

/// The serial number of a pod's certificate.
async fn serial_number(agent: &Agent) -> String {
    let chain = agent.credential().await.chain;
    inspect_leaf(chain.as_bytes(), None).unwrap().serial_number
}

/// Waits for a list with this serial number.
async fn until_listed(svids: &mut Streaming<Svids>, bundle: &Bundle, serial: &str) -> Bytes {
    let started = Instant::now();
    loop {
        let left = REACHES.saturating_sub(started.elapsed());
        let sent = timeout(left, svids.message()).await;
        let sent = sent.expect("it never came").unwrap().expect("it ended");
        for der in sent.crl {
            let (_, list) = bundle.verify_crl(&der).unwrap();
            if list.serial_numbers.iter().any(|it| it == serial) {
                return der;
            }
        }
    }
}

/// Does openssl take it for a list of this authority's that has the serial number?
async fn check_by_openssl(der: &[u8], roots: &str, serial: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (list, ca) = (dir.path().join("list.crl"), dir.path().join("ca.pem"));
    std::fs::write(&list, der).unwrap();
    std::fs::write(&ca, roots).unwrap();
    let (list, ca) = (list.to_str().unwrap(), ca.to_str().unwrap());
    let asked = [
        "crl", "-inform", "DER", "-in", list, "-CAfile", ca, "-verify", "-text",
    ];
    let text = openssl(&asked, "").await.unwrap();
    assert!(text.contains(&serial.to_uppercase()), "{serial}: {text}");
}

/// A pod with an identity of this name, and its sidecar.
async fn pod(world: &World, issuer: &Issuer, space: &Space, name: &str) -> Agent {
    let pod = space.working(name).await;
    let task = format!("jobs.batch/{name}");
    space
        .create_identity(&workload(name, &task, &json!({})))
        .await;
    space.until_ready(name).await;
    Agent::start(world, issuer, &space.token(&pod).await).await
}

#[tokio::test]
async fn a_pods_revoked_certificate_is_on_the_list_that_another_pods_program_gets() {
    let world = World::own().await;
    let publish = free_address();
    let log = world.plane().dir().join("log.db");
    let log = format!("sqlite:{}", log.display());
    let arguments = ["--issuing", "--publish-listen", &publish, "--audit", &log];
    let operator = world.operator("crls", &arguments);
    operator.until_leading().await;
    let lists = format!("http://{publish}");
    let issuer = Issuer::start(&world, "crls", &["--lists", &lists, "--audit", &log]);
    issuer.ready().await;
    let space = world.space("crls").await;
    let reader = pod(&world, &issuer, &space, "reader").await;
    let gateway = pod(&world, &issuer, &space, "gateway").await;
    let serial = serial_number(&reader).await;
    let mut svids = gateway.svids().await;
    let bundle = Bundle::from_spiffe_json(&roots(&world, DOMAIN).await).unwrap();

    let suspended = json!({"spec": {"desiredState": "Suspended"}});
    space.patch("reader", suspended).await;
    let patched = Instant::now();
    let list = until_listed(&mut svids, &bundle, &serial).await;
    eprintln!(
        "from a suspension's patch to the list in another pod's program: {:?}",
        patched.elapsed()
    );
    check_by_openssl(&list, &bundle.pem(), &serial).await;
    let age = "countersign_revocation_list_age_seconds";
    let age = issuer.metric(age, "certificates/").await;
    assert!((0.0..60.0).contains(&age), "{age}");

    // Nobody serves lists any more: what is there stays, and certificates are issued.
    drop(operator);
    let mut later = gateway.svids().await;
    until_listed(&mut later, &bundle, &serial).await;
}

/// Who has a trust domain of the same name.
fn forger() -> AuthoritySet {
    let want = Wanted {
        trust_domain: DOMAIN.to_owned(),
        ca_lifetime_seconds: 30 * 86_400,
        key_algorithm: KeyAlgorithm::EcdsaP256,
        epoch: 1,
        distrusted: std::collections::BTreeSet::new(),
        max_leaf_ttl_seconds: 3600,
        bundle_propagated: true,
        propagation_seconds: 60,
    };
    let hour = SignedDuration::from_hours(1);
    let set = AuthoritySet::default().next(&want, Timestamp::now() - hour);
    set.unwrap().unwrap()
}

/// Answers whatever is asked with a list of the forger's.
async fn forge(listener: TcpListener, served: Arc<AtomicUsize>) {
    let now = Timestamp::now();
    let line = Revoked {
        serial_number: "0a",
        at: now,
        reason: RevocationReason::Unspecified,
    };
    let signer = forger().signer().unwrap().unwrap();
    let until = now + SignedDuration::from_hours(1);
    let list = signer.crl(&[line], u64::MAX, now, until).unwrap().der;
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = stream.read(&mut [0; 4096]).await.unwrap();
        assert!(asked > 0);
        let length = list.len();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&list).await.unwrap();
        stream.shutdown().await.ok();
        served.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_forged_list_is_not_passed_on_and_certificates_are_issued_all_the_same() {
    let world = World::shared().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let lists = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    let served = Arc::new(AtomicUsize::new(0));
    serving.spawn(forge(listener, Arc::clone(&served)));
    let issuer = Issuer::start(world, "forged", &["--lists", &lists]);
    issuer.ready().await;
    let (space, pod, id) = setting(world).await;
    let agent = Agent::start(world, &issuer, &space.token(&pod).await).await;
    let svid = agent.client().await.fetch_x509_svid().await.unwrap();
    assert_eq!(svid.spiffe_id().to_string(), id);
    // What the first brought was looked at when the third is asked for.
    eventually("it is asked again and again", async || {
        (served.load(Ordering::Relaxed) >= 3).then_some(())
    })
    .await;
    assert!(issuer.log().contains("the revocation lists can't be read"));
    let mut svids = agent.svids().await;
    let first = timeout(REACHES, svids.message()).await.unwrap().unwrap();
    assert!(first.unwrap().crl.is_empty());
}

#[tokio::test]
async fn lists_are_had_by_http_alone() {
    let world = World::shared().await;
    for (name, url) in [("tls", "https://127.0.0.1:1"), ("no-url", "lists")] {
        let issuer = Issuer::start(world, name, &["--lists", url]);
        eventually("the error", async || {
            issuer.log().contains("--lists").then_some(())
        })
        .await;
    }
}
