//! The registry of a running Drogue Cloud, as its API shows it (compat/drogue.md 3.1, 4).

use anyhow::{Context as _, Result, bail};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use sockeye_limits as limits;
use url::Url;

use crate::client::Client;
use crate::output;
use crate::trust::Trust;

/// Where it is, and as whom it is read.
pub struct Source {
    client: Client,
    token: Option<String>,
}

// ----------------------------------------------------------------------------------------------

impl Source {
    /// The registry that the installation at `url` names, or that address itself.
    pub async fn find(url: Url, token: Option<String>, trust: &Trust) -> Result<Self> {
        let client = Client::of_another(url, trust)?;
        let endpoints = client
            .ask(client.bare(Method::GET, &[".well-known", "drogue-endpoints"]))
            .await?;
        let found: Value = endpoints.json().await.unwrap_or_default();
        let client = match found.pointer("/registry/url").and_then(Value::as_str) {
            None => client,
            Some(text) => {
                let url = text.parse().context("the registry that the source names has no URL")?;
                Client::of_another(url, trust)?
            }
        };
        Ok(Self { client, token })
    }

    /// A part of the applications that the caller may read.
    pub async fn applications(&self, offset: usize) -> Result<Vec<Value>> {
        self.page(&["api", "registry", "v1alpha1", "apps"], offset).await
    }

    /// A part of the devices of one.
    pub async fn devices(&self, application: &str, offset: usize) -> Result<Vec<Value>> {
        let path = ["api", "registry", "v1alpha1", "apps", application, "devices"];
        self.page(&path, offset).await
    }

    /// The members of one; `None` if the caller may not see them.
    pub async fn members(&self, application: &str) -> Result<Option<Value>> {
        let path = ["api", "admin", "v1alpha1", "apps", application, "members"];
        let answer = self.client.ask(self.call(&path)).await?;
        if matches!(answer.status(), StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            return Ok(None);
        }
        let answer = self.client.accepted(answer).await?;
        let mut found: Value = answer.json().await.context("the members of the source are not JSON")?;
        Ok(Some(found["members"].take()))
    }

    async fn page(&self, path: &[&str], offset: usize) -> Result<Vec<Value>> {
        let query = [("limit", limits::IMPORT_PAGE), ("offset", offset)];
        let found = self.client.json(self.call(path).query(&query)).await;
        match found.context("the source")? {
            Value::Array(entries) => Ok(entries),
            other => bail!(
                "the source answers with {} where a list is expected: is --from a Drogue Cloud?",
                kind(&other)
            ),
        }
    }

    /// A personal access token is shown as user and password, any other token as a bearer.
    fn call(&self, path: &[&str]) -> RequestBuilder {
        let request = self.client.bare(Method::GET, path);
        match &self.token {
            None => request,
            Some(token) => match token.split_once(':') {
                Some((user, key)) => request.basic_auth(user, Some(key)),
                None => request.bearer_auth(token),
            },
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Object(_) => "an object",
        _ => "a value",
    }
}

/// The name of a document.
pub fn name(document: &Value) -> String {
    output::text_at(document, "/metadata/name")
}
