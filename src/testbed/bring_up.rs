//! The order in which a control plane starts, and what counts as ready.

use std::future::Future;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http::Request;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{Api, Client};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::layout::{Layout, Program};
use crate::node;

/// Between two looks. What is waited for takes between 0.3 s and 3 s.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One look's longest time; a server that is starting may take a request and never answer it.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// Name of the first API server among the running programs.
pub(crate) const API_SERVER: &str = "kube-apiserver";

/// Starts programs and knows whether they still run.
pub(crate) trait Launch {
    /// Starts one.
    fn launch(&self, program: Program) -> Result<()>;

    /// An error with the end of the log if one has ended by itself.
    fn check(&self) -> Result<()>;
}

/// Starts all three programs, each as soon as the one it needs answers, and waits until a client
/// can work: `/readyz` is ok and the controllers have made the default ServiceAccount.
pub(crate) async fn bring_up(layout: &Layout, launch: &impl Launch) -> Result<()> {
    let deadline = Instant::now() + layout.options().start_timeout;
    launch.launch(layout.etcd())?;
    until("etcd", deadline, launch, || connect(layout.etcd_port())).await?;
    launch.launch(layout.api_server(API_SERVER, layout.api_port()))?;
    let config = layout.config(layout.api_port())?;
    until_ready(config.clone(), deadline, launch).await?;
    // Not a moment sooner: it would look once, in vain, and then sleep for a second.
    launch.launch(layout.controller_manager())?;
    until_complete(config.clone(), deadline, launch).await?;
    bring_up_node(layout, config, deadline, launch).await
}

/// Starts what the layout has of a node, and waits until pods can run there.
async fn bring_up_node(
    layout: &Layout,
    config: kube::Config,
    deadline: Instant,
    launch: &impl Launch,
) -> Result<()> {
    if layout.node().is_none() {
        return Ok(());
    }
    for program in layout.node_programs() {
        launch.launch(program)?;
    }
    let client = client(config)?;
    node::prepare_pods(client.clone(), layout.api_port()).await?;
    let look = || node::takes_pods(client.clone());
    until("a node that takes pods", deadline, launch, look).await?;
    node::offer_storage(client).await
}

/// Waits until the API server behind `config` says that it is ready.
pub(crate) async fn until_ready(
    config: kube::Config,
    deadline: Instant,
    launch: &impl Launch,
) -> Result<()> {
    let client = client(config)?;
    until("/readyz", deadline, launch, || readyz(client.clone())).await
}

/// Waits until the API server behind `config` serves a complete `default` namespace.
pub(crate) async fn until_complete(
    config: kube::Config,
    deadline: Instant,
    launch: &impl Launch,
) -> Result<()> {
    let client = client(config)?;
    let look = || default_namespace(client.clone());
    until("the default ServiceAccount", deadline, launch, look).await
}

fn client(mut config: kube::Config) -> Result<Client> {
    config.default_retry = false; // the loop around it retries
    Client::try_from(config).context("make a client")
}

async fn connect(port: u16) -> Result<()> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    Ok(())
}

async fn readyz(client: Client) -> Result<()> {
    let answer = client
        .request_text(Request::get("/readyz").body(Vec::new())?)
        .await?;
    match answer.as_str() {
        "ok" => Ok(()),
        other => bail!("/readyz says {other}"),
    }
}

async fn default_namespace(client: Client) -> Result<()> {
    Api::<Namespace>::all(client.clone()).get("default").await?;
    Api::<ServiceAccount>::namespaced(client, "default")
        .get("default")
        .await?;
    Ok(())
}

/// Asks again until it works, the deadline passes or a program ends.
async fn until<F: Future<Output = Result<()>>>(
    what: &str,
    deadline: Instant,
    launch: &impl Launch,
    mut look: impl FnMut() -> F,
) -> Result<()> {
    loop {
        launch.check()?;
        let outcome = match timeout(LOOK_TIMEOUT, look()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(elapsed) => elapsed.into(),
        };
        if Instant::now() > deadline {
            return Err(outcome).with_context(|| format!("{what} isn't there in time"));
        }
        sleep(LOOK_EVERY).await;
    }
}
