//! A client of the API, as the operator's programs are.

use super::served::PATIENCE;
use super::world::TEMPLATE;
use kabari_gateway::http;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How often to look whether something in another process has happened.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// Calls one kabari.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    base: String,
}

impl Caller {
    /// Who calls this address.
    pub fn of(api: SocketAddr) -> Caller {
        let base = format!("http://{api}");
        let client = http::client(&base).timeout(PATIENCE).build().unwrap();
        Caller { client, base }
    }

    /// The address of this path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Asks; no answer at all is an error.
    pub async fn try_request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &Value,
    ) -> reqwest::Result<(u16, Value)> {
        let response = self.send_request(method, path, headers, body).await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Asks, and returns the answer with its headers.
    pub async fn respond(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &Value,
    ) -> Response {
        self.send_request(method, path, headers, body).await.unwrap()
    }

    async fn send_request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &Value,
    ) -> reqwest::Result<Response> {
        let mut request = self.client.request(method, self.url(path)).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await
    }

    /// Asks; the answer has to be a success.
    async fn request(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_request(method, path, &[], &body).await.unwrap();
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    pub async fn get(&self, path: &str) -> Value {
        self.request(Method::GET, path, Value::Null).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Value {
        self.request(Method::PATCH, path, body).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.request(Method::POST, path, body).await
    }

    /// Begins a send to these customers, under a key that makes every repeat the same send, and
    /// answers its campaign.
    pub async fn try_send(&self, customers: &[i64], key: &str) -> reqwest::Result<i64> {
        let body = json!({ "message": TEMPLATE, "customer_ids": customers });
        let headers = [("prefer", "respond-async"), ("idempotency-key", key)];
        let request = self.try_request(Method::POST, "/api/send/custom", &headers, &body);
        let (status, campaign) = request.await?;
        assert_eq!(status, 202, "{campaign}");
        Ok(campaign["id"].as_i64().unwrap())
    }

    /// Begins a send to these customers, and answers its campaign.
    pub async fn send(&self, customers: impl IntoIterator<Item = i64>) -> i64 {
        let customers: Vec<i64> = customers.into_iter().collect();
        self.try_send(&customers, &format!("{customers:?}")).await.unwrap()
    }

    /// Waits until the campaign is as wanted, and answers it.
    pub async fn campaign(&self, id: i64, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_for(&format!("/api/campaigns/{id}"), wanted).await
    }

    /// Asks until the answer is as wanted.
    pub async fn wait_for(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_within(PATIENCE, path, wanted).await
    }

    /// The same, for as long as this.
    pub async fn wait_within(
        &self,
        patience: Duration,
        path: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut seen = Value::Null;
        let waiting = async {
            let mut looks = tokio::time::interval(LOOK_EVERY);
            loop {
                looks.tick().await;
                seen = self.get(path).await;
                if wanted(&seen) {
                    return;
                }
            }
        };
        if tokio::time::timeout(patience, waiting).await.is_err() {
            panic!("{path} is not as wanted, but {seen:#}");
        }
        seen
    }

    pub async fn completed(&self, id: i64) -> Value {
        self.campaign(id, |campaign| campaign["status"] == "completed").await
    }

    /// Waits until the campaign is paused for this reason.
    pub async fn paused(&self, id: i64, reason: &str) -> Value {
        self.campaign(id, |campaign| {
            campaign["status"] == "paused" && campaign["pause_reason"] == reason
        })
        .await
    }

    /// Waits until the campaign runs and no number can send it, for this reason.
    pub async fn waits_for(&self, id: i64, reason: &str) -> Value {
        self.campaign(id, |campaign| {
            campaign["status"] == "running" && campaign["waiting"]["reason"] == reason
        })
        .await
    }

    /// Waits until so many deliveries are in this state.
    pub async fn count(&self, id: i64, state: &str, number: u64) {
        self.campaign(id, |campaign| campaign["counts"][state] == number).await;
    }

    /// What has become of each customer of a campaign.
    pub async fn deliveries(&self, id: i64) -> BTreeMap<i64, Value> {
        let mut all = BTreeMap::new();
        let mut next = Some(format!("/api/campaigns/{id}/deliveries?limit=1000"));
        while let Some(path) = next {
            let page = self.get(&path).await;
            let deliveries = page["deliveries"].as_array().unwrap().iter();
            all.extend(deliveries.map(|one| (one["customer_id"].as_i64().unwrap(), one.clone())));
            next = page["next"].as_str().map(str::to_owned);
        }
        all
    }

    /// What has become of one customer of a campaign.
    pub async fn delivery(&self, id: i64, customer: i64) -> Value {
        self.deliveries(id).await.remove(&customer).unwrap()
    }
}
