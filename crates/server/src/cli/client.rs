//! An HTTP client of a running kabari, for the commands that use one.

use crate::config::ApiAddress;
use anyhow::{Context, bail};
use kabari_gateway::http;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::time::Duration;

/// Longest wait for one answer: nothing the commands ask for is slow.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A kabari that serves its API.
pub struct ApiClient {
    base: String,
    api_key: Option<String>,
    http: reqwest::Client,
}

impl ApiClient {
    /// Returns the kabari of this address.
    pub fn new(address: ApiAddress) -> anyhow::Result<ApiClient> {
        let (api, api_key) = address.check().map_err(super::unusable)?;
        ApiClient::at(&format!("http://{api}"), api_key)
    }

    /// Returns the kabari at this address.
    pub fn at(base: &str, api_key: Option<String>) -> anyhow::Result<ApiClient> {
        let http = http::client(base).timeout(ANSWER_TIMEOUT).build()?;
        Ok(ApiClient { base: base.to_owned(), api_key, http })
    }

    /// Returns the JSON at this path.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, None, &[]).await.map(|(_, body)| body)
    }

    /// Posts JSON; answers the status, below 400, and the body.
    pub async fn post(
        &self,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<(StatusCode, Value)> {
        self.call(Method::POST, path, Some(body), headers).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.api_key {
            request = request.header("X-API-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| {
            format!("no kabari answers at {}: start it with `kabari serve`, or set API_HOST and API_PORT", self.base)
        })?;
        let status = answer.status();
        let body: Value = answer.json().await.with_context(|| {
            format!("what answers at {} is no kabari: check API_HOST and API_PORT", self.base)
        })?;
        // A health report is worth reading when it is bad, too.
        if status.is_success() || path == "/health" {
            return Ok((status, body));
        }
        match body["detail"].as_str() {
            Some(detail) => bail!("{detail}"),
            None => bail!("{status}: {}", body["detail"]),
        }
    }
}
