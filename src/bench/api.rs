//! Requests as JSON, without types: the harness must not cost more than it has to.

use anyhow::{Context, Result};
use http::{Method, Request};
use kube::Client;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

/// A client that knows paths and JSON.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
}

impl Api {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Method::GET, path, "application/json", Vec::new())
            .await
    }

    /// What `/metrics` says.
    pub(crate) async fn fetch_text(&self, path: &str) -> Result<String> {
        let request = Request::get(path).body(Vec::new())?;
        Ok(self.client.request_text(request).await?)
    }

    /// Creates, and doesn't look at what comes back.
    pub(crate) async fn create(&self, path: &str, object: &Value) -> Result<()> {
        self.create_as::<IgnoredAny>(path, object).await.map(|_| ())
    }

    pub(crate) async fn create_as<T: DeserializeOwned>(
        &self,
        path: &str,
        object: &Value,
    ) -> Result<T> {
        let body = serde_json::to_vec(object)?;
        self.call(Method::POST, path, "application/json", body)
            .await
    }

    /// Over the version that the object names.
    pub(crate) async fn replace(&self, path: &str, object: &Value) -> Result<()> {
        let body = serde_json::to_vec(object)?;
        self.call::<IgnoredAny>(Method::PUT, path, "application/json", body)
            .await
            .map(|_| ())
    }

    /// A merge patch.
    pub(crate) async fn patch(&self, path: &str, patch: &Value) -> Result<()> {
        let body = serde_json::to_vec(patch)?;
        self.call::<IgnoredAny>(Method::PATCH, path, "application/merge-patch+json", body)
            .await
            .map(|_| ())
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        self.call::<IgnoredAny>(Method::DELETE, path, "application/json", Vec::new())
            .await
            .map(|_| ())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<T> {
        let what = format!("{method} {path}");
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .body(body)?;
        self.client.request(request).await.context(what)
    }
}
