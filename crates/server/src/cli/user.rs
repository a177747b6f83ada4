//! `kabari user`: who may log in to the operator's page.

use super::{local_time, open_state, operator, print_table};
use crate::access::password;
use crate::config::StateAddress;
use crate::secrets;
use crate::store::StateStore;
use crate::store::state::Action;
use anyhow::{Context, bail, ensure};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use kabari_domain::{Role, access};
use serde_json::{Value, json};
use std::io::BufRead;

/// What to do with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user, and ask for the password.
    #[command(after_help = secrets::STATE_HELP)]
    Add(AddUser),
    /// List the users, their roles, and when they logged in last.
    #[command(after_help = secrets::STATE_HELP)]
    List(StateAddress),
    /// Give a user another role. Logs the user out everywhere.
    #[command(after_help = secrets::STATE_HELP)]
    Role(ChangeRole),
    /// Give a user another password. Logs the user out everywhere.
    #[command(after_help = secrets::STATE_HELP)]
    Password(ChangePassword),
    /// Remove a user. Logs the user out everywhere.
    #[command(after_help = secrets::STATE_HELP)]
    Remove(RemoveUser),
}

/// The user to add.
#[derive(Debug, Args)]
pub struct AddUser {
    /// Name: lower case letters, digits, `.`, `-` and `_`.
    name: String,
    /// What the user may do: look (viewer), send as well (sender), or everything (admin). Without
    /// it the first user is an admin, and others are viewers.
    #[arg(long, value_parser = roles())]
    role: Option<Role>,
    #[command(flatten)]
    password: PasswordSource,
    #[command(flatten)]
    state: StateAddress,
}

/// The user to give another role.
#[derive(Debug, Args)]
pub struct ChangeRole {
    /// Name of the user.
    name: String,
    /// What the user may do from now on.
    #[arg(value_parser = roles())]
    role: Role,
    #[command(flatten)]
    state: StateAddress,
}

/// The user to give another password.
#[derive(Debug, Args)]
pub struct ChangePassword {
    /// Name of the user.
    name: String,
    #[command(flatten)]
    password: PasswordSource,
    #[command(flatten)]
    state: StateAddress,
}

/// The user to remove.
#[derive(Debug, Args)]
pub struct RemoveUser {
    /// Name of the user.
    name: String,
    #[command(flatten)]
    state: StateAddress,
}

/// Where the password comes from: the terminal, unless said otherwise.
#[derive(Debug, Args)]
struct PasswordSource {
    /// Read the password from standard input, as one line, instead of asking for it.
    #[arg(long)]
    password_stdin: bool,
}

fn roles() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str))
        .map(|name| Role::from_name(&name).expect("only names of roles are taken"))
}

/// Does it.
pub async fn run(command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add(args) => add(args).await,
        UserCommand::List(address) => list(&open_state(address).await?).await,
        UserCommand::Role(args) => {
            let state = open_state(args.state).await?;
            found(state.set_role(&args.name, args.role).await?, &args.name)?;
            let role = args.role.as_str();
            state
                .record(&operator(), Action::ChangeRole, &args.name, &json!({ "role": role }))
                .await;
            println!("{} is {role} now, and has to log in again", args.name);
            Ok(())
        }
        UserCommand::Password(args) => change_password(args).await,
        UserCommand::Remove(args) => {
            let state = open_state(args.state).await?;
            found(state.remove_user(&args.name).await?, &args.name)?;
            state.record(&operator(), Action::RemoveUser, &args.name, &Value::Null).await;
            println!("{} is removed, and logged out", args.name);
            if !state.has_users().await? {
                println!("That was the last user: without any, see README for who may come in");
            }
            Ok(())
        }
    }
}

async fn add(args: AddUser) -> anyhow::Result<()> {
    let name = args.name;
    ensure!(
        access::is_name(&name),
        "no user can be called {name:?}: use up to {} lower case letters, digits, ., - and _",
        access::MAX_NAME
    );
    let state = open_state(args.state).await?;
    ensure!(
        state.user(&name).await?.is_none(),
        "there is a user {name} already: choose another name, or use `kabari user password`"
    );
    let role = match (args.role, state.has_users().await?) {
        (Some(role), true) => role,
        (None, true) => Role::Viewer,
        (Some(Role::Admin) | None, false) => Role::Admin,
        (Some(_), false) => bail!("the first user has to be an admin: leave --role out"),
    };
    let hash = password::hash(args.password.read(&name)?).await?;
    ensure!(state.add_user(&name, role, &hash).await?, "somebody has just added a user {name}");
    let role = role.as_str();
    state.record(&operator(), Action::AddUser, &name, &json!({ "role": role })).await;
    println!("{name} can log in at /app/login, as {role}");
    Ok(())
}

async fn change_password(args: ChangePassword) -> anyhow::Result<()> {
    let state = open_state(args.state).await?;
    found(state.user(&args.name).await?.is_some(), &args.name)?;
    let hash = password::hash(args.password.read(&args.name)?).await?;
    found(state.set_password(&args.name, &hash).await?, &args.name)?;
    state.record(&operator(), Action::ChangePassword, &args.name, &Value::Null).await;
    println!("{} has another password now, and has to log in again", args.name);
    Ok(())
}

async fn list(state: &StateStore) -> anyhow::Result<()> {
    let users = state.users().await?;
    if users.is_empty() {
        println!("There are no users; add the first one with `kabari user add NAME`");
        return Ok(());
    }
    let rows = users.into_iter().map(|user| {
        let last_login = user.last_login_at.map_or_else(|| "never".to_owned(), local_time);
        [user.name, user.role.as_str().to_owned(), local_time(user.created_at), last_login]
    });
    print_table(["NAME", "ROLE", "ADDED", "LAST LOGIN"], rows);
    Ok(())
}

fn found(found: bool, name: &str) -> anyhow::Result<()> {
    ensure!(found, "there is no user {name:?}; `kabari user list` shows all");
    Ok(())
}

impl PasswordSource {
    /// Returns a password that this user may have.
    fn read(&self, user: &str) -> anyhow::Result<String> {
        let password = if self.password_stdin { from_stdin()? } else { from_terminal()? };
        password::check(&password, user)?;
        Ok(password)
    }
}

fn from_stdin() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("the password cannot be read")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn from_terminal() -> anyhow::Result<String> {
    let no_terminal = "no terminal to ask for the password on; use --password-stdin";
    let password = rpassword::prompt_password("Password: ").context(no_terminal)?;
    let again = rpassword::prompt_password("Once more: ").context(no_terminal)?;
    ensure!(password == again, "the two passwords differ; try again");
    Ok(password)
}
