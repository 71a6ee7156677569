//! What nobody honest sends.

use serde_json::{Value, json};

use super::cast::{Actor, Cast, Dice};
use super::load::any_replica;

/// Posts a body that can't be decided about, on a connection of its own: it may be closed for it.
pub(super) async fn post(cast: &Cast, dice: &mut Dice) -> std::io::Result<()> {
    let Some(actor) = cast.any(dice, |_| true) else {
        return Ok(());
    };
    let (path, body) = body(&actor, dice);
    let mut open = any_replica(cast, dice).await?;
    let Ok(reply) = open.post(path, &body).await else {
        cast.counts.add("hostile: closed");
        return Ok(());
    };
    let text = String::from_utf8_lossy(&reply.body);
    let allows = text.contains("\"decision\":true");
    if allows || !(reply.status == 200 || (400..500).contains(&reply.status)) {
        let start = String::from_utf8_lossy(&body[..body.len().min(200)]);
        cast.wrong(&format!("{} {text} to {start}", reply.status));
    }
    cast.counts.add(&format!("hostile: {}", reply.status));
    Ok(())
}

fn body(actor: &Actor, dice: &mut Dice) -> (&'static str, Vec<u8>) {
    let (one, many) = ("/access/v1/evaluation", "/access/v1/evaluations");
    let good = || actor.question("read", "ledger/invoices/7");
    let but = |pointer: &str, value: Value| {
        let mut question = good();
        *question.pointer_mut(pointer).unwrap() = value;
        question.to_string().into_bytes()
    };
    match dice.below(14) {
        0 => (one, Vec::new()),
        1 => (one, b"{".to_vec()),
        2 => (one, "[".repeat(10_000).into_bytes()),
        3 => {
            let long = "a".repeat(2 << 20);
            (one, but("/subject/id", json!(long)))
        }
        4 => (one, b"{\"subject\": \"\xff\xfe\"}".to_vec()),
        5 => (one, but("/subject", json!(7))),
        6 => (one, but("/action", json!(["read"]))),
        7 => (one, but("/resource/id", json!("ledger/../payroll/7"))),
        8 => (one, but("/resource/id", json!("ledger/invoices/*"))),
        9 => (one, but("/context", json!("nothing"))),
        10 => (one, but("/context", json!({"delegation": "A".repeat(43)}))),
        11 => {
            let statements = vec!["aaaa.bbbb.cccc"; 100];
            (one, but("/context", json!({"delegation": statements})))
        }
        12 => {
            let mut batch = good();
            let payroll = json!({"resource": {"type": "document", "id": "payroll/7"}});
            batch["evaluations"] = json!(vec![payroll; 100]);
            (many, batch.to_string().into_bytes())
        }
        _ => {
            let unknown = "spiffe://example.org/ns/nobody/agent/nobody";
            (one, but("/subject/id", json!(unknown)))
        }
    }
}

/// A chain that isn't this actor's, or none at all.
pub(super) fn chain(cast: &Cast, actor: &Actor, dice: &mut Dice) -> Vec<u8> {
    let others = |it: &Actor| it.chain.is_some() && it.agent != actor.agent;
    let other = cast.any(dice, others);
    let held = other.as_ref().and_then(|it| it.chain.as_ref());
    match (dice.below(7), held) {
        (0, Some(held)) => held.digest.clone().into_bytes(),
        (1, Some(held)) => held.statements.clone().into_bytes(),
        (2, Some(held)) => {
            // Its last statement is cut off.
            let (above, _) = held.statements.rsplit_once('~').unwrap();
            above.as_bytes().to_vec()
        }
        (3, _) => vec![b'A'; 100_000],
        (4, _) => b"\xc3\xa4\xf6".to_vec(),
        (5, _) => b"aaaa.bbbb.cccc~dddd".to_vec(),
        _ => vec![b'A'; 43],
    }
}
