//! The identities in memory.

use countersign_api::{AgentIdentity, Delivery};
use jiff::Timestamp;
use kube::ResourceExt as _;
use tracing::error;

use super::parse;
use super::stage::Stage;
use crate::condition;
use crate::index::Links;
use crate::newest::{Newest, Versioned};
use crate::retired::Mortal;
use crate::task::KindKey;
use crate::uid::Uid;

/// An identity without what nobody here reads, packed: as JSON it takes a third of the memory that
/// its many small strings take, and most are looked at twice in their life. Equal when it is the
/// same version.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    packed: Box<[u8]>,
    uid: Uid,
    version: Box<str>,
    created: Timestamp,
    stage: Stage,
    /// Its pods hold certificates that nobody recorded in its status.
    in_pods: bool,
    /// Those that were issued before don't count.
    resumed: Option<Timestamp>,
    /// Of the certificate that will be renewed.
    live_until: Option<Timestamp>,
    /// Of the bundle in its Secret, and until when that lives.
    bundle: Option<(i64, Timestamp)>,
}

/// All identities.
pub(crate) type Identities = Newest<Object>;

impl Versioned for Object {
    fn version(&self) -> &str {
        &self.version
    }
}

impl Mortal for Object {
    fn living(&self) -> Option<Uid> {
        (self.stage != Stage::Over).then(|| self.uid.clone())
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version && self.uid == other.uid
    }
}

impl Object {
    /// Packs an identity.
    pub(crate) fn of(mut object: AgentIdentity) -> Self {
        object.metadata.managed_fields = None;
        object.metadata.annotations = None;
        object.metadata.labels = None;
        let status = object.status.as_ref();
        let certificate = status.and_then(|status| status.certificate.as_ref());
        let secret = status.and_then(|status| status.secret.as_ref());
        Self {
            uid: object.uid().unwrap_or_default().as_str().into(),
            version: object.resource_version().unwrap_or_default().into(),
            created: parse::created(&object),
            stage: Stage::of(&object),
            in_pods: object.spec.credential.delivery == Delivery::Workload,
            resumed: status.and_then(|it| Some(it.resumed_time.as_ref()?.0)),
            live_until: certificate
                .filter(|certificate| certificate.renewal_time.is_some())
                .map(|certificate| certificate.not_after.0),
            bundle: secret.zip(certificate).map(|(secret, certificate)| {
                (secret.bundle_sequence.unwrap_or(0), certificate.not_after.0)
            }),
            // What came as JSON goes as JSON.
            packed: serde_json::to_vec(&object).unwrap_or_default().into(),
        }
    }

    /// The identity. `None` would be a bug here: what was packed can be read.
    pub(crate) fn unpack(&self) -> Option<AgentIdentity> {
        serde_json::from_slice(&self.packed)
            .inspect_err(|why| error!(uid = %self.uid, "can't read a packed identity: {why}"))
            .ok()
    }

    pub(crate) fn uid(&self) -> &Uid {
        &self.uid
    }

    pub(crate) fn created(&self) -> Timestamp {
        self.created
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// Do its pods hold certificates that its status doesn't tell of?
    pub(crate) fn in_pods(&self) -> bool {
        self.in_pods
    }

    /// Those of before don't count.
    pub(crate) fn resumed(&self) -> Option<Timestamp> {
        self.resumed
    }

    /// When its certificate ends, if it has one that will be renewed.
    pub(crate) fn live_until(&self) -> Option<Timestamp> {
        self.live_until
    }

    /// The sequence number of the bundle in its Secret, and when the certificate beside it ends.
    pub(crate) fn bundle(&self) -> Option<(i64, Timestamp)> {
        self.bundle
    }

    /// What it names, for the index.
    pub(crate) fn links(&self) -> Option<Links> {
        let object = &self.unpack()?;
        let over = object
            .status
            .as_ref()
            .is_some_and(|status| condition::is_true(&status.conditions, "Completed"));
        let secret = matches!(object.spec.credential.delivery, Delivery::Secret);
        Some(Links {
            uid: self.uid.clone(),
            kind: KindKey::new(&object.spec.task_ref.group, &object.spec.task_ref.resource),
            task: object.spec.task_ref.name.as_str().into(),
            owner: object.spec.owner_ref.name.as_str().into(),
            domain: object.spec.trust_domain_ref.name.as_str().into(),
            secret: secret.then(|| parse::secret_name(object).into()),
            live: !over && object.metadata.deletion_timestamp.is_none(),
        })
    }
}
