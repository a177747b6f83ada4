//! `kabari export` and `kabari forget`: what is known of one person, and the end of it.

use super::{settings, state_in_use};
use crate::config::Options;
use crate::session_key::SessionKey;
use crate::store::StateStore;
use crate::store::state::Forgotten;
use crate::whatsapp_session;
use anyhow::Context;
use clap::Args;
use kabari_domain::Phone;

/// What remains when kabari has forgotten somebody.
const NOT_OURS: &str = "What kabari cannot forget: the customer in your billing database, your backups, and what is on the phones.";

/// Whom it is about.
#[derive(Debug, Args)]
pub struct PersonArgs {
    /// The person's phone number, as 6281234567801 or 0812-3456-7801.
    phone: String,
    #[command(flatten)]
    options: Options,
}

impl PersonArgs {
    pub fn options(&self) -> &Options {
        &self.options
    }

    async fn open(self) -> anyhow::Result<(StateStore, SessionKey, Phone)> {
        let phone = Phone::parse(&self.phone).ok();
        let phone = phone.context("that is no phone number; write it as 6281234567801")?;
        let settings = settings(self.options)?;
        let key = whatsapp_session::known_key(&settings)?;
        let state = state_in_use(&settings).await?;
        Ok((state, key, phone))
    }
}

/// Prints everything that is stored about the person, as JSON.
pub async fn export(args: PersonArgs) -> anyhow::Result<()> {
    let (state, key, phone) = args.open().await?;
    println!("{}", serde_json::to_string_pretty(&state.person(&phone, &key).await?)?);
    Ok(())
}

/// Forgets the person, and prints where something was.
pub async fn forget(args: PersonArgs) -> anyhow::Result<()> {
    let (state, key, phone) = args.open().await?;
    match state.forget_person(&phone, &key).await? {
        Forgotten::Done(rows) => {
            if rows.is_empty() {
                println!("Nothing was stored about this number.");
            }
            for (table, number) in rows {
                println!("{table:18} {number}");
            }
            println!("{NOT_OURS}");
            Ok(())
        }
        Forgotten::UnderWay(campaigns) => anyhow::bail!(
            "messages to this number are on their way, or wait for a decision, in campaigns {campaigns:?}: wait for their end, decide about uncertain ones (POST /api/deliveries/ID/resolve), then try again; nothing was changed"
        ),
        Forgotten::OwnNumber(session) => anyhow::bail!(
            "this is the number of session {session:?}: delete the session first; nothing was changed"
        ),
    }
}
