//! The main job, from a request to what the recipients' phones show, and all that may come
//! between. What counts is what the simulated phones say, never our own tables.

mod abuse;
mod backup;
mod control;
mod crashes;
mod default_settings;
mod disk;
mod faults;
mod happy_path;
mod health;
mod history;
mod link;
mod pace;
mod passkey;
mod reach_out;
mod recipients;
mod session_file;
mod sessions;
mod torture;
mod upgrade;
mod wire_faults;

/// One test for each engine.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::harness::database::Engine::Sqlite).await;
            })*
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::harness::database::Engine::MariaDb).await;
            })*
        }
    };
}
use on_both_engines;
