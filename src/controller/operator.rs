//! Puts everything together and keeps it running.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_audit::{Log, Retention};
use countersign_runtime::{
    Candidate, Check, Clients, Clock, Health, Leadership, Outcome, PageSettings, Pages, PagesError,
    Queue, Store, Supervisor, TaskEnded, Urgency, WatchMetrics, WatchProgress,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ObjectMeta, PostParams};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::audit::Audit;
use crate::checkpoint::{Checkpoints, Trusted};
use crate::context::{Context, Work};
use crate::delegation::{self, Delegations};
use crate::event::Events;
use crate::follow;
use crate::hand::Hand;
use crate::identity::{self, Identities, PassError};
use crate::index::Index;
use crate::installation::Installation;
use crate::metrics::Metrics;
use crate::policy::{self, Policies};
use crate::requester::Reviews;
use crate::retired;
use crate::revocation::{Lists, Revocations};
use crate::secret::Secrets;
use crate::skew::Skew;
use crate::task::{Kinds, Told, Watches};
use crate::task_kind;
use crate::trust_domain::{self, Domains};
use crate::write::{Gate, WriteError, is_status};

/// The Lease that elects the leader.
const LEASE: &str = "countersign-operator";
/// A watch that brings nothing, not even a bookmark or its end, for so many times its longest life
/// hangs: two others in its place have hung as well.
const WATCH_BOUND: f64 = 2.5;
/// A new leader waits at most so long for its trust domains before it looks at identities.
const DOMAINS_BOUND: Duration = Duration::from_secs(10);
/// It waits so long, at most, for the published checkpoints, and for what the audit log says of ends.
const RECALL_BOUND: Duration = Duration::from_millis(500);
/// How often gauges are computed.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// What was recorded is signed at the latest so long after: what is cut off before isn't noticed.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);
/// How long a stopping process may take to give its lease back.
const GRACE: Duration = Duration::from_secs(5);

/// How the operator runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The operator's own namespace: lease, authorities, bundles.
    pub namespace: String,
    /// Where credentials may be written as Secrets; `None` for every namespace.
    pub secret_namespaces: Option<Vec<String>>,
    /// Endpoints issue into pods: without them nothing of delivery `Workload` is ready.
    pub issuing: bool,
    /// How many objects are worked on at once.
    pub workers: usize,
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub pages: PageSettings,
    /// How long a changed Secret takes to reach a running agent, in seconds: a next authority signs
    /// only after it was in the bundle for so long.
    pub propagation_seconds: u64,
    /// How long a watch stays open at most, in seconds, 60 at most: one that hangs is noticed 5 s
    /// later, and `/healthz` fails after two and a half times as long.
    pub watch_seconds: u32,
    /// Where the audit log is, and who writes it.
    pub audit: AuditSettings,
    /// Where bundles and revocation lists are served, in plain HTTP.
    pub publish: Option<SocketAddr>,
    /// How long a revocation list may be relied upon, in seconds.
    pub revocation_seconds: u32,
    /// What tells the time.
    pub clock: Clock,
}

/// The audit log.
#[derive(Clone)]
pub struct AuditSettings {
    /// `sqlite:<path>` or `postgres://…`.
    pub url: String,
    /// This replica's name in it: the same after a restart.
    pub writer: String,
    /// What leaves the database, and where it goes; `None`: everything stays.
    pub retention: Option<Retention>,
}

impl fmt::Debug for AuditSettings {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditSettings")
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// The API server can't be reached or refuses.
    #[error("can't start: {0}")]
    Start(#[from] kube::Error),
    /// Health and metrics can't be served.
    #[error(transparent)]
    Pages(#[from] PagesError),
    /// The address for bundles and revocation lists can't be had.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The audit log's settings can't be.
    #[error("{0}: see --audit and --audit-writer")]
    Audit(#[from] countersign_audit::AuditError),
    /// A part that must run for ever ended.
    #[error(transparent)]
    Ended(#[from] TaskEnded),
}

/// Runs the operator until `stop` is done, then gives the lease back.
///
/// # Errors
/// It can't start, or a part of it ended.
pub async fn run(
    config: kube::Config,
    settings: Settings,
    stop: impl Future,
) -> Result<(), OperatorError> {
    let mut registry = Registry::with_prefix("countersign");
    let progress = WatchProgress::new();
    let watch_metrics = WatchMetrics::register(&mut registry);
    let metrics = Metrics::register(&mut registry);
    let clients = Clients::connect(config, &progress)?;
    let candidate = Candidate::new(settings.namespace.as_str(), LEASE);
    let leadership = Leadership::new(clients.writes.clone(), candidate);
    leadership.register(&mut registry);
    let pages = Pages::bind(&settings.pages, &settings.clock).await?;
    let publisher = bind(settings.publish).await?;
    let log = Log::new(log_settings(&settings))?; // what ends doesn't wait for its store
    ensure_namespace(&clients, &settings.namespace).await?;
    let ctx = context(
        &settings,
        clients,
        &leadership,
        metrics,
        &watch_metrics,
        log.clone(),
    );
    let c = Arc::downgrade(&ctx);
    leadership.vouch(move || c.upgrade().is_some_and(|it| retired::settled(&it)));
    log.set_signer(Arc::new(Checkpoints::new(&ctx)));
    log.set_verifier(Arc::new(Trusted::new(&ctx)));
    ctx.skew.compare(&ctx.clients.reads, &ctx.clock).await;

    let mut all = Supervisor::new(GRACE);
    follow::follow(&ctx, &watch_metrics, &mut all);
    let c = Arc::clone(&ctx);
    all.spawn("watch tasks", async move {
        let index = Arc::clone(&c.index);
        Arc::clone(&c.tasks).run(move || index.kinds_in_use()).await;
    });
    let c = Arc::clone(&ctx);
    all.spawn("compare clocks", async move {
        let client = c.clients.reads.clone();
        c.skew
            .follow(&client, &c.clock, || follow::everything(&c))
            .await;
    });
    let writing = log.run();
    all.spawn_graceful("write the audit log", |mut stopping| async move {
        let stopped = async {
            stopping.stopped().await;
            log.close().await; // what waits is written, and a last checkpoint
        };
        futures::join!(writing, stopped);
    });
    let c = Arc::clone(&ctx);
    all.spawn("watch the audit log", async move {
        crate::audit::watch(&c).await
    });
    if let Some(retention) = settings.audit.retention.clone() {
        let c = Arc::clone(&ctx);
        all.spawn("seal old records", async move {
            let trusted = Trusted::new(&c);
            c.audit.log().retain(&retention, &trusted, false).await
        });
    }
    let c = Arc::clone(&ctx);
    all.spawn("publish checkpoints", async move {
        crate::checkpoint::publish(&c).await
    });
    let c = Arc::clone(&ctx);
    all.spawn("sign what others record", async move {
        crate::witness::follow(&c).await
    });
    if let Some(listener) = publisher {
        if let Ok(address) = listener.local_addr() {
            info!(%address, "serving bundles and revocation lists");
        }
        let c = Arc::clone(&ctx);
        all.spawn(
            "serve bundles and revocation lists",
            crate::revocation::serve(c, listener),
        );
    }
    let (c, l) = (Arc::clone(&ctx), leadership.clone());
    all.spawn("work", async move { lead(c, l, settings.workers).await });
    let c = Arc::clone(&ctx);
    all.spawn("measure", async move { measure(&c).await });
    let bound = Duration::from_secs(settings.watch_seconds.into()).mul_f64(WATCH_BOUND);
    let health = health(&ctx, &progress, bound, registry);
    pages.serve(health, &ctx.clients.writes, &mut all);
    let l = leadership.clone();
    all.spawn("take part in the election", l.run());
    all.spawn_graceful("give the lease back", |mut stopping| async move {
        stopping.stopped().await;
        leadership.release().await;
    });
    all.run_until(stop).await?;
    Ok(())
}

async fn bind(address: Option<SocketAddr>) -> Result<Option<TcpListener>, OperatorError> {
    let Some(address) = address else {
        return Ok(None);
    };
    let bound = TcpListener::bind(address).await;
    let bound = bound.map_err(|source| OperatorError::Listen { address, source })?;
    Ok(Some(bound))
}

fn log_settings(settings: &Settings) -> countersign_audit::Settings {
    let clock = settings.clock.clone();
    let AuditSettings { url, writer, .. } = settings.audit.clone();
    countersign_audit::Settings {
        checkpoint_interval: CHECKPOINT_EVERY,
        ..countersign_audit::Settings::new(url, writer, Arc::new(move || clock.now()))
    }
}

async fn ensure_namespace(clients: &Clients, name: &str) -> kube::Result<()> {
    let namespaces: Api<Namespace> = Api::all(clients.writes.clone());
    // Who may not look at namespaces was given one.
    match namespaces.get_metadata_opt(name).await {
        Err(why) if is_status(&why, 403) => return Ok(()),
        Err(why) => return Err(why),
        Ok(Some(_)) => return Ok(()),
        Ok(None) => {}
    }
    let namespace = Namespace {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    match namespaces.create(&PostParams::default(), &namespace).await {
        Err(why) if !is_status(&why, 409) => Err(why),
        _ => Ok(()),
    }
}

fn context(
    settings: &Settings,
    clients: Clients,
    leadership: &Leadership,
    metrics: Metrics,
    watch_metrics: &WatchMetrics,
    log: Log,
) -> Arc<Context> {
    let (identities, delegations) = (Identities::default(), Delegations::default());
    let audit = Audit::new(log, settings.workers, &identities, &delegations);
    let kinds = Arc::new(Kinds::compiled_in());
    let index = Arc::new(Index::default());
    Arc::new_cyclic(|ctx: &std::sync::Weak<Context>| {
        let told = {
            let ctx = std::sync::Weak::clone(ctx);
            move |what: Told<'_>| {
                if let Some(ctx) = ctx.upgrade() {
                    let identities = match what {
                        Told::Task(kind, task) => ctx.index.of_task(kind, task),
                        Told::Kind(kind) => ctx.index.of_kind(kind),
                    };
                    ctx.look_at_all(identities);
                }
            }
        };
        let reads = clients.reads.clone();
        let tasks = Watches::new(
            reads,
            Arc::clone(&kinds),
            settings.watch_seconds,
            watch_metrics.clone(),
            told,
        );
        Context {
            events: Events::new(clients.writes.clone(), Gate::new(leadership.clone())),
            gate: Gate::new(leadership.clone()),
            clock: settings.clock.clone(),
            metrics,
            namespace: settings.namespace.clone(),
            propagation_seconds: settings.propagation_seconds,
            issuing: settings.issuing,
            watch_seconds: settings.watch_seconds,
            revocation_seconds: settings.revocation_seconds,
            audit,
            identities,
            delegations,
            revocations: Revocations::default(),
            lists: Lists::default(),
            index,
            namespaces: Arc::new(Store::new()),
            owners: Arc::new(Store::new()),
            trust_domains: Arc::new(Store::new()),
            task_kinds: Arc::new(Store::new()),
            agent_policies: Policies::default(),
            cluster_agent_policies: Policies::default(),
            kinds,
            domains: Domains::default(),
            secrets: Secrets::new(settings.secret_namespaces.as_deref()),
            tasks: Arc::new(tasks),
            reviews: Reviews::new(clients.writes.clone()),
            installation: Installation::default(),
            skew: Skew::default(),
            queue: Arc::new(Queue::new()),
            domain_queue: Queue::new(),
            policy_queue: Queue::new(),
            clients,
        }
    })
}

/// Works while it leads. Never returns.
async fn lead(ctx: Arc<Context>, leadership: Leadership, workers: usize) {
    let mut changes = leadership.changes();
    loop {
        while !leadership.is_leader() {
            if changes.changed().await.is_err() {
                return;
            }
        }
        info!("leading");
        ctx.domains.clear();
        follow::synced(&ctx).await;
        retired::begin(&ctx);
        let lost = async {
            while leadership.is_leader() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        let mut team = tokio::task::JoinSet::new();
        let c = Arc::clone(&ctx);
        team.spawn(async move { work_on_domains(&c).await });
        let c = Arc::clone(&ctx);
        team.spawn(async move {
            task_kind::tell_all(&c).await;
            std::future::pending().await // a member who ends ends the process
        });
        let c = Arc::clone(&ctx);
        team.spawn(async move { policy::work(&c).await });
        policy::look_at_all(&ctx);
        ctx.trust_domains
            .for_each(|key, _| ctx.look_at_domain(&key.name));
        let ready = domains_known(&ctx);
        if timeout(DOMAINS_BOUND, ready).await.is_err() {
            warn!("some trust domains are not there yet; looking at identities all the same");
        }
        // A moment, so that nothing is refused for it; no end waits longer.
        let (recalled, _) = futures::join!(
            timeout(RECALL_BOUND, crate::checkpoint::recall_first(&ctx)),
            timeout(RECALL_BOUND, retired::look_up(&ctx)),
        );
        follow::everything(&ctx);
        for _ in 0..workers {
            let c = Arc::clone(&ctx);
            team.spawn(async move { work(&c).await });
        }
        let c = Arc::clone(&ctx);
        team.spawn(async move { crate::revocation::follow(&c).await });
        let c = Arc::clone(&ctx);
        team.spawn(async move { crate::revocation::follow_pods(&c).await });
        let c = Arc::clone(&ctx);
        team.spawn(async move {
            if recalled.is_err() {
                crate::checkpoint::recall_first(&c).await;
            }
            std::future::pending().await // a member who ends ends the process
        });
        let c = Arc::clone(&ctx);
        team.spawn(async move { retired::follow(&c).await });
        tokio::select! {
            () = lost => warn!("lost the lease: nothing is written any more"),
            ended = team.join_next() => {
                // A worker that panicked takes the process along: see the Supervisor.
                warn!(?ended, "a worker ended");
                return;
            }
        }
        team.shutdown().await;
        // What was known of ends is history as soon as another leads; the keys stay for the last
        // checkpoints, and nothing else is signed or served by who doesn't lead.
        ctx.revocations.set_complete(false);
        ctx.audit.set_recalled(false);
    }
}

async fn domains_known(ctx: &Context) {
    loop {
        let mut all = true;
        ctx.trust_domains
            .for_each(|key, _| all &= ctx.domains.get(&key.name).is_some());
        if all {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

async fn work(ctx: &Context) {
    loop {
        let key = ctx.queue.next().await;
        let mut hand = Hand {
            queue: &ctx.queue,
            key: &key,
            outcome: Outcome::Failed {
                urgency: Urgency::Renew,
            },
        };
        let (kind, result) = match &key {
            Work::Identity(identity) => ("identity", identity::reconcile(ctx, identity).await),
            Work::Delegation(delegation) => {
                ("delegation", delegation::reconcile(ctx, delegation).await)
            }
            Work::Orphan(secret) => ("orphan", identity::sweep(ctx, secret).await),
        };
        hand.outcome = match result {
            Ok(outcome) => {
                let settled = matches!(outcome, Outcome::Settled { .. });
                ctx.metrics
                    .passed(kind, if settled { "settled" } else { "again" });
                outcome
            }
            Err(why) => {
                ctx.metrics.passed(kind, why.category());
                if !is_not_leader(&why) {
                    warn!(object = ?key, category = why.category(), "pass failed: {why}");
                }
                Outcome::Failed {
                    urgency: match &key {
                        Work::Identity(identity) => identity::urgency(ctx, identity),
                        Work::Delegation(delegation) => delegation::urgency(ctx, delegation),
                        Work::Orphan(_) => Urgency::Retire,
                    },
                }
            }
        };
    }
}

fn is_not_leader(why: &PassError) -> bool {
    matches!(
        why,
        PassError::Write {
            source: WriteError::NotLeader(_),
            ..
        }
    )
}

async fn work_on_domains(ctx: &Context) {
    loop {
        let name = ctx.domain_queue.next().await;
        let mut hand = Hand {
            queue: &ctx.domain_queue,
            key: &name,
            outcome: Outcome::Failed {
                urgency: Urgency::Issue,
            },
        };
        hand.outcome = match trust_domain::reconcile(ctx, &name).await {
            Ok(outcome) => {
                ctx.metrics.passed("trust_domain", "settled");
                outcome
            }
            Err(why) => {
                ctx.metrics.passed("trust_domain", "failed");
                warn!(trust_domain = name, "pass failed: {why}");
                Outcome::Failed {
                    urgency: Urgency::Issue,
                }
            }
        };
    }
}

async fn measure(ctx: &Context) {
    loop {
        ctx.metrics.policies(policy::tally(ctx));
        ctx.metrics.queued(|urgency| ctx.queue.len(urgency));
        ctx.metrics.clock_skew(ctx.skew.seconds());
        let now = ctx.clock.now();
        let mut soonest = None;
        ctx.identities.seen().for_each(|_, object| {
            let live = object.live_until().filter(|until| *until > now);
            soonest = soonest.into_iter().chain(live).min();
        });
        ctx.metrics.soonest_expiry(soonest);
        ctx.revocations.prune(now);
        ctx.delegations.prune(now);
        sleep(MEASURE_EVERY).await;
    }
}

fn health(
    ctx: &Arc<Context>,
    progress: &WatchProgress,
    bound: Duration,
    registry: Registry,
) -> Health {
    let progress = progress.clone();
    let watches: Check = Arc::new(move || match progress.stalest() {
        Some((path, silent)) if silent > bound => Err(format!(
            "the watch of {path} has been silent for {} s",
            silent.as_secs()
        )),
        _ => Ok(()),
    });
    let c = Arc::clone(ctx);
    let synced: Check = Arc::new(move || {
        let all = [
            c.identities.seen().synced(),
            c.trust_domains.synced(),
            c.owners.synced(),
            c.namespaces.synced(),
            c.task_kinds.synced(),
        ];
        if all.iter().all(|synced| *synced) {
            Ok(())
        } else {
            Err("not all objects have been listed yet".to_owned())
        }
    });
    Health::new(Arc::new(registry))
        .live("watches", watches)
        .ready("synced", synced)
}
