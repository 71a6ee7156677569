//! Does the API server serve a resource, and where?

use kube::Client;
use kube::api::ApiResource;

use super::KindKey;

/// What the API server says of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Served {
    /// In the wanted version.
    Yes {
        resource: ApiResource,
        namespaced: bool,
    },
    /// In other versions only.
    Elsewhere(Vec<String>),
    /// Not at all: there can't be an object of it.
    No,
}

/// Asks for `kind` in `version`.
pub(crate) async fn served(client: &Client, kind: &KindKey, version: &str) -> kube::Result<Served> {
    if let Some(found) = in_version(client, kind, version).await? {
        return Ok(found);
    }
    let mut elsewhere = Vec::new();
    for other in versions(client, kind).await? {
        if other != version && in_version(client, kind, &other).await?.is_some() {
            elsewhere.push(other);
        }
    }
    Ok(if elsewhere.is_empty() {
        Served::No
    } else {
        Served::Elsewhere(elsewhere)
    })
}

async fn in_version(
    client: &Client,
    kind: &KindKey,
    version: &str,
) -> kube::Result<Option<Served>> {
    let list = if kind.group.is_empty() {
        client.list_core_api_resources(version).await
    } else {
        let group_version = format!("{}/{version}", kind.group);
        client.list_api_group_resources(&group_version).await
    };
    let list = match list {
        Err(why) if crate::write::is_status(&why, 404) => return Ok(None),
        other => other?,
    };
    let found = list
        .resources
        .into_iter()
        .find(|it| it.name == *kind.resource);
    Ok(found.map(|it| Served::Yes {
        resource: ApiResource {
            group: kind.group.to_string(),
            version: version.to_owned(),
            api_version: if kind.group.is_empty() {
                version.to_owned()
            } else {
                format!("{}/{version}", kind.group)
            },
            kind: it.kind,
            plural: kind.resource.to_string(),
        },
        namespaced: it.namespaced,
    }))
}

async fn versions(client: &Client, kind: &KindKey) -> kube::Result<Vec<String>> {
    if kind.group.is_empty() {
        return Ok(client.list_core_api_versions().await?.versions);
    }
    let groups = client.list_api_groups().await?.groups;
    let group = groups.into_iter().find(|it| it.name == *kind.group);
    let versions = group.map(|it| it.versions).unwrap_or_default();
    Ok(versions.into_iter().map(|it| it.version).collect())
}
