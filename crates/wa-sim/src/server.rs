//! Listens for clients, for the control API and for people who look, on one port.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

use crate::account::lock;
use crate::connection::{self, WEBSOCKET_PATH};
use crate::control;
use crate::core::Core;
use crate::downloads;
use crate::inbox;

/// The listener, which can be stopped and started again on the same port.
pub(crate) struct Server {
    core: Arc<Core>,
    address: SocketAddr,
    task: Mutex<Option<JoinHandle<()>>>,
    /// Keeps the port from others while nobody listens: connections are refused all the same.
    kept_port: Mutex<Option<TcpSocket>>,
}

/// How many clients may wait to be accepted.
const BACKLOG: u32 = 1024;

impl Server {
    pub async fn start(core: Arc<Core>, listen: SocketAddr) -> anyhow::Result<Self> {
        let listener = bind(listen).await?;
        let address = listener.local_addr()?;
        core.address.get_or_init(|| address);
        let task = Mutex::new(Some(serve(Arc::clone(&core), listener)));
        Ok(Self { core, address, task, kept_port: Mutex::default() })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening and breaks all connections.
    pub async fn pause(&self) {
        let task = lock(&self.task).take();
        if let Some(task) = task {
            task.abort();
            // An aborted task's join error is what was asked for.
            let _ = task.await;
            *lock(&self.kept_port) = keep_port(self.address).ok();
        }
        let state = self.core.state();
        for &connection in state.connections.keys() {
            state.drop_connection(connection);
        }
    }

    /// Listens again, if it does not.
    pub async fn resume(&self) -> anyhow::Result<()> {
        if lock(&self.task).is_some() {
            return Ok(());
        }
        let kept = lock(&self.kept_port).take();
        let listener = match kept {
            Some(socket) => socket.listen(BACKLOG)?,
            None => bind(self.address).await?,
        };
        *lock(&self.task) = Some(serve(Arc::clone(&self.core), listener));
        Ok(())
    }
}

fn keep_port(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    use anyhow::Context;
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another with --listen"))
}

fn serve(core: Arc<Core>, listener: TcpListener) -> JoinHandle<()> {
    // Without this, small answers wait for the client's delayed acknowledgements.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("could not set TCP_NODELAY: {error}");
        }
    });
    let app = Router::new()
        .route(WEBSOCKET_PATH, any(websocket))
        .merge(control::routes(&core))
        .merge(inbox::routes())
        .merge(downloads::routes())
        .with_state(core);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!("stopped listening: {error}");
        }
    })
}

async fn websocket(State(core): State<Arc<Core>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| connection::serve(core, socket))
}
