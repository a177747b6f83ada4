//! `kabari serve`, `kabari worker` and `kabari gateway`: run until told to stop.

use super::{link, settings};
use crate::app::{App, NodeRole};
use crate::clock::Clock;
use crate::config::Options;
use crate::gateway_app::GatewayApp;
use crate::passkey_snippet::passkey_snippet;
use crate::sessions::OpenSessions;
use kabari_gateway::{Gateway, Link, LinkState, PasskeyStep, qr};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Runs API, dispatcher and WhatsApp sessions.
pub async fn serve(options: Options) -> anyhow::Result<()> {
    run(options, NodeRole::Serve).await
}

/// Runs dispatcher and WhatsApp sessions, without the API.
pub async fn worker(options: Options) -> anyhow::Result<()> {
    run(options, NodeRole::Worker).await
}

async fn run(options: Options, role: NodeRole) -> anyhow::Result<()> {
    let app = App::start(settings(options)?, role, Clock::System).await?;
    if let Err(error) = app.billing.check().await {
        tracing::warn!(%error, "the billing database cannot be used yet");
    }
    if let Some(address) = app.api {
        tracing::info!("API on http://{address} (documentation: http://{address}/docs)");
    }
    announce_monitoring(app.monitoring);
    let links = tokio::spawn(announce_sessions(app.sessions.open(), passkey_text));
    until_stopped().await?;
    tracing::info!("stopping");
    app.stop().await;
    links.abort();
    Ok(())
}

/// Runs one WhatsApp session behind the gateway's HTTP contract.
pub async fn gateway(options: Options) -> anyhow::Result<()> {
    let app = GatewayApp::start(settings(options)?, Clock::System).await?;
    tracing::info!("gateway on http://{}", app.address);
    announce_monitoring(app.monitoring);
    let links = tokio::spawn(announce_sessions(app.sessions.open(), none_here));
    until_stopped().await?;
    tracing::info!("stopping");
    app.stop().await;
    links.abort();
    Ok(())
}

fn announce_monitoring(address: Option<SocketAddr>) {
    if let Some(address) = address {
        tracing::info!("monitoring on http://{address} (/livez, /readyz, /metrics)");
    }
}

/// Returns when the operator, or the service manager, wants kabari to end.
#[cfg(unix)]
async fn until_stopped() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Returns when the operator wants kabari to end, or the system shuts down.
#[cfg(windows)]
async fn until_stopped() -> std::io::Result<()> {
    use tokio::signal::windows;
    let mut interrupt = windows::ctrl_c()?;
    let mut close = windows::ctrl_close()?;
    let mut shutdown = windows::ctrl_shutdown()?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = close.recv() => {}
        _ = shutdown.recv() => {}
    }
    Ok(())
}

/// Announces the link of every session that is open here.
async fn announce_sessions(mut open: watch::Receiver<OpenSessions>, passkey_text: PasskeyText) {
    let mut announced: BTreeMap<String, AbortOnDropHandle<()>> = BTreeMap::new();
    loop {
        let sessions = open.borrow_and_update().clone();
        announced.retain(|name, task| sessions.contains_key(name) && !task.is_finished());
        for (name, gateway) in sessions {
            announced.entry(name.clone()).or_insert_with(|| {
                AbortOnDropHandle::new(tokio::spawn(announce_link(name, gateway, passkey_text)))
            });
        }
        if open.changed().await.is_err() {
            return;
        }
    }
}

/// What to show at a step where WhatsApp wants a passkey.
type PasskeyText = fn(&PasskeyStep, LinkState) -> Option<String>;

/// Shows each new QR code and step in the terminal, and says when the link changes.
async fn announce_link(session: String, gateway: Arc<dyn Gateway>, passkey_text: PasskeyText) {
    let mut link = gateway.link();
    let mut shown: Option<Link> = None;
    loop {
        let now = link.borrow_and_update().clone();
        if shown.as_ref().map(|link| link.state) != Some(now.state) {
            let error = now.error.as_deref();
            tracing::info!(session, error, "WhatsApp: {}", describe(now.state));
        }
        let new_qr =
            now.qr.as_ref().filter(|qr| shown.as_ref().is_none_or(|s| s.qr.as_ref() != Some(*qr)));
        if let Some(drawn) = new_qr.and_then(|text| qr::terminal(text))
            && std::io::stdout().is_terminal()
        {
            println!("\nSession {session}:{}", link::scan_text(&drawn));
        }
        let passkey = now.passkey.as_ref();
        let is_new = shown.as_ref().is_none_or(|shown| shown.passkey.as_ref() != passkey);
        if let Some(text) =
            passkey.filter(|_| is_new).and_then(|step| passkey_text(step, now.state))
            && std::io::stdout().is_terminal()
        {
            println!("\nSession {session}:{text}");
        }
        shown = Some(now);
        if link.changed().await.is_err() {
            return;
        }
    }
}

/// Returns what a person does at this step. What they have to type goes into `kabari link` or the
/// page.
fn passkey_text(step: &PasskeyStep, state: LinkState) -> Option<String> {
    let until = match state {
        LinkState::PasskeyRequired { until } => until.to_rfc3339(),
        _ => String::new(),
    };
    let (text, then) = match step {
        PasskeyStep::Answer { options } => {
            (link::answer_text(&passkey_snippet(options), &until), "5. Paste that line")
        }
        PasskeyStep::Compare { code } => (link::compare_text(code), "If it is the same, say so"),
        PasskeyStep::Check | PasskeyStep::Finish => return None,
    };
    Some(format!(
        "{text}\n{then} in `kabari link`, or in a browser at /api/whatsapp/qr of this kabari."
    ))
}

/// Returns what a gateway says, which nobody can give an answer to.
fn none_here(step: &PasskeyStep, _: LinkState) -> Option<String> {
    matches!(step, PasskeyStep::Answer { .. }).then(|| {
        "\nWhatsApp wants the passkey of this account, which a gateway cannot be given. Stop it, run \
         `kabari serve` without WA_GATEWAY_URL on the same DATA_DIR, link there with `kabari link`, \
         then start the gateway again."
            .to_owned()
    })
}

fn describe(state: LinkState) -> &'static str {
    match state {
        LinkState::Starting => "starting",
        LinkState::NotLinked => {
            "no phone is linked; scan the QR code (terminal, or GET /api/whatsapp/qr)"
        }
        LinkState::PasskeyRequired { .. } => {
            "WhatsApp wants the account's passkey; see docs/passkey.md"
        }
        LinkState::Connecting => "connecting",
        LinkState::Connected => "connected",
        LinkState::Unreachable => "the gateway does not answer; check WA_GATEWAY_URL",
        LinkState::LoggedOut => "logged out; a new QR code follows",
        LinkState::Replaced => {
            "the session was opened elsewhere; restart it here with POST /api/whatsapp/restart"
        }
        LinkState::Banned { .. } => "WhatsApp has banned the number for a time",
        LinkState::ClientOutdated => "WhatsApp no longer accepts this version; update kabari",
    }
}
