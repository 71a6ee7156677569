//! One pass over one trust domain.

use std::sync::Arc;
use std::time::Duration;

use countersign_api as api;
use countersign_authority::{AuthorityStatus, Bundle, SlotState};
use countersign_runtime::{ObjectKey, Outcome, Urgency, merge_patch};
use countersign_statement::{KeyPurpose, KeyRing, KeyStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tokio::time::Instant;
use tracing::{info, warn};

use super::document::SigningKeys;
use super::domain::Domain;
use super::keys::{self, StoredKeys};
use super::plan::{Observed, Plan, Stored, plan};
use super::publish::{Published, last_published, publish};
use super::stored;
use crate::condition::condition;
use crate::context::Context;
use crate::identity::Refusal;
use crate::write::WriteError;

/// What is published and stored is looked at again after this long, though no event came.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// While Secrets with the next bundle are on their way.
const LOOK_SOON: Duration = Duration::from_secs(1);

/// Why a pass didn't come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DomainError {
    #[error("can't read: {0}")]
    Read(#[from] kube::Error),
    #[error("can't write {what}: {source}")]
    Write {
        what: &'static str,
        #[source]
        source: WriteError,
    },
}

/// Brings one trust domain to where it should be.
pub(crate) async fn reconcile(ctx: &Context, name: &str) -> Result<Outcome, DomainError> {
    let key = ObjectKey::new(None, name);
    let Some(object) = ctx.trust_domains.get(&key) else {
        // Its keys stay: whoever deleted it by mistake creates it again.
        ctx.domains.remove(name);
        ctx.metrics.domain_gone(name);
        ctx.look_at_all(ctx.index.of_domain(name));
        return Ok(Outcome::Settled { again: None });
    };
    withdraw_distrusted(ctx, name, &object.spec); // before anything that may fail
    let now = ctx.clock.now();
    let known = object.status.as_ref().map(|it| it.authorities.as_slice());
    let known = known.unwrap_or_default();
    let (stored, secret) = stored::read(ctx, name, &object.spec, known, now).await?;
    let known = object.status.as_ref().map(|it| it.signing_keys.as_slice());
    let stored_keys = keys::read(ctx, name, &object.spec, known.unwrap_or_default()).await?;
    let published = already_published(ctx, name, &object.spec, &stored, &stored_keys).await;
    let want = keys::wanted(ctx, name, &object.spec, published.keys);
    let before = ctx.domains.get(name).and_then(|it| it.keys.clone().ok());
    let keys = keys::bring_forward(ctx, name, &want, stored_keys, before, now).await;
    let keys = keys.map_err(|source| DomainError::Write {
        what: "the signing keys' Secret",
        source,
    })?;
    let last_own = last_own(ctx, name, &object, &stored).await?;
    let planned = plan(Observed {
        now,
        name,
        spec: &object.spec,
        stored,
        keys,
        published: published.digest,
        last_own,
        delivered: delivered(ctx, name, now),
        propagation_seconds: ctx.propagation_seconds,
    });
    if let Some(set) = &planned.store {
        // Over the version that was read: of two writers one loses, and signs nothing.
        let written = stored::write(ctx, name, secret.as_ref(), set).await;
        written.map_err(|source| DomainError::Write {
            what: "the authority's Secret",
            source,
        })?;
        for authority in &planned.authorities {
            info!(trust_domain = name, authority = %authority.id, slot = %authority.slot, "authority");
        }
    }
    let outcome = match &planned.domain.signing {
        Ok(signing) => {
            publish(
                ctx,
                name,
                &signing.bundle,
                signing_keys(&object.spec, planned.domain.ring()),
                &object.spec.authority.distrusted,
            )
            .await
        }
        Err(why) => {
            warn!(
                trust_domain = name,
                reason = why.reason,
                "no authority: {}",
                why.message
            );
            if let Some(sequence) = planned.withdraw {
                publish(
                    ctx,
                    name,
                    &Bundle::new(sequence, []),
                    signing_keys(&object.spec, planned.domain.ring()),
                    &object.spec.authority.distrusted,
                )
                .await;
            }
            Published {
                digest: None,
                keys: false,
                document: None,
                trouble: Some(Refusal::clone(why)),
            }
        }
    };
    install(ctx, name, &planned, &outcome);
    put_status(ctx, &object, &planned, &outcome, now).await?;
    if matches!(&planned.domain.signing, Err(why) if why.reason == stored::FORBIDDEN) {
        return Ok(Outcome::Failed {
            urgency: Urgency::Issue,
        });
    }
    Ok(Outcome::Settled {
        again: Some((again(ctx, name, &planned, now), Urgency::Issue)),
    })
}

/// What is published is known by its content; that it is out there counts from then on.
async fn already_published(
    ctx: &Context,
    name: &str,
    spec: &api::TrustDomainSpec,
    stored: &Stored,
    keys: &StoredKeys,
) -> Published {
    let ring = keys.ring.as_ref().ok();
    // An authority of one's own has its signing keys published at the end of the pass before.
    let bundle = match stored {
        Stored::BuiltIn(Ok(set)) if set.active().is_some() => set.bundle(),
        _ => {
            let before = ctx.domains.get(name);
            let same = before.is_some_and(|before| before.published && before.ring() == ring);
            return Published {
                digest: None,
                keys: same,
                document: None,
                trouble: None,
            };
        }
    };
    // A ring without keys isn't there yet.
    let ring = ring.filter(|ring| !ring.trust_domain().is_empty());
    let distrusted = &spec.authority.distrusted;
    publish(ctx, name, &bundle, signing_keys(spec, ring), distrusted).await
}

fn signing_keys<'a>(spec: &'a api::TrustDomainSpec, ring: Option<&'a KeyRing>) -> SigningKeys<'a> {
    match ring {
        Some(ring) => SigningKeys::Ring(ring),
        None => SigningKeys::AsPublished {
            distrusted: &spec.authority.distrusted,
        },
    }
}

/// What is distrusted signs nothing from this moment on, also when its successor can't be stored.
fn withdraw_distrusted(ctx: &Context, name: &str, spec: &api::TrustDomainSpec) {
    let Some(domain) = ctx.domains.get(name) else {
        return;
    };
    let distrusted = domain.signing.as_ref().is_ok_and(|signing| {
        let active = signing.signer.id().as_str();
        spec.authority.distrusted.iter().any(|id| id == active)
    });
    let trusted = domain.keys.as_ref().map(|keys| keys.trusted.keys());
    let key_distrusted = trusted.is_ok_and(|keys| {
        let mut kids = keys.iter().map(|key| &key.kid);
        kids.any(|kid| spec.authority.distrusted.contains(kid))
    });
    if !distrusted && !key_distrusted {
        return;
    }
    let mut domain = Domain::clone(&domain);
    if distrusted {
        domain.signing = Err(Refusal {
            reason: "AuthorityDistrusted",
            message: "the authority is distrusted, and its successor is not there yet".to_owned(),
        });
    }
    if key_distrusted {
        domain.keys = Err(Refusal {
            reason: "SigningKeyDistrusted",
            message: "a signing key is distrusted, and its successor is not there yet".to_owned(),
        });
    }
    ctx.domains.put(name, domain);
}

/// What was published for an authority of one's own, to number the next. What is built in numbers
/// itself.
async fn last_own(
    ctx: &Context,
    name: &str,
    object: &api::TrustDomain,
    stored: &Stored,
) -> kube::Result<(Option<String>, u64)> {
    if matches!(stored, Stored::BuiltIn(_)) {
        return Ok((None, 0));
    }
    let told = object.status.as_ref().and_then(|it| it.bundle_sequence);
    let told = told.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
    let (digest, sequence) = last_published(ctx, name).await?;
    Ok((digest, sequence.unwrap_or(told)))
}

/// The least sequence number of the bundles in the live Secrets of the trust domain.
fn delivered(ctx: &Context, name: &str, now: Timestamp) -> Option<i64> {
    let identities = ctx.index.of_domain(name).into_iter();
    let sequences = identities.filter_map(|key| {
        let (sequence, until) = ctx.identities.get(&key)?.bundle()?;
        (until > now).then_some(sequence)
    });
    sequences.min()
}

/// From now on this signs; what must be issued anew is looked at.
fn install(ctx: &Context, name: &str, planned: &Plan, published: &Published) {
    let before = ctx.domains.get(name);
    let changed = before.is_none_or(|before| differs(&before, &planned.domain));
    let mut domain = planned.domain.clone();
    domain.published = published.keys;
    let document = published.document.as_ref();
    domain.document = document.map(|document| document.json.as_str().into());
    ctx.domains.put(name, domain);
    if let Some(active) = planned.authorities.first() {
        ctx.metrics.authority_expiry(name, active.not_after);
    }
    if changed {
        ctx.look_at_all(ctx.index.of_domain(name));
        crate::follow::delegations_of_domain(ctx, name);
    }
}

fn differs(a: &Domain, b: &Domain) -> bool {
    let signing = match (&a.signing, &b.signing) {
        (Ok(a), Ok(b)) => {
            a.signer.id() != b.signer.id() || a.bundle != b.bundle || a.refresh != b.refresh
        }
        (Err(a), Err(b)) => a != b,
        _ => true,
    };
    let keys = match (&a.keys, &b.keys) {
        (Ok(a), Ok(b)) => !Arc::ptr_eq(a, b),
        (Err(a), Err(b)) => a != b,
        _ => true,
    };
    signing
        || keys
        || a.max_delegation_seconds != b.max_delegation_seconds
        || a.selector != b.selector
        || a.default_ttl_seconds != b.default_ttl_seconds
        || a.max_ttl_seconds != b.max_ttl_seconds
        || a.max_lifetime_seconds != b.max_lifetime_seconds
}

fn again(ctx: &Context, name: &str, planned: &Plan, now: Timestamp) -> Instant {
    let refreshing = planned.domain.signing.as_ref().is_ok_and(|signing| {
        let behind = |least| least < signing.sequence();
        let rotating = signing
            .set
            .as_ref()
            .is_some_and(|set| set.prepared().is_some());
        signing.refresh && (rotating || delivered(ctx, name, now).is_some_and(behind))
    });
    let bound = if refreshing { LOOK_SOON } else { LOOK_AGAIN };
    let due = planned.again.map_or(bound, |moment| {
        let wait = Duration::try_from(moment.duration_since(now)).unwrap_or_default();
        wait.max(LOOK_SOON) // a change that is due and can't be made yet is no reason to hurry
    });
    Instant::now() + due.min(bound)
}

async fn put_status(
    ctx: &Context,
    object: &api::TrustDomain,
    planned: &Plan,
    published: &Published,
    now: Timestamp,
) -> Result<(), DomainError> {
    let before = object.status.as_ref();
    let after = status(ctx, object, planned, published, now);
    let old = before.and_then(|status| serde_json::to_value(status).ok());
    let new = serde_json::to_value(&after).unwrap_or_default();
    let Some(patch) = merge_patch(&old.unwrap_or_else(|| json!({})), &new) else {
        return Ok(());
    };
    let domains: Api<api::TrustDomain> = Api::all(ctx.clients.writes.clone());
    let body = json!({
        "metadata": {"resourceVersion": object.resource_version()},
        "status": patch,
    });
    let (name, params, patch) = (
        object.name_any(),
        PatchParams::default(),
        Patch::Merge(body),
    );
    let call = domains.patch_status(&name, &params, &patch);
    match ctx.gate.run(call).await {
        // Changed or gone meanwhile: its own event brings the next pass.
        Err(why) if why.is(409) || why.is(404) => Ok(()),
        Err(source) => Err(DomainError::Write {
            what: "the status",
            source,
        }),
        Ok(_) => Ok(()),
    }
}

fn status(
    ctx: &Context,
    object: &api::TrustDomain,
    planned: &Plan,
    published: &Published,
    now: Timestamp,
) -> api::TrustDomainStatus {
    let generation = object.metadata.generation.unwrap_or_default();
    let old = object
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    let make = |kind: &str, status: bool, reason: &str, message: &str| -> Condition {
        let old = old.unwrap_or_default();
        condition(kind, status, reason, message, generation, old, now)
    };
    let mut conditions = vec![match &planned.domain.signing {
        Ok(_) => make(
            "Ready",
            true,
            "AuthorityActive",
            "an authority is stored and signs",
        ),
        Err(why) => make("Ready", false, why.reason, &why.message),
    }];
    if let Err(why) = &planned.domain.signing {
        conditions.push(make("Stalled", true, why.reason, &why.message));
    }
    conditions.push(match &planned.domain.keys {
        Ok(_) => make(
            "KeysActive",
            true,
            "Active",
            "signing keys are stored and sign",
        ),
        Err(why) => make("KeysActive", false, why.reason, &why.message),
    });
    conditions.push(match &published.trouble {
        None => make(
            "BundlePublished",
            true,
            "Published",
            "the bundle is published",
        ),
        Some(why) => make("BundlePublished", false, why.reason, &why.message),
    });
    conditions.push(match ctx.installation.trouble() {
        None => make(
            "PoliciesInstalled",
            true,
            "Installed",
            "the admission policies are as shipped",
        ),
        Some(why) => make("PoliciesInstalled", false, why.reason, &why.message),
    });
    conditions.push(if ctx.skew.off() {
        make(
            "ClockSynchronized",
            false,
            "ClockSkew",
            "the operator's clock and the API server's are too far apart: nothing is issued",
        )
    } else {
        make("ClockSynchronized", true, "InStep", "clocks agree")
    });
    api::TrustDomainStatus {
        observed_generation: Some(generation),
        authorities: match &planned.domain.signing {
            // What can't be seen isn't forgotten.
            Err(why) if [stored::LOST, stored::FORBIDDEN].contains(&why.reason) => {
                let known = object.status.as_ref().map(|it| it.authorities.clone());
                known.unwrap_or_default()
            }
            _ => planned.authorities.iter().map(authority).collect(),
        },
        signing_keys: match planned.domain.ring() {
            Some(ring) => ring.statuses().iter().map(signing_key).collect(),
            // What can't be seen isn't forgotten.
            None => {
                let known = object.status.as_ref().map(|it| it.signing_keys.clone());
                known.unwrap_or_default()
            }
        },
        bundle_sequence: match &published.document {
            Some(document) => i64::try_from(document.sequence).ok(),
            None => object.status.as_ref().and_then(|it| it.bundle_sequence),
        },
        conditions,
    }
}

fn signing_key(key: &KeyStatus) -> api::SigningKeyStatus {
    api::SigningKeyStatus {
        id: key.kid.clone(),
        purpose: match key.purpose {
            KeyPurpose::Statements => api::SigningKeyPurpose::Statements,
            KeyPurpose::Lists => api::SigningKeyPurpose::Lists,
            KeyPurpose::Checkpoints => api::SigningKeyPurpose::Checkpoints,
            KeyPurpose::JwtSvids => api::SigningKeyPurpose::JwtSvids,
        },
        slot: slot(key.state),
        not_before: Time(key.not_before),
        not_after: Time(key.not_after),
    }
}

fn slot(state: SlotState) -> api::SlotState {
    match state {
        SlotState::Prepared => api::SlotState::Prepared,
        SlotState::Active => api::SlotState::Active,
        SlotState::Retired => api::SlotState::Retired,
        SlotState::Distrusted => api::SlotState::Distrusted,
    }
}

fn authority(status: &AuthorityStatus) -> api::AuthorityStatus {
    api::AuthorityStatus {
        id: status.id.to_string(),
        slot: slot(status.slot),
        not_before: Time(status.not_before),
        not_after: Time(status.not_after),
    }
}
