//! A WhatsApp session goes from node to node, and with it the right to write to WhatsApp.

use crate::harness::database::{Engine, TestState};
use crate::harness::served::PATIENCE;
use crate::harness::world::{OWN, phone};
use kabari::clock::Clock;
use kabari::session_key::SessionKey;
use kabari::store::state::SessionKind;
use kabari::store::{StateStore, StateTarget};
use kabari_domain::{MessageId, Phone, wording};
use kabari_gateway::embedded::{ACK_TIMEOUT, LONGEST_RECONNECT};
use kabari_gateway::{
    Embedded, EmbeddedConfig, Gateway, Link, LinkState, OutgoingMessage, SendError,
};
use sqlx::{Connection, MySqlConnection, SqliteConnection};
use std::time::Duration;
use wa_sim::{Config, CopyOutcome, Simulator};

super::on_both_engines! {
    a_session_goes_on_at_another_node_without_a_qr,
    a_node_that_lost_the_session_sends_nothing,
    stored_sessions_cannot_be_read_without_the_key,
}

const SESSION: &str = "default";
/// Over at once, so that another node need not wait.
const LEASE: Duration = Duration::ZERO;
const TEXT: &str = "Jaringan sudah pulih";

struct Place {
    simulator: Simulator,
    test: TestState,
    key: SessionKey,
}

impl Place {
    async fn new(engine: Engine) -> Place {
        let simulator = Simulator::start(Config::default()).await.unwrap();
        let test = TestState::open_with(engine, Clock::System).await;
        Place { simulator, test, key: SessionKey::random() }
    }

    /// A client of this node, with the session taken from whoever had it.
    async fn take(&self, state: &StateStore, node: &str) -> Embedded {
        state.create_session(SESSION, SessionKind::Embedded).await.unwrap();
        let held = state.hold_session(SESSION, SessionKind::Embedded, node, LEASE).await.unwrap();
        let store = state.session_store(&held.unwrap(), &self.key).await.unwrap();
        let config = EmbeddedConfig {
            store,
            websocket_url: Some(self.simulator.ws_url()),
            device_name: "Windows".to_owned(),
            opened_elsewhere: false,
            ack_timeout: ACK_TIMEOUT,
            longest_reconnect: LONGEST_RECONNECT,
        };
        Embedded::start(config).await.unwrap()
    }

    async fn linked(&self) -> Embedded {
        let gateway = self.take(&self.test.state, "a").await;
        let link = until(&gateway, "a QR code", |link| link.qr.is_some()).await;
        self.simulator.scan(&link.qr.unwrap(), OWN).await.unwrap();
        until(&gateway, "a connection", Link::is_connected).await;
        gateway
    }

    fn assert_everything_could_be_read(&self) {
        let ledger = self.simulator.ledger(0);
        let lost: Vec<_> =
            ledger.iter().filter(|e| e.outcome == CopyOutcome::Undecryptable).collect();
        assert!(lost.is_empty(), "{lost:#?}");
        let violations = self.simulator.violations();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

async fn until(gateway: &Embedded, what: &str, condition: impl Fn(&Link) -> bool) -> Link {
    let mut link = gateway.link();
    let waited = tokio::time::timeout(PATIENCE, link.wait_for(condition)).await;
    let waited = waited.map(|link| link.unwrap().clone());
    waited.unwrap_or_else(|_| panic!("no {what}, but {:?}", link.borrow()))
}

async fn send(gateway: &Embedded, customer: i64, number: u8) -> Result<(), SendError> {
    let message = OutgoingMessage {
        message_id: MessageId::from_random([number; 9]),
        phone: Phone::from_e164(&phone(customer)).unwrap(),
        jid: None,
        text: TEXT.to_owned(),
        traceparent: None,
    };
    tokio::time::timeout(PATIENCE, gateway.send(&message)).await.expect("an answer in time")
}

async fn a_session_goes_on_at_another_node_without_a_qr(engine: Engine) {
    let place = Place::new(engine).await;
    let mut holder = place.linked().await;
    let mut number = 0;
    for node in ["b", "c", "a"] {
        for customer in 1..=3 {
            number += 1;
            assert_eq!(send(&holder, customer, number).await, Ok(()));
        }
        // The one before is not asked: it may be dead.
        let successor = place.take(&place.test.another_node().await, node).await;
        let link = until(&successor, "a connection", |link| {
            assert_eq!(link.qr, None);
            link.is_connected()
        });
        assert_eq!(link.await.phone.as_deref(), Some(OWN));
        holder.close().await;
        holder = successor;
    }
    assert_eq!(send(&holder, 1, number + 1).await, Ok(()));
    let ledger = place.simulator.ledger(0);
    let arrived = ledger.iter().filter(|entry| entry.owner == entry.to).count();
    assert_eq!(arrived, usize::from(number) + 1);
    place.assert_everything_could_be_read();
}

async fn a_node_that_lost_the_session_sends_nothing(engine: Engine) {
    let place = Place::new(engine).await;
    let holder = place.linked().await;
    assert_eq!(send(&holder, 1, 1).await, Ok(()));
    let before = place.simulator.ledger(0).len();

    // Taken, while the first still has its connection.
    let other = place.test.another_node().await;
    let taken = other.hold_session(SESSION, SessionKind::Embedded, "b", LEASE).await.unwrap();
    assert!(taken.is_some());
    assert!(send(&holder, 1, 2).await.is_err(), "somebody it has a ratchet with");
    assert!(send(&holder, 2, 3).await.is_err(), "somebody new");
    let link = until(&holder, "an end", |link| link.state == LinkState::Replaced).await;
    assert_eq!(link.error.as_deref(), Some(wording::HELD_BY_ANOTHER_NODE));
    assert_eq!(place.simulator.ledger(0).len(), before);

    let successor = place.take(&other, "b").await;
    until(&successor, "a connection", Link::is_connected).await;
    assert_eq!(send(&successor, 1, 2).await, Ok(()));
    place.assert_everything_could_be_read();
}

async fn stored_sessions_cannot_be_read_without_the_key(engine: Engine) {
    let place = Place::new(engine).await;
    let holder = place.linked().await;
    assert_eq!(send(&holder, 1, 1).await, Ok(()));
    holder.close().await;

    let rows = rows(&place.test.target).await;
    assert!(rows.len() > 800, "one-time keys and more: {}", rows.len());
    let secrets = [OWN, &phone(1), TEXT, "s.whatsapp.net", "noise_key", "identity_key"];
    for row in rows {
        for secret in secrets {
            let shown = row.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!shown, "{secret} is readable");
        }
    }
}

/// Every column that is not a number, as the server or the file has it.
async fn rows(target: &StateTarget) -> Vec<Vec<u8>> {
    type Row = (String, String, Vec<u8>, Vec<u8>);
    const SQL: &str = "SELECT session, collection, name, value FROM session_entries";
    let rows: Vec<Row> = match target {
        StateTarget::Sqlite { path } => {
            let url = format!("sqlite://{}", path.display());
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            sqlx::query_as(SQL).fetch_all(&mut connection).await.unwrap()
        }
        StateTarget::MySql { url } => {
            let mut connection = MySqlConnection::connect(url).await.unwrap();
            sqlx::query_as(SQL).fetch_all(&mut connection).await.unwrap()
        }
    };
    let row = |(session, collection, name, value): Row| {
        [session.into_bytes(), collection.into_bytes(), name, value].concat()
    };
    rows.into_iter().map(row).collect()
}
