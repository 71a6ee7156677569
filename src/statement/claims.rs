//! The claims of a delegation statement, and their names on the wire.
//!
//! All names are in this module: the drafts of attenuating agent tokens
//! (`draft-niyikiza-oauth-attenuating-agent-tokens`) move. `authorization_details` is RFC 9396's;
//! `delegator`, `owner`, `task`, `requester` and `statement` are ours and authorise nothing alone.

use countersign_core::json::{Object, Word, present};
use countersign_core::{Constraints, Grant, SpiffeId, TrustDomainName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Digest;
use crate::error::{Broken, shown};

/// The deepest a chain goes: hop 0 and sixteen below it.
pub const MAX_DEPTH: u8 = 16;
/// The longest identifier, such as two UIDs of an API server with a slash between.
const MAX_ID_BYTES: usize = 520;
/// The longest owner, task part and requester; Kubernetes' names have 253, users' somewhat more.
const MAX_NAME_BYTES: usize = 1024;
/// `narrow` compares each action on each resource with each grant above: no more of them than the
/// API server takes in one object.
const MAX_GRANTS: usize = 64;
/// In one grant, as above.
const MAX_ACTIONS: usize = 32;
/// In one grant, as above.
const MAX_RESOURCES: usize = 64;
/// In one grant, as above.
const MAX_AUDIENCES: usize = 32;

/// What one statement says: who hands which grants on to whom, until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `iss`: the trust domain that countersigns.
    pub issuer: TrustDomainName,
    /// `sub`: the delegate; at hop 0 [`owner_subject`].
    pub subject: SpiffeId,
    /// `delegator`: the parent's subject; absent at hop 0.
    pub delegator: Option<SpiffeId>,
    /// `jti`: the Delegation's UID; at hop 0 `<owner's UID>/<root delegation's UID>`.
    pub id: String,
    /// `iat`: written in whole seconds, what is below is cut off.
    pub issued_at: Timestamp,
    /// `exp`: the first moment at which it counts no more; whole seconds as above.
    pub expires_at: Timestamp,
    /// `del_depth`: which hop of its chain, from 0.
    pub depth: u8,
    /// `del_max_depth`: the deepest hop of the chain that may follow from here; absolute, so at
    /// least [`Self::depth`] and at most [`MAX_DEPTH`].
    pub max_depth: u8,
    /// `par_hash`: the parent's digest; absent at hop 0.
    pub parent: Option<Digest>,
    /// `authorization_details`: what the delegate may do.
    pub grants: Vec<Grant>,
    /// `owner`: the name of the owner who answers for the whole chain.
    pub owner: String,
    /// `task`: what the delegate lives for; absent at hop 0.
    pub task: Option<Task>,
    /// `requester`: the authenticated user who asked for this hop, when it is known.
    pub requester: Option<String>,
    /// `statement`: what the delegator signed itself, if anything (see [`crate::agent`]).
    pub agent_statement: Option<String>,
}

/// The object that an agent lives for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// API group; empty for the core group.
    pub group: String,
    /// Plural resource name.
    pub resource: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// The subject of hop 0: `spiffe://<trust domain>/owner/<owner>`.
pub fn owner_subject(domain: &TrustDomainName, owner: &str) -> Result<SpiffeId, Broken> {
    let id = format!("{}{OWNER_PATH}{owner}", issuer(domain));
    // A name with a slash would be another's path.
    if owner.contains('/') {
        return Err(Broken::BadClaims(format!(
            "owner {:?} is no name",
            shown(owner)
        )));
    }
    SpiffeId::parse(&id).map_err(|why| Broken::BadClaims(format!("owner: {why}")))
}

const OWNER_PATH: &str = "/owner/";

/// The `iss` of a trust domain.
pub(crate) fn issuer(domain: &TrustDomainName) -> String {
    format!("spiffe://{domain}")
}

/// Reads `spiffe://<trust domain>`.
pub(crate) fn parse_issuer(iss: &str) -> Result<TrustDomainName, Broken> {
    iss.strip_prefix("spiffe://")
        .and_then(|name| TrustDomainName::parse(name).ok())
        .ok_or_else(|| Broken::BadClaims(format!("iss {:?} is no trust domain", shown(iss))))
}

impl Claims {
    /// Reads a payload. Unknown and repeated members are refused, and so is whatever one statement
    /// alone shows to be wrong.
    pub(crate) fn read(payload: &[u8]) -> Result<Self, Broken> {
        let Object(wire): Object<Wire> = serde_json::from_slice(payload)
            .map_err(|why| Broken::BadClaims(shown(&why.to_string())))?;
        let claims = Self {
            issuer: parse_issuer(&wire.iss)?,
            subject: spiffe_id("sub", &wire.sub)?,
            delegator: wire
                .delegator
                .map(|id| spiffe_id("delegator", &id))
                .transpose()?,
            id: wire.jti,
            issued_at: time("iat", wire.iat)?,
            expires_at: time("exp", wire.exp)?,
            depth: wire.del_depth,
            max_depth: wire.del_max_depth,
            parent: wire.par_hash,
            grants: wire
                .authorization_details
                .into_iter()
                .map(|Object(detail)| detail.grant())
                .collect(),
            owner: wire.owner,
            task: wire.task.map(|Object(task)| task),
            requester: wire.requester,
            agent_statement: wire.statement,
        };
        claims.check()?;
        Ok(claims)
    }

    /// The payload, in one form for equal claims.
    pub(crate) fn write(&self) -> Result<Vec<u8>, Broken> {
        self.check()?;
        let wire = Wire {
            iss: issuer(&self.issuer),
            sub: self.subject.as_str().to_owned(),
            delegator: self.delegator.as_ref().map(|id| id.as_str().to_owned()),
            jti: self.id.clone(),
            iat: self.issued_at.as_second(),
            exp: self.expires_at.as_second(),
            del_depth: self.depth,
            del_max_depth: self.max_depth,
            par_hash: self.parent,
            authorization_details: details(&self.grants),
            owner: self.owner.clone(),
            task: self.task.clone().map(Object),
            requester: self.requester.clone(),
            statement: self.agent_statement.clone(),
        };
        serde_json::to_vec(&wire).map_err(|why| Broken::BadClaims(why.to_string()))
    }

    /// The claims as they are read back: times in whole seconds.
    pub(crate) fn in_whole_seconds(&self) -> Self {
        let whole =
            |moment: Timestamp| Timestamp::from_second(moment.as_second()).unwrap_or(moment);
        Self {
            issued_at: whole(self.issued_at),
            expires_at: whole(self.expires_at),
            ..self.clone()
        }
    }

    /// What a statement shows without its parent.
    fn check(&self) -> Result<(), Broken> {
        let bad = |why: &str| Err(Broken::BadClaims(why.to_owned()));
        if self.id.is_empty() || self.id.len() > MAX_ID_BYTES {
            return bad("jti must have 1 to 520 bytes");
        }
        if self.issued_at.as_second() < 0 {
            return bad("iat must not be negative");
        }
        if self.expires_at.as_second() <= self.issued_at.as_second() {
            return Err(Broken::NoLifetime);
        }
        if self.max_depth > MAX_DEPTH || self.depth > self.max_depth {
            return Err(Broken::TooDeep {
                depth: self.depth,
                allowed: self.max_depth.min(MAX_DEPTH),
            });
        }
        check_grants(&self.grants)?;
        self.check_names()?;
        self.check_place()
    }

    fn check_names(&self) -> Result<(), Broken> {
        let task = self.task.iter().flat_map(|task| {
            let Task {
                group,
                resource,
                namespace,
                name,
                uid,
            } = task;
            [group, resource, namespace, name, uid]
        });
        let mut names = task.chain(&self.requester).chain([&self.owner]);
        if names.any(|name| name.len() > MAX_NAME_BYTES) {
            return Err(Broken::BadClaims(
                "owner, task and requester must have at most 1024 bytes each".to_owned(),
            ));
        }
        let domain = issuer(&self.issuer);
        let inside = |id: &SpiffeId| {
            let rest = id.as_str().strip_prefix(domain.as_str());
            rest.is_some_and(|path| path.starts_with('/'))
        };
        if !inside(&self.subject) || !self.delegator.as_ref().is_none_or(inside) {
            return Err(Broken::BadClaims(
                "sub and delegator must be of the trust domain in iss".to_owned(),
            ));
        }
        Ok(())
    }

    /// Hop 0 is an owner's and has no parent; any other is an agent's and has one.
    fn check_place(&self) -> Result<(), Broken> {
        let bad = |why: &str| Err(Broken::BadClaims(why.to_owned()));
        if self.depth == 0 {
            let below = [
                self.parent.is_some(),
                self.delegator.is_some(),
                self.task.is_some(),
                self.agent_statement.is_some(),
            ];
            if below.contains(&true) {
                return bad("hop 0 has no par_hash, delegator, task or statement");
            }
            if self.subject != owner_subject(&self.issuer, &self.owner)? {
                return bad("the sub of hop 0 must be spiffe://<trust domain>/owner/<owner>");
            }
            return Ok(());
        }
        if self.parent.is_none() || self.delegator.is_none() || self.task.is_none() {
            return bad("each hop below 0 has par_hash, delegator and task");
        }
        let domain = issuer(&self.issuer);
        let path = self
            .subject
            .as_str()
            .get(domain.len()..)
            .unwrap_or_default();
        if path.starts_with(OWNER_PATH) {
            return bad("an owner can't be a delegate");
        }
        Ok(())
    }
}

/// No more than [`MAX_GRANTS`] and the like.
pub(crate) fn check_grants(grants: &[Grant]) -> Result<(), Broken> {
    let large = |grant: &Grant| {
        let audiences = grant.constraints.audiences.as_ref().map_or(0, Vec::len);
        grant.actions.len() > MAX_ACTIONS
            || grant.resources.len() > MAX_RESOURCES
            || audiences > MAX_AUDIENCES
    };
    if grants.len() > MAX_GRANTS || grants.iter().any(large) {
        return Err(Broken::BadClaims(format!(
            "authorization_details must have at most {MAX_GRANTS} grants, each of at most {MAX_ACTIONS} actions, {MAX_RESOURCES} resources and {MAX_AUDIENCES} audiences"
        )));
    }
    Ok(())
}

/// A NumericDate in whole seconds (RFC 7519, section 2).
pub(crate) fn time(name: &str, seconds: i64) -> Result<Timestamp, Broken> {
    Timestamp::from_second(seconds)
        .map_err(|_| Broken::BadClaims(format!("{name} is out of range")))
}

pub(crate) fn spiffe_id(name: &str, id: &str) -> Result<SpiffeId, Broken> {
    SpiffeId::parse(id).map_err(|why| Broken::BadClaims(format!("{name}: {why}")))
}

/// The payload as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    iss: String,
    sub: String,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    delegator: Option<String>,
    jti: String,
    iat: i64,
    exp: i64,
    del_depth: u8,
    del_max_depth: u8,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    par_hash: Option<Digest>,
    authorization_details: Vec<Object<Detail>>,
    owner: String,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    task: Option<Object<Task>>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    requester: Option<String>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    statement: Option<String>,
}

/// A grant as an authorization detail (RFC 9396, section 2).
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Detail {
    r#type: Word<DetailType>,
    actions: Vec<String>,
    resources: Vec<String>,
    #[serde(default, skip_serializing_if = "Constraints::is_empty")]
    constraints: Constraints,
}

/// The one type that is known.
#[derive(Serialize, Deserialize)]
enum DetailType {
    #[serde(rename = "countersign_grant")]
    Grant,
}

impl Detail {
    fn of(grant: Grant) -> Self {
        let Grant {
            actions,
            resources,
            constraints,
        } = grant;
        Self {
            r#type: Word(DetailType::Grant),
            actions,
            resources,
            constraints,
        }
    }

    pub(crate) fn grant(self) -> Grant {
        Grant {
            actions: self.actions,
            resources: self.resources,
            constraints: self.constraints,
        }
    }
}

/// Grants as they are written.
pub(crate) fn details(grants: &[Grant]) -> Vec<Object<Detail>> {
    grants.iter().cloned().map(Detail::of).map(Object).collect()
}
