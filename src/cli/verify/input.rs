//! Chains as they come in files.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The longest file: sixteen statements of the longest kind in an object, and much around them.
pub(crate) const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The statements in `text`, hop 0 first: a JSON array of compact statements, one on each line, or a
/// Delegation as `kubectl get -o yaml` or `-o json` writes it.
pub(crate) fn chain(text: &str) -> Result<Vec<String>> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        bail!("the chain is empty");
    }
    if text.starts_with('[') {
        return serde_json::from_str(text).context("the chain is no JSON array of statements");
    }
    if text.starts_with('{') {
        return of_object(&serde_json::from_str(text).context("the chain is no JSON")?);
    }
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    if lines.iter().all(|it| is_compact(it)) {
        return Ok(lines.into_iter().map(str::to_owned).collect());
    }
    let value: Value = serde_saphyr::from_str(text).context(
        "the chain is neither a JSON array, nor a compact statement on each line, nor a Delegation as YAML",
    )?;
    of_object(&value)
}

/// Three parts of base64url with dots between.
fn is_compact(text: &str) -> bool {
    let good = |it: &str| {
        !it.is_empty()
            && it
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_')
    };
    text.split('.').count() == 3 && text.split('.').all(good)
}

fn of_object(value: &Value) -> Result<Vec<String>> {
    let kind = value
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if kind == "List" {
        return match value
            .get("items")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
        {
            Some([one]) => of_object(one),
            _ => bail!("the chain is a list of several objects: verify one at a time"),
        };
    }
    if kind != "Delegation" {
        bail!("the chain is an object of kind {kind:?}, not a Delegation");
    }
    let status = value.get("status");
    let own = status
        .and_then(|it| it.get("statement"))
        .and_then(Value::as_str);
    let Some(own) = own else {
        bail!("the Delegation has no status.statement: it is not countersigned");
    };
    let mut statements = Vec::new();
    let ancestors = status
        .and_then(|it| it.get("ancestors"))
        .and_then(Value::as_array);
    for it in ancestors.into_iter().flatten() {
        statements.push(
            it.as_str()
                .context("status.ancestors has something that is no statement")?
                .to_owned(),
        );
    }
    statements.push(own.to_owned());
    Ok(statements)
}
