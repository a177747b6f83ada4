//! What tests stand on.

pub mod caller;
pub mod clock_file;
pub mod database;
pub mod driven;
pub mod node;
pub mod proxy;
pub mod scripted_gateway;
pub mod served;
pub mod world;
