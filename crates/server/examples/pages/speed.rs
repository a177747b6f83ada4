//! How soon the first page is seen on a slow line.

use super::Looking;
use super::window::{Screen, Window};
use serde_json::json;

/// A line: how long a request waits for its answer, and how fast that comes.
struct Line {
    name: &'static str,
    latency_ms: u32,
    kilobits_per_second: u32,
}

const LINES: [Line; 2] = [
    Line { name: "3G", latency_ms: 300, kilobits_per_second: 1600 },
    Line { name: "slow 3G", latency_ms: 400, kilobits_per_second: 400 },
];

/// A cheap phone is so many times slower than this machine.
const PROCESSOR_SLOWDOWN: u32 = 4;
/// The median of so many visits counts.
const ROUNDS: usize = 5;

/// What a visit took.
struct Visit {
    first_paint_ms: u64,
    loaded_ms: u64,
    bytes: u64,
    requests: u64,
}

/// Prints what it takes to see the first page, for the first time and again.
pub async fn measure(looking: &Looking) -> anyhow::Result<()> {
    looking.link().await?;
    let window = &looking.window;
    window.look_with(Screen::PHONE).await;
    window.devtools("Network.enable", json!({})).await;
    let slower = json!({ "rate": PROCESSOR_SLOWDOWN });
    window.devtools("Emulation.setCPUThrottlingRate", slower).await;
    println!("| line | visit | first paint | loaded | bytes | requests |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for line in LINES {
        let bytes_per_second = line.kilobits_per_second * 1000 / 8;
        let conditions = json!({ "offline": false, "latency": line.latency_ms,
            "downloadThroughput": bytes_per_second, "uploadThroughput": bytes_per_second });
        window.devtools("Network.emulateNetworkConditions", conditions).await;
        for (name, is_first) in [("first", true), ("again", false)] {
            let mut visits = vec![];
            for _ in 0..ROUNDS {
                visits.push(visit(window, is_first).await);
            }
            visits.sort_by_key(|visit| visit.first_paint_ms);
            let Visit { first_paint_ms, loaded_ms, bytes, requests } =
                visits.swap_remove(ROUNDS / 2);
            println!(
                "| {} | {name} | {first_paint_ms} ms | {loaded_ms} ms | {bytes} | {requests} |",
                line.name
            );
        }
    }
    Ok(())
}

/// Visits the first page, as somebody who has never been there or as one who comes back.
async fn visit(window: &Window, is_first: bool) -> Visit {
    window.visit("about:blank").await;
    if is_first {
        window.devtools("Network.clearBrowserCache", json!({})).await;
    }
    window.visit("/app/").await;
    window.until("performance.getEntriesByName('first-contentful-paint').length > 0").await;
    window.until("performance.getEntriesByType('navigation')[0].loadEventEnd > 0").await;
    let navigation = "performance.getEntriesByType('navigation')[0]";
    let paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime";
    // What the page asks for after it is loaded does not count.
    let entries = format!(
        "[{navigation}, ...performance.getEntriesByType('resource')]
            .filter((entry) => entry.startTime <= {navigation}.loadEventEnd)"
    );
    let whole = async |expression: String| {
        window.value(&format!("Math.round({expression})")).await.as_u64().unwrap_or_default()
    };
    Visit {
        first_paint_ms: whole(paint.to_owned()).await,
        loaded_ms: whole(format!("{navigation}.loadEventEnd")).await,
        bytes: whole(format!("{entries}.reduce((sum, entry) => sum + entry.transferSize, 0)"))
            .await,
        requests: whole(format!("{entries}.length")).await,
    }
}
