//! Ports that nobody listens on.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that systems give to whoever asks for any, so that nobody else is given one of
/// these between two uses.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// Returns a port of the loopback that nobody listens on, another one with each call.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Processes that run side by side begin at different ports.
    let begin = std::process::id() * 100 % u32::from(COUNT);
    loop {
        let taken = u32::from(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + ((begin + taken) % u32::from(COUNT)) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
