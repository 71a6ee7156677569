//! A real Envoy that has its certificate by SDS.

use std::net::SocketAddr;
use std::time::Duration;

use countersign_authority::{Bundle, Svid, verify_svid};
use countersign_issuing::State;
use countersign_runtime::Clock;
use countersign_testbed::{Envoy, EnvoyConfig, Unverified};
use spiffe::X509Svid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::fake_issuer::{AGENT, FakeIssuer};
use crate::pod::{Pod, SOON};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envoy_takes_its_certificate_by_sds_and_the_next_one_too() {
    let issuer = FakeIssuer::start().await;
    let (server, client) = (Pod::start(&issuer).await, Pod::start(&issuer).await);
    let mut upstream = JoinSet::new();
    let address = answer(&mut upstream).await;
    let config = EnvoyConfig::by_sds(server.socket(), address);
    let envoy = Envoy::start(&config).await.unwrap();
    let ours = client.client().await.fetch_x509_svid().await.unwrap();

    let (status, first) = ask(envoy.address(), Some(&ours), &issuer).await.unwrap();
    assert_eq!(
        (status.as_str(), first.spiffe_id.as_str()),
        ("HTTP/1.1 200", AGENT)
    );
    // Whoever has no certificate of the trust domain's doesn't get in.
    assert!(ask(envoy.address(), None, &issuer).await.is_err());

    // The next certificate is shown to whoever connects next, and one of another authority too.
    for keep_roots in [true, true] {
        issuer.inner.rotate(keep_roots);
        issuer.inner.reissue();
        let next = async {
            loop {
                let (status, shown) = ask(envoy.address(), Some(&ours), &issuer).await.unwrap();
                assert_eq!(status, "HTTP/1.1 200");
                if shown.authority_id != first.authority_id && is_last(&shown, &issuer) {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(SOON, next).await.unwrap();
    }

    // An identity that is over gets no secrets: an Envoy that starts now has no certificate.
    issuer.inner.tell(State::Ended, "TaskOver");
    sleep(Duration::from_millis(500)).await;
    let late = Envoy::start(&config);
    assert!(timeout(Duration::from_secs(3), late).await.is_err());
}

/// Is it the last that the sidecars had?
fn is_last(svid: &Svid, issuer: &FakeIssuer) -> bool {
    let serials = issuer.inner.serials.lock();
    serials
        .iter()
        .rev()
        .take(2)
        .any(|it| *it == svid.serial_number)
}

/// The service behind Envoy.
async fn answer(tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(read > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";
            stream.write_all(answer).await.unwrap();
        }
    });
    address
}

/// A request over mTLS: the status, and who answered.
async fn ask(
    address: SocketAddr,
    ours: Option<&X509Svid>,
    issuer: &FakeIssuer,
) -> std::io::Result<(String, Svid)> {
    let (address, name) = (address.to_string(), "agent.example.org");
    let server = match ours {
        None => Unverified::new(&address, name),
        Some(svid) => {
            let chain: Vec<_> = svid.cert_chain().iter().map(|it| it.as_bytes()).collect();
            Unverified::as_client(&address, name, &chain, svid.private_key().as_bytes())
        }
    };
    let server = server.unwrap();
    let mut stream = server.clone().connect().await?.into_inner();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let roots = issuer.inner.trust().roots;
    let roots = roots
        .iter()
        .map(|der| countersign_authority::AuthorityCertificate::from_der(der).unwrap());
    let bundle = Bundle::new(1, roots);
    let svid = verify_svid(&server.shown(), &bundle, Clock::system().now()).unwrap();
    Ok((answer.chars().take(12).collect(), svid))
}
