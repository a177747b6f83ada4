//! The store: the same tests on both engines.

/// Makes `#[tokio::test]`s of functions that take a `TestState`, one for each engine.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::harness::database::{Engine, TestState};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(TestState::open(Engine::Sqlite).await).await;
                }
            )*
        }
        mod mariadb {
            use crate::harness::database::{Engine, TestState};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(TestState::open(Engine::MariaDb).await).await;
                }
            )*
        }
    };
}

mod access;
mod backup;
mod billing;
mod campaigns;
mod creation;
mod deliveries;
mod delivery_lists;
mod faults;
mod fixtures;
mod gateways;
mod handover;
mod migrations;
mod overview;
mod person;
mod races;
mod receipts;
mod retention;
mod scale;
mod session_entries;
mod sessions;
mod transitions;
