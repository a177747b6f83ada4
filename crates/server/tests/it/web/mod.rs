//! The operator's page, over HTTP and in Chromium.

mod access;
mod campaigns;
mod customers;
mod english;
mod events;
mod home;
mod import;
mod layout;
mod log;
mod login;
mod notices;
mod numbers;
mod operations;
mod protection;
mod roles;
mod send;

use crate::harness::database::Engine;
use crate::harness::window::{Screen, Window};
use crate::harness::world::World;
use kabari::clock::Clock;
use kabari::config::Settings;

/// An outage at the ODP that the customers from 1 to 5 are moved to, and one that concerns all.
const NOTICES: &str = "
    UPDATE customers SET odp = 'ODP-7' WHERE id <= 5;
    INSERT INTO network_notices (id, title, message, type, severity, is_mass, affected_area,
        affected_odp, is_active, created_at) VALUES
        (1, 'Kabel putus', 'Maaf, {nama}.', 'gangguan', 'high', 0, 'Jl. Merdeka', 'ODP-7', 1,
         '2026-01-10 08:05:00'),
        (2, 'Pemeliharaan OLT', 'Malam ini, {nama}.', 'maintenance', 'low', 1, NULL, NULL, 1,
         '2026-01-09 08:05:00');
";

/// A linked kabari with notices, and a window on its pages.
async fn linked(screen: Screen, change: impl FnOnce(&mut Settings)) -> (World, Window) {
    let world = World::linked_with(Engine::Sqlite, Clock::System, change).await;
    world.execute_on_billing(NOTICES).await;
    let window = Window::open(&world.url(""), screen).await;
    (world, window)
}

/// One that is not linked yet.
async fn unlinked(screen: Screen) -> (World, Window) {
    let world = World::unlinked(Engine::Sqlite, Clock::System, |_| {}).await;
    let window = Window::open(&world.url(""), screen).await;
    (world, window)
}
