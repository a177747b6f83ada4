//! `kabari key`: named API keys for programs.

use super::{local_time, open_state, operator, print_table};
use crate::access::token;
use crate::config::StateAddress;
use crate::secrets;
use crate::store::StateStore;
use crate::store::state::Action;
use anyhow::ensure;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use kabari_domain::{Scope, access};
use serde_json::{Value, json};

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Add an API key, and print it: it is shown this once.
    #[command(after_help = secrets::STATE_HELP)]
    Add(AddKey),
    /// List the keys, what they are good for, and when they were used last.
    #[command(after_help = secrets::STATE_HELP)]
    List(StateAddress),
    /// Revoke a key: it is good for nothing from then on.
    #[command(after_help = secrets::STATE_HELP)]
    Revoke(RevokeKey),
}

/// The key to add.
#[derive(Debug, Args)]
pub struct AddKey {
    /// Name, after the program that gets the key: lower case letters, digits, `.`, `-` and `_`.
    name: String,
    /// What the key is good for: to read; to send and control campaigns; to link and control
    /// WhatsApp numbers; or everything.
    #[arg(long, value_parser = scopes())]
    scope: Scope,
    #[command(flatten)]
    state: StateAddress,
}

/// The key to revoke.
#[derive(Debug, Args)]
pub struct RevokeKey {
    /// Name of the key.
    name: String,
    #[command(flatten)]
    state: StateAddress,
}

fn scopes() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str))
        .map(|name| Scope::from_name(&name).expect("only names of scopes are taken"))
}

/// Does it.
pub async fn run(command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Add(args) => add(args).await,
        KeyCommand::List(address) => list(&open_state(address).await?).await,
        KeyCommand::Revoke(RevokeKey { name, state }) => {
            let state = open_state(state).await?;
            ensure!(
                state.revoke_api_key(&name).await?,
                "there is no key {name:?} to revoke; `kabari key list` shows all"
            );
            state.record(&operator(), Action::RevokeKey, &name, &Value::Null).await;
            println!("{name} is revoked");
            Ok(())
        }
    }
}

async fn add(args: AddKey) -> anyhow::Result<()> {
    let name = args.name;
    ensure!(
        access::is_name(&name),
        "no key can be called {name:?}: use up to {} lower case letters, digits, ., - and _",
        access::MAX_NAME
    );
    let state = open_state(args.state).await?;
    let (key, operator) = (token::random_api_key(), operator());
    let hash = token::token_hash(&key);
    ensure!(
        state.add_api_key(&name, args.scope, &hash, &operator.name).await?,
        "there is or was a key {name}: choose another name"
    );
    let scope = args.scope.as_str();
    state.record(&operator, Action::AddKey, &name, &json!({ "scope": scope })).await;
    // The key alone on standard output, so that a script can take it from there.
    eprintln!("The key {name}, good for {scope}. It is shown this once:");
    println!("{key}");
    Ok(())
}

async fn list(state: &StateStore) -> anyhow::Result<()> {
    let keys = state.api_keys().await?;
    if keys.is_empty() {
        println!("There are no keys; add one with `kabari key add NAME --scope SCOPE`");
        return Ok(());
    }
    let rows = keys.into_iter().map(|key| {
        let last_used = match (key.revoked_at, key.last_used_at) {
            (Some(revoked), _) => format!("revoked {}", local_time(revoked)),
            (None, Some(used)) => local_time(used),
            (None, None) => "never".to_owned(),
        };
        [key.name, key.scope.as_str().to_owned(), local_time(key.created_at), last_used]
    });
    print_table(["NAME", "SCOPE", "ADDED", "LAST USED"], rows);
    Ok(())
}
