//! `kabari gateway`: its contract, and what those in front of it can rely on.

mod access;
mod contract;
pub mod crashes;
mod events;
mod foreign_gateway;
mod ids;
mod remote;

use crate::harness::gateway::OurGateway;
use crate::harness::scripted_gateway::ScriptedGateway;
use crate::harness::served::{PATIENCE, answer};
use kabari::clock::Clock;
use kabari::config::Settings;
use kabari_gateway::http;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use std::sync::Arc;

/// A gateway in front of a scripted WhatsApp, and somebody who calls it.
struct Api {
    behind: Arc<ScriptedGateway>,
    gateway: OurGateway,
    client: Client,
}

impl Api {
    async fn connected() -> Api {
        Api::with(|_| {}).await
    }

    /// With changed settings.
    async fn with(change: impl FnOnce(&mut Settings)) -> Api {
        let behind = Arc::new(ScriptedGateway::connected());
        let gateway = OurGateway::with(behind.clone(), Clock::System, change).await;
        let client = http::client("http:").timeout(PATIENCE).build().unwrap();
        Api { behind, gateway, client }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.gateway.url()))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.post_text(path, body.to_string()).await
    }

    async fn post_text(&self, path: &str, body: String) -> (u16, Value) {
        answer(self.request(Method::POST, path).body(body)).await
    }

    /// Ends the gateway and starts it anew on its data.
    async fn restart(&mut self) {
        self.gateway.stop().await;
        self.gateway.start().await;
    }
}
