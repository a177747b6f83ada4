//! What the tests share: databases, processes, proxies, clients.

#[path = "../../../../wa-sim/tests/it/browser.rs"]
pub mod browser;
pub mod caller;
pub mod clock_file;
pub mod collector;
pub mod database;
pub mod driven_client;
pub mod gateway;
pub mod http_browser;
pub mod mariadb_server;
pub mod namespace;
pub mod node;
pub mod ports;
pub mod promtool;
pub mod proxy;
pub mod running_clock;
pub mod scripted_gateway;
pub mod served;
pub mod tls;
#[allow(dead_code, reason = "pictures are for examples/screenshots.rs")]
pub mod window;
pub mod world;
