//! The measurements as tables.

use crate::{Engine, Order, RECIPIENTS_PER_CLIENT};
use comfy_table::{CellAlignment, Table, presets};
use std::time::Duration;

/// What the samples are of.
const MESSAGES: [&str; 2] = ["first", "repeat"];

/// The columns of both tables that hold words.
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
pub fn print(
    order: &Order,
    commit: Duration,
    rows: &[(Option<Engine>, Measured)],
    crowd: &Measured,
) {
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
    for (contender, measured) in rows {
        let bare = rows[0].1.samples;
        for ((messages, sample), bare) in MESSAGES.iter().zip(measured.samples).zip(bare) {
            let mariadb = order.mariadb_pid.filter(|_| *contender == Some(Engine::Mariadb));
            clients.add_row([
                name(*contender),
                (*messages).to_owned(),
                format!("{:.0}", sample.per_second),
                format!("{:.2}", sample.per_second / bare.per_second),
                format!("{:.2}", sample.client_ms),
                format!("{:.2}", sample.simulator_ms),
                mariadb.map_or("-".into(), |_| format!("{:.2}", sample.mariadb_ms)),
                format!("{:.0}", measured.client_mb),
                format!("{:.0}", measured.simulator_mb),
            ]);
        }
    }
    println!("{}", right_aligned(clients, WORDS));

    println!(
        "\n\
         What the simulator allows: {} bare clients at once in one process, {RECIPIENTS_PER_CLIENT} recipients each, in one\n\
         round. The last column is what its CPU per message would allow one core to serve.\n",
        order.clients
    );
    let mut load = table([
        "clients",
        "messages",
        "msg/s",
        "CPU clients",
        "CPU wa-sim",
        "RSS clients",
        "RSS wa-sim",
        "msg/s per core",
    ]);
    for (messages, sample) in MESSAGES.iter().zip(crowd.samples) {
        load.add_row([
            order.clients.to_string(),
            (*messages).to_owned(),
            format!("{:.0}", sample.per_second),
            format!("{:.2}", sample.client_ms),
            format!("{:.2}", sample.simulator_ms),
            format!("{:.0}", crowd.client_mb),
            format!("{:.0}", crowd.simulator_mb),
            format!("{:.0}", 1000.0 / sample.simulator_ms),
        ]);
    }
    println!("{}", right_aligned(load, WORDS));
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
