//! Fields of requests that change something: absent leaves it as it is, null undoes it.

use super::{Fields, ValueError, strict, within};
use serde_json::{Value, json};

impl Fields {
    /// Returns a number from 0 to `max`, or null; `None` if it is absent.
    pub fn change(&mut self, name: &str, max: i64) -> Option<Option<i64>> {
        let value = self.values.get(name).cloned()?;
        if value.is_null() {
            return Some(None);
        }
        let read = strict::integer(&value).and_then(|number| within(number, 0, max));
        self.note(&[json!(name)], read, value).map(Some)
    }

    /// Returns an object, read by `read`; `None` if it is absent.
    pub fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Fields) -> T) -> Option<T> {
        match self.present(name)? {
            Value::Object(values) => {
                let mut inner = Fields::new(self.source, values);
                let value = read(&mut inner);
                for mut error in inner.errors {
                    error.loc.insert(1, json!(name));
                    self.errors.push(error);
                }
                Some(value)
            }
            value => {
                let fault = ValueError::new("model_type", "Input should be a valid dictionary");
                self.note(&[json!(name)], Err(fault), value)
            }
        }
    }

    /// Returns a list of at most `most` texts; absent and null are an empty one.
    pub fn texts(&mut self, name: &str, most: usize) -> Vec<String> {
        let Some(value) = self.present(name) else { return vec![] };
        let texts: Option<Vec<String>> = value
            .as_array()
            .filter(|items| items.len() <= most)
            .and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        let fault = || {
            ValueError::new(
                "list_type",
                format!("Input should be a list of at most {most} strings"),
            )
        };
        self.note(&[json!(name)], texts.ok_or_else(fault), value).unwrap_or_default()
    }
}
