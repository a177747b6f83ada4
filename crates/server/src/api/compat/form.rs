//! Forms as programs of all kinds send them: JSON, urlencoded, or multipart, which is what PHP makes
//! of an array.

use serde_json::Value;
use std::collections::BTreeMap;

const JSON: &str = "application/json";
const MULTIPART: &str = "multipart/form-data";

/// The longest boundary between parts (RFC 2046).
const MAX_BOUNDARY_BYTES: usize = 70;

/// The fields of a form.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form {
    fields: BTreeMap<String, String>,
    /// Whether something else than text is in it.
    pub has_files: bool,
}

impl Form {
    /// Reads a body of this content type; `None` if it is not one. Without a type, and under any
    /// other, it is taken for urlencoded.
    pub fn read(content_type: &str, body: &[u8]) -> Option<Form> {
        let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        match media_type.trim().to_ascii_lowercase().as_str() {
            JSON => Form::from_json(body),
            MULTIPART => Form::from_multipart(body, boundary(parameters)?),
            _ => {
                let fields = form_urlencoded::parse(body).into_owned().collect();
                Some(Form { fields, has_files: false })
            }
        }
    }

    /// Returns a field that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|text| !text.trim().is_empty())
    }

    fn from_json(body: &[u8]) -> Option<Form> {
        let Value::Object(object) = serde_json::from_slice(body).ok()? else { return None };
        let text = |value: Value| match value {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Array(list) => {
                let each = list.iter().map(|one| one.as_str().map(str::to_owned));
                Some(each.collect::<Option<Vec<_>>>()?.join(","))
            }
            Value::Null | Value::Object(_) => None,
        };
        let fields =
            object.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect();
        Some(Form { fields, has_files: false })
    }

    /// Reads a multipart form. Text is UTF-8; a part with a file name is a file.
    fn from_multipart(body: &[u8], boundary: &str) -> Option<Form> {
        let delimiter = format!("--{boundary}");
        let mut form = Form::default();
        let mut rest = after(body, delimiter.as_bytes())?;
        // Two dashes after the last one.
        while !rest.starts_with(b"--") {
            let head = rest.strip_prefix(b"\r\n")?;
            let (head, content) = split(head, b"\r\n\r\n")?;
            let (content, next) = split(content, format!("\r\n{delimiter}").as_bytes())?;
            let head = String::from_utf8_lossy(head);
            match parameter(&head, "filename") {
                Some(_) => form.has_files |= !content.is_empty(),
                None => {
                    let text = std::str::from_utf8(content).ok()?.to_owned();
                    form.fields.insert(parameter(&head, "name")?.to_owned(), text);
                }
            }
            rest = next;
        }
        Some(form)
    }
}

fn boundary(parameters: &str) -> Option<&str> {
    let value = parameters.split(';').find_map(|one| one.trim().strip_prefix("boundary="))?;
    let boundary = value.trim_matches('"');
    (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()).then_some(boundary)
}

/// Returns a quoted parameter in the head of a part.
fn parameter<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let start = format!("{name}=\"");
    let mut parameters = head.split([';', '\n']);
    let value = parameters.find_map(|one| one.trim().strip_prefix(start.as_str()))?;
    value.strip_suffix('"')
}

fn after<'b>(bytes: &'b [u8], separator: &[u8]) -> Option<&'b [u8]> {
    split(bytes, separator).map(|(_, rest)| rest)
}

fn split<'b>(bytes: &'b [u8], separator: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(separator.len()).position(|window| window == separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn written_parts_are_read_again(fields in btree_map("[a-z]{1,8}", "(?s).{0,20}", 1..5)) {
            let part = |(name, text): (&String, &String)| {
                format!("--x-7\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
            };
            let body: String = fields.iter().map(part).chain(["--x-7--\r\n".to_owned()]).collect();
            let read = Form::read("multipart/form-data; boundary=x-7", body.as_bytes());
            prop_assert_eq!(read, Some(Form { fields, has_files: false }));
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            noise in vec(any::<u8>(), 0..40),
            parts in "(--b|\r\n|; |name=\"|filename=\"|a|\"|--|\\{|:|&|%){0,30}",
        ) {
            for body in [&noise[..], parts.as_bytes()] {
                for content_type in ["application/json", "multipart/form-data; boundary=b", ""] {
                    let form = Form::read(content_type, body);
                    prop_assert!(form.is_none_or(|form| form.get("name").is_none_or(|text| !text.is_empty())));
                }
            }
        }
    }

    const TEXT: &str = "Halo & selamat pagi,\r\n\r\n50% + 1 é 🙏";

    fn fields(form: &Form) -> [Option<&str>; 2] {
        ["target", "message"].map(|name| form.get(name))
    }

    #[test]
    fn each_kind_of_form_says_the_same() {
        let expected = [Some("081234567801"), Some(TEXT)];
        let json = serde_json::json!({ "target": 81234567801_u64, "message": TEXT });
        let json = Form::read("application/json; charset=utf-8", json.to_string().as_bytes());
        assert_eq!(fields(&json.unwrap()), [Some("81234567801"), Some(TEXT)]);

        let mut encoded = form_urlencoded::Serializer::new(String::new());
        encoded.append_pair("target", "081234567801").append_pair("message", TEXT);
        let encoded = encoded.finish();
        for content_type in ["application/x-www-form-urlencoded", ""] {
            let form = Form::read(content_type, encoded.as_bytes()).unwrap();
            assert_eq!(fields(&form), expected);
        }

        let multipart = format!(
            "--x-7\r\nContent-Disposition: form-data; name=\"target\"\r\n\r\n081234567801\r\n\
             --x-7\r\nContent-Disposition: form-data; name=\"message\"\r\n\
             Content-Type: text/plain\r\n\r\n{TEXT}\r\n--x-7--\r\n"
        );
        for boundary in ["x-7", "\"x-7\""] {
            let content_type = format!("multipart/form-data; boundary={boundary}");
            let form = Form::read(&content_type, multipart.as_bytes()).unwrap();
            assert_eq!((fields(&form), form.has_files), (expected, false));
        }
    }

    #[test]
    fn a_file_is_noticed() {
        let multipart = "--b\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"a.jpg\"\r\n\r\n\u{1}\u{2}\r\n--b--\r\n";
        let form = Form::read("multipart/form-data; boundary=b", multipart.as_bytes()).unwrap();
        assert!(form.has_files);
        assert_eq!(form.get("file"), None);
    }

    #[test]
    fn what_is_cut_off_or_no_form_is_not_read() {
        let whole = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--";
        for end in 0..whole.len() {
            let read = Form::read("multipart/form-data; boundary=b", &whole.as_bytes()[..end]);
            assert_eq!(read, None, "{:?}", &whole[..end]);
        }
        assert!(Form::read("multipart/form-data; boundary=b", whole.as_bytes()).is_some());
        assert_eq!(Form::read("multipart/form-data", whole.as_bytes()), None);
        let boundary = "b".repeat(MAX_BOUNDARY_BYTES + 1);
        let too_long = whole.replace("--b", &format!("--{boundary}"));
        let content_type = format!("multipart/form-data; boundary={boundary}");
        assert_eq!(Form::read(&content_type, too_long.as_bytes()), None);
        assert_eq!(Form::read("application/json", b"[1]"), None);
        assert_eq!(Form::read("application/json", b"{"), None);
    }
}
