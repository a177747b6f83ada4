//! Secrets: from the environment (or `.env`) or from a file, never from a flag, which every user
//! of the machine could read in the list of processes.

use std::fs;

/// Looks up a variable by its name.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// What the help of every command that needs secrets says about them.
pub const HELP: &str = "Secrets are variables, in the environment or in .env, and no flags. Each can also be in a file\n\
that a variable with _FILE at its end names, such as API_KEY_FILE=/run/secrets/api_key:\n  \
API_KEY             key that callers send as X-API-Key or Authorization: Bearer\n  \
COMPAT_KEY          key of programs that speak another gateway's dialect\n  \
DB_PASSWORD         password of the billing database\n  \
STATE_DATABASE_URL  kabari's own database, mysql://user:password@host:port/name, when several\n                      \
nodes share the work; without it SQLite below DATA_DIR\n  \
SESSION_KEY         what WhatsApp sessions are encrypted with: 64 hexadecimal digits\n  \
WA_GATEWAY_KEY      key to show to the gateway at WA_GATEWAY_URL: its API_KEY";

/// The same for commands that call a running kabari.
pub const CLIENT_HELP: &str = "Where the API asks for a key, it comes from the variable API_KEY, in the environment or in\n\
.env, or from the file that API_KEY_FILE names.";

/// The same for commands that open the state database.
pub const STATE_HELP: &str = "Works beside a running kabari, and before its first start. The database is the one that `kabari\n\
serve` uses: below DATA_DIR or, where several nodes share the work, at STATE_DATABASE_URL, which\n\
is a variable, in the environment or in .env, or in the file that STATE_DATABASE_URL_FILE names.";

/// Looks up a variable of this process.
pub fn of_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns the value of a variable, or what stands in the file that the variable with `_FILE` at
/// its end names. An empty variable is one that is not set.
///
/// # Errors
///
/// Returns what is wrong and what to do, if both are set or the file cannot be read.
pub fn read(name: &str, environment: Environment) -> Result<Option<String>, String> {
    let variable = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    let file_variable = format!("{name}_FILE");
    match (variable(name), variable(&file_variable)) {
        (value, None) => Ok(value),
        (Some(_), Some(_)) => {
            Err(format!("is set, and {file_variable} as well: remove one of the two"))
        }
        (None, Some(path)) => match fs::read_to_string(&path) {
            // Editors and `echo` put a line break at the end.
            Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => Err(format!(
                "{file_variable} names {path}, which cannot be read ({error}): check its path, owner and mode"
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_in_the_variable_or_in_the_file_that_another_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret").display().to_string();
        let both = |value: &str, file: &str| {
            let (value, file) = (value.to_owned(), file.to_owned());
            read("DB_PASSWORD", &move |name: &str| match name {
                "DB_PASSWORD" => Some(value.clone()),
                "DB_PASSWORD_FILE" => Some(file.clone()),
                _ => None,
            })
        };
        assert_eq!(both("", ""), Ok(None));
        assert_eq!(both("a$b", ""), Ok(Some("a$b".to_owned())));
        let missing = both("", &path).unwrap_err();
        assert!(missing.contains("DB_PASSWORD_FILE") && missing.contains(&path), "{missing}");
        fs::write(&path, "two words \n").unwrap();
        assert_eq!(both("", &path), Ok(Some("two words ".to_owned())));
        let twice = both("a$b", &path).unwrap_err();
        assert!(twice.contains("remove one") && !twice.contains("a$b"), "{twice}");
    }
}
