//! What tests stand on.

pub mod database;
pub mod scripted_gateway;
pub mod served;
pub mod world;
