//! Who may read metrics, by an API server that knows: with the rights of `examples/rbac`.

use std::time::Duration;

use countersign_runtime::Clock;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::Api;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as Root, KeyPair};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{World, eventually};
use crate::issuer::program::Issuer;
use crate::issuer::tokens::with_claim;
use crate::least_rights::Narrow;
use crate::scraper::{MONITORING, Reader, Trust, scrape, scrape_by, token_of};
use crate::support::{delete, unique};

#[tokio::test]
async fn who_lacks_the_right_is_told_the_commands_that_grant_it_and_they_do() {
    let narrow = Narrow::shared().await;
    let world = &narrow.world;
    let reader = Reader::new(world, &unique("newcomer")).await;
    let refused = reader.until(&narrow.metrics, 403).await;
    assert!(!refused.body.contains("countersign_"), "{}", refused.body);
    let commands = refused.body.lines().map(str::trim);
    let commands: Vec<_> = commands
        .filter_map(|it| it.strip_prefix("kubectl "))
        .collect();
    assert_eq!(commands.len(), 2, "{}", refused.body);
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        world.plane().kubectl(&words).await.unwrap();
    }
    let read = reader.until(&narrow.metrics, 200).await;
    assert!(
        read.head.contains("application/openmetrics-text"),
        "{}",
        read.head
    );
    assert!(
        read.body.contains("\ncountersign_leader 1\n"),
        "{}",
        read.body
    );
    assert!(read.body.ends_with("# EOF\n"), "{}", read.body);

    let bindings = Api::<ClusterRoleBinding>::all(world.client().await);
    delete(&bindings, "metrics-reader").await;
    reader.until(&narrow.metrics, 403).await;
}

#[tokio::test]
async fn a_token_that_is_none_or_no_longer_or_for_others_reads_nothing() {
    let narrow = Narrow::shared().await;
    let world = &narrow.world;
    let name = unique("reader");
    let reader = Reader::bound(world, &name).await;
    reader.until(&narrow.metrics, 200).await;
    let minute_ago = Clock::system().now().as_second() - 60;
    // What is copied here with other claims is as good as the API server's own.
    let copied = with_claim(world, &reader.token, "jti", json!("a copy"));
    assert_eq!(scrape(&narrow.metrics, &copied).await.unwrap().status, 200);
    let (head, signature) = reader.token.rsplit_once('.').unwrap();
    for (what, token) in [
        ("none", String::new()),
        ("no JWT", "abc".to_owned()),
        ("no signature", format!("{head}.")),
        (
            "another's signature",
            format!("{}.{signature}", copied.rsplit_once('.').unwrap().0),
        ),
        (
            "expired",
            with_claim(world, &reader.token, "exp", json!(minute_ago)),
        ),
        (
            "another issuer",
            with_claim(world, &reader.token, "iss", json!("https://elsewhere")),
        ),
        (
            "another audience",
            token_of(world, MONITORING, &name, &["vault"]).await,
        ),
    ] {
        let scraped = scrape(&narrow.metrics, &token).await.unwrap();
        assert_eq!(scraped.status, 401, "{what}: {}", scraped.body);
        assert!(
            scraped.head.contains("www-authenticate: Bearer"),
            "{}",
            scraped.head
        );
        assert!(!scraped.body.contains("countersign_"), "{}", scraped.body);
    }
    // The role is bound still.
    let accounts = Api::<ServiceAccount>::namespaced(world.client().await, MONITORING);
    delete(&accounts, &name).await;
    reader.until(&narrow.metrics, 401).await;
}

#[tokio::test]
async fn probes_need_no_token_and_have_no_metrics() {
    let narrow = Narrow::shared().await;
    for path in ["/healthz", "/readyz"] {
        eventually(path, async || {
            (narrow.page(path).await.0 == 200).then_some(())
        })
        .await;
    }
    let (status, body) = narrow.page("/metrics").await;
    assert_eq!(status, 404);
    assert!(!body.contains("countersign_"), "{body}");
}

#[tokio::test]
async fn who_says_nothing_is_hung_up_on() {
    let narrow = Narrow::shared().await;
    let mut stream = TcpStream::connect(&narrow.metrics).await.unwrap();
    let mut rest = Vec::new();
    let read = timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await;
    drop(read.expect("it is never closed"));
}

#[tokio::test]
async fn without_the_api_server_nobody_reads_on_and_probes_answer() {
    let world = World::shared().await;
    let proxy = world.proxy();
    let (name, arguments) = (unique("scraped"), ["--metrics-secure"]);
    let issuer = Issuer::by(proxy.kubeconfig(), world.plane().dir(), &name, &arguments);
    issuer.ready().await;
    let admin = admin(world);
    admin.until(&issuer.metrics, 200).await;
    proxy.cut();
    let refused = admin.until(&issuer.metrics, 503).await;
    let why = "the API server can't be reached";
    assert!(refused.body.contains(why), "{}", refused.body);
    assert!(!refused.body.contains("countersign_"), "{}", refused.body);
    assert!(issuer.is_ready().await, "the probes' pages are there");
    proxy.heal();
    admin.until(&issuer.metrics, 200).await;
    assert!(!issuer.log().contains(&admin.token), "no token is logged");
}

#[tokio::test]
async fn a_certificate_of_files_is_verified_and_may_be_replaced() {
    let world = World::shared().await;
    let name = unique("certified");
    let file = |end: &str| world.plane().dir().join(format!("{name}.{end}"));
    let root = Root::new(authority(), KeyPair::generate().unwrap());
    let trusted = {
        let made = authority().self_signed(root.key()).unwrap();
        Trust::Verified {
            root: made.der().clone(),
            name: NAME,
        }
    };
    let renew = || {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([NAME.to_owned()]).unwrap();
        let made = params.signed_by(&key, &root).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        std::fs::write(file("crt"), made.pem()).unwrap();
        made.der().to_vec()
    };
    let first = renew();
    let (certificate, key) = (
        file("crt").display().to_string(),
        file("key").display().to_string(),
    );
    let arguments = [
        "--metrics-secure",
        "--metrics-tls-cert",
        &certificate,
        "--metrics-tls-key",
        &key,
    ];
    let issuer = Issuer::start(world, &name, &arguments);
    issuer.ready().await;
    let admin = admin(world);
    let read = async || scrape_by(&trusted, &issuer.metrics, &admin.token).await;
    let scraped = read().await.expect("its certificate isn't taken");
    assert_eq!((scraped.status, scraped.shown), (200, first));
    let second = renew();
    eventually("the new certificate", async || {
        (read().await?.shown == second).then_some(())
    })
    .await;
}

/// What the certificate of files is for.
const NAME: &str = "countersign-metrics.countersign-system.svc";

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// The admin of the control plane, who may read everything.
fn admin(world: &World) -> Reader {
    let kubeconfig = std::fs::read_to_string(world.plane().kubeconfig()).unwrap();
    let kubeconfig: Value = serde_json::from_str(&kubeconfig).unwrap();
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap();
    Reader {
        name: "admin".to_owned(),
        token: token.to_owned(),
    }
}
