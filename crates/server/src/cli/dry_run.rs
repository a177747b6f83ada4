//! What `kabari send --dry-run` prints.

use chrono::{DateTime, Local};
use comfy_table::modifiers::UTF8_ROUND_CORNERS;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use std::fmt::Write;
use std::time::Duration;

/// The widest a bubble gets, in characters: about what a phone shows in a line, and its frame.
const BUBBLE_WIDTH: u16 = 60;

/// Returns who would get a message and who would not and why, one message as an example, and when
/// the send would end.
pub fn shown(plan: &Value) -> String {
    let recipients = plan["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut shown = format!("{}\n", table(recipients));
    if let Some((name, text)) = recipients.iter().find_map(example) {
        let _ = write!(shown, "\nWhat {name} would read:\n{}\n", bubble(text));
    }
    let count = |name: &str| plan[name].as_u64().unwrap_or(0);
    let _ = write!(
        shown,
        "\n{} of {} would get a message, {} skipped. {}{}. Nothing was sent.",
        count("to_send"),
        count("total_customers"),
        count("skipped_count"),
        strangers(&plan["recipients"]),
        end(plan),
    );
    shown
}

fn table(recipients: &[Value]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["Name", "Number", "Would be", "Chat", "Why"]);
    for recipient in recipients {
        let text = |name: &str| recipient[name].as_str().unwrap_or_default();
        let outcome = if recipient["text"].is_string() { "sent" } else { "skipped" };
        let chat = match recipient["warm"].as_bool() {
            Some(true) => "warm",
            Some(false) => "cold",
            None => "",
        };
        table.add_row([text("customer_name"), text("phone"), outcome, chat, text("error")]);
    }
    table
}

/// Returns a recipient who would get a message, named by the number where there is no name, and its
/// text.
fn example(recipient: &Value) -> Option<(&str, &str)> {
    let text = recipient["text"].as_str()?;
    let name = recipient["customer_name"].as_str().filter(|name| !name.is_empty());
    Some((name.or(recipient["phone"].as_str())?, text))
}

fn bubble(text: &str) -> Table {
    let mut bubble = Table::new();
    bubble
        .load_preset(presets::UTF8_FULL)
        .apply_modifier(UTF8_ROUND_CORNERS)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(BUBBLE_WIDTH)
        .add_row([text]);
    bubble
}

/// Returns the line about strangers; empty if the kabari that was asked does not tell.
fn strangers(recipients: &Value) -> String {
    match (recipients["warm"].as_u64(), recipients["cold"].as_u64()) {
        (Some(warm), Some(cold)) => {
            format!("{warm} have written to us before (warm), {cold} have not (cold). ")
        }
        _ => String::new(),
    }
}

fn end(plan: &Value) -> String {
    let ends_at = plan["ends_at"].as_str().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
    match (plan["duration_seconds"].as_u64(), ends_at) {
        (Some(seconds), Some(at)) => {
            let takes = indicatif::HumanDuration(Duration::from_secs(seconds));
            let at = at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S UTC%:z");
            format!("It would take {takes}, until {at}")
        }
        _ => "When it would end cannot be told".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_shows_every_recipient_one_message_and_the_end() {
        let text = "*Gangguan*\n\nHalo Budi, jaringan di ODP-1 sedang kami perbaiki sampai sore.";
        let plan = json!({
            "results": [
                {"phone": "0", "customer_name": "Nol", "text": null, "error": "Nomor tidak valid atau 0"},
                {"phone": "6281234567801", "customer_name": "Budi", "text": text, "error": null, "warm": true},
                {"phone": "6281234567802", "customer_name": "Ani", "text": "Halo Ani", "error": null, "warm": false},
            ],
            "total_customers": 3, "to_send": 2, "skipped_count": 1, "duration_seconds": 125,
            "recipients": {"warm": 1, "cold": 1},
            "ends_at": "2026-01-10T12:05:00.000Z",
        });
        let shown = shown(&plan);
        let line =
            |words: &[&str]| shown.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(line(&["Nol", "skipped", "Nomor tidak valid atau 0"]), "{shown}");
        assert!(line(&["Ani", "6281234567802", "sent", "cold"]), "{shown}");
        assert!(line(&["Budi", "sent", "warm"]), "{shown}");
        assert!(
            shown.contains("What Budi would read:\n╭") && line(&["│", "*Gangguan*"]),
            "{shown}"
        );
        assert!(!shown.contains("Halo Ani"), "one example is enough: {shown}");
        assert!(
            line(&["2 of 3 would get a message, 1 skipped", "2 minutes", "2026-01-10"])
                && line(&["1 have written to us before (warm), 1 have not (cold)"]),
            "{shown}"
        );
        let widest = shown.lines().skip_while(|line| !line.starts_with('╭'));
        let widest = widest.take_while(|line| !line.is_empty()).map(|line| line.chars().count());
        assert!(widest.max().unwrap() <= usize::from(BUBBLE_WIDTH), "{shown}");
    }

    #[test]
    fn it_shows_no_example_where_nobody_would_get_a_message() {
        let plan = json!({"results": [], "total_customers": 0, "to_send": 0, "skipped_count": 0});
        let shown = shown(&plan);
        assert!(shown.contains("0 of 0") && !shown.contains("would read"), "{shown}");
    }
}
