//! The program as people run it: what it prints, and the code it ends with.

use crate::harness::database::MariaDbDatabase;
use crate::harness::node::SESSION_KEY;
use crate::harness::ports::free_port;
use crate::harness::served::{PATIENCE, Served, Setup};
use kabari::access::token::token_hash;
use kabari::clock::Clock;
use kabari::store::state::{ActorKind, AuditFilter};
use kabari::store::{StateStore, StateTarget};
use kabari_domain::{Role, Scope};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

/// What a run has come to.
struct Ended {
    code: i32,
    /// Both outputs, the standard one first.
    said: String,
}

/// Runs the program in this directory, towards an API on this port, until it ends.
async fn run(directory: &Path, port: u16, arguments: &[&str]) -> Ended {
    run_with(directory, port, arguments, &[]).await
}

async fn run_with(
    directory: &Path,
    port: u16,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Ended {
    let running = Command::new(env!("CARGO_BIN_EXE_kabari"))
        .args(arguments)
        .current_dir(directory)
        .env("API_PORT", port.to_string())
        .envs(environment.iter().copied())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, running).await.expect("it ends").unwrap();
    let said = [output.stdout, output.stderr].concat();
    Ended { code: output.status.code().unwrap(), said: String::from_utf8(said).unwrap() }
}

#[tokio::test]
async fn the_exit_code_of_send_says_how_it_went() {
    let served = Served::start().await;
    let port = served.address.port();
    let directory = TempDir::new().unwrap();
    let to = async |customers| {
        run(directory.path(), port, &["send", "custom", "Halo {nama}", "--customers", customers])
            .await
    };
    let all = to("1").await;
    assert_eq!(all.code, 0, "{}", all.said);
    let some = to("2,4").await;
    assert_eq!(some.code, 1, "customer 4 is not on WhatsApp: {}", some.said);
    let none = to("3").await;
    assert_eq!(none.code, 1, "customer 3 has no number: {}", none.said);
    let repeated = to("1").await;
    assert_eq!(repeated.code, 2, "the same was sent a moment ago: {}", repeated.said);

    let unknown = run(directory.path(), port, &["send", "notice", "999"]).await;
    assert_eq!(unknown.code, 2, "{}", unknown.said);
    assert!(unknown.said.contains("Pemberitahuan tidak ditemukan"), "{}", unknown.said);
    let nobody = run(directory.path(), free_port(), &["send", "notice"]).await;
    assert_eq!(nobody.code, 2, "{}", nobody.said);
    assert!(nobody.said.contains("kabari serve"), "{}", nobody.said);
}

#[tokio::test]
async fn alive_is_told_from_silent_and_from_absent() {
    let served = Served::start().await;
    let directory = TempDir::new().unwrap();
    let alive = async |port| run(directory.path(), port, &["status", "--alive"]).await;
    let answered = alive(served.address.port()).await;
    assert_eq!((answered.code, answered.said.as_str()), (0, "alive\n"));

    // It takes connections, as a process that hangs does, and answers none.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let hung = alive(port).await;
    assert!(hung.code == 1 && hung.said.contains("restart it"), "{}", hung.said);
    drop(silent);
    let absent = alive(port).await;
    assert!(absent.code == 1 && absent.said.contains("kabari serve"), "{}", absent.said);
}

#[tokio::test]
async fn a_dry_run_prints_a_table_one_message_and_the_end() {
    let served = Served::start().await;
    let directory = TempDir::new().unwrap();
    let plan = ["send", "notice", "1", "--dry-run"];
    let shown = run(directory.path(), served.address.port(), &plan).await;
    assert_eq!(shown.code, 0, "{}", shown.said);
    for words in ["Nomor tidak valid atau 0", "Maaf, Budi.", "2 of 3 would get a message"] {
        assert!(shown.said.contains(words), "{words} is missing in {}", shown.said);
    }
    assert!(served.gateway.take_delivered().is_empty());
}

#[tokio::test]
async fn the_key_goes_to_the_api_and_not_to_a_proxy() {
    let mut setup = Setup::default();
    setup.settings.api_key = Some("kunci$rahasia".to_owned());
    let served = Served::with(setup).await;
    let port = served.address.port();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", proxy.local_addr().unwrap());
    let variables = [("HTTP_PROXY", proxy.as_str()), ("http_proxy", &proxy), ("ALL_PROXY", &proxy)];
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join(".env"), "API_KEY=kunci$rahasia # it's secret\n").unwrap();
    let status = run_with(directory.path(), port, &["status"], &variables).await;
    assert_eq!(status.code, 0, "{}", status.said);

    fs::remove_file(directory.path().join(".env")).unwrap();
    fs::write(directory.path().join("key"), "kunci$rahasia\n").unwrap();
    let from_file = run_with(directory.path(), port, &["status"], &[("API_KEY_FILE", "key")]).await;
    assert_eq!(from_file.code, 0, "{}", from_file.said);
    let without = run(directory.path(), port, &["status"]).await;
    assert_eq!(without.code, 1, "{}", without.said);
}

#[tokio::test]
async fn help_shows_the_settings_of_the_command_and_no_flag_takes_a_secret() {
    let directory = TempDir::new().unwrap();
    for command in [&["send", "--help"][..], &["status", "--help"], &["link", "--help"]] {
        let help = run(directory.path(), 0, command).await.said;
        assert!(help.contains("API_HOST") && help.contains("API_KEY"), "{help}");
        for foreign in ["DB_HOST", "SEND_DELAY_MS", "CORS_ORIGINS", "LOG_FORMAT", "LEASE_MS"] {
            assert!(!help.contains(foreign), "{foreign} in {help}");
        }
    }
    let help = run(directory.path(), 0, &["serve", "--help"]).await.said;
    for name in ["CORS_ORIGINS", "LOG_FORMAT", "DB_PASSWORD", "STATE_DATABASE_URL", "_FILE"] {
        assert!(help.contains(name), "{name} is missing in {help}");
    }
    for flag in ["--api-key", "--db-password", "--state-database-url"] {
        let refused = run(directory.path(), 0, &["serve", flag, "rahasia"]).await;
        assert_eq!(refused.code, 2, "{}", refused.said);
    }
}

#[tokio::test]
async fn a_broken_env_file_is_named_by_line_without_its_secrets() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join(".env"), "API_PORT=1\n\nDB_PASSWORD=dua kata\n").unwrap();
    let ended = run(directory.path(), 0, &["status"]).await;
    assert_eq!(ended.code, 2);
    assert!(ended.said.contains("line 3") && !ended.said.contains("kata"), "{}", ended.said);
}

#[tokio::test]
async fn doctor_finds_no_fault_before_the_first_start_and_changes_nothing() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let healthy = run(directory.path(), 0, &["doctor"]).await;
    assert_eq!(healthy.code, 0, "{}", healthy.said);
    assert!(healthy.said.contains("note  billing database"), "{}", healthy.said);
    assert!(!data.exists());

    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(data.join("state.db"), "").unwrap();
    let open = run(directory.path(), 0, &["doctor"]).await;
    assert_eq!(open.code, 1, "{}", open.said);
    assert!(open.said.contains("chmod 700"), "{}", open.said);
    assert!(open.said.contains("note  state database"), "{}", open.said);

    let server = MariaDbDatabase::create().await;
    let url = server.url();
    let shared = [("STATE_DATABASE_URL", url.as_str()), ("SESSION_KEY", SESSION_KEY)];
    let empty = run_with(directory.path(), 0, &["doctor"], &shared).await;
    assert!(empty.said.contains("note  state database"), "{}", empty.said);
    let (_, behind) = StateStore::inspect(StateTarget::MySql { url }, Clock::System).await.unwrap();
    assert!(behind > 0);
}

/// Runs the program with this on its standard input.
async fn run_typing(directory: &Path, arguments: &[&str], typed: &str) -> Ended {
    let mut running = Command::new(env!("CARGO_BIN_EXE_kabari"))
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = running.stdin.take().unwrap();
    // One that ends without reading has closed it.
    let _ = stdin.write_all(typed.as_bytes()).await;
    drop(stdin);
    let output = timeout(PATIENCE, running.wait_with_output()).await.expect("it ends").unwrap();
    let said = [output.stdout, output.stderr].concat();
    Ended { code: output.status.code().unwrap(), said: String::from_utf8(said).unwrap() }
}

/// The state database in the data directory below this one.
async fn state_below(directory: &Path) -> StateStore {
    let path = directory.join("data/state.db");
    StateStore::open(StateTarget::Sqlite { path }, Clock::System).await.unwrap()
}

#[tokio::test]
async fn users_are_added_listed_changed_and_removed() {
    let directory = TempDir::new().unwrap();
    let user = async |arguments: &[&str], typed: &str| {
        let arguments = [&["user"], arguments].concat();
        run_typing(directory.path(), &arguments, typed).await
    };
    let none = user(&["list"], "").await;
    assert!(none.code == 0 && none.said.contains("kabari user add"), "{}", none.said);
    let viewer = ["add", "ani", "--role", "viewer", "--password-stdin"];
    let first = user(&viewer, "kuda baterai\n").await;
    assert_eq!(first.code, 1, "the first user has to be an admin: {}", first.said);
    let short = user(&["add", "budi", "--password-stdin"], "pendek\n").await;
    assert!(short.code == 1 && short.said.contains("10 characters"), "{}", short.said);
    assert_eq!(user(&["add", "budi", "--password-stdin"], "kuda baterai\n").await.code, 0);
    let twice = user(&["add", "budi", "--password-stdin"], "kuda baterai\n").await;
    assert!(twice.code == 1 && twice.said.contains("already"), "{}", twice.said);
    assert_eq!(user(&viewer, "kuda baterai\n").await.code, 0);
    assert_eq!(user(&["role", "ani", "sender"], "").await.code, 0);

    let state = state_below(directory.path()).await;
    let roles: Vec<_> = state.users().await.unwrap().into_iter().map(|one| one.role).collect();
    assert_eq!(roles, [Role::Sender, Role::Admin]);
    let before = state.password_hash("ani").await.unwrap();
    let changed = user(&["password", "ani", "--password-stdin"], "stapel kuda\n").await;
    assert_eq!(changed.code, 0, "{}", changed.said);
    assert_ne!(state.password_hash("ani").await.unwrap(), before);
    let list = user(&["list"], "").await;
    for words in ["budi", "admin", "ani", "sender", "never"] {
        assert!(list.said.contains(words), "{}", list.said);
    }
    assert_eq!(user(&["remove", "ani"], "").await.code, 0);
    let gone = user(&["remove", "ani"], "").await;
    assert!(gone.code == 1 && gone.said.contains("kabari user list"), "{}", gone.said);
    let entries = state.audit(&AuditFilter::default(), None, 100).await.unwrap();
    let actions: Vec<_> = entries.iter().map(|one| one.action.as_str()).collect();
    let expected = ["remove_user", "change_password", "change_role", "add_user", "add_user"];
    assert_eq!(actions, expected);
    assert!(entries.iter().all(|entry| entry.actor.kind == ActorKind::Console));
}

#[tokio::test]
async fn no_password_is_taken_as_an_argument() {
    let directory = TempDir::new().unwrap();
    for flag in ["--password", "--password=kuda baterai", "--password-stdin=kuda baterai"] {
        let refused = run_typing(directory.path(), &["user", "add", "budi", flag], "").await;
        assert_eq!(refused.code, 2, "{}", refused.said);
    }
}

#[tokio::test]
async fn a_key_is_printed_once_and_good_until_it_is_revoked() {
    let directory = TempDir::new().unwrap();
    let key = async |arguments: &[&str]| {
        let arguments = [&["key"], arguments].concat();
        run(directory.path(), 0, &arguments).await
    };
    assert_eq!(key(&["add", "billing"]).await.code, 2, "a scope is needed");
    assert_eq!(key(&["add", "billing", "--scope", "all"]).await.code, 2);
    let added = key(&["add", "billing", "--scope", "send"]).await;
    assert_eq!(added.code, 0, "{}", added.said);
    let shown = added.said.lines().next().unwrap();
    let state = state_below(directory.path()).await;
    let found = state.use_api_key(&token_hash(shown)).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.scope), ("billing", Scope::Send));
    let list = key(&["list"]).await.said;
    assert!(list.contains("billing") && list.contains("send") && !list.contains(shown), "{list}");
    assert_eq!(key(&["add", "billing", "--scope", "read"]).await.code, 1, "the name is taken");
    assert_eq!(key(&["revoke", "billing"]).await.code, 0);
    assert_eq!(state.use_api_key(&token_hash(shown)).await.unwrap(), None);
    assert!(key(&["list"]).await.said.contains("revoked"));
    assert_eq!(key(&["revoke", "billing"]).await.code, 1);
}
