//! What the audit log has of all this, read as anybody who has the file may.

use std::collections::BTreeSet;

use countersign_api::{AgentIdentity, Delegation};
use countersign_audit::{
    Checkpoint, CheckpointVerifier, Cursor, Filter, Hash, Kind, Outcome, Reader, Record,
    TrailStart, verify,
};
use countersign_statement::{TrustedKeys, checkpoint};
use kube::api::{Api, ListParams};
use serde_json::json;

use super::published::Published;
use super::setting::{but, digest, hop, root};
use crate::harness::{DOMAIN, OWNER, eventually};
use crate::support::{is, serial, uid};

/// By the trust domain's published keys.
struct ByPublishedKeys<'a>(&'a TrustedKeys);

impl CheckpointVerifier for ByPublishedKeys<'_> {
    fn verify(&self, token: &str) -> Result<Checkpoint, String> {
        let head = checkpoint::verify(token, self.0).map_err(|why| why.to_string())?;
        let hash: String = head.hash.iter().map(|it| format!("{it:02x}")).collect();
        Ok(Checkpoint {
            chain: head.chain,
            seq: head.sequence,
            hash: Hash::parse(&hash).ok_or("no hash")?,
            time: head.issued_at,
        })
    }
}

async fn reader(published: &Published) -> Reader {
    Reader::open(&published.audit()).await.unwrap()
}

async fn all(reader: &Reader) -> Vec<Record> {
    let mut found = Vec::new();
    let mut from = Cursor::default();
    loop {
        let page = reader
            .records(&from, &Filter::default(), 500)
            .await
            .unwrap();
        let Some(last) = page.last() else {
            return found;
        };
        from = Cursor {
            chain: last.position.chain.clone(),
            seq: last.position.seq,
        };
        found.extend(page);
    }
}

/// The first record of this kind about an object; ends and refusals are written a moment later.
async fn until_recorded(reader: &Reader, uid: &str, kind: Kind) -> Record {
    eventually(&format!("{kind:?} of {uid}"), async || {
        let records = reader.by_object_uid(uid).await.unwrap();
        records.into_iter().find(|it| it.entry.kind == kind)
    })
    .await
}

#[tokio::test]
async fn a_grant_a_refusal_and_an_end_are_recorded_with_what_counts() {
    let published = Published::shared().await;
    let space = published.world.space("recorded").await;
    let agents = space.agents(&["planner", "clerk"]).await;
    let chain = space.chain(&["planner", "clerk"]).await;
    let log = reader(published).await;

    let granted = until_recorded(&log, &uid(&chain[1]), Kind::DelegationGranted).await;
    let entry = granted.entry;
    assert_eq!(entry.outcome, Outcome::Allowed);
    assert_eq!(entry.trust_domain, DOMAIN);
    assert_eq!(entry.owner.as_deref(), Some(OWNER));
    assert_eq!(entry.requester.unwrap().username, "admin");
    assert_eq!(entry.object.name, "to-clerk");
    assert_eq!(entry.object.namespace.as_deref(), Some(space.name.as_str()));
    let work = space.jobs().get("work").await.unwrap();
    assert_eq!(entry.task.unwrap().uid, uid(&work));
    let handed_on = serde_json::to_value(&entry.permissions).unwrap();
    assert_eq!(handed_on, super::setting::invoices());
    let hop = entry.delegation.unwrap();
    assert_eq!(hop.digest, digest(&chain[1]));
    assert_eq!(hop.parent, Some(digest(&chain[0])));
    assert_eq!(hop.depth, 2);
    assert_eq!(hop.parent_uid, Some(uid(&chain[0])));
    assert_eq!(hop.delegator, Some(super::setting::spiffe_id(&agents[0])));
    assert_eq!(hop.delegate, Some(super::setting::spiffe_id(&agents[1])));
    assert!(hop.root.is_some());

    let wide = json!({"grants": [{"actions": ["write"], "resources": ["ledger/*"]}]});
    let wide = space
        .delegate(but(
            super::setting::hop("wide", "to-planner", "planner", "clerk"),
            wide,
        ))
        .await;
    space.until_not_granted("wide", "GrantsWiden").await;
    let refused = until_recorded(&log, &uid(&wide), Kind::DelegationRefused).await;
    assert_eq!(refused.entry.outcome, Outcome::Refused);
    assert_eq!(refused.entry.reason, "GrantsWiden");
    assert!(refused.entry.message.contains("write"));
    assert_eq!(refused.entry.permissions[0].actions, ["write"]);

    space.revoke_delegation("to-planner").await;
    space.until_ended("to-clerk", &["ParentEnded"]).await;
    for (it, reason) in [(&chain[0], "Revoked"), (&chain[1], "ParentEnded")] {
        let ended = until_recorded(&log, &uid(it), Kind::DelegationEnded).await;
        assert_eq!(ended.entry.outcome, Outcome::Ended);
        assert_eq!(ended.entry.reason, reason);
        assert_eq!(ended.entry.delegation.unwrap().digest, digest(it));
    }
}

#[tokio::test]
async fn a_life_is_recorded_from_the_first_certificate_to_the_end() {
    let published = Published::shared().await;
    let space = published.world.space("life").await;
    let it = space.agent_with_task("reader").await;
    let log = reader(published).await;
    let issued = until_recorded(&log, &uid(&it), Kind::IdentityIssued).await;
    assert_eq!(issued.entry.serial_number, Some(serial(&it)));
    assert_eq!(issued.entry.owner.as_deref(), Some(OWNER));
    let longer = json!({"spec": {"credential": {"certificateTTLSeconds": 900}}});
    space.patch("reader", longer).await;
    let again = space
        .until("reader", "renewed", |now| serial(now) != serial(&it))
        .await;
    let renewed = until_recorded(&log, &uid(&it), Kind::IdentityRenewed).await;
    assert_eq!(renewed.entry.serial_number, Some(serial(&again)));
    for (state, kind) in [
        ("Suspended", Kind::IdentitySuspended),
        ("Revoked", Kind::IdentityEnded),
    ] {
        space
            .patch("reader", json!({"spec": {"desiredState": state}}))
            .await;
        until_recorded(&log, &uid(&it), kind).await;
    }
}

#[tokio::test]
async fn what_is_active_again_after_a_suspension_is_recorded_as_that() {
    let published = Published::shared().await;
    let space = published.world.space("resumed").await;
    let it = space.agents(&["reader"]).await.remove(0);
    for state in ["Suspended", "Active"] {
        space
            .patch("reader", json!({"spec": {"desiredState": state}}))
            .await;
        space
            .until("reader", state, |it| {
                is(it, if state == "Active" { "Ready" } else { state })
            })
            .await;
    }
    let log = reader(published).await;
    until_recorded(&log, &uid(&it), Kind::IdentityResumed).await;
}

/// Recorded before it is shown: whatever the cluster shows is in the log at any moment.
#[tokio::test]
async fn every_digest_and_every_serial_in_the_cluster_is_in_the_log() {
    let published = Published::shared().await;
    let space = published.world.space("every").await;
    space.agents(&["a", "b", "c"]).await;
    space.chain(&["a", "b", "c"]).await;
    let client = published.world.client().await;
    // First what is shown, then what is recorded.
    let delegations = Api::<Delegation>::all(client.clone());
    let delegations = delegations.list(&ListParams::default()).await.unwrap();
    let identities = Api::<AgentIdentity>::all(client);
    let identities = identities.list(&ListParams::default()).await.unwrap();
    let records = all(&reader(published).await).await;

    let recorded: BTreeSet<&str> = records
        .iter()
        .filter(|it| it.entry.kind == Kind::DelegationGranted)
        .filter_map(|it| it.entry.delegation.as_ref())
        .map(|it| it.digest.as_str())
        .collect();
    let mut shown = 0;
    for it in &delegations {
        let status = it.status.as_ref();
        if let Some(digest) = status.and_then(|it| it.digest.as_deref()) {
            assert!(recorded.contains(digest), "{it:#?}");
            shown += 1;
        }
    }
    assert!(shown >= 3, "{shown}");
    let recorded: BTreeSet<&str> = records
        .iter()
        .filter_map(|it| it.entry.serial_number.as_deref())
        .collect();
    for it in identities.iter().filter(|it| !serial(it).is_empty()) {
        assert!(recorded.contains(serial(it).as_str()), "{it:#?}");
    }
    assert!(recorded.len() >= 3);
}

#[tokio::test]
async fn the_trail_of_a_certificate_leads_back_to_who_allowed_the_first_hop() {
    let published = Published::shared().await;
    let world = &published.world;
    let space = world.space("trail").await;
    let user = world.user("heidi").await;
    let rules = json!([
        {"apiGroups": ["countersign.dev"], "resources": ["delegations"], "verbs": ["create"]},
    ]);
    world.allow(&user, Some(&space.name), rules).await;
    let subjects = json!({"spec": {"subjects": [{"kind": "User", "name": user.name}]}});
    let owner = world.owner("heidi", subjects).await;
    let agents = space.agents(&["planner", "clerk"]).await;
    let from = json!({"from": {"owner": {"name": owner}}});
    let object = but(root("first", "planner"), from);
    crate::support::create(&user.delegations(&space), object)
        .await
        .unwrap();
    let first = space.until_in_force("first").await;
    space
        .delegate(hop("second", "first", "planner", "clerk"))
        .await;
    space.until_in_force("second").await;

    let log = reader(published).await;
    let start = TrailStart::Serial(serial(&agents[1]));
    let trail = log.trail(&start).await.unwrap();
    let back = trail
        .iter()
        .find(|it| it.entry.object.uid == uid(&first))
        .unwrap();
    let requester = back.entry.requester.as_ref().unwrap();
    assert_eq!(requester.username, user.name);
}

#[tokio::test]
async fn the_log_verifies_while_it_is_written() {
    let published = Published::shared().await;
    let space = published.world.space("verify").await;
    space.agents(&["a", "b"]).await;
    space.chain(&["a", "b"]).await;
    let log = reader(published).await;
    let keys = published.keys().await;
    let report = verify(&log, &ByPublishedKeys(&keys), &[]).await.unwrap();
    assert!(report.is_honest(), "{report:#?}");
    let own = format!("{DOMAIN}/");
    let chain = report.chains.iter().find(|it| it.chain.starts_with(&own));
    assert!(chain.unwrap().records >= 4, "{report:#?}");
}

#[tokio::test]
async fn a_log_that_was_closed_is_signed_to_its_end_with_a_key_that_is_published() {
    let mut published = Published::own("closed").await;
    let space = published.world.space("closed").await;
    space.agents(&["a", "b"]).await;
    space.chain(&["a", "b"]).await;
    let keys = published.keys().await;
    published.stop();

    let log = reader(&published).await;
    let newest = log.latest_checkpoints().await.unwrap();
    let anchors: Vec<String> = newest.into_iter().map(|it| it.token).collect();
    let report = verify(&log, &ByPublishedKeys(&keys), &anchors)
        .await
        .unwrap();
    assert!(report.is_honest(), "{report:#?}");
    let own = format!("{DOMAIN}/");
    let chain = report.chains.iter().find(|it| it.chain.starts_with(&own));
    let chain = chain.unwrap();
    assert!(chain.records >= 4);
    assert_eq!(chain.signed_through, chain.last_seq);
    assert_eq!(chain.anchored_through, chain.last_seq);
}
