//! The audit log as somebody reads it who has the published bundle and nothing else.

use std::collections::BTreeMap;

use countersign_audit::{
    Checkpoint, CheckpointVerifier, Cursor, Filter, Hash, Kind, Reader, Record, Report, verify,
};
use countersign_statement::{TrustedKeys, checkpoint};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::Api;

use super::hops::{Hops, digest};
use super::ledger::{UID_LABEL, serial_in};
use crate::harness::{DOMAIN, Space, World};
use crate::support::OPERATOR_NAMESPACE;

/// A log and the keys that its checkpoints verify with.
pub(crate) struct Book {
    pub(super) reader: Reader,
    keys: Bundle,
    maps: Api<ConfigMap>,
}

/// Keys of the trust domain.
struct Bundle(TrustedKeys);

impl CheckpointVerifier for Bundle {
    fn verify(&self, token: &str) -> Result<Checkpoint, String> {
        let signed = checkpoint::verify(token, &self.0).map_err(|why| why.to_string())?;
        let hex: String = signed.hash.iter().map(|it| format!("{it:02x}")).collect();
        Ok(Checkpoint {
            chain: signed.chain,
            seq: signed.sequence,
            hash: Hash::parse(&hex).ok_or("no hash")?,
            time: signed.issued_at,
        })
    }
}

impl Book {
    /// The log at `url`, which must be there.
    pub(crate) async fn open(world: &World, url: &str) -> Self {
        let maps = Api::<ConfigMap>::namespaced(world.client().await, OPERATOR_NAMESPACE);
        let bundle = maps.get(&format!("{DOMAIN}-bundle")).await.unwrap();
        let bundle = bundle.data.unwrap()["bundle.json"].clone();
        Self {
            reader: Reader::open(url).await.unwrap(),
            keys: Bundle(TrustedKeys::from_bundle_json(DOMAIN, &bundle).unwrap()),
            maps,
        }
    }

    /// What the log says of itself, held against these anchors.
    pub(crate) async fn verify(&self, anchors: &[String]) -> Report {
        verify(&self.reader, &self.keys, anchors).await.unwrap()
    }

    /// The newest checkpoints, as they are published.
    pub(crate) async fn anchors(&self) -> Vec<String> {
        let map = self.maps.get_opt("countersign-audit-checkpoints").await;
        let data = map.unwrap().and_then(|map| map.data);
        data.unwrap_or_default().into_values().collect()
    }

    /// Every chain verifies, and none has a gap. Gives the number of records by chain.
    pub(super) async fn assert_intact(&self) -> BTreeMap<String, u64> {
        let report = self.verify(&self.anchors().await).await;
        assert!(report.is_honest(), "{report}");
        let mut lengths = BTreeMap::new();
        for record in self.all().await {
            let length: &mut u64 = lengths.entry(record.position.chain).or_default();
            *length += 1;
            assert_eq!(*length, record.position.seq, "a gap");
        }
        lengths
    }

    /// All records, by chain.
    pub(super) async fn all(&self) -> Vec<Record> {
        let (mut all, mut cursor) = (Vec::new(), Cursor::default());
        loop {
            let page = self.reader.records(&cursor, &Filter::default(), 1000).await;
            let page = page.unwrap();
            let Some(last) = page.last() else {
                return all;
            };
            cursor = Cursor {
                chain: last.position.chain.clone(),
                seq: last.position.seq,
            };
            all.extend(page);
        }
    }

    /// How many records of this kind there are about the object with this UID.
    pub(super) async fn count(&self, uid: &str, kind: Kind) -> usize {
        let records = self.reader.by_object_uid(uid).await.unwrap();
        records.iter().filter(|it| it.entry.kind == kind).count()
    }

    /// Every certificate in a Secret and every digest in a status has its record.
    pub(super) async fn assert_covers(&self, space: &Space) {
        for secret in space.credentials().await {
            let records = self.reader.by_serial(&serial_in(&secret)).await.unwrap();
            let of_it = |it: &Record| it.entry.object.uid == secret.labels()[UID_LABEL];
            assert!(records.iter().any(of_it), "{}", secret.name_any());
        }
        for delegation in Hops::of(space).all().await {
            let Some(digest) = digest(&delegation) else {
                continue;
            };
            let records = self.reader.by_digest(&digest).await.unwrap();
            let granted = |it: &Record| it.entry.kind == Kind::DelegationGranted;
            assert!(records.iter().any(granted), "{}", delegation.name_any());
        }
    }
}
