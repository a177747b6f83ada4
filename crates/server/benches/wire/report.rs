//! The measurements as tables.

use crate::{Engine, Order, RECIPIENTS_PER_CLIENT};
use comfy_table::{CellAlignment, Table, presets};
use std::time::Duration;

/// What the samples are of.
const MESSAGES: [&str; 2] = ["first", "repeat"];

/// The first columns of a table, which hold words.
const WORDS: usize = 2;

/// One order to write to everybody. Times are per message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    pub per_second: f64,
    pub client_ms: f64,
    pub simulator_ms: f64,
    pub mariadb_ms: f64,
}

/// One client. Memory is the most that was resident.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// The first messages, and the repeats.
    pub samples: [Sample; 2],
    pub client_mb: f64,
    pub simulator_mb: f64,
}

/// The median of each number by itself.
pub fn median(all: &[Measured]) -> Measured {
    let of = |number: &dyn Fn(&Measured) -> f64| {
        let mut numbers: Vec<f64> = all.iter().map(number).collect();
        numbers.sort_by(f64::total_cmp);
        numbers[numbers.len() / 2]
    };
    let sample = |which: usize| Sample {
        per_second: of(&|one| one.samples[which].per_second),
        client_ms: of(&|one| one.samples[which].client_ms),
        simulator_ms: of(&|one| one.samples[which].simulator_ms),
        mariadb_ms: of(&|one| one.samples[which].mariadb_ms),
    };
    Measured {
        samples: std::array::from_fn(sample),
        client_mb: of(&|one| one.client_mb),
        simulator_mb: of(&|one| one.simulator_mb),
    }
}

/// Who was measured, and what came of it. The bare client comes first.
pub type Row = (Option<Engine>, Measured);

pub fn name(contender: Option<Engine>) -> String {
    match contender {
        None => "bare whatsapp-rust".to_owned(),
        Some(engine) => format!("kabari, {}", engine_name(engine)),
    }
}

pub fn engine_name(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "SQLite",
        Engine::Mariadb => "MariaDB",
    }
}

/// The bare client comes first among the rows.
pub fn print(order: &Order, commit: Duration, rows: &[Row], crowds: &[(u32, Vec<Row>)]) {
    println!(
        "\n\
         {recipients} recipients, each written to twice: a first message, which takes an exchange of keys, and a\n\
         repeat. One message is in flight, the next goes out after the server's ack. Medians of {rounds} rounds.\n\
         The bare client only sends; kabari, with a delay of 0, also commits before and after each\n\
         message, and one durable write to this disk takes {commit:.1} ms. Both keep their session alike.\n\
         msg/s is by the simulator's ledger. CPU is processor time in ms per message, with its receipts;\n\
         RSS is the most resident memory in MB.\n",
        recipients = order.recipients,
        rounds = order.rounds,
        commit = commit.as_secs_f64() * 1000.0,
    );
    let mut clients = table([
        "client",
        "messages",
        "msg/s",
        "of bare",
        "CPU",
        "CPU wa-sim",
        "CPU MariaDB",
        "RSS",
        "RSS wa-sim",
    ]);
    for cells in rows.iter().flat_map(|row| cells(order, row, &rows[0])) {
        clients.add_row(cells);
    }
    println!("{}", right_aligned(clients, WORDS));

    println!(
        "\n\
         Many numbers in one process, {RECIPIENTS_PER_CLIENT} recipients each, in one round: messages per second of all\n\
         together. The clients, the simulator and MariaDB share the processors of this machine.\n"
    );
    let mut load = table([
        "numbers",
        "client",
        "messages",
        "msg/s",
        "of bare",
        "CPU",
        "CPU wa-sim",
        "CPU MariaDB",
        "RSS",
        "RSS wa-sim",
    ]);
    for (numbers, rows) in crowds {
        for cells in rows.iter().flat_map(|row| cells(order, row, &rows[0])) {
            load.add_row(std::iter::once(numbers.to_string()).chain(cells));
        }
    }
    println!("{}", right_aligned(load, WORDS + 1));
}

/// What a table shows of a client, its first messages and its repeats.
fn cells(order: &Order, (contender, measured): &Row, bare: &Row) -> [[String; 9]; 2] {
    std::array::from_fn(|which| {
        let (sample, bare) = (measured.samples[which], bare.1.samples[which]);
        let mariadb = order.mariadb_pid.filter(|_| *contender == Some(Engine::Mariadb));
        [
            name(*contender),
            MESSAGES[which].to_owned(),
            format!("{:.0}", sample.per_second),
            format!("{:.2}", sample.per_second / bare.per_second),
            format!("{:.2}", sample.client_ms),
            format!("{:.2}", sample.simulator_ms),
            mariadb.map_or("-".into(), |_| format!("{:.2}", sample.mariadb_ms)),
            format!("{:.0}", measured.client_mb),
            format!("{:.0}", measured.simulator_mb),
        ]
    })
}

pub fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header(header);
    table
}

/// All but the first columns, which hold words.
pub fn right_aligned(mut table: Table, words: usize) -> Table {
    for column in table.column_iter_mut().skip(words) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
