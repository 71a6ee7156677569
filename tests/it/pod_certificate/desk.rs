//! A desk for these tests: it asks the API server each time, records nothing, and signs with the
//! authority that the operator keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use countersign_api::{AgentIdentity, Delivery};
use countersign_authority::{AuthoritySet, LeafKey, LeafRequest, RequestedKey};
use countersign_issuer::{IssuedX509, Lifetime, PodRef, Reason, Refused, X509Desk};
use countersign_runtime::{Clock, Store, Supervisor, WatchMetrics, watch_into};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, ListParams};
use kube::runtime::watcher::Config;
use kube::{Client, ResourceExt as _};
use tokio::sync::watch;

use crate::harness::{DOMAIN, condition};
use crate::pki::certificates;
use crate::support::OPERATOR_NAMESPACE;

/// What a signer takes off a certificate's future for clocks that lag.
const BACKDATE: Duration = Duration::from_secs(10);

pub(crate) struct StandIn {
    client: Client,
    clock: Clock,
    changes: watch::Sender<u64>,
    pub(crate) signed: Arc<AtomicUsize>,
}

impl StandIn {
    pub(crate) fn new(client: Client, clock: Clock, signed: Arc<AtomicUsize>) -> Self {
        Self {
            client,
            clock,
            changes: watch::Sender::new(0),
            signed,
        }
    }

    /// Tells of each change of an identity.
    pub(crate) fn follow(self: &Arc<Self>, to: &mut Supervisor) {
        let desk = Arc::clone(self);
        to.spawn("the stand-in's identities", async move {
            let api = Api::<AgentIdentity>::all(desk.client.clone());
            let reduce = |it: AgentIdentity| it.resource_version();
            let changed = |_: &_, _: Option<&Arc<String>>, _: Option<&_>| {
                desk.changes.send_modify(|it| *it += 1);
            };
            let (store, metrics) = (Arc::new(Store::new()), WatchMetrics::default());
            watch_into(
                "stand-in",
                api,
                Config::default(),
                store,
                reduce,
                changed,
                metrics,
            )
            .await
        });
    }

    async fn identity(&self, pod: &PodRef, which: Option<&str>) -> Result<AgentIdentity, Refused> {
        let pods = Api::<Pod>::namespaced(self.client.clone(), &pod.namespace);
        let found = pods.get(&pod.name).await.unwrap();
        assert_eq!(found.uid().as_ref(), Some(&pod.uid));
        let owners = found.owner_references().iter();
        let task = owners
            .filter(|it| it.controller == Some(true))
            .map(|it| it.uid.clone())
            .next();
        let identities = Api::<AgentIdentity>::namespaced(self.client.clone(), &pod.namespace);
        // From the API server's cache, as the issuer has them in its own: a consistent list waits
        // for up to 100 ms.
        let cached = ListParams::default().match_any();
        let all = identities.list(&cached).await.unwrap();
        let mut its: Vec<_> = all
            .into_iter()
            .filter(|it| it.spec.credential.delivery == Delivery::Workload)
            .filter(|it| which.is_none_or(|which| it.name_any() == which))
            .filter(|it| {
                let status = it.status.as_ref();
                task.is_some() && status.and_then(|it| it.task.as_ref()?.uid.clone()) == task
            })
            .collect();
        match its.len() {
            0 => Err(refused(Reason::NoIdentity, "no identity is for this pod")),
            1 => Ok(its.remove(0)),
            _ => Err(refused(
                Reason::SeveralIdentities,
                "several identities are for this pod",
            )),
        }
    }
}

impl X509Desk for StandIn {
    async fn x509(
        &self,
        pod: &PodRef,
        which: Option<&str>,
        key: &RequestedKey,
        bounds: Lifetime,
    ) -> Result<IssuedX509, Refused> {
        let identity = self.identity(pod, which).await?;
        if let Some((_, why)) = condition(&identity, "Completed") {
            let over = if why.starts_with("Task") {
                Reason::TaskOver
            } else {
                Reason::IdentityEnded
            };
            return Err(refused(over, &format!("it is over: {why}")));
        }
        if condition(&identity, "Suspended").is_some_and(|(status, _)| status == "True") {
            return Err(refused(Reason::IdentitySuspended, "it is suspended"));
        }
        if condition(&identity, "Ready").is_none_or(|(status, _)| status != "True") {
            return Err(refused(Reason::NotReady, "it isn't ready yet"));
        }
        let status = identity.status.as_ref().unwrap();
        let deadline = status.deadline_time.as_ref().unwrap().0;
        let asked = identity
            .spec
            .credential
            .certificate_ttl_seconds
            .unwrap_or(600);
        let now = self.clock.now();
        let left = Duration::try_from(deadline.duration_since(now)).unwrap_or_default();
        let ttl = Duration::from_secs(u64::try_from(asked).unwrap()).min(left);
        if ttl + BACKDATE < bounds.at_least {
            let why = format!("its certificates are valid for {ttl:?}, which is too short");
            return Err(refused(Reason::TtlOutOfBounds, &why));
        }
        let secrets = Api::<Secret>::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        let secret = secrets.get(&format!("{DOMAIN}-authority")).await.unwrap();
        let data = secret
            .data
            .unwrap()
            .into_iter()
            .map(|(key, it)| (key, it.0));
        let set = AuthoritySet::from_secret_data(&data.collect()).unwrap();
        let request = LeafRequest {
            spiffe_id: status.spiffe_id.as_deref().unwrap(),
            key: LeafKey::Public(key),
            ttl_seconds: ttl.min(bounds.at_most - BACKDATE).as_secs(),
            not_after_cap: Some(deadline),
        };
        let leaf = set.signer().unwrap().unwrap().issue(&request, now).unwrap();
        self.signed.fetch_add(1, Ordering::SeqCst);
        let chain = certificates(&leaf.chain_pem).into_iter();
        Ok(IssuedX509 {
            spiffe_id: request.spiffe_id.to_owned(),
            chain: chain.map(|it| it.to_vec()).collect(),
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

fn refused(reason: Reason, message: &str) -> Refused {
    Refused {
        reason,
        message: message.to_owned(),
    }
}
