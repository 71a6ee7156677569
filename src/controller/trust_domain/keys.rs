//! The keys that sign what isn't a certificate: statements, lists, checkpoints and JWT-SVIDs (these
//! are signed by `countersign issue`, which reads the Secret). They live in a Secret of their own,
//! whoever the trust domain's authority is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use countersign_api as api;
use countersign_statement::{KeyError, KeyRing, TrustedKeys, Verifier, WantedKeys};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, ObjectMeta, PostParams};
use zeroize::Zeroize as _;

use crate::context::Context;
use crate::identity::Refusal;
use crate::secret::{MANAGED_BY, MANAGED_BY_LABEL, wipe};
use crate::write::{WriteError, is_status};

/// Marks a Secret as the signing keys of the trust domain that is its value.
pub(crate) const KEYS_LABEL: &str = "countersign.dev/signing-keys";

/// So many chains are remembered as verified: about a kilobyte each.
const REMEMBERED: usize = 20_000;

/// The keys of a trust domain, ready for use.
pub(crate) struct Keys {
    pub(crate) ring: KeyRing,
    pub(crate) trusted: TrustedKeys,
    /// Remembers the chains that it found good.
    pub(crate) verifier: Verifier,
}

/// What is stored, and the version that it was read in.
pub(crate) struct StoredKeys {
    pub(crate) ring: Result<KeyRing, Refusal>,
    pub(crate) version: Option<Secret>,
}

/// The name of the Secret.
pub(crate) fn secret_name(domain: &str) -> String {
    format!("{domain}-signing-keys")
}

/// Reads the Secret. Where it is missing and `known` tells of keys, no others are made: what they
/// signed would verify no more, and whoever deleted it by mistake has a backup.
pub(crate) async fn read(
    ctx: &Context,
    domain: &str,
    spec: &api::TrustDomainSpec,
    known: &[api::SigningKeyStatus],
) -> kube::Result<StoredKeys> {
    let secrets: Api<Secret> = Api::namespaced(ctx.clients.reads.clone(), &ctx.namespace);
    let refused = |reason, message: String| StoredKeys {
        ring: Err(Refusal { reason, message }),
        version: None,
    };
    let name = secret_name(domain);
    let mut found = match secrets.get_opt(&name).await {
        Err(why) if is_status(&why, 403) => {
            return Ok(refused(
                "SigningKeysForbidden",
                format!(
                    "the operator may not read Secrets of namespace {}",
                    ctx.namespace
                ),
            ));
        }
        other => other?,
    };
    let ring = match &found {
        None => {
            let distrusted =
                |known: &api::SigningKeyStatus| spec.authority.distrusted.contains(&known.id);
            if !known.iter().all(distrusted) {
                return Ok(refused(
                    "SigningKeysLost",
                    format!(
                        "Secret {name} of namespace {} is gone, and the keys of status.signingKeys with it: restore it from its backup, or name them all in spec.authority.distrusted to begin anew",
                        ctx.namespace
                    ),
                ));
            }
            Ok(KeyRing::default())
        }
        Some(secret) if secret.labels().get(KEYS_LABEL).map(String::as_str) != Some(domain) => {
            return Ok(refused(
                "SigningKeysNotLabelled",
                format!("Secret {name} lacks the label {KEYS_LABEL}: {domain}"),
            ));
        }
        Some(secret) => {
            let data = secret.data.iter().flatten();
            let mut data: BTreeMap<String, Vec<u8>> = data
                .map(|(key, value)| (key.clone(), value.0.clone()))
                .collect();
            let ring = KeyRing::from_secret_data(&data);
            data.values_mut().for_each(|value| value.zeroize());
            ring
        }
    };
    found.iter_mut().for_each(wipe); // of it only the version is needed from here on
    Ok(StoredKeys {
        ring: ring.map_err(|why| refusal(&why)),
        version: found,
    })
}

/// What the keys should be.
pub(crate) fn wanted(
    ctx: &Context,
    domain: &str,
    spec: &api::TrustDomainSpec,
    propagated: bool,
) -> WantedKeys {
    let seconds = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
    let built_in = spec.authority.built_in.clone().unwrap_or_default();
    WantedKeys {
        trust_domain: domain.to_owned(),
        lifetime_seconds: seconds(built_in.ca_lifetime_seconds),
        epoch: seconds(built_in.epoch),
        distrusted: spec
            .authority
            .distrusted
            .iter()
            .cloned()
            .collect::<BTreeSet<_>>(),
        longest_statement_seconds: seconds(spec.max_delegation_lifetime_seconds),
        propagated,
        propagation_seconds: ctx.propagation_seconds,
    }
}

/// What the keys are from now on: stored before anything is signed with them. `before` is kept as
/// it is, with all that was verified by it, while nothing changes.
pub(crate) async fn bring_forward(
    ctx: &Context,
    domain: &str,
    want: &WantedKeys,
    stored: StoredKeys,
    before: Option<Arc<Keys>>,
    now: Timestamp,
) -> Result<Result<Arc<Keys>, Refusal>, WriteError> {
    let ring = match stored.ring {
        Ok(ring) => ring,
        Err(why) => return Ok(Err(why)),
    };
    let next = match ring.next(want, now) {
        Ok(next) => next,
        Err(why) => return Ok(Err(refusal(&why))),
    };
    let ring = match next {
        Some(next) => {
            write(ctx, domain, stored.version.as_ref(), &next).await?;
            next
        }
        None => ring,
    };
    if let Some(before) = before.filter(|before| before.ring == ring) {
        return Ok(Ok(before));
    }
    Ok(Keys::of(ring).map(Arc::new).map_err(|why| refusal(&why)))
}

impl Keys {
    fn of(ring: KeyRing) -> Result<Self, KeyError> {
        let trusted = ring.trusted()?;
        Ok(Self {
            verifier: Verifier::new(trusted.clone(), REMEMBERED),
            trusted,
            ring,
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("trusted", &self.trusted)
            .finish_non_exhaustive()
    }
}

/// Writes the keys over the version that was read, or creates the Secret.
async fn write(
    ctx: &Context,
    domain: &str,
    before: Option<&Secret>,
    ring: &KeyRing,
) -> Result<(), WriteError> {
    let secrets: Api<Secret> = Api::namespaced(ctx.clients.writes.clone(), &ctx.namespace);
    let name = secret_name(domain);
    let data = ring.to_secret_data().into_iter();
    let mut secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(ctx.namespace.clone()),
            labels: Some(BTreeMap::from([
                (KEYS_LABEL.to_owned(), domain.to_owned()),
                (MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned()),
            ])),
            uid: before.and_then(|it| it.uid()),
            resource_version: before.and_then(|it| it.resource_version()),
            ..ObjectMeta::default()
        },
        type_: Some(KEYS_LABEL.to_owned()),
        data: Some(
            data.map(|(key, value)| (key, ByteString(value.to_vec())))
                .collect(),
        ),
        ..Secret::default()
    };
    let params = PostParams::default();
    let mut answer = match before {
        None => ctx.gate.run(secrets.create(&params, &secret)).await,
        Some(_) => ctx.gate.run(secrets.replace(&name, &params, &secret)).await,
    };
    wipe(&mut secret);
    answer.iter_mut().for_each(wipe);
    answer.map(|_| ())
}

fn refusal(why: &KeyError) -> Refusal {
    Refusal {
        reason: "SigningKeysInvalid",
        message: why.to_string(),
    }
}
