//! The documents say what the code does: their tables are compared with it.

use kabari_domain::delivery::{
    DeliveryEvent, DeliveryState, MAX_UNANSWERED, Progress, ReceiptRank,
};
use kabari_domain::timestamp::Timestamp;
use std::collections::BTreeSet;
use std::fmt::Write;

use crate::architecture::read;

const BEGIN: &str = "<!-- delivery transitions: checked by crates/server/tests/it/docs.rs -->\n";
const END: &str = "<!-- end of delivery transitions -->";

const FAULTS_BEGIN: &str = "<!-- faults: checked by crates/server/tests/it/docs.rs -->\n";
const FAULTS_END: &str = "<!-- end of faults -->";

const THREATS_BEGIN: &str = "<!-- threats: checked by crates/server/tests/it/docs.rs -->\n";
const THREATS_END: &str = "<!-- end of threats -->";

/// More attempts than this lead to nothing new.
const ATTEMPTS: u32 = MAX_UNANSWERED + 1;

/// In the order of a delivery's life.
const EVENTS: &[DeliveryEvent] = &[
    DeliveryEvent::Lease,
    DeliveryEvent::Release,
    DeliveryEvent::Begin,
    DeliveryEvent::NotSent(Timestamp(0)),
    DeliveryEvent::GiveUp,
    DeliveryEvent::Acked,
    DeliveryEvent::Refused,
    DeliveryEvent::Deferred(Timestamp(0)),
    DeliveryEvent::Unanswered(Timestamp(0)),
    DeliveryEvent::AnswerLost,
    DeliveryEvent::Receipt(ReceiptRank::Delivered),
    DeliveryEvent::Receipt(ReceiptRank::Read),
    DeliveryEvent::Abandon,
    DeliveryEvent::FromBackup,
    DeliveryEvent::Expire,
    DeliveryEvent::Supersede,
    DeliveryEvent::Cancel,
    DeliveryEvent::CountAsSent,
    DeliveryEvent::SendAgain,
];

type Fits = fn(Progress) -> bool;

/// What has to be known about a delivery, besides its state, to tell what an event does.
const HISTORIES: [(&str, Fits); 4] = [
    ("never sent", |at| at.attempts == 0),
    ("sent, always answered", |at| at.attempts > 0 && at.unanswered == 0),
    ("unanswered before", |at| at.unanswered > 0 && at.unanswered + 1 < MAX_UNANSWERED),
    ("unanswered, last try", |at| at.unanswered + 1 >= MAX_UNANSWERED),
];

/// Every delivery that events can make of a new one.
fn reachable() -> BTreeSet<(DeliveryState, u32, u32)> {
    let mut found = BTreeSet::new();
    let mut open = vec![Progress::queued(Timestamp(0))];
    open.push(Progress { state: DeliveryState::Skipped, ..open[0] });
    while let Some(at) = open.pop() {
        if found.insert((at.state, at.attempts, at.unanswered)) {
            let next = EVENTS.iter().filter_map(|event| at.after(*event).ok());
            open.extend(next.filter(|at| at.attempts <= ATTEMPTS));
        }
    }
    found
}

fn name(event: DeliveryEvent) -> String {
    let shown = format!("{event:?}").replace("Timestamp(0)", "");
    shown.replace("()", "")
}

/// Where the event leads in this state for each history; empty where that cannot be.
fn outcomes(event: DeliveryEvent, state: DeliveryState) -> Vec<String> {
    let reachable = reachable();
    let outcome = |fits: Fits| {
        let led_to: BTreeSet<&str> = reachable
            .iter()
            .filter(|(at, ..)| *at == state)
            .map(|&(state, attempts, unanswered)| Progress {
                state,
                attempts,
                unanswered,
                due_at: Timestamp(0),
            })
            .filter(|at| fits(*at))
            .map(|at| at.after(event).map_or("-", |next| next.state.as_str()))
            .collect();
        led_to.into_iter().collect::<Vec<_>>().join(" or ")
    };
    HISTORIES.iter().map(|(_, fits)| outcome(*fits)).collect()
}

fn table() -> String {
    let mut table = String::from("| event | in state |");
    for (heading, _) in HISTORIES {
        write!(table, " {heading} |").unwrap();
    }
    table.push_str("\n| --- | --- | --- | --- | --- | --- |\n");
    for &event in EVENTS {
        let mut rows: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
        for state in DeliveryState::ALL {
            let outcomes = outcomes(event, state);
            if outcomes.iter().all(|led_to| led_to.is_empty() || led_to == "-") {
                continue;
            }
            match rows.iter_mut().find(|(_, known)| agree(known, &outcomes)) {
                Some((states, known)) => {
                    states.push(state.as_str());
                    for (known, outcome) in known.iter_mut().zip(outcomes) {
                        if known.is_empty() {
                            *known = outcome;
                        }
                    }
                }
                None => rows.push((vec![state.as_str()], outcomes)),
            }
        }
        assert!(!rows.is_empty(), "{event:?} never applies");
        for (states, outcomes) in rows {
            writeln!(
                table,
                "| {} | {} | {} |",
                name(event),
                states.join(", "),
                outcomes.join(" | ")
            )
            .unwrap();
        }
    }
    table
}

/// States share a row when nothing that can happen tells them apart.
fn agree(some: &[String], others: &[String]) -> bool {
    some.iter().zip(others).all(|(one, other)| one.is_empty() || other.is_empty() || one == other)
}

#[test]
fn the_transition_table_is_what_the_transition_function_does() {
    let document = read("ARCHITECTURE.md");
    let written = document.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let (written, _) = written.expect("ARCHITECTURE.md has the table between its two marks");
    let table = table();
    assert!(
        written == table,
        "the table in ARCHITECTURE.md is not what Progress::after does; put this there:\n\n{table}"
    );
}

#[test]
fn the_table_lists_every_event() {
    // Fails to compile when there is a new event: add it to EVENTS too.
    let known = |event| match event {
        DeliveryEvent::Lease
        | DeliveryEvent::Release
        | DeliveryEvent::Begin
        | DeliveryEvent::NotSent(_)
        | DeliveryEvent::GiveUp
        | DeliveryEvent::Acked
        | DeliveryEvent::Refused
        | DeliveryEvent::Deferred(_)
        | DeliveryEvent::Unanswered(_)
        | DeliveryEvent::AnswerLost
        | DeliveryEvent::Receipt(ReceiptRank::Delivered | ReceiptRank::Read)
        | DeliveryEvent::Abandon
        | DeliveryEvent::FromBackup
        | DeliveryEvent::Expire
        | DeliveryEvent::Supersede
        | DeliveryEvent::Cancel
        | DeliveryEvent::CountAsSent
        | DeliveryEvent::SendAgain => name(event),
    };
    let names: BTreeSet<String> = EVENTS.iter().copied().map(known).collect();
    assert_eq!(names.len(), EVENTS.len());
}

#[test]
fn every_fault_names_a_test_that_exists() {
    let document = read("ARCHITECTURE.md");
    let table = document.split_once(FAULTS_BEGIN).and_then(|(_, rest)| rest.split_once(FAULTS_END));
    let (table, _) = table.expect("ARCHITECTURE.md has the faults between their two marks");
    let mut named = 0;
    for row in table.lines().skip(2) {
        let tests = row.trim_end_matches([' ', '|']).rsplit_once('|').unwrap().1;
        assert!(tests.contains("::") || tests.trim() == "the same", "no test: {row}");
        for test in
            tests.split(',').filter_map(|test| test.trim().trim_matches('`').split_once("::"))
        {
            let source = read(&format!("crates/server/tests/it/engine/{}.rs", test.0));
            assert!(source.contains(&format!("async fn {}(", test.1)), "no such test: {test:?}");
            named += 1;
        }
    }
    assert!(named > 30, "the table is not read as it is written");
}

#[test]
fn every_threat_names_a_test_that_exists() {
    let document = read("SECURITY.md");
    let table =
        document.split_once(THREATS_BEGIN).and_then(|(_, rest)| rest.split_once(THREATS_END));
    let (table, _) = table.expect("SECURITY.md has the threats between their two marks");
    let mut named = 0;
    for row in table.lines().skip(2) {
        let tests = row.trim_end_matches([' ', '|']).rsplit_once('|').unwrap().1;
        for test in tests.split(',').map(|test| test.trim().trim_matches('`')) {
            let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("no test: {row}"));
            let source = read(&format!("crates/server/tests/it/{file}.rs"));
            assert!(source.contains(&format!("fn {name}(")), "no such test: {test}");
            named += 1;
        }
    }
    assert!(named > 30, "the table is not read as it is written");
}

/// Variables and their defaults, as the program's own flags declare them and as it reads secrets.
fn settings() -> Vec<(String, String)> {
    let quoted = |text: &str, key: &str| {
        let (_, rest) = text.split_once(&format!("{key} = \""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let source = read("crates/server/src/config.rs");
    let check = read("crates/server/src/config/check.rs");
    let secrets = check
        .split("faults.secret(\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"').map(|(name, _)| (name.to_owned(), String::new())));
    assert!(secrets.clone().count() > 2, "config/check.rs reads secrets in another way now");
    let declared = source.split("#[arg(").skip(1);
    declared
        .filter_map(|argument| argument.split_once(")]").map(|(inside, _)| inside))
        .filter_map(|inside| {
            let default = quoted(inside, "default_value").unwrap_or_default();
            Some((quoted(inside, "env")?, default))
        })
        .chain(secrets)
        .collect()
}

#[test]
fn both_readmes_list_every_setting_with_its_default() {
    let settings = settings();
    assert!(settings.len() > 10, "config.rs no longer declares settings as this test reads them");
    let english = read("README.md");
    let indonesian = read("README.id.md");
    for (document, text) in [("README.md", english), ("README.id.md", indonesian)] {
        for (name, default) in &settings {
            let row = text.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("{document} has no row for {name}"));
            // Rows may put an off switch into words.
            let shown =
                ["", "0"].contains(&default.as_str()) || row.contains(&format!("| `{default}` |"));
            assert!(shown, "{document}: the default of {name} is {default}, not as in: {row}");
        }
    }
}
