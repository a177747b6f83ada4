//! `kabari status`: how a running kabari is.

use super::client::Client;
use crate::config::ApiAddress;
use serde_json::Value;

/// The campaigns shown.
const CAMPAIGNS: u32 = 5;

/// Prints the health, the link to WhatsApp and the newest campaigns.
pub async fn run(address: ApiAddress) -> anyhow::Result<()> {
    let client = Client::new(address)?;
    let health = client.get("/health").await?;
    let link = client.get("/api/whatsapp/status").await?;
    println!("kabari    {}", text(&health, "status"));
    for (name, state) in health.as_object().into_iter().flatten() {
        if name != "status" && name != "service" {
            println!(
                "{name:9} {}",
                state.as_str().map_or_else(|| state.to_string(), str::to_owned)
            );
        }
    }
    println!("link      {}", text(&link, "message"));
    let campaigns = client.get(&format!("/api/campaigns?limit={CAMPAIGNS}")).await?;
    for campaign in campaigns["campaigns"].as_array().into_iter().flatten() {
        println!(
            "campaign  {} {} {} {}",
            campaign["id"],
            text(campaign, "status"),
            campaign["counts"],
            text(campaign, "subject")
        );
    }
    Ok(())
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or("-")
}
