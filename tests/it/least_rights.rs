//! The operator with the rights of `examples/rbac` and no others, and its pages.

use std::path::{Path, PathBuf};

use countersign_api::{AgentIdentity, AgentPolicy, ClusterAgentPolicy, TaskKind};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::decision::decider::{Decider, question};
use crate::decision::setting::{guard, permit, set_cluster_policy, spiffe_id};
use crate::decision::signals::signal;
use crate::harness::{DOMAIN, OWNER, Operator, Space, World, eventually, identity, job};
use crate::pki::pkcs10;
use crate::scraper::{Reader, pages, token_of};
use crate::support::{
    OPERATOR_NAMESPACE, create, is, label_namespace, serial, until, until_gone, with,
};

/// A TaskKind that is older than the operator.
const EARLY: &str = "early.example.com";

/// A world whose operator is a ServiceAccount.
pub(crate) struct Narrow {
    pub(crate) world: World,
    operator: Operator,
    /// Where the probes' pages are.
    pub(crate) health: String,
    /// Where metrics are, for who may read them.
    pub(crate) metrics: String,
}

impl Narrow {
    pub(crate) async fn shared() -> &'static Self {
        static SHARED: OnceCell<Narrow> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                let narrow = Self::start().await;
                let pid = narrow.operator.pid();
                // It ends with this process, which drops no statics.
                narrow.world.plane().watch(Some(pid)).unwrap();
                narrow
            })
            .await
    }

    async fn start() -> Self {
        let world = World::own().await;
        let namespace = json!({"metadata": {"name": "finance"}});
        create(&Api::<Namespace>::all(world.client().await), namespace)
            .await
            .unwrap();
        let rbac = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rbac");
        let apply = ["apply", "--server-side", "-f", rbac.to_str().unwrap()];
        world.plane().kubectl(&apply).await.unwrap();
        let early = json!({"metadata": {"name": EARLY}, "spec": {"version": "v1"}});
        create(&Api::<TaskKind>::all(world.client().await), early)
            .await
            .unwrap();
        let kubeconfig = kubeconfig(&world, "countersign").await;
        let (health, pages, metrics) = pages(&["--metrics-secure"]);
        let mut arguments = vec!["--secret-namespaces", "finance", "--metrics-secure"];
        arguments.extend(pages.iter().map(String::as_str));
        let operator = world.operator_by(&kubeconfig, "narrow", &arguments);
        eventually("the operator's pages", async || {
            TcpStream::connect(&metrics).await.ok()
        })
        .await;
        Self {
            world,
            operator,
            health,
            metrics,
        }
    }

    /// The namespace that the operator may write Secrets in. Tests share it.
    async fn finance(&self) -> Space {
        let space = Space {
            client: self.world.client().await,
            name: "finance".to_owned(),
        };
        label_namespace(&space, json!({"trust-domain": DOMAIN})).await;
        space
    }

    /// Of those that anybody may read.
    pub(crate) async fn page(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.health).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, body.to_owned())
    }
}

/// For a ServiceAccount of the operator's namespace.
pub(crate) async fn kubeconfig(world: &World, account: &str) -> PathBuf {
    let token = token_of(world, OPERATOR_NAMESPACE, account, &[]).await;
    let admin = std::fs::read_to_string(world.plane().kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&admin).unwrap();
    config["users"][0]["user"] = json!({"token": token});
    let path = world.plane().dir().join(format!("{account}.kubeconfig"));
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

fn by_request(name: &str, task: &str) -> AgentIdentity {
    let key = KeyPair::generate().unwrap();
    let pkcs10 = pkcs10(&key).pem().unwrap();
    let patch =
        json!({"spec": {"credential": {"delivery": "Request", "request": {"pkcs10": pkcs10}}}});
    with(&identity(name, task), &patch)
}

#[tokio::test]
async fn the_rights_that_ship_are_enough_for_a_whole_life() {
    let narrow = Narrow::shared().await;
    let world = &narrow.world;
    let domain = world
        .until_domain(DOMAIN, "published", |it| is(it, "BundlePublished"))
        .await;
    for kind in ["Ready", "PoliciesInstalled", "ClockSynchronized"] {
        assert!(is(&domain, kind), "{kind}: {:?}", domain.status);
    }
    let space = narrow.finance().await;
    let before = space
        .running("reader", json!({"spec": {"ttlSecondsAfterFinished": 0}}))
        .await;
    let longer = json!({"spec": {"credential": {"certificateTTLSeconds": 600}}});
    space.patch("reader", longer).await;
    space
        .until("reader", "renewed", |it| serial(it) != serial(&before))
        .await;
    space.finish_job("reader-job", "Succeeded").await;
    space.until_no_secret("reader-identity").await;
    until_gone(&space.identities(), "reader").await;

    space.running("deleted", json!({})).await;
    kube::Api::delete(
        &space.jobs(),
        "deleted-job",
        &kube::api::DeleteParams::background(),
    )
    .await
    .unwrap();
    assert_eq!(space.until_completed("deleted").await, "TaskDeleted");

    let kinds = Api::<TaskKind>::all(world.client().await);
    let object = json!({"metadata": {"name": "errands.example.com"}, "spec": {"version": "v1"}});
    create(&kinds, object).await.unwrap();
    until(&kinds, "errands.example.com", "ready", |it| is(it, "Ready")).await;

    let policies = Api::<AgentPolicy>::namespaced(world.client().await, "finance");
    let cedar = "permit (principal, action, resource);";
    let object =
        json!({"metadata": {"name": "a"}, "spec": {"policies": [{"id": "a", "cedar": cedar}]}});
    create(&policies, object).await.unwrap();
    until(&policies, "a", "ready", |it| is(it, "Ready")).await;
    let guards = Api::<ClusterAgentPolicy>::all(world.client().await);
    let object = json!({"metadata": {"name": "a"}, "spec": {}});
    create(&guards, object).await.unwrap();
    until(&guards, "a", "ready", |it| is(it, "Ready")).await;

    let nobody = json!({"spec": {"ownerRef": {"name": "nobody"}}});
    space
        .create_identity(&with(&identity("refused", "jobs.batch/x"), &nobody))
        .await;
    space.until_refused("refused", "UnknownOwner").await;
    eventually("the event", async || {
        let events = ["get", "events", "-n", "finance", "-o", "name"];
        let describe = ["describe", "agid", "refused", "-n", "finance"];
        let _all = world.plane().kubectl(&events).await.unwrap();
        world
            .plane()
            .kubectl(&describe)
            .await
            .unwrap()
            .contains("Warning")
            .then_some(())
    })
    .await;
    // A user with verb `bind`, which the operator asks for.
    let binder = world.user("bea").await;
    let rules = json!([
        {"apiGroups": ["countersign.dev"], "resources": ["agentidentities"], "verbs": ["create"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["update"]},
    ]);
    world.allow(&binder, Some("finance"), rules).await;
    let bind = json!([{
        "apiGroups": ["countersign.dev"], "resources": ["agentowners"],
        "resourceNames": [OWNER], "verbs": ["bind"],
    }]);
    world.allow(&binder, None, bind).await;
    space.create_job(&job("bound")).await;
    let bound = identity("bound", "jobs.batch/bound");
    binder
        .identities(&space)
        .create(&PostParams::default(), &bound)
        .await
        .unwrap();
    space.until_ready("bound").await;
}

#[tokio::test]
async fn the_rights_that_ship_are_enough_to_decide() {
    let narrow = Narrow::shared().await;
    let space = narrow.finance().await;
    let kubeconfig = kubeconfig(&narrow.world, "countersign-decide").await;
    let dir = narrow.world.plane().dir();
    let decider = Decider::by(&kubeconfig, dir, "narrow", &["--metrics-secure"]);
    set_cluster_policy(&narrow.world, "guard", &guard()).await;
    space.set_policy("granted", &permit()).await;
    space.create_job(&job("decided")).await;
    let grants = json!({"spec": {"grants": [{"actions": ["read"], "resources": ["ledger/*"]}]}});
    let agent = with(&identity("decided", "jobs.batch/decided"), &grants);
    space.create_identity(&agent).await;
    let agent = spiffe_id(&space.until_ready("decided").await);
    decider.ready().await;
    let asked = question(&agent, "read", "ledger/invoices/7");
    decider.until(&asked, "Permitted").await;
    decider.tell(&signal(&agent, 90, "risk")).await;
    // By way of the status that it may write, and the operator that takes the certificate away.
    decider.until(&asked, "AgentSuspended").await;
    let reader = Reader::bound(&narrow.world, "decide").await;
    let page = reader.until(&decider.metrics, 200).await.body;
    assert!(page.contains("countersign_decisions_total{"), "{page}");
    let log = decider.log();
    assert!(!log.contains("forbidden"), "{log}");
}

#[tokio::test]
async fn secrets_are_refused_where_they_are_not_enabled_and_requests_are_served() {
    let narrow = Narrow::shared().await;
    let space = narrow.world.space("research").await;
    space.create_job(&job("work")).await;
    space
        .create_identity(&identity("reader", "jobs.batch/work"))
        .await;
    let message = space.until_refused("reader", "SecretsNotEnabled").await;
    let flag = format!("--secret-namespaces={}", space.name);
    assert!(
        message.contains(&flag) && message.contains("delivery Request"),
        "{message}"
    );
    assert!(space.secret("reader-identity").await.is_none());

    space
        .create_identity(&by_request("own", "jobs.batch/work"))
        .await;
    space.until_ready("own").await;
    space.finish_job("work", "Failed").await;
    assert_eq!(space.until_completed("own").await, "TaskFailed");
    assert_eq!(space.until_completed("reader").await, "TaskFailed");
}

#[tokio::test]
async fn a_kind_that_may_not_be_seen_is_told_with_the_rule_that_is_missing() {
    let narrow = Narrow::shared().await;
    let space = narrow.world.space("pods").await;
    let pods = space.objects("", "v1", "Pod", "pods");
    let spec =
        json!({"schedulerName": "nobody", "containers": [{"name": "main", "image": "none"}]});
    create(&pods, json!({"metadata": {"name": "work"}, "spec": spec}))
        .await
        .unwrap();
    space
        .create_identity(&by_request("agent", "pods/work"))
        .await;
    let message = space.until_refused("agent", "TaskForbidden").await;
    for words in ["list and watch", "\"pods\"", "group \"\""] {
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(serial(&space.get("agent").await), "");
    let more = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "more-tasks", "labels": {"countersign.dev/aggregate-to-tasks": "true"}},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}],
    });
    let apply = ["apply", "-f", "-"];
    narrow
        .world
        .plane()
        .kubectl_with_input(&apply, &more.to_string())
        .await
        .unwrap();
    space.until_ready("agent").await;
}

#[tokio::test]
async fn the_pages_say_that_it_is_well_and_count_without_names() {
    let narrow = Narrow::shared().await;
    let space = narrow.finance().await;
    space.running("counted", json!({})).await;
    space.finish_job("counted-job", "Succeeded").await;
    space.until_no_secret("counted-identity").await;

    for path in ["/healthz", "/readyz"] {
        let (status, body) = narrow.page(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        assert!(body.contains("ok"), "{body}");
    }
    let reader = Reader::bound(&narrow.world, "pages").await;
    let metrics = reader.until(&narrow.metrics, 200).await.body;
    assert!(metrics.ends_with("# EOF\n"));
    for name in [
        "countersign_certificate_issue_latency_seconds_bucket",
        "countersign_certificates_issued_total",
        "countersign_certificates_renewed_total",
        "countersign_credentials_retired_total",
        "countersign_retirement_latency_seconds_count",
        "countersign_write_conflicts_total",
        "countersign_reconcile_passes_total",
        "countersign_queue_depth",
        "countersign_certificate_soonest_expiry_timestamp_seconds",
        "countersign_authority_expiry_timestamp_seconds",
        "countersign_clock_skew_seconds",
        "countersign_policies{state=\"in_effect\"}",
        "countersign_policies{state=\"stalled\"}",
    ] {
        assert!(metrics.contains(name), "{name}:\n{metrics}");
    }
    for word in ["watch", "leader"] {
        assert!(
            metrics
                .lines()
                .any(|it| it.starts_with("countersign_") && it.contains(word)),
            "{word}"
        );
    }
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        for name in ["finance", "research", "counted", "reader", OWNER, "work"] {
            assert!(!line.contains(&format!("\"{name}")), "{line}");
        }
    }
    let labels = metrics
        .lines()
        .filter(|it| !it.starts_with('#'))
        .filter_map(|it| it.split_once('{'));
    let names = labels
        .flat_map(|(_, labels)| labels.split(['{', ',', '}']))
        .filter_map(|it| it.split_once('='));
    let mut names: Vec<&str> = names.map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    for name in &names {
        let known = [
            "kind",
            "outcome",
            "urgency",
            "trust_domain",
            "le",
            "resource",
            "watch",
            "reason",
            "name",
            "state",
        ];
        assert!(known.contains(name), "{name}");
    }
    assert!(metrics.lines().count() < 400, "bounded");
}

#[tokio::test]
async fn nothing_but_what_was_meant_to_be_forbidden_was_asked_for() {
    let narrow = Narrow::shared().await;
    let space = narrow.finance().await;
    space.running("quiet", json!({})).await;
    let log = narrow.operator.log();
    let asked: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("orbidden"))
        .filter(|line| !line.contains("pods"))
        .collect();
    assert!(asked.is_empty(), "{asked:#?}");
}

#[tokio::test]
async fn a_task_kind_that_is_older_than_the_operator_is_judged_too() {
    let narrow = Narrow::shared().await;
    let kinds = Api::<TaskKind>::all(narrow.world.client().await);
    until(&kinds, EARLY, "ready", |it| is(it, "Ready")).await;
}
