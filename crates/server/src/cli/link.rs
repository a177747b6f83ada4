//! `kabari link`: links a phone to a running kabari, step by step.

use super::client::ApiClient;
use crate::config::ApiAddress;
use anyhow::ensure;
use clap::Args;
use kabari_domain::session::{DEFAULT_SESSION, is_session_name};
use kabari_gateway::{WHATSAPP_ORIGIN, qr};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the session is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What to link.
#[derive(Debug, Args)]
pub struct LinkArgs {
    /// Session to link.
    #[arg(long, default_value = DEFAULT_SESSION)]
    session: String,
    /// Link by a code that is typed into the phone with this number, instead of by a QR code.
    #[arg(long)]
    phone: Option<String>,
    #[command(flatten)]
    address: ApiAddress,
}

/// Where the link is, and so what to show and what may be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Scan { drawing: String },
    Type { code: String },
    Answer { snippet: String, until: String },
    Check,
    Compare { code: String },
    Finish,
    Wait { state: String },
    Linked { phone: String },
}

/// Shows each step until the phone is linked.
pub async fn run(args: LinkArgs) -> anyhow::Result<()> {
    ensure!(is_session_name(&args.session), "no session can be called {:?}", args.session);
    let client = ApiClient::new(args.address)?;
    let path = format!("/api/whatsapp/sessions/{}", args.session);
    let mut typed = typed_lines();
    let mut linking = Linking { client, path, phone: args.phone, code: None, said: None };
    let mut shown = None;
    loop {
        let step = linking.look().await?;
        if shown.as_ref() != Some(&step) {
            println!("{}", text(&step));
        }
        if let Step::Linked { .. } = step {
            return Ok(());
        }
        shown = Some(step.clone());
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            Some(line) = typed.recv() => {
                // What a wrong line was for is shown again.
                if !linking.take(&step, line.trim()).await {
                    shown = None;
                }
            }
        }
    }
}

struct Linking {
    client: ApiClient,
    /// Where the session is found in the API.
    path: String,
    phone: Option<String>,
    /// The code that is to be typed into the phone.
    code: Option<String>,
    /// What was wrong when the session was looked at last.
    said: Option<String>,
}

impl Linking {
    async fn look(&mut self) -> anyhow::Result<Step> {
        let session = self.client.get(&self.path).await?;
        let error = session["last_error"].as_str().map(str::to_owned);
        if let Some(error) = error.as_ref().filter(|_| self.said != error) {
            println!("\n! {error}");
            // A code that was shown before is void.
            self.code = None;
        }
        self.said = error;
        let passkey = &session["passkey"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(match session["state"].as_str().unwrap_or_default() {
            "connected" => Step::Linked { phone: word(&session["phone"]) },
            "passkey_required" => match passkey["step"].as_str().unwrap_or_default() {
                "answer" => Step::Answer {
                    snippet: word(&passkey["snippet"]),
                    until: word(&passkey["until"]),
                },
                "check" => Step::Check,
                "compare" => Step::Compare { code: word(&passkey["code"]) },
                "finish" => Step::Finish,
                _ => Step::Wait { state: word(&passkey["message"]) },
            },
            "starting" | "not_linked" | "logged_out" => self.offer().await?,
            state => Step::Wait { state: state.to_owned() },
        })
    }

    /// Returns the QR code, or the code for the phone that was named.
    async fn offer(&mut self) -> anyhow::Result<Step> {
        let qr = self.client.get(&format!("{}/qr", self.path)).await?;
        let Some(drawing) = qr["text"].as_str().and_then(qr::terminal) else {
            return Ok(Step::Wait { state: "waiting for WhatsApp".to_owned() });
        };
        let Some(phone) = &self.phone else { return Ok(Step::Scan { drawing }) };
        if self.code.is_none() {
            let path = format!("{}/pair", self.path);
            let (_, answer) = self.client.post(&path, &json!({ "phone": phone }), &[]).await?;
            let reason = answer["error"].as_str().unwrap_or("WhatsApp gives no code");
            ensure!(answer["code"].is_string(), "{reason}");
            self.code = answer["code"].as_str().map(str::to_owned);
        }
        Ok(Step::Type { code: self.code.clone().unwrap_or_default() })
    }

    /// Does what was typed. Returns whether it was of use.
    async fn take(&self, step: &Step, line: &str) -> bool {
        let asked = match step {
            Step::Answer { .. } => match serde_json::from_str::<Value>(line) {
                Ok(assertion) => self.post("passkey", &json!({ "assertion": assertion })).await,
                Err(_) => {
                    Err(anyhow::anyhow!("that is no JSON: paste the whole line, from {{ to }}"))
                }
            },
            Step::Compare { .. } if line.eq_ignore_ascii_case("y") => {
                self.post("passkey/confirm", &Value::Null).await
            }
            Step::Compare { .. } if line.eq_ignore_ascii_case("n") => {
                println!("Good that you looked. Beginning anew.");
                self.post("restart", &Value::Null).await
            }
            _ => return line.is_empty(),
        };
        if let Err(error) = &asked {
            println!("\n! {error:#}");
        }
        asked.is_ok()
    }

    async fn post(&self, what: &str, body: &Value) -> anyhow::Result<()> {
        let (_, answer) = self.client.post(&format!("{}/{what}", self.path), body, &[]).await?;
        let message = answer["message"].as_str().unwrap_or_default();
        ensure!(answer["success"] == true, "{message}");
        Ok(())
    }
}

fn text(step: &Step) -> String {
    match step {
        Step::Scan { drawing } => scan_text(drawing),
        Step::Type { code } => format!(
            "\nOn the phone: Linked devices > Link a device > Link with phone number. Type this code:\n\n    {code}\n"
        ),
        Step::Answer { snippet, until } => {
            format!("{}\n5. Paste that line here, and press Enter:", answer_text(snippet, until))
        }
        Step::Check => {
            "\nWhatsApp looks at the answer; a code will appear here and on the phone.".to_owned()
        }
        Step::Compare { code } => {
            format!("{}\nIs it the same? Type y or n, and press Enter:", compare_text(code))
        }
        Step::Finish => "\nConfirmed. Finish on the phone as well.".to_owned(),
        Step::Wait { state } => format!("\n{state} ..."),
        Step::Linked { phone } => format!("\nLinked as +{phone}. Messages can be sent."),
    }
}

/// Returns how to scan a QR code.
pub fn scan_text(drawing: &str) -> String {
    format!("\nScan this with WhatsApp > Linked devices > Link a device:\n\n{drawing}")
}

/// Returns how to get the passkey's answer.
pub fn answer_text(snippet: &str, until: &str) -> String {
    format!(
        "\nWhatsApp wants the passkey of this account before it links the phone (until {until}).\n\n\
         1. Open {WHATSAPP_ORIGIN} on a computer, in Chrome, Edge, Firefox or Safari. You need not log in there.\n\
         2. Open the console: F12 (on a Mac Option+Command+J), tab Console.\n\
         3. Copy the script between the lines into it, and press Enter. It asks the browser for the passkey,\n   \
            prints the answer and sends nothing anywhere. (Chrome wants you to type \"allow pasting\" first.)\n\
         4. Choose the passkey. If it is on the phone only, choose \"use a phone\" and scan the browser's QR\n   \
            code with the phone's camera; Bluetooth must be on at both. The console then shows one line: {{...}}\n\n\
         ----------------------------------------------------------------\n\
         {snippet}\
         ----------------------------------------------------------------\n"
    )
}

/// Returns what to compare.
pub fn compare_text(code: &str) -> String {
    format!("\nCompare this code with the one on the phone:\n\n    {code}\n")
}

/// Returns what is typed, line by line.
fn typed_lines() -> mpsc::UnboundedReceiver<String> {
    let (lines, typed) = mpsc::unbounded_channel();
    // By a thread: nothing can interrupt reading from a terminal, and nothing waits for a thread.
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    typed
}
