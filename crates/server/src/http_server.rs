//! The HTTP server: accepts connections, as many and for as long as the machine can spare.
//!
//! Clients that are slow on purpose must not take what sending needs: files, memory, time. What a
//! request's body may take is in [`request_body`](crate::request_body).

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The most connections at once; those that come later wait for one to end. Each takes about 110 KB
/// while it is served. Fewer where the process may open fewer than twice as many files.
const MAX_CONNECTIONS: usize = 250;

/// How long the head of a request may take from its connection's begin, or from the end of the
/// answer before it.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest head of a request.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// How long a client may take none of an answer that is ready for it.
#[cfg(target_os = "linux")]
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long nothing is accepted after that has failed, for lack of files as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Listens, and serves until `stopping`.
pub async fn serve(
    address: SocketAddr,
    router: Router,
    stopping: CancellationToken,
) -> anyhow::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address}: choose another port, or end the program that has this one"
        )
    })?;
    let address = listener.local_addr()?;
    Ok((address, tokio::spawn(accept(listener, router, stopping))))
}

/// Accepts connections until `stopping`, then waits for the open ones to end.
async fn accept(listener: TcpListener, router: Router, stopping: CancellationToken) {
    let places = Arc::new(Semaphore::new(max_connections()));
    let open = GracefulShutdown::new();
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, client)) => {
                let served = open.watch(connection(stream, client, router.clone()));
                tokio::spawn(async move {
                    if let Err(error) = served.await {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    drop(place);
                });
            }
            // The client's trouble, not ours.
            Err(error) if is_of_client(error.kind()) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    open.shutdown().await;
}

type Connection<S> = http1::Connection<TokioIo<TcpStream>, S>;

/// Serves one client.
fn connection(
    stream: TcpStream,
    client: SocketAddr,
    router: Router,
) -> Connection<
    impl hyper::service::Service<
        Request<Incoming>,
        Response = axum::response::Response,
        Error = std::convert::Infallible,
        Future: Send,
    >,
> {
    limit_writes(&stream);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(client));
        router.call(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
}

/// Has the system cut connections whose client reads nothing.
#[cfg(target_os = "linux")]
fn limit_writes(stream: &TcpStream) {
    let millis = u32::try_from(WRITE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, millis) {
        tracing::debug!(%error, "a connection without a write timeout");
    }
}

/// Other systems have no such limit.
#[cfg(not(target_os = "linux"))]
fn limit_writes(_stream: &TcpStream) {}

fn is_of_client(kind: ErrorKind) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(kind, ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Returns how many connections may be open: half of the files at most.
#[cfg(unix)]
fn max_connections() -> usize {
    use rustix::process::{Resource, getrlimit};
    let files = getrlimit(Resource::Nofile).current;
    let half = files.and_then(|files| usize::try_from(files / 2).ok());
    half.unwrap_or(MAX_CONNECTIONS).min(MAX_CONNECTIONS)
}

/// Returns how many connections may be open.
#[cfg(not(unix))]
fn max_connections() -> usize {
    MAX_CONNECTIONS
}
