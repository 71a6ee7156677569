//! Hops that the delegator signed itself, with the key of its certificate.

use countersign_authority::PrivateKey;
use countersign_core::{Grant, SpiffeId};
use countersign_statement::Digest;
use countersign_statement::agent::{self, Request};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::setting::{bundle_json, but, digest, hop, invoices, spiffe_id, status, verified};
use crate::harness::{Space, World};
use crate::pki::{Credential, certificates};

/// As long as a hop lives here: less than its parent.
const LIFE: i64 = 300;

/// Whose credential signs.
pub(super) struct Signer {
    pub(super) key: PrivateKey,
    pub(super) chain: Vec<Vec<u8>>,
}

impl Signer {
    pub(super) async fn of(space: &Space, agent: &str) -> Self {
        let secret = space.secret(&format!("{agent}-identity")).await.unwrap();
        let credential = Credential::of(&secret);
        let chain = certificates(&credential.chain);
        Self {
            key: PrivateKey::from_pem(&credential.key).unwrap(),
            chain: chain.iter().map(|it| it.to_vec()).collect(),
        }
    }

    pub(super) fn sign(&self, request: &Request) -> String {
        agent::sign(request, &self.key, &self.chain).unwrap()
    }
}

/// `planner`, who holds a delegation, `clerk` and `reader`.
pub(super) struct Scene {
    pub(super) space: Space,
    pub(super) planner: Signer,
    pub(super) request: Request,
}

impl Scene {
    pub(super) async fn new(world: &World) -> Self {
        let space = world.space("signed").await;
        let agents = space.agents(&["planner", "clerk", "reader"]).await;
        let chain = space.chain(&["planner"]).await;
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        let grants: Vec<Grant> = serde_json::from_value(invoices()).unwrap();
        let request = Request {
            delegator: SpiffeId::parse(&spiffe_id(&agents[0])).unwrap(),
            delegate: SpiffeId::parse(&spiffe_id(&agents[1])).unwrap(),
            id: "first".to_owned(),
            issued_at: now,
            expires_at: now + SignedDuration::from_secs(LIFE),
            max_depth: 5,
            parent: Digest::parse(&digest(&chain[0])).unwrap(),
            grants,
        };
        Self {
            planner: Signer::of(&space, "planner").await,
            space,
            request,
        }
    }

    pub(super) async fn post(&self, name: &str, statement: &str) {
        self.space.delegate(object(name, statement)).await;
    }

    /// Posts what `change` makes of the request, and waits for its refusal.
    async fn refused(&self, name: &str, reason: &str, change: impl FnOnce(&mut Request)) -> String {
        let mut request = self.request.clone();
        request.id = name.to_owned();
        change(&mut request);
        self.post(name, &self.planner.sign(&request)).await;
        self.space.until_not_granted(name, reason).await
    }
}

fn object(name: &str, statement: &str) -> Value {
    let spec = json!({
        "statement": statement, "expiresAfterSeconds": LIFE, "maxDepth": 3,
    });
    but(hop(name, "to-planner", "planner", "clerk"), spec)
}

#[tokio::test]
async fn a_hop_that_its_delegator_signed_is_countersigned_with_that_in_it() {
    let world = World::shared().await;
    let scene = Scene::new(world).await;
    let statement = scene.planner.sign(&scene.request);
    scene.post("signed", &statement).await;
    let it = scene.space.until_in_force("signed").await;
    // The agent's own signature is verified, too.
    let chain = verified(&it, &bundle_json(&scene.space.client).await);
    let claims = chain.leaf().claims();
    assert_eq!(claims.agent_statement.as_deref(), Some(statement.as_str()));
    assert!(claims.expires_at <= scene.request.expires_at);
    // And it can be handed on like any other.
    scene
        .space
        .delegate(hop("below", "signed", "clerk", "reader"))
        .await;
    scene.space.until_in_force("below").await;
}

#[tokio::test]
async fn an_agent_may_sign_a_moment_before_it_posts() {
    let world = World::shared().await;
    let scene = Scene::new(world).await;
    let mut request = scene.request.clone();
    let before = SignedDuration::from_secs(5);
    request.issued_at -= before;
    request.expires_at -= before;
    scene.post("signed", &scene.planner.sign(&request)).await;
    let it = scene.space.until_in_force("signed").await;
    let end = status(&it).expiration_time.as_ref().unwrap().0;
    assert!(end <= request.expires_at, "{end}");
}

#[tokio::test]
async fn what_was_signed_must_be_what_is_asked_for() {
    let world = World::shared().await;
    let scene = Scene::new(world).await;
    let differs = "StatementDiffers";
    let message = scene
        .refused("parent", differs, |it| {
            it.parent = Digest::from_bytes([7; 32]);
        })
        .await;
    assert!(message.contains("par_hash"), "{message}");
    let reader = SpiffeId::parse(&spiffe_id(&scene.space.get("reader").await)).unwrap();
    scene
        .refused("delegate", differs, |it| it.delegate = reader)
        .await;
    scene
        .refused("grants", differs, |it| {
            it.grants[0].resources = vec!["ledger/*".to_owned()];
        })
        .await;
    scene
        .refused("less", differs, |it| {
            it.grants[0].resources = vec!["ledger/invoices/2026".to_owned()];
        })
        .await;
    scene
        .refused("depth", differs, |it| it.max_depth += 1)
        .await;
    scene
        .refused("longer", differs, |it| {
            it.expires_at += SignedDuration::from_secs(1);
        })
        .await;
}

#[tokio::test]
async fn a_jti_is_used_once() {
    let world = World::shared().await;
    let scene = Scene::new(world).await;
    let statement = scene.planner.sign(&scene.request);
    scene.post("one", &statement).await;
    scene.space.until_in_force("one").await;
    scene.post("two", &statement).await;
    let message = scene
        .space
        .until_not_granted("two", "StatementReplayed")
        .await;
    assert!(message.contains("one"), "{message}");
    scene.space.until_in_force("one").await;
    // Signed anew, with the same jti.
    let mut request = scene.request.clone();
    request.max_depth = 5;
    scene.post("three", &scene.planner.sign(&request)).await;
    scene
        .space
        .until_not_granted("three", "StatementReplayed")
        .await;
    // Revoking the first doesn't free it.
    scene.space.revoke_delegation("one").await;
    scene.space.until_ended("one", &["Revoked"]).await;
    scene.post("four", &statement).await;
    scene
        .space
        .until_not_granted("four", "StatementReplayed")
        .await;
}

#[tokio::test]
async fn what_is_expired_or_from_the_future_counts_for_nothing() {
    let world = World::shared().await;
    let scene = Scene::new(world).await;
    let hour = SignedDuration::from_hours(1);
    scene
        .refused("expired", "StatementInvalid", |it| {
            it.issued_at -= hour;
            it.expires_at -= hour;
        })
        .await;
    scene
        .refused("future", "StatementInvalid", |it| {
            it.issued_at += hour;
            it.expires_at += hour;
        })
        .await;
}

#[tokio::test]
async fn a_deleted_delegations_statement_is_not_used_again() {
    let world = World::shared().await;
    let scene = Scene::new(world).await;
    let statement = scene.planner.sign(&scene.request);
    scene.post("one", &statement).await;
    scene.space.until_in_force("one").await;
    scene.space.delete_delegation_alone("one").await;
    scene.post("two", &statement).await;
    scene
        .space
        .until_not_granted("two", "StatementReplayed")
        .await;
}
