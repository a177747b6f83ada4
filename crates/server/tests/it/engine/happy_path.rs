//! Everything works: who gets what, and what the report says.

use crate::harness::database::Engine;
use crate::harness::world::{OWN, SILENT, TEMPLATE, UNREGISTERED, World, ZERO, phone};
use kabari_domain::wording;
use kabari_gateway::LinkState;
use serde_json::json;
use wa_sim::{NumberSettings, Receipts};

super::on_both_engines! {
    everybody_gets_the_message_once_and_the_report_says_so,
    receipts_show_in_the_campaign_long_after_the_send,
    a_restart_needs_no_new_scan_and_goes_on_where_it_was,
}

async fn everybody_gets_the_message_once_and_the_report_says_so(engine: Engine) {
    let world = World::linked(engine).await;
    let customers: Vec<i64> = (1..=5).chain([UNREGISTERED, ZERO]).collect();
    let body = json!({ "message": TEMPLATE, "customer_ids": customers });
    let report = world.post("/api/send/custom", body).await;
    let counts = ["total_customers", "sent_count", "failed_count", "skipped_count"];
    assert_eq!(counts.map(|name| report[name].as_u64()), [Some(7), Some(5), Some(1), Some(1)]);
    let errors: Vec<_> = report["results"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| Some((row["phone"].as_str()?, row["error"].as_str()?)))
        .collect();
    let unregistered = phone(UNREGISTERED);
    let expected =
        [("0", wording::INVALID_NUMBER), (unregistered.as_str(), wording::NOT_REGISTERED)];
    assert_eq!(errors, expected);

    let campaign = report["campaign_id"].as_i64().unwrap();
    world.assert_report_is_true(campaign).await;
    for customer in 1..=5 {
        assert_eq!(world.received(customer)[0].copies, 1);
    }
}

async fn receipts_show_in_the_campaign_long_after_the_send(engine: Engine) {
    let world = World::linked(engine).await;
    let only_ticks = NumberSettings { registered: true, receipts: Receipts::Delivered };
    let nothing = NumberSettings { registered: true, receipts: Receipts::None };
    world.simulator.set_number(&phone(2), only_ticks);
    world.simulator.set_number(&phone(SILENT), nothing);
    let campaign = world.send([1, 2, SILENT]).await;
    world.completed(campaign).await;
    world
        .campaign(campaign, |campaign| {
            campaign["counts"] == json!({ "read": 1, "delivered": 1, "accepted": 1 })
        })
        .await;
    world.assert_report_is_true(campaign).await;
}

async fn a_restart_needs_no_new_scan_and_goes_on_where_it_was(engine: Engine) {
    let mut world = World::linked_with(engine, kabari::clock::Clock::System, |settings| {
        settings.pace.delay = std::time::Duration::from_millis(200);
    })
    .await;
    let campaign = world.send(1..=8).await;
    world.until_reached(2).await;
    world.stop().await;
    let reached = world.reached();
    assert!(reached < 8, "it was stopped in the middle");
    world.start().await;
    world.until_link(LinkState::Connected).await;
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
    let own = world.simulator.accounts().into_iter().find(|a| a.phone == OWN).unwrap();
    assert_eq!(own.devices.len(), 1, "it came back as the same device");
    for customer in 1..=8 {
        assert_eq!(world.received(customer)[0].copies, 1, "an orderly end leaves nothing in doubt");
    }
}
