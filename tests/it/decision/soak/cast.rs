//! Who asks, and what each may expect.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::super::counts::Counts;
use super::super::decider::{Decider, question};
use super::super::through::try_ask;
use super::books::Note;
use super::tally::Times;
use crate::harness::{Space, within};

/// Much longer than anything takes on two busy cores.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// An agent that asks, by its own authority or by a chain's.
pub(super) struct Actor {
    /// Its AgentIdentity.
    pub(super) name: String,
    /// Its SPIFFE ID.
    pub(super) agent: String,
    pub(super) chain: Option<Held>,
    /// Are its calls destructive, so that a guard looks at its risk?
    pub(super) destructive: bool,
    /// Where its credential is; `None`: it doesn't go through Envoy.
    pub(super) secrets: Option<Api<Secret>>,
    pub(super) standing: Standing,
}

/// A chain that an actor holds.
pub(super) struct Held {
    pub(super) digest: String,
    /// Its statements, as the header carries them.
    pub(super) statements: String,
}

/// What an actor may expect of what it is granted. One task changes it, all others look before they
/// ask and after they were answered.
pub(super) struct Standing(AtomicU64);

/// A look at a standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen(u64);

/// In a change, for which either answer is good.
const CHANGING: u64 = 1;
const ALLOWED: u64 = 2;
const VERSION: u64 = 4;

impl Standing {
    pub(super) fn new(allowed: bool) -> Self {
        Self(AtomicU64::new(if allowed { ALLOWED } else { 0 }))
    }

    pub(super) fn now(&self) -> Seen {
        Seen(self.0.load(Ordering::SeqCst))
    }

    /// Something is about to be done that changes it.
    pub(super) fn begin(&self) {
        self.0.fetch_or(CHANGING, Ordering::SeqCst);
    }

    /// It was done, and all replicas know.
    pub(super) fn settle(&self, allowed: bool) {
        let version = self.0.load(Ordering::SeqCst) / VERSION + 1;
        let allowed = if allowed { ALLOWED } else { 0 };
        self.0.store(version * VERSION + allowed, Ordering::SeqCst);
    }
}

impl Seen {
    /// What is expected, if nothing was being changed between this look and a later one.
    pub(super) fn until(self, later: Self) -> Option<bool> {
        let still = self == later && self.0 & CHANGING == 0;
        still.then_some(self.0 & ALLOWED > 0)
    }

    pub(super) fn is_changing(self) -> bool {
        self.0 & CHANGING > 0
    }
}

impl Actor {
    pub(super) fn new(name: &str, agent: String) -> Self {
        Self {
            name: name.to_owned(),
            agent,
            chain: None,
            destructive: false,
            secrets: None,
            standing: Standing::new(true),
        }
    }

    /// It goes through Envoy, too.
    pub(super) fn with_credential(mut self, space: &Space) -> Self {
        self.secrets = Some(space.secrets());
        self
    }

    /// May it do this?
    pub(super) fn question(&self, action: &str, path: &str) -> Value {
        let mut question = question(&self.agent, action, path);
        question["context"] = self.context();
        question
    }

    pub(super) fn context(&self) -> Value {
        let mut context = json!({"destructive": self.destructive});
        if let Some(chain) = &self.chain {
            context["delegation"] = json!(chain.digest);
        }
        context
    }
}

/// Everything that those who ask and those who change things share.
pub(super) struct Cast {
    pub(super) space: Space,
    pub(super) replicas: Vec<Decider>,
    pub(super) envoy: std::net::SocketAddr,
    pub(super) notes: mpsc::Sender<Note>,
    pub(super) counts: Counts,
    pub(super) authzen: Times,
    pub(super) through_envoy: Times,
    /// Between two requests of one connection.
    pub(super) pause: Duration,
    pub(super) ends: Instant,
    actors: RwLock<Vec<Arc<Actor>>>,
}

impl Cast {
    pub(super) fn new(
        space: Space,
        replicas: Vec<Decider>,
        envoy: std::net::SocketAddr,
        notes: mpsc::Sender<Note>,
        pause: Duration,
        lasts: Duration,
    ) -> Self {
        Self {
            space,
            replicas,
            envoy,
            notes,
            counts: Counts::default(),
            authzen: Times::default(),
            through_envoy: Times::default(),
            pause,
            ends: Instant::now() + lasts,
            actors: RwLock::default(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.ends
    }

    /// Sleeps, but not beyond the end.
    pub(super) async fn rest(&self, seconds: u64) {
        let left = self.ends.saturating_duration_since(Instant::now());
        sleep(left.min(Duration::from_secs(seconds))).await;
    }

    pub(super) fn enter(&self, actor: Actor) -> Arc<Actor> {
        let actor = Arc::new(actor);
        self.actors.write().unwrap().push(Arc::clone(&actor));
        actor
    }

    pub(super) fn leave(&self, actor: &Arc<Actor>) {
        let mut actors = self.actors.write().unwrap();
        actors.retain(|it| !Arc::ptr_eq(it, actor));
    }

    pub(super) fn is_there(&self, actor: &Arc<Actor>) -> bool {
        let actors = self.actors.read().unwrap();
        actors.iter().any(|it| Arc::ptr_eq(it, actor))
    }

    /// One of those that are `fit`.
    pub(super) fn any(&self, dice: &mut Dice, fit: impl Fn(&Actor) -> bool) -> Option<Arc<Actor>> {
        let actors = self.actors.read().unwrap();
        let fit: Vec<_> = actors.iter().filter(|it| fit(it)).collect();
        fit.get(dice.below(fit.len())).map(|it| Arc::clone(it))
    }

    /// Waits until each replica says so, which then is what the actor may expect.
    pub(super) async fn until_all_say(&self, actor: &Actor, allowed: bool) {
        self.until_all(actor, allowed).await;
        actor.standing.settle(allowed);
    }

    pub(super) async fn until_all(&self, actor: &Actor, allowed: bool) {
        let question = actor.question("read", "ledger/invoices/7");
        for replica in &self.replicas {
            let what = format!("{allowed} for {}", actor.name);
            within(PATIENCE, &what, async || {
                let told = try_ask(&replica.address, &question).await.ok()?;
                let busy = ["NotReady", "Overloaded"].contains(&told.reason.as_str());
                (told.allowed == allowed && !busy).then_some(())
            })
            .await;
        }
    }

    /// What must not be: it is told at once, counted, and fails the test in the end.
    pub(super) fn wrong(&self, what: &str) {
        eprintln!("soak: WRONG: {what}");
        self.counts.add("wrong");
    }
}

/// Numbers that are the same in each run (xorshift64*).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `end`, or 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number)
            .unwrap()
            .checked_rem(end)
            .unwrap_or(0)
    }
}
