//! May a certificate be issued, and which? Asked at the first issue and at each renewal.

use countersign_core::{SpiffeId, TrustDomainName, narrow};

use super::observed::{
    Admits, CredentialSeen, Delivery, DomainSeen, Observed, OwnerSeen, Refusal, TaskSeen,
};
use super::plan::{Issue, after, deadline, task_name};

/// A kubelet may take 90 s to show a new Secret: shorter certificates would be dead before.
const MIN_SECRET_TTL_SECONDS: u64 = 300;
/// The least lifetime of all others.
const MIN_TTL_SECONDS: u64 = 60;

/// Why nothing can be issued.
pub(crate) enum Obstacle {
    /// It will come by itself.
    Wait(Refusal),
    /// Only a person can mend it.
    Refuse(Refusal),
}

/// The certificate to be made, or what stands against it.
pub(crate) fn issuable(seen: &Observed) -> Result<Issue, Obstacle> {
    let identity = &seen.identity;
    let refuse = |reason, message: String| Err(Obstacle::Refuse(Refusal { reason, message }));
    let max_lifetime;
    let (ttl, ready) = match &seen.domain {
        DomainSeen::Missing => {
            return refuse(
                "UnknownTrustDomain",
                format!(
                    "there is no TrustDomain {}: create it, or name another in spec.trustDomainRef of a new identity",
                    identity.trust_domain
                ),
            );
        }
        DomainSeen::Found {
            admits_namespace: false,
            ..
        } => {
            return refuse(
                "NamespaceNotAdmitted",
                format!(
                    "TrustDomain {} does not admit namespace {}: its spec.namespaceSelector must match the namespace's labels",
                    identity.trust_domain, identity.namespace
                ),
            );
        }
        DomainSeen::Found {
            default_ttl_seconds,
            max_ttl_seconds,
            max_lifetime_seconds,
            ready,
            ..
        } => {
            max_lifetime = *max_lifetime_seconds;
            (ttl(seen, *default_ttl_seconds, *max_ttl_seconds)?, ready)
        }
    };
    if let Some(asked) = identity
        .deadline_seconds
        .filter(|asked| *asked > max_lifetime)
    {
        return refuse(
            "DeadlineOutOfBounds",
            format!(
                "spec.activeDeadlineSeconds is {asked}, but TrustDomain {} allows at most {max_lifetime}",
                identity.trust_domain
            ),
        );
    }
    owner_allows(seen)?;
    match &seen.credential {
        CredentialSeen::NotEnabled if identity.delivery == Delivery::Workload => {
            return refuse(
                "IssuingNotEnabled",
                "nobody issues certificates into pods here: run `countersign issue` and start the operator with --issuing, or use delivery Secret or Request".to_owned(),
            );
        }
        CredentialSeen::NotEnabled => {
            return refuse(
                "SecretsNotEnabled",
                format!(
                    "the operator may not write Secrets in namespace {0}: start it with --secret-namespaces={0} and give it the Role, or use delivery Request",
                    identity.namespace
                ),
            );
        }
        CredentialSeen::Forbidden(why) => {
            return refuse(
                "SecretsForbidden",
                format!(
                    "the operator may not use Secrets in namespace {}: give its ServiceAccount a Role with get, list, watch, create, update and delete there ({why})",
                    identity.namespace
                ),
            );
        }
        CredentialSeen::Foreign => {
            return refuse(
                "SecretConflict",
                format!(
                    "Secret {} exists and is not this identity's: delete it, or choose another spec.credential.secret.name",
                    secret_name(seen)
                ),
            );
        }
        CredentialSeen::Taken { by } => {
            return refuse(
                "SecretNameTaken",
                format!(
                    "Secret {} belongs to identity {by}: choose another spec.credential.secret.name",
                    secret_name(seen)
                ),
            );
        }
        _ => {}
    }
    let uid = match &seen.task {
        TaskSeen::Refused(why) | TaskSeen::Unobservable(why) => {
            return Err(Obstacle::Refuse(why.clone()));
        }
        TaskSeen::Missing | TaskSeen::NotYet | TaskSeen::NotAsked => {
            return Err(Obstacle::Wait(Refusal {
                reason: "TaskNotFound",
                message: format!(
                    "waiting for {} to exist in namespace {}",
                    task_name(seen),
                    identity.namespace
                ),
            }));
        }
        TaskSeen::Found { uid, .. } => uid,
    };
    if let Some(why) = &seen.closed {
        return Err(Obstacle::Refuse(why.clone()));
    }
    if seen.clock_off {
        return refuse(
            "ClockSkew",
            "the operator's clock and the API server's are too far apart: a certificate might be dead on arrival; synchronise the clocks".to_owned(),
        );
    }
    if let Err(why) = ready {
        return Err(Obstacle::Wait(why.clone()));
    }
    let spiffe_id = TrustDomainName::parse(&identity.trust_domain)
        .and_then(|domain| {
            SpiffeId::for_task(
                &domain,
                &identity.namespace,
                &identity.name,
                uid,
                &identity.uid,
            )
        })
        .map_err(|why| {
            Obstacle::Refuse(Refusal {
                reason: "BadSPIFFEID",
                message: why.to_string(),
            })
        })?;
    Ok(Issue {
        spiffe_id: spiffe_id.to_string(),
        task_uid: uid.clone(),
        ttl_seconds: ttl,
        not_after_cap: deadline(seen).unwrap_or_else(|| {
            let wanted = identity.deadline_seconds.unwrap_or(max_lifetime);
            after(seen.now, wanted.min(max_lifetime))
        }),
        replaces: match &seen.credential {
            CredentialSeen::AsRecorded => seen.recorded.secret.clone(),
            CredentialSeen::Adoptable { version, .. } | CredentialSeen::Tampered(version) => {
                Some(version.clone())
            }
            _ => None,
        },
        renewal: seen.recorded.first_issue.is_some(),
    })
}

fn ttl(seen: &Observed, default: u64, max: u64) -> Result<u64, Obstacle> {
    let floor = match seen.identity.delivery {
        Delivery::Secret { .. } => MIN_SECRET_TTL_SECONDS,
        Delivery::Request { .. } | Delivery::Workload => MIN_TTL_SECONDS,
    };
    let ttl = seen
        .identity
        .ttl_seconds
        .unwrap_or_else(|| default.max(floor));
    if (floor..=max).contains(&ttl) {
        return Ok(ttl);
    }
    Err(Obstacle::Refuse(Refusal {
        reason: "TTLOutOfBounds",
        message: format!(
            "the certificate's lifetime would be {ttl} s, but must be from {floor} to {max} s (TrustDomain {}): change spec.credential.certificateTTLSeconds",
            seen.identity.trust_domain
        ),
    }))
}

fn owner_allows(seen: &Observed) -> Result<(), Obstacle> {
    let owner = &seen.identity.owner;
    let refuse = |reason, message: String| Err(Obstacle::Refuse(Refusal { reason, message }));
    let (grants, admits) = match &seen.owner {
        OwnerSeen::Missing => {
            return refuse(
                "UnknownOwner",
                format!(
                    "there is no AgentOwner {owner}: create it, or name another in a new identity"
                ),
            );
        }
        OwnerSeen::Found { grants, admits, .. } => (grants, admits),
    };
    let Some(requester) = &seen.identity.requester else {
        return refuse(
            "RequesterMissing",
            "spec.requester was not stamped: install the admission policies and create the identity again".to_owned(),
        );
    };
    match admits {
        Admits::Yes => {}
        Admits::No => {
            return refuse(
                "OwnerNotAllowed",
                format!(
                    "{} may not act for AgentOwner {owner}: it must be among spec.subjects there, or hold verb bind on agentowners/{owner}",
                    requester.username
                ),
            );
        }
        Admits::Unknown(why) => {
            return refuse(
                "OwnerNotChecked",
                format!(
                    "could not ask whether {} may act for AgentOwner {owner}: {why}",
                    requester.username
                ),
            );
        }
    }
    match narrow(grants, &seen.identity.grants) {
        Ok(()) => Ok(()),
        Err(widening) => refuse(
            "GrantsWiden",
            format!(
                "spec.{widening} by AgentOwner {owner}: create the identity with narrower grants"
            ),
        ),
    }
}

fn secret_name(seen: &Observed) -> &str {
    match &seen.identity.delivery {
        Delivery::Secret { name } => name,
        Delivery::Request { .. } | Delivery::Workload => "",
    }
}
