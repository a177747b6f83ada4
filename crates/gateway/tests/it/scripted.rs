//! A gateway that does as it is told: numbers ending in 9 are not on WhatsApp, and the answers to
//! sends can be scripted.

use async_trait::async_trait;
use axum::Router;
use kabari_domain::Phone;
use kabari_gateway::{
    Assertion, Event, Gateway, GatewayError, Limits, Link, LinkState, Outgoing, Registration,
    SendError,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

pub struct Scripted {
    pub link: watch::Sender<Link>,
    /// How sends to a number fail.
    pub failures: Mutex<HashMap<String, SendError>>,
    /// What was sent: id, number, text.
    pub sent: Mutex<Vec<(String, String, String)>>,
    /// Which numbers were asked for, one question after the other.
    pub checks: Mutex<Vec<Vec<String>>>,
}

impl Scripted {
    pub fn connected() -> Arc<Scripted> {
        Scripted::with(Link {
            state: LinkState::Connected,
            phone: Some("6281299990000".into()),
            ..Link::starting()
        })
    }

    pub fn with(link: Link) -> Arc<Scripted> {
        Arc::new(Scripted {
            link: watch::Sender::new(link),
            failures: Mutex::default(),
            sent: Mutex::default(),
            checks: Mutex::default(),
        })
    }

    pub fn fail(&self, number: &str, error: SendError) {
        self.failures.lock().unwrap().insert(number.into(), error);
    }

    /// Number and text of every message, in order.
    pub fn delivered(&self) -> Vec<(String, String)> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|(_, to, text)| (to.clone(), text.clone())).collect()
    }
}

#[async_trait]
impl Gateway for Scripted {
    fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    fn take_events(&self) -> Option<mpsc::UnboundedReceiver<Event>> {
        None
    }

    async fn check(&self, phones: &[Phone]) -> Result<Vec<Registration>, SendError> {
        let numbers = phones.iter().map(|phone| phone.digits().to_owned()).collect();
        self.checks.lock().unwrap().push(numbers);
        let registration = |phone: &Phone| match phone.digits().ends_with('9') {
            true => Registration::NotRegistered,
            false => Registration::Registered { jid: format!("{}@s.whatsapp.net", phone.digits()) },
        };
        Ok(phones.iter().map(registration).collect())
    }

    async fn send(&self, message: &Outgoing) -> Result<(), SendError> {
        let number = message.phone.digits();
        if let Some(error) = self.failures.lock().unwrap().get(number) {
            return Err(error.clone());
        }
        let sent = (message.message_id.to_string(), number.to_owned(), message.text.clone());
        self.sent.lock().unwrap().push(sent);
        Ok(())
    }

    async fn limits(&self) -> Result<Limits, GatewayError> {
        Ok(Limits::default())
    }

    async fn pair(&self, _phone: &Phone) -> Result<String, GatewayError> {
        Ok("ABCD1234".into())
    }

    async fn answer_passkey(&self, _assertion: &Assertion) -> Result<(), GatewayError> {
        Err(GatewayError::NotPossible("no passkey is asked for".into()))
    }

    async fn confirm_passkey(&self) -> Result<(), GatewayError> {
        Err(GatewayError::NotPossible("no passkey is asked for".into()))
    }

    async fn restart(&self) -> Result<(), GatewayError> {
        self.link.send_replace(Link::starting());
        Ok(())
    }

    async fn logout(&self) -> Result<(), GatewayError> {
        Err(GatewayError::Unavailable("nobody there".into()))
    }

    async fn close(&self) {}
}

/// Serves the router on a free port of loopback and gives its address.
pub async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}
