//! The program as people run it: what it prints, and the code it ends with.

use crate::harness::database::MariaDbDatabase;
use crate::harness::node::SESSION_KEY;
use crate::harness::served::{PATIENCE, Served, Setup};
use kabari::clock::Clock;
use kabari::store::{StateStore, StateTarget};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;
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
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let nobody = run(directory.path(), closed, &["send", "notice"]).await;
    assert_eq!(nobody.code, 2, "{}", nobody.said);
    assert!(nobody.said.contains("kabari serve"), "{}", nobody.said);
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
