//! A question in the words of AuthZEN.
//!
//! Source: OpenID AuthZEN Authorization API 1.0, section 6 (Access Evaluation API).

use std::net::IpAddr;

use anyhow::{Result, anyhow, bail};
use countersign_api::{AgentIdentity, Delegation};
use countersign_statement::Digest;
use serde::Serialize;

use super::CanArgs;
use crate::cluster::{Cluster, get};

/// A request of the Access Evaluation API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Question {
    pub(super) subject: Subject,
    pub(super) action: Action,
    pub(super) resource: Resource,
    pub(super) context: Context,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Subject {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    /// A SPIFFE ID.
    pub(super) id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Action {
    pub(super) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Resource {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) id: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Context {
    /// The digest of a chain's last statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delegation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) audience: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) destructive: Option<bool>,
    #[serde(rename = "sourceIP", skip_serializing_if = "Option::is_none")]
    pub(super) source_ip: Option<IpAddr>,
}

/// What the arguments ask; names are looked up in the cluster, which is asked for nothing else.
pub(super) async fn of(cluster: &Cluster, args: &CanArgs) -> Result<Question> {
    let id = match (&args.agent.spiffe_id, &args.agent.as_agent) {
        (Some(id), _) => id.clone(),
        (None, Some(name)) => spiffe_id(cluster, name).await?,
        (None, None) => bail!("--as-agent or --spiffe-id says who would do it"),
    };
    let delegation = match &args.delegation {
        Some(text) if Digest::parse(text).is_ok() => Some(text.clone()),
        Some(name) => Some(digest(cluster, name).await?),
        None => None,
    };
    let call = &args.call;
    Ok(Question {
        subject: Subject { kind: "agent", id },
        action: Action {
            name: args.action.clone(),
        },
        resource: Resource {
            kind: call.kind.clone().unwrap_or_default(),
            id: args.resource.clone(),
        },
        context: Context {
            delegation,
            tool: call.tool.clone(),
            audience: call.audience.clone(),
            bytes: call.bytes,
            destructive: call.destructive.then_some(true),
            source_ip: call.source_ip,
        },
    })
}

async fn spiffe_id(cluster: &Cluster, name: &str) -> Result<String> {
    let client = cluster.connect().await?;
    let (namespace, name) = split(name, &client.namespace);
    let found: AgentIdentity = get(&client.objects(namespace), "AgentIdentity", name).await?;
    let id = found.status.and_then(|it| it.spiffe_id);
    id.ok_or_else(|| {
        anyhow!(
            "AgentIdentity {namespace}/{name} has no SPIFFE ID yet, so nothing is allowed to it: \
             kubectl get agid {name} -n {namespace} says what it waits for"
        )
    })
}

async fn digest(cluster: &Cluster, name: &str) -> Result<String> {
    let client = cluster.connect().await?;
    let (namespace, name) = split(name, &client.namespace);
    let found: Delegation = get(&client.objects(namespace), "Delegation", name).await?;
    let digest = found.status.and_then(|it| it.digest);
    digest.ok_or_else(|| {
        anyhow!(
            "Delegation {namespace}/{name} is not countersigned yet, so nothing is allowed by it: \
             kubectl get deleg {name} -n {namespace} says what it waits for"
        )
    })
}

fn split<'a>(name: &'a str, namespace: &'a str) -> (&'a str, &'a str) {
    name.split_once('/').unwrap_or((namespace, name))
}
