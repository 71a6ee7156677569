//! What a pass sees and what it decides, in a few bytes; and the real planner behind it.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::super::observed::{
    Certificate, CredentialSeen, Desired, Observed, Recorded, SecretVersion, TaskSeen, TaskState,
};
use super::super::super::plan::{Credential, Status, plan};
use super::super::fixture::{at, fresh, recorded, risk, sign};
use super::Broken;
use super::world::{Identity, Stands, Task, Version, Want};

/// The moments: at the beginning, when the first certificate is due for renewal, and after the
/// deadline.
pub(super) const MOMENTS: [i64; 3] = [0, 400, 700];

/// From the first issue on.
pub(super) const DEADLINE_SECONDS: u64 = 650;

/// The name of the one Secret.
pub(super) const SECRET: &str = "shared";

/// Index into [`Tables::statuses`]; 0 is none.
pub(super) type StatusId = u16;

/// Index into [`Tables::certificates`].
pub(super) type CertificateId = u16;

/// What a pass has seen: an [`Observed`] in a few bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Look {
    pub(super) now: u8,
    pub(super) identity: usize,
    pub(super) object: Identity,
    pub(super) task: Sight,
    pub(super) credential: Where,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Sight {
    Missing,
    NotYet,
    Found(Task),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Where {
    Missing,
    AsRecorded,
    Unread(Version),
    Adoptable(CertificateId, Version),
    Tampered(Version),
    Foreign,
    Taken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Order {
    pub(super) certificate: CertificateId,
    pub(super) task: u8,
    pub(super) replaces: Option<Version>,
    pub(super) status: StatusId,
}

/// A [`Plan`](super::super::plan::Plan) in a few bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    pub(super) credential: Step,
    pub(super) status: Option<StatusId>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Keep,
    Read,
    Remove,
    Issue(Order),
}

/// Statuses and certificates by number, and what was planned before: `plan` is a function.
pub(super) struct Tables {
    pub(super) statuses: Vec<Option<Status>>,
    pub(super) records: Vec<Arc<Recorded>>,
    pub(super) status_ids: HashMap<String, StatusId>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) certificate_ids: HashMap<String, CertificateId>,
    pub(super) plans: HashMap<Look, Decision>,
    pub(super) issued: HashMap<(Order, Version), StatusId>,
}

impl Tables {
    pub(super) fn new() -> Self {
        Self {
            statuses: vec![None],
            records: vec![Arc::default()],
            status_ids: HashMap::new(),
            certificates: Vec::new(),
            certificate_ids: HashMap::new(),
            plans: HashMap::new(),
            issued: HashMap::new(),
        }
    }

    pub(super) fn status(&mut self, status: Status) -> StatusId {
        let key = format!("{status:?}");
        if let Some(id) = self.status_ids.get(&key) {
            return *id;
        }
        let id = StatusId::try_from(self.statuses.len()).unwrap();
        self.records.push(Arc::new(recorded(&status)));
        self.statuses.push(Some(status));
        self.status_ids.insert(key, id);
        id
    }

    pub(super) fn certificate(&mut self, certificate: Certificate) -> CertificateId {
        let key = format!("{certificate:?}");
        if let Some(id) = self.certificate_ids.get(&key) {
            return *id;
        }
        let id = CertificateId::try_from(self.certificates.len()).unwrap();
        self.certificates.push(certificate);
        self.certificate_ids.insert(key, id);
        id
    }

    pub(super) fn observed(&self, look: &Look) -> Observed {
        let mut seen = fresh();
        seen.now = at(MOMENTS[usize::from(look.now)]);
        let identity = &mut seen.identity;
        identity.uid = format!("identity-{}", look.identity);
        identity.name = format!("agent-{}", look.identity);
        identity.generation = i64::from(look.object.generation);
        identity.deadline_seconds = Some(DEADLINE_SECONDS);
        identity.desired = match look.object.desired {
            Want::Active => Desired::Active,
            Want::Suspended => Desired::Suspended,
            Want::Revoked => Desired::Revoked,
        };
        seen.risk = look.object.risky.then(risk);
        seen.recorded = Recorded::clone(&self.records[usize::from(look.object.status)]);
        seen.task = match look.task {
            Sight::Missing => TaskSeen::Missing,
            Sight::NotYet => TaskSeen::NotYet,
            Sight::Found(task) => TaskSeen::Found {
                uid: task_uid(task.uid),
                state: match task.stands {
                    Stands::Running => TaskState::Running,
                    Stands::Succeeded => TaskState::Succeeded,
                    Stands::Failed => TaskState::Failed,
                },
            },
        };
        seen.credential = match look.credential {
            Where::Missing => CredentialSeen::Missing,
            Where::AsRecorded => CredentialSeen::AsRecorded,
            Where::Unread(it) => CredentialSeen::Unread(it.out()),
            Where::Adoptable(certificate, it) => CredentialSeen::Adoptable {
                certificate: self.certificates[usize::from(certificate)].clone(),
                version: it.out(),
                bundle_sequence: 1,
            },
            Where::Tampered(it) => CredentialSeen::Tampered(it.out()),
            Where::Foreign => CredentialSeen::Foreign,
            Where::Taken => CredentialSeen::Taken {
                by: "another".to_owned(),
            },
        };
        seen
    }

    pub(super) fn decide(&mut self, look: Look, broken: Broken) -> Decision {
        if let Some(decision) = self.plans.get(&look) {
            return *decision;
        }
        let mut seen = self.observed(&look);
        if broken == Broken::Unlatched {
            seen.recorded.completed = None;
        }
        let plan = plan(&seen);
        let status = plan.status.map(|status| self.status(status));
        let credential = match plan.credential {
            Credential::Keep => Step::Keep,
            Credential::Read => Step::Read,
            Credential::Remove => Step::Remove,
            Credential::Issue(issue) => {
                let replaces = issue.replaces.as_ref().map(Version::of);
                let serial = format!("{}-{}-{replaces:?}", look.identity, look.now);
                let certificate = self.certificate(sign(&seen, &issue, &serial));
                Step::Issue(Order {
                    certificate,
                    task: issue.task_uid.trim_start_matches("task-").parse().unwrap(),
                    replaces,
                    status: status.unwrap(),
                })
            }
        };
        let decision = Decision { credential, status };
        self.plans.insert(look, decision);
        decision
    }

    /// The status of an order whose Secret was written.
    pub(super) fn issued(&mut self, order: Order, version: Version) -> StatusId {
        if let Some(id) = self.issued.get(&(order, version)) {
            return *id;
        }
        let mut status = self.statuses[usize::from(order.status)].clone().unwrap();
        let certificate = self.certificates[usize::from(order.certificate)].clone();
        status.certificate = Some(certificate);
        status.secret = Some(version.out());
        status.bundle_sequence = Some(1);
        let id = self.status(status);
        self.issued.insert((order, version), id);
        id
    }
}

impl Version {
    pub(super) fn out(self) -> SecretVersion {
        SecretVersion {
            name: SECRET.to_owned(),
            uid: self.uid.to_string(),
            resource_version: self.version.to_string(),
        }
    }

    pub(super) fn of(version: &SecretVersion) -> Self {
        Self {
            uid: version.uid.parse().unwrap(),
            version: version.resource_version.parse().unwrap(),
        }
    }
}

pub(super) fn task_uid(uid: u8) -> String {
    format!("task-{uid}")
}
