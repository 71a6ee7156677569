//! Watches that stay open and bring nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{PATIENCE, World, within};

/// The longest life of a watch here, 60 in production: all other bounds follow it.
const WATCH_SECONDS: &str = "4";
/// One that hangs is given up 5 s after its longest life, and everything is listed anew.
const NOTICED: Duration = Duration::from_secs(4 + 5 + 6);
/// `/healthz` fails after two and a half lives of silence.
const UNHEALTHY: Duration = Duration::from_secs(10 + 5);

#[tokio::test]
async fn watches_that_hang_are_told_by_healthz_and_keep_no_credential_alive() {
    let world = World::own().await;
    let proxy = world.proxy();
    let address = format!("127.0.0.1:{}", free_port());
    let arguments = [
        "--secret-namespaces",
        "*",
        "--watch-seconds",
        WATCH_SECONDS,
        "--metrics-listen",
        &address,
    ];
    let operator = world.operator_by(proxy.kubeconfig(), "only", &arguments);
    let space = world.space("silence").await;
    for name in ["ends", "stays"] {
        space.create_agent(name).await;
        space.until_ready(name).await;
    }
    let before = space.assert_in_order().await;
    // Quiet is not silent: through several lives of all watches.
    for _ in 0..24 {
        let (healthy, said) = healthz(&address).await;
        assert!(healthy, "{said}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    proxy.hold_watches();
    space.finish_pod("ends", "Succeeded").await;
    within(NOTICED, "the credential's end", async || {
        let gone = space.secret("ends-identity").await.is_none();
        gone.then_some(())
    })
    .await;
    assert_eq!(space.until_completed("ends").await, "TaskSucceeded");
    let said = within(UNHEALTHY, "the failure of /healthz", async || {
        let (healthy, said) = healthz(&address).await;
        (!healthy).then_some(said)
    })
    .await;
    assert!(said.contains("has been silent for"), "{said}");

    proxy.release_watches();
    within(PATIENCE, "health", async || {
        healthz(&address).await.0.then_some(())
    })
    .await;
    let after = space.assert_in_order().await;
    assert_eq!(after.len(), 1);
    assert_eq!(after["stays"], before["stays"], "issued once more");
    assert!(!operator.log().contains("panicked"));
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Whether it is well, and what it says.
async fn healthz(address: &str) -> (bool, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /healthz HTTP/1.0\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.starts_with("HTTP/1.0 200"), answer)
}
