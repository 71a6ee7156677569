//! OPA as a process, with the same rules and facts.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::certificates::Certificates;
use super::leash::Leashed;
use super::measure::Side;
use super::scene::Scene;
use super::wire::{Door, post};
use crate::published::free_address;

/// The rules, as they are shipped to OPA.
const RULES: &str = include_str!("../../opa/authz.rego");

/// How long an identity lives at most, in nanoseconds: the bed's trust domain says a day.
const LONGEST_NS: i64 = 86_400_000_000_000;

const ALLOW: &str = "/v1/data/countersign/allow";

/// A running OPA. Ends with the value.
pub(super) struct Opa {
    process: Leashed,
    door: Door,
}

impl Opa {
    /// Starts it as its documentation says for speed, and waits until it answers.
    pub(super) async fn start(
        program: &Path,
        scene: &Scene,
        tls: Option<&Certificates>,
    ) -> Result<Self> {
        ensure!(
            program.is_file(),
            "there is no {}: hack/bench.sh builds it",
            program.display()
        );
        let address = free_address()?;
        let (rules, data) = (scene.file("authz.rego"), scene.file("opa.json"));
        std::fs::write(&rules, RULES)?;
        std::fs::write(&data, scene.opa_data()?.to_string())?;
        let mut arguments = vec![
            "run".to_owned(),
            "--server".to_owned(),
            format!("--addr={address}"),
            "--log-level=error".to_owned(),
            "--skip-version-check".to_owned(),
            "--optimize-store-for-read-speed".to_owned(),
            rules.display().to_string(),
            data.display().to_string(),
        ];
        if let Some(tls) = tls {
            arguments.extend([
                format!("--tls-cert-file={}", tls.server().display()),
                format!("--tls-private-key-file={}", tls.server_key().display()),
                format!("--tls-ca-cert-file={}", tls.ca().display()),
                "--authentication=tls".to_owned(),
            ]);
        }
        let log = scene.file(if tls.is_some() {
            "opa-tls.log"
        } else {
            "opa.log"
        });
        let opa = Self {
            process: Leashed::start(program, &arguments, &[], &log)?,
            door: door(address, tls)?,
        };
        opa.until_ready().await?;
        Ok(opa)
    }

    /// The questions, as it is asked them.
    pub(super) fn side(&self, scene: &Scene) -> Side {
        Side {
            name: "OPA",
            door: self.door.clone(),
            requests: scene.questions().iter().map(request).collect(),
            allow: r#""result":true"#,
        }
    }

    pub(super) fn resident(&self) -> Result<u64> {
        self.process.resident()
    }

    async fn until_ready(&self) -> Result<()> {
        for _ in 0..300 {
            self.process.check()?;
            if self.door.open().await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.door
            .open()
            .await
            .map(drop)
            .context("OPA doesn't answer")
    }
}

/// A whole request of it, for the body of an AuthZEN evaluation.
pub(super) fn request(question: &Value) -> Vec<u8> {
    post(ALLOW, "", &json!({"input": question}).to_string())
}

/// Where `tls` says.
pub(super) fn door(address: SocketAddr, tls: Option<&Certificates>) -> Result<Door> {
    let tls = tls.map(Certificates::client).transpose()?;
    Ok(Door { address, tls })
}

/// Identities, owners and delegations of the cluster, by what questions name them by.
pub(super) fn data(identities: &[Value], owners: &[Value], hops: &[Value]) -> Result<Value> {
    let mut agents = Map::new();
    let mut ids = Map::new();
    for it in identities {
        let id = text(it, "/status/spiffeID")?;
        ids.insert(text(it, "/metadata/name")?.to_owned(), json!(id));
        let facts = json!({
            "state": "Active",
            "namespace": text(it, "/metadata/namespace")?,
            "owner": text(it, "/spec/ownerRef/name")?,
            "deadline_ns": nanoseconds(text(it, "/metadata/creationTimestamp")?)? + LONGEST_NS,
            "grants": grants(it),
        });
        agents.insert(id.to_owned(), facts);
    }
    let owners = owners.iter().map(|it| {
        let facts = json!({"state": "Active", "grants": grants(it)});
        Ok((text(it, "/metadata/name")?.to_owned(), facts))
    });
    let owners: Map<String, Value> = owners.collect::<Result<_>>()?;
    let delegations = hops.iter().map(|it| hop(it, hops, &ids));
    let delegations: Map<String, Value> = delegations.collect::<Result<_>>()?;
    Ok(json!({
        "identities": agents,
        "owners": owners,
        "delegations": delegations,
        "resources": [{"pattern": "ledger/**", "sensitivity": 1}],
        "signals": {},
    }))
}

/// A delegation by its digest, with the digests of its chain from the root on.
fn hop(it: &Value, all: &[Value], ids: &Map<String, Value>) -> Result<(String, Value)> {
    let mut chain = Vec::new();
    let mut at = it;
    loop {
        chain.insert(0, text(at, "/status/digest")?);
        let Some(parent) = at.pointer("/spec/parentRef/name") else {
            break;
        };
        let above = all.iter().find(|it| it["metadata"]["name"] == *parent);
        at = above.context("a delegation's parent is missing")?;
    }
    let id_of = |name: &str| ids.get(name).context("an agent of a chain is missing");
    let mut facts = json!({
        "state": "Active",
        "chain": chain,
        "to": id_of(text(it, "/spec/to/name")?)?,
        "root_owner": text(at, "/spec/from/owner/name")?,
        "expires_ns": nanoseconds(text(it, "/status/expirationTime")?)?,
        "grants": grants(it),
    });
    if let Some(from) = it.pointer("/spec/from/agent/name").and_then(Value::as_str) {
        facts["from"] = id_of(from)?.clone();
    }
    Ok((text(it, "/status/digest")?.to_owned(), facts))
}

/// With patterns of `glob.match`, whose last `**` is what `*` is at the end of ours.
fn grants(object: &Value) -> Vec<Value> {
    let grants = object.pointer("/spec/grants").and_then(Value::as_array);
    let grants = grants.into_iter().flatten().map(|it| {
        let patterns = it["resources"].as_array().into_iter().flatten();
        let patterns = patterns.filter_map(Value::as_str).map(glob);
        json!({"actions": it["actions"], "resources": patterns.collect::<Vec<_>>()})
    });
    grants.collect()
}

fn glob(pattern: &str) -> String {
    match pattern.strip_suffix('*') {
        Some(before) => format!("{before}**"),
        None => pattern.to_owned(),
    }
}

fn nanoseconds(time: &str) -> Result<i64> {
    let time: Timestamp = time.parse()?;
    Ok(time.as_nanosecond().try_into()?)
}

fn text<'a>(object: &'a Value, pointer: &str) -> Result<&'a str> {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.with_context(|| format!("no {pointer} in {object}"))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_told_from_its_root_on() {
        let identity = |name: &str| {
            json!({
                "metadata": {
                    "name": name,
                    "namespace": "agents",
                    "creationTimestamp": "2026-11-24T00:00:00Z",
                },
                "spec": {"ownerRef": {"name": "o"}, "grants": []},
                "status": {"spiffeID": format!("spiffe://x/{name}")},
            })
        };
        let root = json!({
            "metadata": {"name": "root"},
            "spec": {"from": {"owner": {"name": "o"}}, "to": {"name": "a"}, "grants": [
                {"actions": ["read"], "resources": ["ledger/*"]},
            ]},
            "status": {"digest": "d1", "expirationTime": "2026-11-24T00:00:00Z"},
        });
        let below = json!({
            "metadata": {"name": "below"},
            "spec": {
                "from": {"agent": {"name": "a"}},
                "parentRef": {"name": "root"},
                "to": {"name": "b"},
                "grants": [],
            },
            "status": {"digest": "d2", "expirationTime": "2026-11-24T00:00:00Z"},
        });
        let data = data(&[identity("a"), identity("b")], &[], &[below, root]).unwrap();
        let below = &data["delegations"]["d2"];
        assert_eq!(below["chain"], json!(["d1", "d2"]));
        assert_eq!(
            (&below["from"], &below["root_owner"]),
            (&json!("spiffe://x/a"), &json!("o"))
        );
        let root = &data["delegations"]["d1"];
        assert_eq!(root["grants"][0]["resources"], json!(["ledger/**"]));
        assert_eq!(root["from"], Value::Null);
    }
}
