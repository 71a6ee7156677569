//! What tests look at: a small world, and a trust domain with its keys.
//!
//! ```text
//! alice ─▶ alice-to-planner ─▶ planner ─▶ planner-to-reader ─▶ invoice-reader ─▶ reader-to-clerk
//!       └▶ old (over)       └▶ task plan-1                  └▶ task reconcile      └▶ archive/clerk
//! bob   ─▶ stuck (an agent that is stalled), clerk (in another namespace)
//! lost  ─▶ a delegation whose parent is not there
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

use std::collections::BTreeSet;

use countersign_api::{AgentIdentity, AgentOwner, Delegation};
use countersign_authority as authority;
use countersign_core::{Grant, SpiffeId, TrustDomainName};
use countersign_statement::{
    Claims, KeyRing, Purpose, Statement, Task, WantedKeys, checkpoint, owner_subject, revocation,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::world::World;

pub(crate) const DOMAIN: &str = "example.org";

pub(crate) fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

pub(crate) fn plus(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn condition(kind: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": "True", "reason": reason, "message": message,
           "lastTransitionTime": "2026-11-24T11:50:00Z"})
}

pub(crate) fn owner(name: &str) -> AgentOwner {
    serde_json::from_value(json!({
        "apiVersion": "countersign.dev/v1alpha1", "kind": "AgentOwner",
        "metadata": {"name": name, "uid": format!("uid-{name}")},
        "spec": {"type": "Person", "grants": [{"actions": ["read", "list"], "resources": ["ledger/*"]}]},
    }))
    .unwrap()
}

pub(crate) fn spiffe_id(namespace: &str, name: &str) -> String {
    format!("spiffe://{DOMAIN}/ns/{namespace}/agent/{name}/task/t-{name}/uid-{name}")
}

pub(crate) fn identity(namespace: &str, name: &str, owner: &str, task: &str) -> AgentIdentity {
    serde_json::from_value(json!({
        "apiVersion": "countersign.dev/v1alpha1", "kind": "AgentIdentity",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("uid-{name}")},
        "spec": {
            "trustDomainRef": {"name": DOMAIN}, "ownerRef": {"name": owner},
            "taskRef": {"group": "batch", "resource": "jobs", "name": task},
            "requester": {"username": "ci@example.org"},
        },
        "status": {
            "spiffeID": spiffe_id(namespace, name),
            "task": {"uid": format!("t-{name}"), "outcome": "Running"},
            "secret": {"name": format!("{name}-identity"), "uid": format!("uid-secret-{name}"), "resourceVersion": "1"},
            "certificate": {
                "serialNumber": format!("{:0>32}", name.len()), "notBefore": "2026-11-24T11:59:50Z",
                "notAfter": "2026-11-24T12:05:00Z", "publicKeySHA256": "ab", "authorityID": "cd",
            },
            "conditions": [condition("Ready", "Issued", "")],
        },
    }))
    .unwrap()
}

pub(crate) fn delegation(
    namespace: &str,
    name: &str,
    from: &Value,
    to: &Value,
    parent: Option<&str>,
) -> Delegation {
    let mut object = json!({
        "apiVersion": "countersign.dev/v1alpha1", "kind": "Delegation",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("uid-{name}")},
        "spec": {
            "from": from, "to": to,
            "grants": [{"actions": ["read"], "resources": ["ledger/*"]}],
            "requester": {"username": "alice@example.org"},
        },
        "status": {
            "expirationTime": "2026-11-24T12:14:00Z",
            "conditions": [condition("Ready", "Countersigned", "")],
        },
    });
    if let Some(parent) = parent {
        object["spec"]["parentRef"] = json!({"name": parent});
        object["status"]["parent"] =
            json!({"namespace": namespace, "name": parent, "uid": format!("uid-{parent}")});
    }
    serde_json::from_value(object).unwrap()
}

pub(crate) fn with_condition(
    conditions: &mut Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>,
    kind: &str,
    reason: &str,
    message: &str,
) {
    *conditions = vec![serde_json::from_value(condition(kind, reason, message)).unwrap()];
}

pub(crate) fn world() -> World {
    let agent = |name: &str| json!({"agent": {"name": name}});
    let alice = json!({"owner": {"name": "alice"}});
    let mut old = delegation("finance", "old", &alice, &json!({"name": "planner"}), None);
    with_condition(
        &mut old.status.as_mut().unwrap().conditions,
        "Completed",
        "Revoked",
        "it was revoked",
    );
    let mut stuck = identity("finance", "stuck", "bob", "other");
    with_condition(
        &mut stuck.status.as_mut().unwrap().conditions,
        "Stalled",
        "GrantsWiden",
        "grants[0] widens: \"write\" on \"ledger/*\" is not granted above",
    );
    World {
        owners: vec![owner("alice"), owner("bob")],
        identities: vec![
            identity("finance", "planner", "alice", "plan-1"),
            identity("finance", "invoice-reader", "alice", "reconcile"),
            stuck,
            identity("archive", "clerk", "bob", "file-it"),
        ],
        delegations: vec![
            delegation(
                "finance",
                "alice-to-planner",
                &alice,
                &json!({"name": "planner"}),
                None,
            ),
            old,
            delegation(
                "finance",
                "planner-to-reader",
                &agent("planner"),
                &json!({"name": "invoice-reader"}),
                Some("alice-to-planner"),
            ),
            delegation(
                "finance",
                "reader-to-clerk",
                &agent("invoice-reader"),
                &json!({"name": "clerk", "namespace": "archive"}),
                Some("planner-to-reader"),
            ),
            delegation(
                "finance",
                "lost",
                &agent("nobody"),
                &json!({"name": "gone"}),
                Some("not-there"),
            ),
        ],
    }
}

/// A trust domain with an authority and signing keys.
pub(crate) struct Signed {
    domain: String,
    ring: KeyRing,
    set: authority::AuthoritySet,
}

impl Signed {
    pub(crate) fn new(domain: &str) -> Self {
        let want = WantedKeys {
            trust_domain: domain.to_owned(),
            lifetime_seconds: 30 * 86_400,
            epoch: 1,
            distrusted: BTreeSet::new(),
            longest_statement_seconds: 86_400,
            propagated: true,
            propagation_seconds: 60,
        };
        let wanted = authority::Wanted {
            trust_domain: domain.to_owned(),
            ca_lifetime_seconds: 30 * 86_400,
            key_algorithm: authority::KeyAlgorithm::EcdsaP256,
            epoch: 1,
            distrusted: BTreeSet::new(),
            max_leaf_ttl_seconds: 3600,
            bundle_propagated: true,
            propagation_seconds: 60,
        };
        let set = authority::AuthoritySet::default()
            .next(&wanted, plus(-60))
            .unwrap()
            .unwrap();
        Self {
            domain: domain.to_owned(),
            ring: KeyRing::default().next(&want, plus(-60)).unwrap().unwrap(),
            set,
        }
    }

    pub(crate) fn bundle(&self) -> String {
        self.set.bundle().spiffe_json_with(60, &self.ring.jwks(), 1)
    }

    /// The certificate chain and key of an agent, PEM.
    pub(crate) fn certificate(&self, spiffe_id: &str) -> (String, String) {
        let signer = self.set.signer().unwrap().unwrap();
        let request = authority::LeafRequest {
            spiffe_id,
            key: authority::LeafKey::Generate(authority::KeyAlgorithm::EcdsaP256),
            ttl_seconds: 600,
            not_after_cap: None,
        };
        let leaf = signer.issue(&request, now()).unwrap();
        (leaf.chain_pem.clone(), leaf.key_pem.unwrap().to_string())
    }

    pub(crate) fn checkpoint(&self, chain: &str, sequence: u64) -> String {
        let checkpoint = checkpoint::Checkpoint {
            issued_at: now(),
            chain: chain.to_owned(),
            sequence,
            hash: [7; 32],
        };
        let signer = self.ring.signer(Purpose::Checkpoints).unwrap();
        checkpoint::sign(&checkpoint, &signer).unwrap()
    }

    /// A list of one partition for all digests.
    pub(crate) fn revocations(
        &self,
        revoked: &[&Statement],
        (partition, of): (u32, u32),
    ) -> String {
        let digests = revoked.iter().map(|it| *it.digest());
        let list = revocation::List::new(now(), plus(60), 1, (partition, of), digests).unwrap();
        list.sign(&self.ring.signer(Purpose::Lists).unwrap())
            .unwrap()
    }

    /// Alice's grants, alice-to-planner and planner-to-reader.
    pub(crate) fn chain(&self) -> Vec<Statement> {
        let signer = self.ring.signer(Purpose::Statements).unwrap();
        let domain = TrustDomainName::parse(&self.domain).unwrap();
        let owner = owner_subject(&domain, "alice").unwrap();
        let mut claims = Claims {
            issuer: domain,
            subject: owner,
            delegator: None,
            id: "uid-alice/uid-alice-to-planner".to_owned(),
            issued_at: now(),
            expires_at: plus(3600),
            depth: 0,
            max_depth: 16,
            parent: None,
            grants: grants(json!([{"actions": ["read", "list"], "resources": ["ledger/*"]}])),
            owner: "alice".to_owned(),
            task: None,
            requester: None,
            agent_statement: None,
        };
        let mut chain = vec![signer.countersign(&claims).unwrap()];
        for (depth, (name, to)) in [
            ("alice-to-planner", "planner"),
            ("planner-to-reader", "invoice-reader"),
        ]
        .into_iter()
        .enumerate()
        {
            let above = chain.last().unwrap();
            claims = Claims {
                delegator: Some(claims.subject.clone()),
                subject: SpiffeId::parse(&spiffe_id("finance", to)).unwrap(),
                id: format!("uid-{name}"),
                depth: u8::try_from(depth).unwrap() + 1,
                max_depth: 3,
                parent: Some(*above.digest()),
                expires_at: plus(900),
                grants: grants(json!([{"actions": ["read"], "resources": ["ledger/*"]}])),
                requester: Some("alice@example.org".to_owned()),
                task: Some(Task {
                    group: "batch".to_owned(),
                    resource: "jobs".to_owned(),
                    namespace: "finance".to_owned(),
                    name: "plan-1".to_owned(),
                    uid: "t-1".to_owned(),
                }),
                ..claims
            };
            chain.push(signer.countersign(&claims).unwrap());
        }
        chain
    }
}

pub(crate) fn grants(value: Value) -> Vec<Grant> {
    serde_json::from_value(value).unwrap()
}
