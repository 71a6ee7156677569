//! All watches: which objects are followed, what is kept of them, and who looks again.

use std::sync::Arc;

use countersign_api as api;
use countersign_authority::RevocationReason;
use countersign_runtime::{ObjectKey, Store, Supervisor, Urgency, WatchMetrics, watch_into};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::watcher::Config;
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::delegation;
use crate::identity::{self, Object, Stage};
use crate::installation::Policy;
use crate::owner::Owner;
use crate::secret::{Held, MANAGED_BY, MANAGED_BY_LABEL, UID_LABEL};
use crate::trust_domain::{AUTHORITY_LABEL, KEYS_LABEL};

/// Marks the admission policies that ship.
const POLICY_SELECTOR: &str = "app.kubernetes.io/part-of=countersign";

/// Starts all watches but those of tasks.
pub(crate) fn follow(ctx: &Arc<Context>, metrics: &WatchMetrics, to: &mut Supervisor) {
    identities(ctx, metrics, to);
    delegations(ctx, metrics, to);
    secrets(ctx, metrics, to);
    around_identities(ctx, metrics, to);
    around_trust_domains(ctx, metrics, to);
    policies(ctx, metrics, to);
    crate::policy::follow(ctx, metrics, to);
}

/// Returns when all of them have listed once.
pub(crate) async fn synced(ctx: &Context) {
    ctx.identities.seen().wait_synced().await;
    listed_or_in_trouble(ctx.delegations.objects.seen()).await; // an older crds/ has none
    ctx.owners.wait_synced().await;
    ctx.trust_domains.wait_synced().await;
    listed_or_in_trouble(&ctx.task_kinds).await;
    listed_or_in_trouble(&ctx.namespaces).await;
    // What may be forbidden is not waited for: identities and trust domains say so.
    let policies = ctx.installation.stores();
    for store in policies {
        listed_or_in_trouble(store).await;
    }
    ctx.installation.listed();
    for (_, store) in ctx.secrets.stores() {
        listed_or_in_trouble(&store).await;
    }
}

async fn listed_or_in_trouble<V>(store: &Store<V>) {
    while !store.synced() && store.trouble().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn identities(ctx: &Arc<Context>, metrics: &WatchMetrics, to: &mut Supervisor) {
    let api: Api<api::AgentIdentity> = Api::all(ctx.clients.reads.clone());
    let store = Arc::clone(ctx.identities.seen());
    let (c, metrics) = (Arc::clone(ctx), metrics.clone());
    to.spawn("watch identities", async move {
        let changed = |key: &ObjectKey, old: Option<&Arc<Object>>, new: Option<&Arc<Object>>| {
            identity_changed(&c, key, old, new);
        };
        let reduce = |object| Some(Object::of(object));
        watch_into(
            "agentidentities",
            api,
            config(&c),
            store,
            reduce,
            changed,
            metrics,
        )
        .await
    });
}

fn identity_changed(
    ctx: &Context,
    key: &ObjectKey,
    old: Option<&Arc<Object>>,
    new: Option<&Arc<Object>>,
) {
    let news = ctx.identities.is_news(key, new.map(Arc::as_ref));
    let newest = ctx.identities.get(key);
    let before = old.and_then(|object| object.links());
    ctx.index.put(key, newest.and_then(|object| object.links()));
    if news && new.is_some() {
        ctx.look_at(key);
    }
    // Whatever rests on it looks again, also where we wrote its end ourselves.
    let stage = |object: Option<&Arc<Object>>| object.map(|it| (it.stage(), it.uid().clone()));
    if stage(old) != stage(new) {
        if let Some(new) = new {
            // However it came to be so: a status whose answer was lost, a deletion that waits.
            let reason = match new.stage() {
                Stage::Over => Some(RevocationReason::CessationOfOperation),
                Stage::Suspended => Some(RevocationReason::CertificateHold),
                Stage::Waiting | Stage::Live => None,
            };
            if let Some(reason) = reason {
                revoke(ctx, new, reason);
            }
        }
        ctx.look_at_delegations(ctx.delegations.of_agent(key));
    }
    if ctx.gate.leads() {
        record_end(ctx, old, new);
    }
    // Another object, or none, has the name: the old one's Secret goes, and its rivals move up.
    let same = new
        .zip(old)
        .is_some_and(|(new, old)| new.uid() == old.uid());
    if let Some(old) = old.filter(|_| !same) {
        let now = ctx.clock.now();
        revoke(ctx, old, RevocationReason::CessationOfOperation);
        let record = || crate::identity::deletion_record(&old.unpack()?, now);
        if let Some(record) = Some(())
            .filter(|()| ctx.gate.leads())
            .and_then(|()| record())
        {
            ctx.audit.later(record);
        }
    }
    let over = new.is_some_and(|new| new.links().is_some_and(|links| !links.live));
    if let Some(secret) = before.and_then(|links| links.secret)
        && (!same || over)
    {
        let secret = ObjectKey {
            namespace: key.namespace.clone(),
            name: secret.into(),
        };
        if !same {
            ctx.look_at_orphan(&secret, Urgency::Retire);
        }
        ctx.look_at_all(ctx.index.of_secret(&secret));
    }
}

/// Whatever it holds goes into the lists: from memory, and what its pods hold from the audit log.
fn revoke(ctx: &Context, identity: &Object, reason: RevocationReason) {
    let uid = identity.uid();
    ctx.revocations.revoke(uid, ctx.clock.now(), reason);
    if identity.in_pods() && ctx.gate.leads() {
        ctx.revocations.look_up(uid.clone()); // a take-over reads all of it
    }
}

/// The record of an end that the watch shows for the first time, whoever wrote it: an answer that
/// was lost doesn't take the record along. Ends before that are found in the log itself.
fn record_end(ctx: &Context, old: Option<&Arc<Object>>, new: Option<&Arc<Object>>) {
    let Some(old) = old else {
        return;
    };
    let now = ctx.clock.now();
    let same = new.filter(|new| new.uid() == old.uid());
    let record = match same {
        Some(new) if new.stage() != Stage::Over => None,
        Some(new) => {
            let completed = |object: &Object| {
                let object = object.unpack();
                object.and_then(|object| identity::end_record(&object, now))
            };
            completed(new).filter(|_| completed(old).is_none())
        }
        None => old
            .unpack()
            .and_then(|object| identity::deletion_record(&object, now)),
    };
    if let Some(record) = record {
        ctx.audit.later(record);
    }
}

fn delegations(ctx: &Arc<Context>, metrics: &WatchMetrics, to: &mut Supervisor) {
    let api: Api<api::Delegation> = Api::all(ctx.clients.reads.clone());
    let store = Arc::clone(ctx.delegations.objects.seen());
    let (c, metrics) = (Arc::clone(ctx), metrics.clone());
    to.spawn("watch delegations", async move {
        let changed = |key: &ObjectKey,
                       old: Option<&Arc<delegation::Object>>,
                       new: Option<&Arc<delegation::Object>>| {
            delegation_changed(&c, key, old, new);
        };
        let reduce = |object| Some(delegation::Object::of(object));
        let config = config(&c);
        watch_into("delegations", api, config, store, reduce, changed, metrics).await
    });
}

fn delegation_changed(
    ctx: &Context,
    key: &ObjectKey,
    old: Option<&Arc<delegation::Object>>,
    new: Option<&Arc<delegation::Object>>,
) {
    let news = ctx.delegations.objects.is_news(key, new.map(Arc::as_ref));
    let newest = ctx.delegations.get(key);
    let facts = newest.as_ref().map(|object| &object.facts);
    if let Some(lost) = ctx.delegations.link(key, facts) {
        ctx.revocations.gone(lost);
    }
    let same = new
        .zip(old)
        .is_some_and(|(new, old)| new.facts.uid == old.facts.uid);
    if ctx.gate.leads() {
        let over = |object: &Arc<delegation::Object>| object.facts.completed.is_some();
        let now = ctx.clock.now();
        let record = match (old, new) {
            (Some(old), _) if !same => old
                .unpack()
                .and_then(|object| delegation::deletion_record(&object, now)),
            (Some(old), Some(new)) if over(new) && !over(old) => new
                .unpack()
                .and_then(|object| delegation::end_record(&object, now)),
            _ => None,
        };
        if let Some(record) = record {
            ctx.audit.later(record);
        }
    }
    if news {
        ctx.look_at_delegations(vec![key.clone()]); // whoever wrote it has looked at its children
    }
}

/// Has the delegations of a trust domain looked at: its keys changed.
pub(crate) fn delegations_of_domain(ctx: &Context, domain: &str) {
    for key in ctx.index.of_domain(domain) {
        for delegation in ctx.delegations.of_agent(&key) {
            ctx.look_at_delegation(&delegation);
        }
    }
}

fn secrets(ctx: &Arc<Context>, metrics: &WatchMetrics, to: &mut Supervisor) {
    for (namespace, store) in ctx.secrets.stores() {
        let client = ctx.clients.reads.clone();
        let api: Api<PartialObjectMeta<Secret>> = match &namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        let (c, metrics) = (Arc::clone(ctx), metrics.clone());
        to.spawn("watch Secrets", async move {
            let changed = |key: &ObjectKey, _: Option<&Arc<Held>>, new: Option<&Arc<Held>>| {
                secret_changed(&c, key, new.map(Arc::as_ref));
            };
            let reduce = |secret| Held::of(&secret);
            let config = config(&c).labels(UID_LABEL);
            let listed = async {
                let mut listing = store.wait_listed(None).await;
                // Who waited for the list, or for the right to it, looks again.
                everything(&c);
                loop {
                    listing = store.wait_listed(listing).await;
                    c.secrets.forget_written(namespace.as_deref());
                }
            };
            let watch = watch_into(
                "secrets",
                api,
                config,
                Arc::clone(&store),
                reduce,
                changed,
                metrics,
            );
            futures::join!(watch, listed).0
        });
    }
}

fn secret_changed(ctx: &Context, key: &ObjectKey, new: Option<&Held>) {
    let news = ctx.secrets.is_news(key, new);
    if new.is_none() {
        // Whoever waits for the name moves up, also when we deleted it.
        ctx.look_at_all(ctx.index.of_secret(key));
    }
    if !news {
        return;
    }
    if let Some(held) = new {
        match ctx.index.with_uid(&held.identity) {
            Some(identity) => ctx.look_at(&identity),
            // A label that anybody may write is not as urgent as an end.
            None => ctx.look_at_orphan(key, Urgency::Renew),
        }
    }
    ctx.look_at_all(ctx.index.of_secret(key));
}

fn around_identities(ctx: &Arc<Context>, metrics: &WatchMetrics, to: &mut Supervisor) {
    let (c, store) = (Arc::clone(ctx), Arc::clone(&ctx.owners));
    let api: Api<api::AgentOwner> = Api::all(ctx.clients.reads.clone());
    let m = metrics.clone();
    to.spawn("watch owners", async move {
        let changed = |key: &ObjectKey, _: Option<&Arc<Owner>>, _: Option<&Arc<Owner>>| {
            c.look_at_all(c.index.of_owner(&key.name));
            c.look_at_delegations(c.delegations.of_owner(&key.name));
        };
        let reduce = |object| Some(Owner::of(&object));
        watch_into("agentowners", api, config(&c), store, reduce, changed, m).await
    });
    let (c, store) = (Arc::clone(ctx), Arc::clone(&ctx.namespaces));
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(ctx.clients.reads.clone());
    let m = metrics.clone();
    to.spawn("watch namespaces", async move {
        let changed = |key: &ObjectKey, _: Option<&Arc<_>>, _: Option<&Arc<_>>| {
            c.look_at_all(c.index.of_namespace(&key.name));
            c.look_at_delegations(c.delegations.of_namespace(&key.name));
        };
        let reduce = |object: PartialObjectMeta<Namespace>| Some(object.labels().clone());
        watch_into("namespaces", api, config(&c), store, reduce, changed, m).await
    });
    let (c, store) = (Arc::clone(ctx), Arc::clone(&ctx.task_kinds));
    let api: Api<api::TaskKind> = Api::all(ctx.clients.reads.clone());
    let m = metrics.clone();
    let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
    to.spawn("watch task kinds", async move {
        let changed = |key: &ObjectKey, _: Option<&Arc<_>>, new: Option<&Arc<api::TaskKind>>| {
            match new {
                Some(object) => {
                    let rule = c.kinds.put(&key.name, &object.spec);
                    // Fails only when the process ends.
                    let _ended = told.send((Arc::clone(object), rule));
                }
                None => c.kinds.remove(&key.name),
            }
            c.tasks.kinds_changed();
            let kind = crate::task::KindKey::parse(&key.name);
            c.look_at_all(c.index.of_kind(&kind));
        };
        let reduce = |mut object: api::TaskKind| {
            object.metadata.managed_fields = None;
            Some(object)
        };
        watch_into("taskkinds", api, config(&c), store, reduce, changed, m).await
    });
    let c = Arc::clone(ctx);
    to.spawn("task kinds", async move {
        while let Some((object, rule)) = tell.recv().await {
            crate::task_kind::tell(&c, &object, &rule).await;
        }
    });
}

fn around_trust_domains(ctx: &Arc<Context>, metrics: &WatchMetrics, to: &mut Supervisor) {
    let (c, store) = (Arc::clone(ctx), Arc::clone(&ctx.trust_domains));
    let api: Api<api::TrustDomain> = Api::all(ctx.clients.reads.clone());
    let m = metrics.clone();
    to.spawn("watch trust domains", async move {
        let changed = |key: &ObjectKey, _: Option<&Arc<_>>, _: Option<&Arc<_>>| {
            c.look_at_domain(&key.name);
        };
        let reduce = |mut object: api::TrustDomain| {
            object.metadata.managed_fields = None;
            Some(object)
        };
        watch_into("trustdomains", api, config(&c), store, reduce, changed, m).await
    });
    let api: Api<PartialObjectMeta<Secret>> =
        Api::namespaced(ctx.clients.reads.clone(), &ctx.namespace);
    let selector = AUTHORITY_LABEL.to_owned();
    let domain = |_: &str, labels: &std::collections::BTreeMap<String, String>| {
        labels.get(AUTHORITY_LABEL).cloned()
    };
    own_namespace(ctx, "authorities", api, selector, domain, metrics, to);
    let api: Api<PartialObjectMeta<Secret>> =
        Api::namespaced(ctx.clients.reads.clone(), &ctx.namespace);
    let selector = KEYS_LABEL.to_owned();
    let domain = |_: &str, labels: &std::collections::BTreeMap<String, String>| {
        labels.get(KEYS_LABEL).cloned()
    };
    own_namespace(ctx, "signing keys", api, selector, domain, metrics, to);
    let api: Api<PartialObjectMeta<ConfigMap>> =
        Api::namespaced(ctx.clients.reads.clone(), &ctx.namespace);
    let selector = format!("{MANAGED_BY_LABEL}={MANAGED_BY}");
    let domain = |name: &str, _: &std::collections::BTreeMap<String, String>| {
        name.strip_suffix("-bundle").map(str::to_owned)
    };
    own_namespace(ctx, "bundles", api, selector, domain, metrics, to);
}

/// Follows objects of the operator's own namespace, each of which belongs to a trust domain.
fn own_namespace<K>(
    ctx: &Arc<Context>,
    name: &'static str,
    api: Api<PartialObjectMeta<K>>,
    selector: String,
    domain: fn(&str, &std::collections::BTreeMap<String, String>) -> Option<String>,
    metrics: &WatchMetrics,
    to: &mut Supervisor,
) where
    PartialObjectMeta<K>: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    K: Send + Sync + 'static,
{
    let (c, metrics) = (Arc::clone(ctx), metrics.clone());
    to.spawn(name, async move {
        let store: Arc<Store<(String, String)>> = Arc::default();
        let changed = |_: &ObjectKey, old: Option<&Arc<_>>, new: Option<&Arc<(String, String)>>| {
            if let Some(known) = new.or(old) {
                c.look_at_domain(&known.0);
            }
        };
        let reduce = |object: PartialObjectMeta<K>| {
            let owner = domain(&object.name_any(), object.labels())?;
            Some((owner, object.resource_version().unwrap_or_default()))
        };
        let config = config(&c).labels(&selector);
        watch_into(name, api, config, store, reduce, changed, metrics).await
    });
}

fn policies(ctx: &Arc<Context>, metrics: &WatchMetrics, to: &mut Supervisor) {
    let [mutating, mutating_bindings, validating, validating_bindings] = ctx.installation.stores();
    policy::<MutatingAdmissionPolicy>(ctx, mutating, metrics, to);
    policy::<MutatingAdmissionPolicyBinding>(ctx, mutating_bindings, metrics, to);
    policy::<ValidatingAdmissionPolicy>(ctx, validating, metrics, to);
    policy::<ValidatingAdmissionPolicyBinding>(ctx, validating_bindings, metrics, to);
}

fn policy<K>(
    ctx: &Arc<Context>,
    store: &Arc<Store<Policy>>,
    metrics: &WatchMetrics,
    to: &mut Supervisor,
) where
    K: Resource<DynamicType = ()> + api::admission::Shipped,
    K: Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let (c, metrics) = (Arc::clone(ctx), metrics.clone());
    let store = Arc::clone(store);
    let api: Api<K> = Api::all(ctx.clients.reads.clone());
    to.spawn("watch policies", async move {
        let changed = |key: &ObjectKey, _: Option<&Arc<_>>, new: Option<&Arc<Policy>>| {
            let name = format!("{}/{}", K::kind(&()), key.name);
            let policy = new.map(|policy| **policy);
            if c.installation.put(&name, policy, c.clock.now()) {
                everything(&c);
            }
        };
        let reduce = |object: K| {
            Some(Policy {
                as_shipped: object.as_shipped(),
                created: crate::identity::created(&object),
            })
        };
        let config = config(&c).labels(POLICY_SELECTOR);
        let name = K::plural(&()).into_owned();
        let listed = async {
            store.wait_synced().await;
            // The last of the four tells what is missing, however late it comes.
            if c.installation.listed() {
                everything(&c);
            }
        };
        let watch = watch_into(
            &name,
            api,
            config,
            Arc::clone(&store),
            reduce,
            changed,
            metrics,
        );
        futures::join!(watch, listed)
    });
}

/// Has everything looked at: at a take-over, and when issuing opens or closes.
pub(crate) fn everything(ctx: &Context) {
    ctx.trust_domains
        .for_each(|key, _| ctx.look_at_domain(&key.name));
    for key in ctx.identities.seen().keys() {
        ctx.look_at(&key);
    }
    for key in ctx.delegations.objects.seen().keys() {
        ctx.look_at_delegation(&key);
    }
    ctx.secrets.for_each(|key, held| {
        if ctx.index.with_uid(&held.identity).is_none() {
            ctx.look_at_orphan(key, Urgency::Renew);
        }
    });
}

/// Lists are the most recent ones: an API server that lags must not show a restarted operator the
/// past. Since Kubernetes 1.31 they come out of its cache all the same (KEP-2340).
pub(crate) fn config(ctx: &Context) -> Config {
    Config::default().timeout(ctx.watch_seconds)
}
