//! Looks at everything that decides about one identity.

use countersign_api as api;
use countersign_runtime::{ObjectKey, Urgency};
use jiff::Timestamp;
use kube::api::Api;

use super::observed::{
    Admits, Authority, CredentialSeen, Delivery, Desired, DomainSeen, Identity, Observed,
    OwnerSeen, OwnerState, Recorded, Refusal, TaskSeen, TaskState,
};
use super::{parse, plan};
use crate::audit::Of;
use crate::context::Context;
use crate::secret::Held;

/// Looks, mostly at what the watches have brought. The API server itself is asked where absence
/// would end something: that a watch doesn't show an object proves nothing.
pub(crate) async fn observe(
    ctx: &Context,
    key: &ObjectKey,
    object: &api::AgentIdentity,
) -> kube::Result<Observed> {
    let identity = parse::identity(object);
    let recorded = parse::recorded(object);
    let risk = parse::risk(object);
    let issued = recorded.first_issue.is_some();
    let active = identity.desired == Desired::Active && risk.is_none();
    let credential = credential(ctx, key, &identity, &recorded, active);
    let domain = domain(ctx, &identity, &recorded);
    // What ends it is asked first, and what is over isn't asked any further: no slow answer about
    // an owner delays an end.
    let over =
        recorded.completed.is_some() || identity.deleting || identity.desired == Desired::Revoked;
    let admitted = matches!(
        domain,
        DomainSeen::Found {
            admits_namespace: true,
            ..
        }
    );
    let task = if over {
        TaskSeen::NotAsked
    } else if issued || admitted {
        task(ctx, &identity, &recorded).await?
    } else {
        TaskSeen::NotAsked // who isn't admitted makes nobody watch anything
    };
    let over = over || task.is_over(&recorded, &identity.task);
    let owner = if over {
        OwnerSeen::Missing
    } else {
        owner(ctx, &identity, issued).await?
    };
    let now = plan::whole_seconds(ctx.clock.now());
    Ok(Observed {
        now,
        domain,
        risk,
        closed: ctx.installation.closed(identity.created, issued),
        before: ctx.audit.before(Of::Identity, &identity.uid),
        clock_off: ctx.skew.off(),
        identity,
        recorded,
        task,
        owner,
        credential,
    })
}

/// How soon to look, by what the watches have brought: ends before renewals before first issues.
pub(crate) fn urgency(ctx: &Context, key: &ObjectKey) -> Urgency {
    let Some(object) = ctx.identities.get(key) else {
        return Urgency::Retire;
    };
    let Some(object) = object.unpack() else {
        return Urgency::Issue;
    };
    let object = &object;
    let Some(status) = &object.status else {
        return Urgency::Issue;
    };
    let wanted = matches!(object.spec.desired_state, api::DesiredState::Active)
        && parse::risk(object).is_none()
        && object.metadata.deletion_timestamp.is_none()
        && !crate::condition::is_true(&status.conditions, "Completed");
    if !wanted && ctx.secrets.get(&parse::secret_key(object)).is_some() {
        return Urgency::Retire; // it is over, and its Secret isn't
    }
    if status.certificate.is_none() && status.secret.is_none() {
        return Urgency::Issue;
    }
    let live = status.secret.is_some()
        || status
            .certificate
            .as_ref()
            .is_some_and(|certificate| certificate.chain.is_some());
    let task = &object.spec.task_ref;
    let running = || {
        let task = super::observed::TaskRef {
            group: task.group.clone(),
            resource: task.resource.clone(),
            name: task.name.clone(),
            uid: task.uid.clone(),
        };
        !matches!(
            ctx.tasks.see(key.namespace(), &task),
            TaskSeen::Missing
                | TaskSeen::Found {
                    state: TaskState::Succeeded | TaskState::Failed | TaskState::Deleting,
                    ..
                }
        )
    };
    let owned = || {
        let owner = ObjectKey::new(None, &object.spec.owner_ref.name);
        let owner = ctx.owners.get(&owner);
        owner.is_some_and(|owner| owner.state == OwnerState::Active)
    };
    if live && !(wanted && owned() && running()) {
        Urgency::Retire
    } else {
        Urgency::Renew
    }
}

async fn task(ctx: &Context, identity: &Identity, recorded: &Recorded) -> kube::Result<TaskSeen> {
    let task = &identity.task;
    let seen = ctx.tasks.see(&identity.namespace, task);
    let Some(bound) = recorded.task_uid.as_ref().or(task.uid.as_ref()) else {
        return Ok(seen);
    };
    let shown = match &seen {
        TaskSeen::Missing => None,
        TaskSeen::Found { uid, .. } if uid != bound => Some(uid),
        _ => return Ok(seen),
    };
    // It would end for good: only the API server itself may say so.
    let live = match ctx.tasks.ask(&identity.namespace, task).await {
        Err(why) if crate::write::is_status(&why, 403) => {
            return Ok(TaskSeen::Unobservable(ctx.tasks.forbidden(task)));
        }
        other => other?,
    };
    Ok(match &live {
        None => TaskSeen::Missing,
        Some(uid) if Some(uid) == shown => seen,
        Some(_) => TaskSeen::NotYet, // the watch is behind
    })
}

async fn owner(ctx: &Context, identity: &Identity, issued: bool) -> kube::Result<OwnerSeen> {
    let key = ObjectKey::new(None, &identity.owner);
    let owner = match ctx.owners.get(&key) {
        Some(owner) => crate::owner::Owner::clone(&owner),
        None if issued => {
            let owners: Api<api::AgentOwner> = Api::all(ctx.clients.reads.clone());
            match owners.get_opt(&identity.owner).await? {
                Some(object) => crate::owner::Owner::of(&object),
                None => return Ok(OwnerSeen::Missing),
            }
        }
        None => return Ok(OwnerSeen::Missing),
    };
    let admits = match &identity.requester {
        Some(requester) if owner.has(requester) => Admits::Yes,
        Some(requester) if owner.state == OwnerState::Active => {
            ctx.reviews.may_bind(requester, &identity.owner).await
        }
        _ => Admits::No,
    };
    Ok(OwnerSeen::Found {
        state: owner.state,
        grants: owner.grants,
        admits,
    })
}

fn domain(ctx: &Context, identity: &Identity, recorded: &Recorded) -> DomainSeen {
    let Some(domain) = ctx.domains.get(&identity.trust_domain) else {
        return not_looked_at(ctx, identity);
    };
    let namespace = ObjectKey::new(None, &identity.namespace);
    let labels = ctx.namespaces.get(&namespace);
    let certificate = recorded.certificate.as_ref();
    let sequence = match identity.delivery {
        Delivery::Secret { .. } => Some(recorded.bundle_sequence.unwrap_or(0)),
        Delivery::Request { .. } | Delivery::Workload => None,
    };
    DomainSeen::Found {
        admits_namespace: labels.is_some_and(|labels| domain.admits(&labels)),
        default_ttl_seconds: domain.default_ttl_seconds,
        max_ttl_seconds: domain.max_ttl_seconds,
        max_lifetime_seconds: domain.max_lifetime_seconds,
        ready: match &domain.signing {
            Ok(signing) => Ok(Authority {
                reissue: certificate
                    .is_some_and(|it| signing.must_reissue(&it.authority_id, sequence)),
            }),
            Err(why) => Err(Refusal::clone(why)),
        },
    }
}

/// A trust domain that no pass has come to the end of.
fn not_looked_at(ctx: &Context, identity: &Identity) -> DomainSeen {
    let key = ObjectKey::new(None, &identity.trust_domain);
    let Some(object) = ctx.trust_domains.get(&key) else {
        return DomainSeen::Missing;
    };
    let seconds = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
    DomainSeen::Found {
        admits_namespace: true,
        default_ttl_seconds: seconds(object.spec.default_certificate_ttl_seconds),
        max_ttl_seconds: seconds(object.spec.max_certificate_ttl_seconds),
        max_lifetime_seconds: seconds(object.spec.max_identity_lifetime_seconds),
        ready: Err(Refusal {
            reason: "TrustDomainNotReady",
            message: format!(
                "TrustDomain {} is not ready yet: see its conditions",
                identity.trust_domain
            ),
        }),
    }
}

fn credential(
    ctx: &Context,
    key: &ObjectKey,
    identity: &Identity,
    recorded: &Recorded,
    active: bool,
) -> CredentialSeen {
    let name = match &identity.delivery {
        Delivery::Secret { name } => name,
        Delivery::Workload if ctx.issuing => return CredentialSeen::Missing,
        Delivery::Workload => return CredentialSeen::NotEnabled,
        Delivery::Request { .. } => {
            let live = recorded
                .certificate
                .as_ref()
                .is_some_and(|it| it.chain.is_some());
            return if live {
                CredentialSeen::AsRecorded
            } else {
                CredentialSeen::Missing
            };
        }
    };
    let Some(store) = ctx.secrets.store(&identity.namespace) else {
        return CredentialSeen::NotEnabled;
    };
    if !store.synced() {
        let trouble = store.trouble().filter(|trouble| trouble.code == Some(403));
        return trouble.map_or(CredentialSeen::NotYet, |trouble| {
            CredentialSeen::Forbidden(trouble.message)
        });
    }
    let secret = ObjectKey::new(Some(&identity.namespace), name);
    let held = ctx.secrets.get(&secret);
    // By its label, or by its UID where somebody changed the label.
    let ours = held
        .as_ref()
        .filter(|held| held.identity.is(&identity.uid) || recorded.wrote(&held.uid.to_string()));
    // What is ours and over is taken away, whoever claims the name by now.
    let claims = recorded.completed.is_none() && !identity.deleting && active;
    if claims
        && ours.is_none()
        && let Some(by) = rival(ctx, key, identity, &secret, held.as_ref())
    {
        return CredentialSeen::Taken { by };
    }
    match (ours, held.is_some()) {
        (Some(held), _) => {
            let version = held.version(name);
            if recorded.certificate.is_some() && recorded.secret.as_ref() == Some(&version) {
                CredentialSeen::AsRecorded
            } else {
                CredentialSeen::Unread(version)
            }
        }
        (None, true) => CredentialSeen::Foreign,
        (None, false) => CredentialSeen::Missing,
    }
}

/// Another identity with a better claim to the Secret's name: the one whose label it has, else the
/// older, else the one with the smaller UID.
fn rival(
    ctx: &Context,
    key: &ObjectKey,
    identity: &Identity,
    secret: &ObjectKey,
    held: Option<&Held>,
) -> Option<String> {
    let others = ctx.index.of_secret(secret).into_iter();
    let others = others
        .filter(|other| other != key)
        .filter_map(|other| ctx.identities.get(&other).map(|object| (other, object)));
    let rank = |uid: &str, created: Timestamp| {
        let holds = held.is_some_and(|held| held.identity.is(uid));
        (!holds, created, uid.to_owned())
    };
    let own = rank(&identity.uid, identity.created);
    others
        .map(|(other, object)| (rank(&object.uid().to_string(), object.created()), other))
        .filter(|(theirs, _)| *theirs < own)
        .min_by(|(a, _), (b, _)| a.cmp(b))
        .map(|(_, other)| other.name.to_string())
}
