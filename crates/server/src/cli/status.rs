//! `kabari status`: how a running kabari is.

use super::client::ApiClient;
use crate::config::ApiAddress;
use anyhow::Context;
use clap::Args;
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

/// The campaigns shown.
const CAMPAIGNS: u32 = 5;
/// A kabari that takes longer to say that it is alive is not: the health check of the container
/// image gives this command 5 s.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(4);

/// What to show.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Only whether it answers at all (`/livez`), for the health check of a container: exits with
    /// 1 where a restart may help.
    #[arg(long)]
    alive: bool,
    #[command(flatten)]
    address: ApiAddress,
}

/// Prints the health, the sessions and the newest campaigns.
pub async fn run(args: StatusArgs) -> anyhow::Result<()> {
    let client = ApiClient::new(args.address)?;
    if args.alive {
        let alive = timeout(ALIVE_TIMEOUT, client.get("/livez")).await.with_context(|| {
            format!("kabari has not answered within {} s: restart it", ALIVE_TIMEOUT.as_secs())
        })??;
        println!("{}", text(&alive, "status"));
        return Ok(());
    }
    let health = client.get("/health").await?;
    let sessions = client.get("/api/whatsapp/sessions").await?;
    println!("kabari    {}", text(&health, "status"));
    for (name, state) in health.as_object().into_iter().flatten() {
        if name != "status" && name != "service" {
            println!(
                "{name:9} {}",
                state.as_str().map_or_else(|| state.to_string(), str::to_owned)
            );
        }
    }
    for session in sessions["sessions"].as_array().into_iter().flatten() {
        let waiting = session["waiting_for"].as_str().map(|reason| {
            let until = session["until"].as_str();
            format!(", waiting: {reason}{}", until.map_or(String::new(), |u| format!(" until {u}")))
        });
        let history = match (session["history"]["done"].as_bool(), &session["history"]["progress"])
        {
            (Some(false), progress) => format!(", {progress} % of the history read"),
            _ => String::new(),
        };
        println!(
            "session   {} {} {}, {} sent today, {} people have written{history}{}",
            text(session, "name"),
            text(session, "phone"),
            text(session, "state"),
            session["sent_today"],
            session["contacts"],
            waiting.unwrap_or_default()
        );
    }
    let campaigns = client.get(&format!("/api/campaigns?limit={CAMPAIGNS}")).await?;
    for campaign in campaigns["campaigns"].as_array().into_iter().flatten() {
        println!(
            "campaign  {} {}{} {} {}",
            campaign["id"],
            text(campaign, "status"),
            campaign["waiting"]["reason"]
                .as_str()
                .map_or(String::new(), |r| format!(" (waiting: {r})")),
            campaign["counts"],
            text(campaign, "subject")
        );
    }
    Ok(())
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or("-")
}
