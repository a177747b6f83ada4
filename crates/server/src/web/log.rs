//! The audit: who did what, when and from where.

use super::access::scope_name;
use super::account::role_name;
use super::campaigns::kind_name;
use super::error::PageError;
use super::layout::{Page, Section, page};
use super::parts::empty;
use super::texts::text;
use super::visitor::Visitor;
use crate::api::Api;
use crate::api::csv::{self, BYTE_ORDER_MARK};
use crate::api::streamed;
use crate::store::state::{Action, Actor, ActorKind, AuditEntry, AuditFilter, CampaignKind};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use axum::response::Response;
use axum::routing::get;
use kabari_domain::{Role, Scope};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

const LOG: &str = "/app/log";
const CSV: &str = "/app/log.csv";

/// Entries on a page.
const PAGE_ENTRIES: u32 = 50;
/// Entries that are read at once for a file.
const FILE_ENTRIES: u32 = 500;

const HEADINGS: [&str; 8] =
    ["id", "at", "actor_kind", "actor", "address", "action", "subject", "details"];

/// The page and the file.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route(LOG, get(show)).route(CSV, get(file))
}

/// What a visitor looks for; a form sends empty fields for what they have not chosen.
#[derive(Debug, Default, Deserialize)]
struct Search {
    action: Option<String>,
    actor: Option<String>,
    /// The entry that the page ends before.
    before: Option<i64>,
}

impl Search {
    fn filter(&self) -> AuditFilter {
        let actor = self.actor.as_deref().map(str::trim).filter(|actor| !actor.is_empty());
        AuditFilter {
            action: self.action.as_deref().and_then(Action::from_name),
            actor: actor.map(str::to_owned),
        }
    }

    /// The address of a page or a file with the same filter.
    fn address(&self, path: &str, before: Option<i64>) -> String {
        let filter = self.filter();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(filter.action.map(|action| ("action", action.as_str())));
        query.extend_pairs(filter.actor.map(|actor| ("actor", actor)));
        query.extend_pairs(before.map(|before| ("before", before.to_string())));
        match query.finish() {
            query if query.is_empty() => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }
}

async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Query(search): Query<Search>,
) -> Result<Markup, PageError> {
    let filter = search.filter();
    // One more than is shown tells whether there is another page.
    let mut entries = api.state.audit(&filter, search.before, PAGE_ENTRIES + 1).await?;
    let has_more = entries.len() > PAGE_ENTRIES as usize;
    entries.truncate(PAGE_ENTRIES as usize);
    let next = entries.last().filter(|_| has_more).map(|last| search.address(LOG, Some(last.id)));
    let body = html! {
        (filter_form(&visitor, &filter))
        @if entries.is_empty() {
            (empty(&text!(visitor, "log-empty"), html! {}))
        } @else {
            div.table { table.stack {
                thead { tr {
                    th { (text!(visitor, "log-time")) }
                    th { (text!(visitor, "log-actor")) }
                    th { (text!(visitor, "log-action")) }
                    th { (text!(visitor, "log-subject")) }
                } }
                tbody { @for entry in &entries { (row(&visitor, entry)) } }
            } }
        }
        nav.row aria-label=(text!(visitor, "log-pages")) {
            @if search.before.is_some() {
                a.button.second href=(search.address(LOG, None)) { (text!(visitor, "log-newest")) }
            }
            @if let Some(next) = next {
                a.button.second href=(next) { (text!(visitor, "log-older")) }
            }
            @if !entries.is_empty() {
                a.button.second href=(search.address(CSV, None)) download { (text!(visitor, "log-csv")) }
            }
        }
    };
    let title = text!(visitor, "log-title");
    Ok(page(&visitor, Page { title, section: Section::Log, body }))
}

fn filter_form(visitor: &Visitor, filter: &AuditFilter) -> Markup {
    html! {
        form.card method="get" action=(LOG) {
            div.cards {
                div.field {
                    label for="action" { (text!(visitor, "log-action")) }
                    select id="action" name="action" {
                        option value="" { (text!(visitor, "log-all")) }
                        @for action in Action::ALL {
                            option value=(action.as_str()) selected[filter.action == Some(*action)] {
                                (action_name(visitor, *action))
                            }
                        }
                    }
                }
                div.field {
                    label for="actor" { (text!(visitor, "log-by")) }
                    input id="actor" name="actor" value=(filter.actor.as_deref().unwrap_or_default())
                        autocomplete="off" autocapitalize="none" spellcheck="false";
                }
            }
            div { button.second { (text!(visitor, "log-filter")) } }
        }
    }
}

fn row(visitor: &Visitor, entry: &AuditEntry) -> Markup {
    let action = match Action::from_name(&entry.action) {
        Some(action) => action_name(visitor, action),
        None => entry.action.clone(),
    };
    let address = entry.actor.address.map(|address| address.to_string());
    html! {
        tr {
            td.tight { time datetime=(entry.at.to_rfc3339()) { (visitor.moment(entry.at)) } }
            td {
                (actor_name(visitor, &entry.actor))
                @if let Some(address) = address { " " span.soft { (address) } }
            }
            td { (action) }
            td { (subject(entry)) " " span.soft { (details(visitor, entry)) } }
        }
    }
}

fn subject(entry: &AuditEntry) -> Markup {
    let is_campaign = entry.action.ends_with("campaign") || entry.action == Action::Send.as_str();
    html! {
        @if is_campaign {
            a href={ (Section::Campaigns.address()) "/" (entry.subject) } { "#" (entry.subject) }
        } @else {
            (entry.subject)
        }
    }
}

/// Returns what stands with an entry, in the visitor's language.
fn details(visitor: &Visitor, entry: &AuditEntry) -> String {
    let details: Map<String, Value> = serde_json::from_str(&entry.details).unwrap_or_default();
    let shown = details.iter().filter_map(|(name, value)| detail(visitor, name, value));
    shown.collect::<Vec<_>>().join(", ")
}

fn detail(visitor: &Visitor, name: &str, value: &Value) -> Option<String> {
    if value.is_null() || value == false {
        return None;
    }
    let (word, count) = (value.as_str().unwrap_or_default(), value.as_u64().unwrap_or_default());
    let text = match name {
        "kind" => kind_name(visitor, CampaignKind::from_name(word)?),
        "notice" => text!(visitor, "log-notice", id = value.to_string()),
        "urgent" => text!(visitor, "campaign-urgent"),
        "role" => role_name(visitor, Role::from_name(word)?),
        "scope" => scope_name(visitor, Scope::from_name(word)?),
        "added" => text!(visitor, "log-added", count = count),
        "updated" => text!(visitor, "log-updated", count = count),
        "browsers" => text!(visitor, "log-browsers", count = count),
        _ => format!("{name}: {value}"),
    };
    Some(text)
}

fn actor_name(visitor: &Visitor, actor: &Actor) -> String {
    let name = actor.name.as_str();
    match actor.kind {
        ActorKind::User => name.to_owned(),
        ActorKind::Key => text!(visitor, "actor-key", name = name),
        ActorKind::Local => text!(visitor, "actor-local"),
        ActorKind::Console if name.is_empty() => text!(visitor, "actor-console"),
        ActorKind::Console => format!("{} ({name})", text!(visitor, "actor-console")),
        ActorKind::Guest => text!(visitor, "actor-guest"),
        ActorKind::Phone => text!(visitor, "actor-phone"),
    }
}

fn action_name(visitor: &Visitor, action: Action) -> String {
    match action {
        Action::Send => text!(visitor, "action-send"),
        Action::PauseCampaign => text!(visitor, "action-pause-campaign"),
        Action::ResumeCampaign => text!(visitor, "action-resume-campaign"),
        Action::CancelCampaign => text!(visitor, "action-cancel-campaign"),
        Action::RetryCampaign => text!(visitor, "action-retry-campaign"),
        Action::ResolveDelivery => text!(visitor, "action-resolve-delivery"),
        Action::ResolveCampaign => text!(visitor, "action-resolve-campaign"),
        Action::CreateSession => text!(visitor, "action-create-session"),
        Action::ChangeSession => text!(visitor, "action-change-session"),
        Action::DeleteSession => text!(visitor, "action-delete-session"),
        Action::LinkSession => text!(visitor, "action-link-session"),
        Action::UnlinkSession => text!(visitor, "action-unlink-session"),
        Action::PairSession => text!(visitor, "action-pair-session"),
        Action::AnswerPasskey => text!(visitor, "action-answer-passkey"),
        Action::ConfirmPasskey => text!(visitor, "action-confirm-passkey"),
        Action::RestartSession => text!(visitor, "action-restart-session"),
        Action::LogoutSession => text!(visitor, "action-logout-session"),
        Action::PauseSession => text!(visitor, "action-pause-session"),
        Action::ResumeSession => text!(visitor, "action-resume-session"),
        Action::AddNotice => text!(visitor, "action-add-notice"),
        Action::ChangeNotice => text!(visitor, "action-change-notice"),
        Action::CloseNotice => text!(visitor, "action-close-notice"),
        Action::ChangeCustomer => text!(visitor, "action-change-customer"),
        Action::ImportCustomers => text!(visitor, "action-import-customers"),
        Action::LogIn => text!(visitor, "action-log-in"),
        Action::FailLogIn => text!(visitor, "action-fail-log-in"),
        Action::LogOut => text!(visitor, "action-log-out"),
        Action::AddUser => text!(visitor, "action-add-user"),
        Action::RemoveUser => text!(visitor, "action-remove-user"),
        Action::ChangeRole => text!(visitor, "action-change-role"),
        Action::ChangePassword => text!(visitor, "action-change-password"),
        Action::AddKey => text!(visitor, "action-add-key"),
        Action::RevokeKey => text!(visitor, "action-revoke-key"),
    }
}

/// Everything that the filter finds, as a file.
async fn file(
    State(api): State<Arc<Api>>,
    Query(search): Query<Search>,
) -> Result<Response, PageError> {
    let filter = search.filter();
    let write = move |mut writer: streamed::Writer| async move {
        writer.text(BYTE_ORDER_MARK).await?;
        writer.text(&csv::line(HEADINGS.map(str::to_owned))).await?;
        let mut before = None;
        loop {
            let entries = api.state.audit(&filter, before, FILE_ENTRIES).await?;
            let Some(last) = entries.last() else { return Ok(writer) };
            before = Some(last.id);
            for entry in entries {
                writer.text(&csv::line(fields(entry))).await?;
            }
        }
    };
    let mut response = streamed::answer("text/csv; charset=utf-8", write).await?;
    let disposition = HeaderValue::from_static("attachment; filename=\"kabari-log.csv\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    Ok(response)
}

fn fields(entry: AuditEntry) -> [String; 8] {
    [
        entry.id.to_string(),
        entry.at.to_rfc3339(),
        entry.actor.kind.as_str().to_owned(),
        entry.actor.name,
        entry.actor.address.map(|address| address.to_string()).unwrap_or_default(),
        entry.action,
        entry.subject,
        entry.details,
    ]
}
