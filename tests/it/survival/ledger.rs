//! Do the books agree: identities, Secrets, and what etcd counted?

use std::collections::BTreeMap;

use countersign_api::AgentIdentity;
use countersign_authority::inspect_leaf;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::ListParams;

use super::crowd::{is_ready, serial};
use crate::harness::{Space, World};

/// Marks a Secret as the operator's.
pub(super) const UID_LABEL: &str = "countersign.dev/identity-uid";

/// The serial number in a Secret, whose key must be the certificate's.
pub(super) fn serial_in(secret: &Secret) -> String {
    let data = secret.data.as_ref().unwrap();
    let leaf = inspect_leaf(&data["tls.crt"].0, Some(&data["tls.key"].0)).unwrap();
    leaf.serial_number
}

impl Space {
    /// The Secrets of all identities.
    pub(super) async fn credentials(&self) -> Vec<Secret> {
        let ours = ListParams::default().labels(UID_LABEL);
        self.secrets().list(&ours).await.unwrap().items
    }

    /// Every identity that is Ready has exactly one certificate, the one in its record; every
    /// Secret belongs to one of them. Gives the serial numbers by identity.
    pub(super) async fn assert_in_order(&self) -> BTreeMap<String, String> {
        let identities = self.identities().list(&ListParams::default()).await;
        let identities = identities.unwrap().items;
        let mut secrets: BTreeMap<String, Secret> = BTreeMap::new();
        for secret in self.credentials().await {
            let uid = secret.labels()[UID_LABEL].clone();
            let other = secrets.insert(uid, secret);
            assert!(other.is_none(), "two Secrets for one identity: {other:#?}");
        }
        let ready = identities.iter().filter(|it| is_ready(it));
        let serials = ready.map(|it| (it.name_any(), check(it, &mut secrets)));
        let serials: BTreeMap<_, _> = serials.collect();
        let rest: Vec<_> = secrets.values().map(|it| it.name_any()).collect();
        assert!(rest.is_empty(), "Secrets without a record: {rest:?}");
        serials
    }
}

fn check(identity: &AgentIdentity, secrets: &mut BTreeMap<String, Secret>) -> String {
    let name = identity.name_any();
    let secret = secrets.remove(&identity.uid().unwrap());
    let secret = secret.unwrap_or_else(|| panic!("{name} is Ready without a Secret"));
    let status = identity.status.as_ref().unwrap();
    let record = status.secret.as_ref().unwrap();
    assert_eq!(record.name, secret.name_any(), "{name}");
    assert_eq!(Some(&record.uid), secret.uid().as_ref(), "{name}");
    let version = secret.resource_version();
    assert_eq!(Some(&record.resource_version), version.as_ref(), "{name}");
    assert_eq!(serial(identity), serial_in(&secret), "{name}");
    serial(identity)
}

impl World {
    /// Every credential of the namespace was written exactly so many times: what a restart issues
    /// once more, or what two leaders issue at once, would show.
    pub(super) async fn assert_written(&self, space: &Space, times: u64) {
        let writes = self.plane().secret_writes(&space.name).await.unwrap();
        for secret in space.credentials().await {
            let name = secret.name_any();
            assert_eq!(writes.get(&name), Some(&times), "writes of Secret {name}");
        }
    }
}
