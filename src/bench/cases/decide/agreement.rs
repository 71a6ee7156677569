//! Do both sides mean the same? Asked before anything is measured.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::measure::Side;

/// A question that is like the first one but for one thing, and whether it is allowed.
pub(super) fn questions(all: &[Value]) -> Result<Vec<(Value, bool)>> {
    let first = all.first().context("no question")?;
    let another = all
        .iter()
        .find(|it| it["subject"]["id"] != first["subject"]["id"]);
    let another = another.context("only one agent")?;
    let but = |change: &dyn Fn(&mut Value)| {
        let mut question = first.clone();
        change(&mut question);
        question
    };
    Ok(vec![
        (first.clone(), true),
        (but(&|it| it["action"]["name"] = json!("delete")), false),
        (
            but(&|it| it["resource"]["id"] = json!("ledger/orders/1")),
            false,
        ),
        // Beyond the last hop, though not beyond the agent's own grants.
        (
            but(&|it| it["resource"]["id"] = json!("ledger/invoices/2025/1")),
            false,
        ),
        (
            but(&|it| it["subject"]["id"] = another["subject"]["id"].clone()),
            false,
        ),
        (
            but(&|it| it["subject"]["id"] = json!("spiffe://bench.example/nobody")),
            false,
        ),
        (
            but(&|it| it["context"]["delegation"] = json!("A".repeat(43))),
            false,
        ),
        (
            but(&|it| it["context"] = json!({"sourceIP": "10.1.2.3"})),
            true,
        ),
    ])
}

/// Asks a side these questions, as it is asked them.
pub(super) async fn check(
    side: &Side,
    questions: &[(Value, bool)],
    request: impl Fn(&Value) -> Vec<u8>,
) -> Result<()> {
    let mut open = side.door.open().await?;
    for (question, allowed) in questions {
        let reply = open.ask(&request(question)).await?;
        ensure!(
            reply.status == 200 && reply.has(side.allow) == *allowed,
            "{} says {} to {question}",
            side.name,
            reply.text()
        );
    }
    Ok(())
}
