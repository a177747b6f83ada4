//! What tests stand on.

pub mod caller;
pub mod database;
pub mod node;
pub mod scripted_gateway;
pub mod served;
pub mod world;
