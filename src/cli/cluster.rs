//! The cluster: the one place where objects are read and written.

use std::fmt::Debug;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use countersign_api::{AgentIdentity, AgentOwner, Delegation};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use crate::world::World;

/// Objects come in pages of so many.
const PAGE: u32 = 500;
/// What takes longer says what it is doing.
const PATIENCE: Duration = Duration::from_secs(2);
/// An API server that doesn't answer for so long won't.
const CONNECT: Duration = Duration::from_secs(10);
const READ: Duration = Duration::from_secs(30);

/// Which cluster, as with kubectl.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Cluster {
    /// The namespace; default: that of the context
    #[arg(short, long, global = true)]
    namespace: Option<String>,
    /// The context of the kubeconfig
    #[arg(long, global = true)]
    context: Option<String>,
    /// The kubeconfig; default: KUBECONFIG, or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The operator's namespace, where bundles and checkpoints are published
    #[arg(
        long,
        global = true,
        env = "COUNTERSIGN_NAMESPACE",
        default_value = "countersign-system"
    )]
    operator_namespace: String,
}

/// A client and where it looks.
#[derive(Clone)]
pub(crate) struct Connected {
    pub(crate) client: Client,
    /// Where to look unless something else is said.
    pub(crate) namespace: String,
    pub(crate) operator_namespace: String,
}

impl Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connected")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// A client; nothing is asked yet.
    pub(crate) async fn connect(&self) -> Result<Connected> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let help =
            "find a cluster: set KUBECONFIG or --kubeconfig, and --context to one of its contexts";
        let config = match &self.kubeconfig {
            Some(path) => {
                let kubeconfig = Kubeconfig::read_from(path).context(help)?;
                Config::from_custom_kubeconfig(kubeconfig, &options).await
            }
            None if self.context.is_some() => Config::from_kubeconfig(&options).await,
            None => {
                // Its message has those of its causes in it already.
                let config = Config::infer()
                    .await
                    .map_err(|why| anyhow!("{help}: {why}"))?;
                return self.connected(config);
            }
        };
        self.connected(config.map_err(|why| anyhow!("{help}: {why}"))?)
    }

    fn connected(&self, mut config: Config) -> Result<Connected> {
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(READ);
        let namespace = self.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        Ok(Connected {
            client: Client::try_from(config).context("make a client")?,
            namespace,
            operator_namespace: self.operator_namespace.clone(),
        })
    }
}

impl Connected {
    /// Objects of a namespace.
    pub(crate) fn objects<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Owners, identities and delegations, of every namespace or of this one.
    pub(crate) async fn world(&self, everywhere: bool) -> Result<World> {
        let owners: Api<AgentOwner> = Api::all(self.client.clone());
        let listed = async {
            tokio::try_join!(
                list(&owners, "agentowners"),
                self.list::<AgentIdentity>(everywhere, "agentidentities"),
                self.list::<Delegation>(everywhere, "delegations"),
            )
        };
        let (owners, identities, delegations) = slowly("listing objects", listed).await?;
        Ok(World {
            owners,
            identities,
            delegations,
        })
    }

    /// Objects of every namespace, or of this one.
    pub(crate) async fn list<K>(&self, everywhere: bool, what: &str) -> Result<Vec<K>>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        let api = if everywhere {
            Api::all(self.client.clone())
        } else {
            self.objects(&self.namespace)
        };
        list(&api, what).await
    }

    /// All delegations that can be seen: those of every namespace, or of this one for who may not
    /// list them all. Says which.
    pub(crate) async fn delegations(&self) -> Result<(Vec<Delegation>, bool)> {
        let all: Api<Delegation> = Api::all(self.client.clone());
        match pages(&all).await {
            Ok(found) => Ok((found, true)),
            Err(why) if is(&why, 403) => {
                let found = self.list(false, "delegations").await?;
                Ok((found, false))
            }
            Err(why) => Err(explain(why, "list delegations")),
        }
    }

    /// The trust bundle that the operator publishes.
    pub(crate) async fn bundle(&self, trust_domain: &str) -> Result<String> {
        let name = format!("{trust_domain}-bundle");
        let api: Api<ConfigMap> = self.objects(&self.operator_namespace);
        let found = api.get_opt(&name).await;
        let found = found.map_err(|why| explain(why, &format!("read ConfigMap {name}")))?;
        let data = found.and_then(|it| it.data).unwrap_or_default();
        data.get("bundle.json").cloned().ok_or_else(|| {
            anyhow!(
                "there is no bundle of trust domain {trust_domain} in ConfigMap {}/{name}: is the operator there? \
                 --operator-namespace says where, --bundle takes a file",
                self.operator_namespace
            )
        })
    }
}

/// Gets one object, or says that there is none.
pub(crate) async fn get<K>(api: &Api<K>, what: &str, name: &str) -> Result<K>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let found = api.get_opt(name).await;
    let found = found.map_err(|why| explain(why, &format!("read {what} {name}")))?;
    let Some(found) = found else {
        let path = api.resource_url().split_once("/namespaces/");
        let namespace = path.and_then(|(_, rest)| rest.split('/').next());
        let place = namespace.map_or_else(String::new, |namespace| {
            format!(" in namespace {namespace}: -n takes another")
        });
        bail!("there is no {what} {name}{place}");
    };
    Ok(found)
}

/// All objects, page by page.
pub(crate) async fn list<K>(api: &Api<K>, what: &str) -> Result<Vec<K>>
where
    K: Clone + DeserializeOwned + Debug,
{
    pages(api)
        .await
        .map_err(|why| explain(why, &format!("list {what}")))
}

async fn pages<K>(api: &Api<K>) -> kube::Result<Vec<K>>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut found = Vec::new();
    let mut next = None;
    loop {
        let mut params = ListParams::default().limit(PAGE);
        params.continue_token = next;
        let page = api.list(&params).await?;
        next = page.metadata.continue_.filter(|it| !it.is_empty());
        found.extend(page.items);
        if next.is_none() {
            return Ok(found);
        }
    }
}

/// Did the API server answer with this code?
pub(crate) fn is(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

/// What went wrong, and what to do about it.
pub(crate) fn explain(error: kube::Error, doing: &str) -> anyhow::Error {
    let advice = match &error {
        kube::Error::Api(status) if status.code == 403 => {
            return anyhow!("{doing}: {} (ask an admin for the role)", status.message);
        }
        kube::Error::Api(status)
            if status.code == 404 && status.message.contains("page not found") =>
        {
            return anyhow!(
                "{doing}: the cluster has no such kind: install the CRDs of Countersign"
            );
        }
        kube::Error::Api(status) => return anyhow!("{doing}: {}", status.message),
        _ => "is the cluster reachable? --context and --kubeconfig choose another",
    };
    anyhow!("{doing}: {error} ({advice})")
}

/// Waits for `work`; when it takes long, says on stderr what is being done.
pub(crate) async fn slowly<T>(doing: &str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    match timeout(PATIENCE, &mut work).await {
        Ok(done) => done,
        Err(_) => {
            eprintln!("{doing} …");
            work.await
        }
    }
}

/// Looks again and again until `look` finds something, at most for `bound`.
pub(crate) async fn until<T, F>(
    doing: &str,
    bound: Duration,
    mut look: impl FnMut() -> F,
) -> Result<Option<T>>
where
    F: Future<Output = Result<Option<T>>>,
{
    let looking = async {
        loop {
            if let Some(found) = look().await? {
                return Ok(Some(found));
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    match timeout(bound, slowly(doing, looking)).await {
        Ok(found) => found,
        Err(_) => Ok(None),
    }
}
