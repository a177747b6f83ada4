//! A gateway that sends one message at a time, with a pause between them.
//!
//! Each kabari in front of a gateway keeps the pace of the number, which they hand to each other
//! by lease. But one that was stopped, or killed with a request under way, cannot take back what
//! it has asked for, and others ask without any pace: only here, at the wire, do the messages of
//! all of them meet.

use crate::clock::Clock;
use async_trait::async_trait;
use kabari_domain::Phone;
use kabari_gateway::{
    Assertion, Event, Gateway, GatewayError, Limits, Link, OutgoingMessage, Registration, SendError,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, watch};

/// A gateway whose messages go out one by one.
pub struct PacedGateway {
    gateway: Arc<dyn Gateway>,
    clock: Clock,
    delay: Duration,
    /// When the next message may go, on [`Clock::monotonic`].
    free_at: Mutex<Duration>,
}

impl PacedGateway {
    /// Begins with a pause: a gateway that ran before this one may have sent a moment ago.
    pub fn new(gateway: Arc<dyn Gateway>, clock: Clock, delay: Duration) -> PacedGateway {
        let free_at = Mutex::new(clock.monotonic() + delay);
        PacedGateway { gateway, clock, delay, free_at }
    }
}

#[async_trait]
impl Gateway for PacedGateway {
    /// Sends when it is this message's turn. The pause counts from the answer: only then was it
    /// surely on the wire.
    async fn send(&self, message: &OutgoingMessage) -> Result<(), SendError> {
        let mut free_at = self.free_at.lock().await;
        self.clock.sleep(free_at.saturating_sub(self.clock.monotonic())).await;
        let answer = self.gateway.send(message).await;
        *free_at = self.clock.monotonic() + self.delay;
        answer
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.gateway.link()
    }

    async fn look(&self) -> Link {
        self.gateway.look().await
    }

    fn knows_ids(&self) -> bool {
        self.gateway.knows_ids()
    }

    fn clock_offset(&self) -> Option<i64> {
        self.gateway.clock_offset()
    }

    fn take_events(&self) -> Option<mpsc::UnboundedReceiver<Event>> {
        self.gateway.take_events()
    }

    async fn check(&self, phones: &[Phone]) -> Result<Vec<Registration>, SendError> {
        self.gateway.check(phones).await
    }

    async fn limits(&self) -> Result<Limits, GatewayError> {
        self.gateway.limits().await
    }

    async fn answer_passkey(&self, assertion: &Assertion) -> Result<(), GatewayError> {
        self.gateway.answer_passkey(assertion).await
    }

    async fn confirm_passkey(&self) -> Result<(), GatewayError> {
        self.gateway.confirm_passkey().await
    }

    async fn pair(&self, phone: &Phone) -> Result<String, GatewayError> {
        self.gateway.pair(phone).await
    }

    async fn restart(&self) -> Result<(), GatewayError> {
        self.gateway.restart().await
    }

    async fn logout(&self) -> Result<(), GatewayError> {
        self.gateway.logout().await
    }

    async fn close(&self) {
        self.gateway.close().await;
    }
}
