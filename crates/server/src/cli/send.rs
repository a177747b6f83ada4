//! `kabari send`: the API's sends, with a progress bar and a report.

use super::client::ApiClient;
use super::{dry_run, print_error};
use crate::config::ApiAddress;
use anyhow::Context;
use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// A person who runs the same command twice rarely means it.
const DUPLICATE_GUARD_SECONDS: u64 = 600;
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long the report waits for the last receipts.
const RECEIPT_PATIENCE: Duration = Duration::from_secs(3);
const PAGE: usize = 500;
/// What stands for itself in a segment of a path.
const PATH_SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Somebody who can be sent to was not, or nobody can.
const NOT_ALL_SENT: u8 = 1;
/// Nothing was begun.
const NOT_POSSIBLE: u8 = 2;

/// A send.
#[derive(Debug, Args)]
pub struct SendArgs {
    #[command(subcommand)]
    what: SendCommand,
    #[command(flatten)]
    how: SendOptions,
    #[command(flatten)]
    address: ApiAddress,
}

#[derive(Debug, Subcommand)]
enum SendCommand {
    /// A notice, to those it concerns.
    Notice {
        /// Which one; without it the newest active one.
        id: Option<i64>,
        /// Only to these customers, as 1,2,3.
        #[arg(long, value_delimiter = ',')]
        customers: Option<Vec<i64>>,
    },
    /// A text of your own, to customers.
    Custom {
        /// The text; {nama}, {odp} and {id} are filled in.
        message: String,
        /// Only to these customers, as 1,2,3; without it to every active one.
        #[arg(long, value_delimiter = ',')]
        customers: Option<Vec<i64>>,
    },
    /// A notice or a text, to the customers of one ODP.
    Odp {
        /// The ODP.
        name: String,
        /// The notice.
        #[arg(long, required_unless_present = "message")]
        notice: Option<i64>,
        /// The text.
        #[arg(long)]
        message: Option<String>,
    },
    /// A text, to one phone number.
    Phone {
        /// The number.
        number: String,
        /// The text, as it is.
        message: String,
    },
}

#[derive(Debug, Args)]
struct SendOptions {
    /// Only show who would get what.
    #[arg(long, global = true)]
    dry_run: bool,
    /// Send although the same was sent a moment ago.
    #[arg(long, global = true)]
    force: bool,
    /// Send in quiet hours too, and before others.
    #[arg(long, global = true)]
    urgent: bool,
    /// Makes a repeat of this command show the first one's report instead of sending.
    #[arg(long, global = true)]
    idempotency_key: Option<String>,
}

/// Sends, shows how far it is, and prints the report. The exit code says how it went.
pub async fn run(args: SendArgs) -> ExitCode {
    match begin(args).await {
        Ok(Submitted::DryRun { to_send }) if to_send > 0 => ExitCode::SUCCESS,
        Ok(Submitted::DryRun { .. }) => ExitCode::from(NOT_ALL_SENT),
        Ok(Submitted::Campaign { client, id }) => match report(&client, id).await {
            Ok(counts) if counts.sent > 0 && counts.failed == 0 => ExitCode::SUCCESS,
            Ok(_) => ExitCode::from(NOT_ALL_SENT),
            Err(error) => {
                let error = error.context(format!(
                    "campaign {id} goes on without this command; see `kabari status`"
                ));
                print_error(&error);
                ExitCode::from(NOT_ALL_SENT)
            }
        },
        Err(error) => {
            print_error(&error);
            ExitCode::from(NOT_POSSIBLE)
        }
    }
}

/// What a send has led to so far.
enum Submitted {
    /// Nothing, as was asked; so many would be sent to.
    DryRun { to_send: u64 },
    /// A campaign.
    Campaign { client: ApiClient, id: i64 },
}

async fn begin(args: SendArgs) -> anyhow::Result<Submitted> {
    let client = ApiClient::new(args.address)?;
    let (path, mut body) = request(args.what);
    body.insert("urgent".into(), args.how.urgent.into());
    body.insert("force".into(), args.how.force.into());
    body.insert("duplicate_guard_seconds".into(), DUPLICATE_GUARD_SECONDS.into());
    if args.how.dry_run {
        body.insert("dry_run".into(), true.into());
        let (_, plan) = client.post(&path, &body.into(), &[]).await?;
        println!("{}", dry_run::shown(&plan));
        return Ok(Submitted::DryRun { to_send: plan["to_send"].as_u64().unwrap_or(0) });
    }
    let id = start(&client, &path, &body.into(), args.how.idempotency_key.as_deref()).await?;
    Ok(Submitted::Campaign { client, id })
}

async fn report(client: &ApiClient, campaign: i64) -> anyhow::Result<RecipientCounts> {
    follow(client, campaign).await?;
    print_report(client, campaign).await
}

fn request(what: SendCommand) -> (String, Map<String, Value>) {
    let (path, body) = match what {
        SendCommand::Notice { id, customers } => {
            ("notification".into(), json!({"notice_id": id, "customer_ids": customers}))
        }
        SendCommand::Custom { message, customers } => {
            ("custom".into(), json!({"message": message, "customer_ids": customers}))
        }
        SendCommand::Odp { name, notice, message } => {
            let name = utf8_percent_encode(&name, PATH_SEGMENT);
            (format!("by-odp/{name}"), json!({"notice_id": notice, "custom_message": message}))
        }
        SendCommand::Phone { number, message } => {
            ("phone".into(), json!({"phone": number, "message": message}))
        }
    };
    let given = body.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let body = given.map(|(name, value)| (name.clone(), value.clone())).collect();
    (format!("/api/send/{path}"), body)
}

/// Records the send; answers the campaign's id.
pub async fn start(
    client: &ApiClient,
    path: &str,
    body: &Value,
    key: Option<&str>,
) -> anyhow::Result<i64> {
    let mut headers = vec![("Prefer", "respond-async")];
    headers.extend(key.map(|key| ("Idempotency-Key", key)));
    let (_, campaign) = client.post(path, body, &headers).await?;
    campaign["id"]
        .as_i64()
        .context("the answer names no campaign: is this kabari older than its server?")
}

/// Shows how far a campaign is, until it has ended.
pub async fn follow(client: &ApiClient, campaign: i64) -> anyhow::Result<()> {
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:40.green} {pos}/{len} {msg}")?.progress_chars("━╸ "),
    );
    loop {
        let now = client.get(&format!("/api/campaigns/{campaign}")).await?;
        let counts = RecipientCounts::of(&now);
        bar.set_length(counts.total);
        bar.set_position(counts.total - counts.open);
        let state = state_of(&now);
        bar.set_message(format!("{} sent, {} failed ({state})", counts.sent, counts.failed));
        if matches!(now["status"].as_str(), Some("completed" | "cancelled")) {
            bar.finish();
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Returns why a campaign does not go on, or its status.
fn state_of(campaign: &Value) -> &str {
    let reasons = [&campaign["pause_reason"], &campaign["waiting"]["reason"], &campaign["status"]];
    reasons.into_iter().find_map(Value::as_str).unwrap_or_default()
}

/// Prints a campaign's report, after the last receipts had a moment to come, and returns its
/// counts.
pub async fn print_report(client: &ApiClient, campaign: i64) -> anyhow::Result<RecipientCounts> {
    let path = format!("/api/campaigns/{campaign}");
    let patience = tokio::time::Instant::now() + RECEIPT_PATIENCE;
    let summary = loop {
        let now = client.get(&path).await?;
        let unread = now["counts"]["accepted"].as_u64().unwrap_or(0)
            + now["counts"]["delivered"].as_u64().unwrap_or(0);
        if unread == 0 || tokio::time::Instant::now() > patience {
            break now;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["Name", "Number", "State", "Why"]);
    let mut next = Some(format!("{path}/deliveries?limit={PAGE}"));
    while let Some(page) = next {
        let page = client.get(&page).await?;
        for delivery in page["deliveries"].as_array().into_iter().flatten() {
            table.add_row(row(delivery));
        }
        next = page["next"].as_str().map(str::to_owned);
    }
    let counts = RecipientCounts::of(&summary);
    println!("{table}");
    println!(
        "{} of {} sent, {} failed, {} skipped. Campaign {campaign}: {}",
        counts.sent,
        counts.total,
        counts.failed,
        counts.skipped,
        summary["subject"].as_str().unwrap_or_default()
    );
    Ok(counts)
}

fn row(delivery: &Value) -> [String; 4] {
    let text = |name: &str| delivery[name].as_str().unwrap_or_default().to_owned();
    let phone = delivery["phone"].as_str().or(delivery["phone_raw"].as_str()).unwrap_or("-");
    let state = match text("state").as_str() {
        "accepted" => "sent".into(),
        other => other.replace('_', " "),
    };
    [text("customer_name"), phone.to_owned(), state, text("error")]
}

/// How many recipients of a campaign are where.
pub struct RecipientCounts {
    total: u64,
    open: u64,
    sent: u64,
    skipped: u64,
    failed: u64,
}

impl RecipientCounts {
    fn of(campaign: &Value) -> RecipientCounts {
        let sum = |names: &[&str]| {
            names.iter().filter_map(|name| campaign["counts"][name].as_u64()).sum::<u64>()
        };
        let total = campaign["total"].as_u64().unwrap_or(0);
        let open = sum(&["queued", "leased", "sending", "retry_wait"]);
        let sent = sum(&["accepted", "delivered", "read"]);
        let skipped = sum(&["skipped"]);
        RecipientCounts {
            total,
            open,
            sent,
            skipped,
            failed: total.saturating_sub(open + sent + skipped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odp_may_hold_any_character() {
        let what = SendCommand::Odp {
            name: "ODP/005 é".into(),
            notice: None,
            message: Some("tes".into()),
        };
        let (path, body) = request(what);
        assert_eq!(path, "/api/send/by-odp/ODP%2F005%20%C3%A9");
        assert_eq!(Value::from(body), json!({"custom_message": "tes"}));
    }

    #[test]
    fn the_rest_of_the_recipients_counts_as_failed() {
        let campaign = json!({"total": 9, "counts": {"read": 2, "accepted": 1, "queued": 3, "skipped": 1, "failed": 1, "uncertain": 1}});
        let counts = RecipientCounts::of(&campaign);
        assert_eq!((counts.sent, counts.open, counts.skipped, counts.failed), (3, 3, 1, 2));
    }
}
