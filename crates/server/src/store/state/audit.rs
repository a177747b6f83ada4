//! The audit: who did what, when and from where. Entries are only ever added.

use super::super::error::StoreError;
use super::super::row::{Row, Stored, Value, params, record, stored_by_name};
use super::super::transaction::Transaction;
use super::{StateStore, clip};
use kabari_domain::Timestamp;
use serde_json::Value as Json;
use std::net::IpAddr;

/// The longest subject.
const SUBJECT_LENGTH: usize = 255;
/// The longest name of an actor.
const NAME_LENGTH: usize = 64;

/// What kind of actor somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// A user who is logged in.
    User,
    /// A program that shows an API key.
    Key,
    /// Somebody on this machine, where nobody has to log in or show a key.
    Local,
    /// The command line.
    Console,
    /// Somebody who is not logged in.
    Guest,
    /// Whoever has the phone of a WhatsApp session in hand.
    Phone,
}

impl ActorKind {
    pub const ALL: [ActorKind; 6] = [
        ActorKind::User,
        ActorKind::Key,
        ActorKind::Local,
        ActorKind::Console,
        ActorKind::Guest,
        ActorKind::Phone,
    ];

    /// Returns the name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            ActorKind::User => "user",
            ActorKind::Key => "key",
            ActorKind::Local => "local",
            ActorKind::Console => "console",
            ActorKind::Guest => "guest",
            ActorKind::Phone => "phone",
        }
    }

    fn from_name(name: &str) -> Option<ActorKind> {
        ActorKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Somebody who does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What kind of actor it is.
    pub kind: ActorKind,
    /// The name of the user or the key; empty where there is none.
    pub name: String,
    /// Where the request came from; `None` on the command line.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// Returns an actor without a name.
    pub fn unnamed(kind: ActorKind, address: IpAddr) -> Actor {
        Actor { kind, name: String::new(), address: Some(address) }
    }
}

/// Declares the actions and their names in the database.
macro_rules! actions {
    ($($(#[$attribute:meta])* $action:ident = $name:literal,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action { $($(#[$attribute])* $action,)* }

        impl Action {
            pub const ALL: &'static [Action] = &[$(Action::$action,)*];

            /// Returns the name in the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Action::$action => $name,)* }
            }
        }
    };
}

actions! {
    /// Made a campaign.
    Send = "send",
    /// Paused a campaign.
    PauseCampaign = "pause_campaign",
    /// Let a campaign go on.
    ResumeCampaign = "resume_campaign",
    /// Cancelled a campaign.
    CancelCampaign = "cancel_campaign",
    /// Sent to those again whom a campaign has failed to reach.
    RetryCampaign = "retry_campaign",
    /// Decided about an uncertain delivery.
    ResolveDelivery = "resolve_delivery",
    /// Decided about all uncertain deliveries of a campaign.
    ResolveCampaign = "resolve_campaign",
    /// Added a WhatsApp session.
    CreateSession = "create_session",
    /// Changed the pace or the limits of a WhatsApp session.
    ChangeSession = "change_session",
    /// Removed a WhatsApp session.
    DeleteSession = "delete_session",
    /// Linked a phone to a WhatsApp session.
    LinkSession = "link_session",
    /// Asked for a code that links a phone.
    PairSession = "pair_session",
    /// Gave WhatsApp the answer to its request for a passkey.
    AnswerPasskey = "answer_passkey",
    /// Said that the phone shows the same code.
    ConfirmPasskey = "confirm_passkey",
    /// Unlinked a WhatsApp session on the phone.
    UnlinkSession = "unlink_session",
    /// Made a new connection of a WhatsApp session.
    RestartSession = "restart_session",
    /// Unlinked the phone of a WhatsApp session.
    LogoutSession = "logout_session",
    /// Let a WhatsApp session send nothing.
    PauseSession = "pause_session",
    /// Let a WhatsApp session send again.
    ResumeSession = "resume_session",
    /// Wrote a notice into the embedded billing database.
    AddNotice = "add_notice",
    /// Changed such a notice.
    ChangeNotice = "change_notice",
    /// Closed such a notice.
    CloseNotice = "close_notice",
    /// Changed a customer in the embedded billing database.
    ChangeCustomer = "change_customer",
    /// Took customers over into the embedded billing database.
    ImportCustomers = "import_customers",
    /// Logged in.
    LogIn = "log_in",
    /// Failed to log in.
    FailLogIn = "fail_log_in",
    /// Logged out, here or in other browsers.
    LogOut = "log_out",
    /// Added a user.
    AddUser = "add_user",
    /// Removed a user.
    RemoveUser = "remove_user",
    /// Gave a user another role.
    ChangeRole = "change_role",
    /// Gave a user another password.
    ChangePassword = "change_password",
    /// Added an API key.
    AddKey = "add_key",
    /// Revoked an API key.
    RevokeKey = "revoke_key",
}

impl Action {
    /// Returns the action of this name.
    pub fn from_name(name: &str) -> Option<Action> {
        Action::ALL.iter().copied().find(|action| action.as_str() == name)
    }
}

record! {
from "audit";
/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; later ones have higher ones.
    pub id: i64,
    pub at: Timestamp,
    pub actor: Actor,
    /// What was done: the name of an [`Action`], or one that a later version knows.
    pub action: String,
    /// What it was done to: a campaign's number, or the name of a session, user or key.
    pub subject: String,
    /// More about it, as JSON, or empty. Holds neither texts nor phone numbers.
    pub details: String,
}
}

stored_by_name!(ActorKind);

impl Stored for Actor {
    const COLUMNS: Option<&'static str> = Some("actor_kind, actor_name, address");

    fn read(row: &Row, _: &str) -> Result<Actor, StoreError> {
        let address: Option<String> = row.get("address")?;
        Ok(Actor {
            kind: row.get("actor_kind")?,
            name: row.get("actor_name")?,
            address: address.and_then(|address| address.parse().ok()),
        })
    }
}

/// Which entries of the audit to return.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub action: Option<Action>,
    /// Only what the user or key of this name did.
    pub actor: Option<String>,
}

const INSERT: &str = "INSERT INTO audit \
                      (at, actor_kind, actor_name, address, action, subject, details) \
                      VALUES (?, ?, ?, ?, ?, ?, ?)";

/// The values of an entry.
fn entry(
    at: Timestamp,
    actor: &Actor,
    action: Action,
    subject: &str,
    details: &Json,
) -> Vec<Value> {
    params![
        at.0,
        actor.kind.as_str(),
        clip(&actor.name, NAME_LENGTH),
        actor.address.map(|address| address.to_string()),
        action.as_str(),
        clip(subject, SUBJECT_LENGTH),
        if details.is_null() { String::new() } else { details.to_string() },
    ]
}

/// Adds an entry about what somebody did on the phone of a session.
pub(super) async fn record_phone(
    tx: &mut Transaction<'_>,
    at: Timestamp,
    action: Action,
    session: &str,
) -> Result<(), StoreError> {
    let actor = Actor { kind: ActorKind::Phone, name: String::new(), address: None };
    tx.execute(INSERT, entry(at, &actor, action, session, &Json::Null)).await?;
    Ok(())
}

impl StateStore {
    /// Adds an entry to the audit. What it tells of is done by then, so that a failure is logged and
    /// stops nobody.
    pub async fn record(&self, actor: &Actor, action: Action, subject: &str, details: &Json) {
        if let Err(error) = self.try_record(actor, action, subject, details).await {
            tracing::error!(%error, action = action.as_str(), "not written into the audit");
        }
    }

    async fn try_record(
        &self,
        actor: &Actor,
        action: Action,
        subject: &str,
        details: &Json,
    ) -> Result<(), StoreError> {
        let now = self.now().await?;
        let values = entry(now, actor, action, subject, details);
        self.db().retry(|| self.db().execute_unannounced(INSERT, values.clone())).await?;
        Ok(())
    }

    /// Returns at most `limit` entries of the audit, the newest first, of those before number
    /// `before`.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut conditions = vec!["id < ?"];
        let mut values: Vec<Value> = params![before.unwrap_or(i64::MAX)];
        if let Some(action) = filter.action {
            conditions.push("action = ?");
            values.extend(params![action.as_str()]);
        }
        if let Some(actor) = &filter.actor {
            conditions.push("actor_name = ?");
            values.extend(params![actor.as_str()]);
        }
        values.extend(params![i64::from(limit)]);
        let clauses = format!("WHERE {} ORDER BY id DESC LIMIT ?", conditions.join(" AND "));
        let rows = self.db().rows(&AuditEntry::select(&clauses), values).await?;
        rows.iter().map(AuditEntry::read).collect()
    }
}
