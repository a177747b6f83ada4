//! The dependency rules of ARCHITECTURE.md, read off the sources.
//!
//! Each rule looks at text, not at types: a rule that a newcomer can check by eye and with grep is
//! one that they can also remember.

use std::fs;
use std::path::{Path, PathBuf};

/// No file may be longer; what grows past it has two subjects.
const MAX_LINES: usize = 600;

/// What the pure crate may build on: values, formats and rules, no I/O.
const PURE_CRATES: [&str; 5] = ["chrono", "chrono-tz", "phonenumber", "serde", "thiserror"];

/// Crates that reach a database.
const DATABASE_CRATES: [&str; 1] = ["sqlx"];

/// Crates that speak WhatsApp's protocol.
const WHATSAPP_CRATES: [&str; 5] =
    ["whatsapp_rust", "wacore", "wacore_binary", "wacore_libsignal", "waproto"];

/// Lets a client talk to a server that is not WhatsApp.
const DANGER: &str = "danger-skip-cert-chain-verify";

pub struct Source {
    /// From the root of the workspace, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// Line numbers and lines that are not comments.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The module at the root of its crate that it belongs to, or `lib`.
    pub fn module(&self) -> &str {
        let path = self.path.split("/src/").nth(1).unwrap_or(&self.path);
        let first = path.split('/').next().unwrap_or(path);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The code above the unit tests.
    pub fn shipped_code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code().take_while(|(_, line)| line.trim() != "#[cfg(test)]")
    }

    fn names(&self, word: &str) -> Vec<usize> {
        self.code().filter(|(_, line)| has_word(line, word)).map(|(at, _)| at).collect()
    }

    fn is_in(&self, directory: &str) -> bool {
        self.path.starts_with(directory)
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A file of the workspace.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The sources below a directory that a person wrote.
pub fn sources(directory: &str, extensions: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !["target", "node_modules", ".venv", "vendor", "snapshots"].contains(&name) {
                    open.push(path);
                }
            } else if !is_bundle(name) && extensions.iter().any(|one| has_extension(&path, one)) {
                found.push(Source {
                    path: relative(&path),
                    text: fs::read_to_string(&path).unwrap(),
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no sources below {directory}: the rules would check nothing");
    found
}

/// Other people's work in one file, such as `name.standalone.js` or `name.min.css`.
fn is_bundle(name: &str) -> bool {
    name.contains(".standalone.") || name.contains(".min.")
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn relative(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap();
    path.to_str().unwrap().replace('\\', "/")
}

/// What goes into the product: every crate's `src`.
fn shipped() -> Vec<Source> {
    let mut all = sources("crates", &["rs"]);
    all.retain(|source| source.path.split('/').nth(2) == Some("src"));
    all
}

fn is_word_character(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word_character) && !after.is_some_and(is_word_character)
    })
}

/// The names in the dependency tables of a manifest whose headings the filter takes.
fn dependencies(manifest: &str, heading: impl Fn(&str) -> bool) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in read(manifest).lines() {
        if let Some(title) = line.strip_prefix('[') {
            inside = heading(title.trim_end_matches(']'));
        } else if inside && let Some((name, _)) = line.split_once(['=', '.']) {
            names.push(name.trim().to_owned());
        }
    }
    names
}

fn is_shipped_table(heading: &str) -> bool {
    heading.ends_with("dependencies") && !heading.contains("dev-dependencies")
}

#[track_caller]
fn assert_none(faults: Vec<String>, what_to_do: &str) {
    assert!(faults.is_empty(), "\n{}\n=> {what_to_do}\n", faults.join("\n"));
}

/// Every place outside `homes` that names one of the words.
fn named_elsewhere(sources: &[Source], words: &[&str], homes: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        if homes.iter().any(|home| source.is_in(home)) {
            continue;
        }
        for word in words {
            for line in source.names(word) {
                faults.push(format!("{}:{line} names {word}", source.path));
            }
        }
    }
    faults
}

#[test]
fn the_domain_is_pure() {
    let mut faults: Vec<String> = dependencies("crates/domain/Cargo.toml", is_shipped_table)
        .into_iter()
        .filter(|name| !PURE_CRATES.contains(&name.as_str()))
        .map(|name| format!("crates/domain/Cargo.toml depends on {name}"))
        .collect();
    for source in sources("crates/domain/src", &["rs"]) {
        for (at, line) in source.code() {
            for module in [
                "std::fs",
                "std::net",
                "std::process",
                "std::env",
                "Instant::now",
                "SystemTime::now",
            ] {
                if line.contains(module) {
                    faults.push(format!("{}:{at} names {module}", source.path));
                }
            }
        }
    }
    assert_none(
        faults,
        "the domain does no I/O and reads no clock: hand the value in as an argument, or, for a \
         crate that does no I/O either, add it to PURE_CRATES here",
    );
}

#[test]
fn crates_import_in_one_direction() {
    let allowed: [(&str, &[&str]); 4] = [
        ("domain", &[]),
        ("gateway", &["kabari-domain"]),
        ("server", &["kabari-domain", "kabari-gateway"]),
        ("wa-sim", &[]),
    ];
    let mut faults = Vec::new();
    for (name, allowed) in allowed {
        let manifest = format!("crates/{name}/Cargo.toml");
        for dependency in dependencies(&manifest, is_shipped_table) {
            let ours = dependency.starts_with("kabari") || dependency == "wa-sim";
            if ours && !allowed.contains(&dependency.as_str()) {
                faults.push(format!("{manifest} depends on {dependency}"));
            }
        }
    }
    assert_none(
        faults,
        "server -> gateway -> domain, and the simulator stands alone: move the code to the crate below, or pass a value",
    );
}

#[test]
fn the_simulator_knows_nothing_of_kabari() {
    let mut sources = sources("crates/wa-sim", &["rs"]);
    sources.retain(|source| !source.is_in("crates/wa-sim/target"));
    assert_none(
        named_elsewhere(&sources, &["kabari", "kabari_domain", "kabari_gateway"], &[]),
        "a simulator that shares code with what it tests shares its mistakes: write it anew there",
    );
}

#[test]
fn only_the_store_names_the_database() {
    assert_none(
        named_elsewhere(&shipped(), &DATABASE_CRATES, &["crates/server/src/store/"]),
        "ask for what you need in a function of crates/server/src/store/ and return plain values",
    );
}

#[test]
fn only_the_embedded_gateway_names_the_whatsapp_client() {
    assert_none(
        named_elsewhere(
            &shipped(),
            &WHATSAPP_CRATES,
            &[
                "crates/gateway/src/embedded/",
                "crates/gateway/src/embedded.rs",
                "crates/wa-sim/src/",
            ],
        ),
        "say it in the terms of the Gateway trait and translate in crates/gateway/src/embedded/",
    );
    let simulator = sources("crates/wa-sim/src", &["rs"]);
    assert_none(
        named_elsewhere(&simulator, &["whatsapp_rust"], &[]),
        "the simulator must not be made of the client it tests; the protocol crates are enough",
    );
}

#[test]
fn api_and_dispatcher_meet_only_in_the_store() {
    let server = sources("crates/server/src", &["rs"]);
    let mut faults = Vec::new();
    for (side, other) in [("api", "dispatcher"), ("dispatcher", "api")] {
        for source in &server {
            let inside = source.is_in(&format!("crates/server/src/{side}/"))
                || source.path == format!("crates/server/src/{side}.rs");
            if !inside {
                continue;
            }
            for (at, line) in source.code() {
                if line.contains(&format!("{other}::")) && has_word(line, other) {
                    faults.push(format!("{}:{at} names {other}", source.path));
                }
            }
        }
    }
    assert_none(
        faults,
        "both talk through rows in the store, so that a campaign survives either; what both need \
         belongs into the store or the domain",
    );
}

#[test]
fn billing_is_read_in_one_place_and_only_our_own_is_written() {
    let server = sources("crates/server/src", &["rs"]);
    let home = "crates/server/src/store/billing";
    let own = "crates/server/src/store/billing/embedded.rs";
    let mut faults = named_elsewhere(&server, &["network_notices"], &[home]);
    for source in &server {
        for (at, line) in source.shipped_code() {
            let sql = line.to_ascii_uppercase();
            if !source.is_in(home)
                && (sql.contains("FROM CUSTOMERS") || sql.contains("JOIN CUSTOMERS"))
            {
                faults.push(format!("{}:{at} reads customers", source.path));
            }
            if source.is_in(home) && source.path != own {
                for statement in
                    ["INSERT ", "UPDATE ", "DELETE ", "REPLACE INTO", "ALTER ", "DROP "]
                {
                    if sql.contains(statement) {
                        faults.push(format!("{}:{at} writes: {}", source.path, line.trim()));
                    }
                }
            }
        }
    }
    assert_none(
        faults,
        "the billing tables belong to another program: only store/billing reads them, with SELECT, \
         and only the embedded database, which is ours, is written, in embedded.rs; what kabari has to remember goes into its own state database",
    );
}

#[test]
fn files_stay_short() {
    let mut all = sources("crates", &["rs", "js", "mjs", "py", "css", "html"]);
    all.extend(sources("xtask", &["rs"]));
    let faults = all
        .iter()
        .map(|source| (source, source.text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(source, lines)| format!("{} has {lines} lines", source.path))
        .collect();
    assert_none(
        faults,
        "at most 600: split the file by subject (bundles of others are named *.min.js or *.standalone.js)",
    );
}

#[test]
fn shipped_code_does_not_unwrap() {
    let mut all = shipped();
    all.extend(sources("xtask/src", &["rs"]));
    let mut faults = Vec::new();
    for source in &all {
        // `tests.rs` beside a module is its `mod tests`.
        if source.path.ends_with("/tests.rs") || source.path.contains("/tests/") {
            continue;
        }
        for (at, line) in source.shipped_code() {
            if line.contains(".unwrap()") {
                faults.push(format!("{}:{at}: {}", source.path, line.trim()));
            }
        }
    }
    assert_none(faults, "return the error with `?`; where it cannot happen, `.expect(\"why\")`");
}

#[test]
fn only_tests_and_examples_may_talk_to_the_simulator() {
    let mut manifests: Vec<String> = vec!["Cargo.toml".into(), "xtask/Cargo.toml".into()];
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        manifests.push(relative(&entry.unwrap().path().join("Cargo.toml")));
    }
    let mut faults = Vec::new();
    let mut uses = 0;
    for manifest in manifests {
        let mut heading = String::new();
        for (at, line) in read(&manifest).lines().enumerate() {
            if line.starts_with('[') {
                heading = line.to_owned();
            }
            if !line.contains(DANGER) {
                continue;
            }
            uses += 1;
            if !heading.contains("dev-dependencies") {
                faults.push(format!("{manifest}:{} enables {DANGER} under {heading}", at + 1));
            }
        }
    }
    assert!(uses > 0, "{DANGER} is named nowhere: has it got another name?");
    assert_none(
        faults,
        "with it kabari would trust any server: enable it under [dev-dependencies] only",
    );
}

#[test]
fn the_documents_name_paths_that_exist() {
    let mut faults = Vec::new();
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "README.id.md"] {
        for path in paths_in(&read(document)) {
            if !root().join(&path).exists() {
                faults.push(format!("{document} names {}", path.display()));
            }
        }
    }
    assert_none(faults, "the file has moved or gone: say where things are now");
}

/// What stands in backticks and starts like a path of this repository.
fn paths_in(document: &str) -> Vec<PathBuf> {
    let code = document.split('`').skip(1).step_by(2);
    let starts = ["crates/", "xtask/", "docs/", ".ci/", "./crates/"];
    code.filter(|code| starts.iter().any(|start| code.starts_with(start)))
        .filter(|code| !code.contains(['*', ' ', '{', '<']))
        .map(PathBuf::from)
        .collect()
}
