//! What the holder of a session sees of its link: which number it has, and how the link is.

use super::super::error::StoreError;
use super::super::row::params;
use super::super::transaction::Transaction;
use super::audit::{Action, record_phone};
use super::sessions::{Session, SessionLease, lock};
use super::{StateStore, clip};
use crate::crash_point::crash_point;
use kabari_domain::{LinkState, Phone, Timestamp};
use kabari_gateway::PasskeyStep;

/// The number of a gateway that does not say to which one it is linked.
pub const UNNAMED_NUMBER: &str = "unknown";
const ERROR_LENGTH: usize = 500;
/// The links over which no phone is linked ([`LinkState::is_unlinked`]), for conditions.
pub(super) const UNLINKED: &str = "('not_linked', 'passkey_required', 'logged_out')";

/// What the holder of a session has seen of its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkReport {
    /// The state of the link.
    pub state: LinkState,
    /// The linked number, if there is one.
    pub phone: Option<Phone>,
    /// What the QR code to scan says, while there is one.
    pub qr: Option<String>,
    /// What is to be done next where WhatsApp wants a passkey.
    pub passkey: Option<PasskeyStep>,
    /// What is wrong, for people.
    pub error: Option<String>,
}

/// What became of a report about a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// It is written.
    Written,
    /// Another node holds the session, or it was deleted.
    Lost,
    /// The number is linked in another session already: two would not keep one pace.
    NumberTaken {
        /// That session's name.
        by: String,
    },
}

impl StateStore {
    /// Writes what the holder has seen of the link. A phone that is linked anew begins its
    /// warm-up, and keeps what it has sent today under whatever session that was.
    pub async fn report_link(
        &self,
        lease: &SessionLease,
        report: &LinkReport,
    ) -> Result<Reported, StoreError> {
        self.db().retry(|| self.try_report_link(lease, report)).await
    }

    /// Records how many of its chats the phone of this session has told, in percent. Parts that
    /// come late or again change nothing.
    pub async fn history_told(&self, session: &str, percent: u8) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET history = ? \
                   WHERE name = ? AND (history IS NULL OR history < ?)";
        let percent = i64::from(percent);
        let values = params![percent, session, percent];
        self.db().retry(|| self.db().execute(sql, values.clone())).await?;
        Ok(())
    }

    async fn try_report_link(
        &self,
        lease: &SessionLease,
        report: &LinkReport,
    ) -> Result<Reported, StoreError> {
        let mut tx = self.db().begin().await?;
        let Some(before) = lock(&mut tx, lease).await? else { return Ok(Reported::Lost) };
        let now = self.now_in(&mut tx).await?;
        if let Some(phone) = report.phone.as_ref().filter(|_| !report.state.is_unlinked())
            && !(before.is_linked() && before.phone.as_ref() == Some(phone))
        {
            if let Some(by) = link_number(&mut tx, &before, phone, now).await? {
                return Ok(Reported::NumberTaken { by });
            }
            record_phone(&mut tx, now, Action::LinkSession, &lease.name).await?;
            crash_point("link.written");
        }
        if before.is_linked() && report.state == LinkState::LoggedOut {
            record_phone(&mut tx, now, Action::UnlinkSession, &lease.name).await?;
        }
        let until = match report.state {
            LinkState::Banned { until } | LinkState::PasskeyRequired { until } => Some(until.0),
            _ => None,
        };
        tx.execute(
            "UPDATE sessions SET link = ?, link_until = ?, qr = ?, passkey = ?, last_error = ?, \
             history = CASE WHEN ? = 1 THEN NULL ELSE history END WHERE name = ?",
            params![
                report.state.as_str(),
                until,
                report.qr.as_deref(),
                report.passkey.as_ref().and_then(|step| serde_json::to_string(step).ok()),
                report.error.as_deref().map(|error| clip(error, ERROR_LENGTH)),
                i64::from(report.state.is_unlinked()),
                lease.name.as_str(),
            ],
        )
        .await?;
        tx.commit().await?;
        Ok(Reported::Written)
    }
}

/// Binds a number to the session. Returns the name of the session that has it already, if one has.
async fn link_number(
    tx: &mut Transaction<'_>,
    session: &Session,
    phone: &Phone,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let name = session.name.as_str();
    let digits = phone.digits();
    let mut linked_at = now;
    let mut sent = session.clone();
    if session.phone.as_ref() != Some(phone) {
        sent = Session { next_slot_at: Timestamp(0), day: 0, sent_today: 0, ..sent };
        let locked = tx.engine().lock_row();
        let other = Session::select(&format!("WHERE phone = ? AND name <> ?{locked}"));
        let other = match digits {
            UNNAMED_NUMBER => None,
            _ => {
                let row = tx.row(&other, params![digits, name]).await?;
                row.map(|row| Session::read(&row)).transpose()?
            }
        };
        match other {
            Some(other) if other.is_linked() => return Ok(Some(other.name)),
            Some(other) => {
                tx.execute(
                    "UPDATE sessions SET phone = NULL WHERE name = ?",
                    params![other.name.as_str()],
                )
                .await?;
                sent = other;
            }
            None => {
                // A number that an earlier version of kabari was linked to.
                let known = "SELECT next_slot_at, linked_at, day, sent_today FROM senders \
                             WHERE phone = ?";
                if let Some(row) = tx.row(known, params![digits]).await? {
                    linked_at = row.get("linked_at")?;
                    sent.next_slot_at = row.get("next_slot_at")?;
                    sent.day = row.get("day")?;
                    sent.sent_today = row.get("sent_today")?;
                    tx.execute("DELETE FROM senders WHERE phone = ?", params![digits]).await?;
                }
            }
        }
    }
    tx.execute(
        "UPDATE sessions SET phone = ?, linked_at = ?, next_slot_at = ?, day = ?, sent_today = ?, \
         reach_out_until = 0 WHERE name = ?",
        params![
            digits,
            linked_at.0,
            sent.next_slot_at.0,
            sent.day,
            i64::from(sent.sent_today),
            name,
        ],
    )
    .await?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_and_code_agree_on_what_is_unlinked() {
        for name in [
            "starting",
            "not_linked",
            "passkey_required",
            "connecting",
            "connected",
            "unreachable",
            "logged_out",
            "replaced",
            "banned",
            "client_outdated",
        ] {
            let link = LinkState::from_name(name, None).unwrap();
            assert_eq!(UNLINKED.contains(&format!("'{name}'")), link.is_unlinked(), "{name}");
        }
    }
}
