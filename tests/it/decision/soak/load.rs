//! Requests, and what may be answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::connection::Connection;
use super::super::decider::{TOKEN, told};
use super::super::through::{Came, credential};
use super::books::Note;
use super::cast::{Actor, Cast, Dice, Seen};
use super::hostile;

/// A connection is made anew after so long: certificates are renewed.
const KEPT: Duration = Duration::from_secs(15);

/// A connection that ended before its time: a few may.
pub(super) const CLOSED: &str = "closed without an answer";

/// Of what kind a question is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What the actor may do as long as it is in good standing.
    Plain,
    /// The same, to be recorded before it is answered.
    Sensitive,
    /// What nobody may.
    Never,
}

/// An action on a path, its method in HTTP, and its kind.
type Ask = (&'static str, String, &'static str, Kind);

fn ask(dice: &mut Dice) -> Ask {
    let n = dice.below(100);
    match dice.below(10) {
        0..=3 => ("read", format!("invoices/{n}"), "GET", Kind::Plain),
        4..=6 => {
            let path = format!("invoices/secret/{n}");
            ("read", path, "GET", Kind::Sensitive)
        }
        7 => ("delete", format!("invoices/{n}"), "DELETE", Kind::Never),
        8 => ("create", format!("invoices/{n}"), "POST", Kind::Never),
        _ => ("read", "vault/7".to_owned(), "GET", Kind::Never),
    }
}

/// What was answered.
#[derive(Debug)]
struct Heard {
    allowed: bool,
    reason: String,
    id: String,
}

impl Cast {
    /// Is that an answer that may be? Notes what must be on record.
    async fn judge(&self, way: &str, actor: &Actor, before: Seen, kind: Kind, heard: Heard) {
        let expected = before.until(actor.standing.now());
        let Heard {
            allowed,
            reason,
            id,
        } = &heard;
        let busy = ["NotReady", "Overloaded"].contains(&reason.as_str());
        let not_recorded = kind == Kind::Sensitive && reason == "NotRecorded";
        let bad = match expected {
            _ if *allowed && kind == Kind::Never => true,
            Some(false) => *allowed,
            Some(true) if kind != Kind::Never => !allowed && !busy && !not_recorded,
            _ => false,
        };
        if bad {
            let (name, who) = (&actor.name, &actor.agent);
            self.wrong(&format!(
                "{way}, {kind:?}, {name} ({who}), expected {expected:?}: {heard:?}"
            ));
            return;
        }
        self.counts.add(match (allowed, kind) {
            (true, Kind::Sensitive) => "allowed, recorded first",
            (true, _) => "allowed",
            (false, _) => reason,
        });
        let note = match (allowed, kind) {
            (true, Kind::Sensitive) => Note::allowed(id),
            (true, _) => return,
            (false, _) if reason == "Overloaded" => return, // too much work already
            (false, _) => Note::denied(id),
        };
        self.notes.send(note).await.unwrap();
    }
}

/// Asks by AuthZEN over connections that stay open, of each replica in turn.
pub(super) async fn by_authzen(cast: Arc<Cast>, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut open: Option<(Connection, Instant)> = None;
    while !cast.is_over() {
        sleep(cast.pause).await;
        let replica = &cast.replicas[dice.below(cast.replicas.len())];
        let (mut connection, since) = match open.take() {
            Some((connection, since)) if since.elapsed() < KEPT => (connection, since),
            _ => (replica.connect().await, Instant::now()),
        };
        let started = Instant::now();
        let done = match dice.below(100) {
            0..=3 => hostile::post(&cast, &mut dice).await,
            4..=6 => search(&cast, &mut connection, &mut dice).await,
            7..=12 => many(&cast, &mut connection, &mut dice).await,
            _ => one(&cast, &mut connection, &mut dice).await,
        };
        match done {
            Ok(()) => open = Some((connection, since)),
            // One that was silent for long, on a machine that was busy.
            Err(_) => cast.counts.add(CLOSED),
        }
        cast.authzen.took(started.elapsed());
    }
}

async fn one(cast: &Cast, open: &mut Connection, dice: &mut Dice) -> std::io::Result<()> {
    let Some(actor) = cast.any(dice, |_| true) else {
        return Ok(());
    };
    let (action, path, _, kind) = ask(dice);
    let question = actor.question(action, &format!("ledger/{path}"));
    let before = actor.standing.now();
    let body = question.to_string();
    let reply = open.post("/access/v1/evaluation", body.as_bytes()).await?;
    if reply.status != 200 {
        cast.wrong(&format!("AuthZEN: {reply:?} to {question}"));
        return Ok(());
    }
    let heard = Heard::of(reply.json());
    cast.judge("AuthZEN", &actor, before, kind, heard).await;
    Ok(())
}

async fn many(cast: &Cast, open: &mut Connection, dice: &mut Dice) -> std::io::Result<()> {
    let Some(actor) = cast.any(dice, |_| true) else {
        return Ok(());
    };
    let asks: Vec<Ask> = (0..5).map(|_| ask(dice)).collect();
    let evaluation = |(action, path, _, _): &Ask| {
        json!({
            "action": {"name": action},
            "resource": {"type": "document", "id": format!("ledger/{path}")},
        })
    };
    let evaluations: Vec<Value> = asks.iter().map(evaluation).collect();
    let mut batch = actor.question("read", "ledger/invoices/7");
    batch["evaluations"] = json!(evaluations);
    let before = actor.standing.now();
    let body = batch.to_string();
    let reply = open.post("/access/v1/evaluations", body.as_bytes()).await?;
    let answers = reply.json();
    let answers = answers["evaluations"].as_array().cloned();
    let answers = answers.unwrap_or_default();
    if answers.len() != asks.len() {
        cast.wrong(&format!("AuthZEN: {} answers to {batch}", answers.len()));
    }
    for ((_, _, _, kind), answer) in asks.into_iter().zip(answers) {
        let heard = Heard::of(answer);
        cast.judge("a batch", &actor, before, kind, heard).await;
    }
    Ok(())
}

/// Which actions are allowed? None for who isn't in good standing.
async fn search(cast: &Cast, open: &mut Connection, dice: &mut Dice) -> std::io::Result<()> {
    let Some(actor) = cast.any(dice, |it| it.chain.is_none()) else {
        return Ok(());
    };
    let mut search = actor.question("", "ledger/invoices/7");
    search.as_object_mut().unwrap().remove("action");
    let before = actor.standing.now();
    let body = search.to_string();
    let reply = open
        .post("/access/v1/search/action", body.as_bytes())
        .await?;
    let answer = reply.json();
    let found = answer["results"].as_array().cloned();
    let expected = before.until(actor.standing.now());
    let good = match &found {
        None => false,
        Some(found) => {
            let granted = |it: &Value| it["name"] == "read" || it["name"] == "list";
            found.iter().all(granted) && (found.is_empty() || expected != Some(false))
        }
    };
    if !good || reply.status != 200 {
        cast.wrong(&format!("a search, expected {expected:?}: {answer}"));
    }
    cast.counts.add("searches");
    Ok(())
}

impl Heard {
    fn of(whole: Value) -> Self {
        let told = told(whole);
        Self {
            allowed: told.allowed,
            reason: told.reason,
            id: told.id,
        }
    }
}

/// Asks through Envoy, with the actor's certificate.
pub(super) async fn by_envoy(cast: Arc<Cast>, seed: u64) {
    let mut dice = Dice::new(seed);
    while !cast.is_over() {
        sleep(cast.pause).await;
        let through = |it: &Actor| it.secrets.is_some();
        let Some(actor) = cast.any(&mut dice, through) else {
            continue;
        };
        // What was settled before is in the Secret, or there is none.
        let as_of = actor.standing.now();
        let secrets = actor.secrets.as_ref().unwrap();
        let Some(credential) = credential(secrets, &actor.name).await else {
            continue;
        };
        let mut open = Connection::as_agent(cast.envoy, &credential).await;
        let since = Instant::now();
        while since.elapsed() < KEPT && !cast.is_over() && cast.is_there(&actor) {
            sleep(cast.pause).await;
            // Whoever is let in again has another certificate.
            let now = actor.standing.now();
            if now != as_of && (now.is_changing() || now.until(now) == Some(true)) {
                break;
            }
            let started = Instant::now();
            let still_open = request(&cast, &actor, &mut open, &mut dice).await;
            cast.through_envoy.took(started.elapsed());
            if !still_open {
                break;
            }
        }
    }
}

/// Is the connection good for another?
async fn request(cast: &Cast, actor: &Actor, open: &mut Connection, dice: &mut Dice) -> bool {
    let (_, path, method, mut kind) = ask(dice);
    let held = actor.chain.as_ref().map(|it| match dice.below(2) {
        0 => it.digest.clone().into_bytes(),
        _ => it.statements.clone().into_bytes(),
    });
    let foreign = match dice.below(10) {
        0 => Some(hostile::chain(cast, actor, dice)),
        _ => None,
    };
    let hostile = foreign.is_some();
    if hostile {
        kind = Kind::Never;
    }
    let chain = foreign.or(held);
    let chain = chain.as_deref();
    let headers: Vec<(&str, &[u8])> = (chain.iter())
        .map(|it| ("x-countersign-delegation", *it))
        .collect();
    let before = actor.standing.now();
    let target = format!("/{path}");
    let reply = match open.send(method, &target, &headers, b"").await {
        Ok(reply) => reply,
        Err(_) => {
            // Envoy hangs up on what is too long.
            if !hostile {
                cast.counts.add(CLOSED);
            }
            return false;
        }
    };
    let heard = match Came::of(&reply) {
        Came::Through(id) => Heard {
            allowed: true,
            reason: String::new(),
            id,
        },
        Came::Refused { reason, decision } => Heard {
            allowed: false,
            reason,
            id: decision,
        },
        // By Envoy itself, before anybody was asked.
        Came::Stopped(status) if (400..500).contains(&status) && hostile => {
            cast.counts.add("stopped by Envoy itself");
            return false;
        }
        Came::Stopped(status) => {
            let name = &actor.name;
            cast.wrong(&format!("Envoy: {status} to {method} {path} by {name}"));
            return false;
        }
    };
    cast.judge("Envoy", actor, before, kind, heard).await;
    true
}

/// A connection of one's own, to any replica.
pub(super) async fn any_replica(cast: &Cast, dice: &mut Dice) -> std::io::Result<Connection> {
    let replica = &cast.replicas[dice.below(cast.replicas.len())];
    Connection::open(&replica.address, TOKEN).await
}
