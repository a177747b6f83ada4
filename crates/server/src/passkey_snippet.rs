//! What an operator pastes into the console of WhatsApp's page, where alone the passkey answers.

use kabari_gateway::WHATSAPP_ORIGIN;
use serde_json::Value;

/// Returns the script that asks the browser for the passkey with these options.
pub fn passkey_snippet(options: &Value) -> String {
    // In JSON every `<` is in a string, where it can be written so: the script is the same inside
    // of a page.
    let options = options.to_string().replace('<', "\\u003c");
    include_str!("passkey_snippet.js")
        .replace("ORIGIN", WHATSAPP_ORIGIN)
        .replace("OPTIONS", &options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_options_are_data_whatever_they_hold() {
        let options = json!({ "challenge": "</script>\"`${1}ORIGIN" });
        let script = passkey_snippet(&options);
        let (_, rest) = script.split_once("const options = ").unwrap();
        let (written, _) = rest.split_once(";\n").unwrap();
        assert_eq!(serde_json::from_str::<Value>(written).unwrap(), options);
        assert!(!written.contains('<'));
    }
}
