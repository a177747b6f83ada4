//! Somebody who uses the operator's page without a browser: forms as browsers send them.

use super::served::{Served, answer};
use reqwest::Method;
use serde_json::Value;

/// A page, where its visitor has been led to.
pub struct Shown {
    pub status: u16,
    /// Path and query.
    pub path: String,
    pub html: String,
}

impl Shown {
    /// Returns the value of a hidden field.
    pub fn hidden(&self, name: &str) -> String {
        let (_, after) = self
            .html
            .split_once(&format!("name=\"{name}\" value=\""))
            .unwrap_or_else(|| panic!("no field {name} on {}: {}", self.path, self.html));
        after.split('"').next().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn assert_says(&self, text: &str) {
        assert!(self.html.contains(text), "{} does not say {text:?}: {}", self.path, self.html);
    }

    #[track_caller]
    pub fn assert_says_not(&self, text: &str) {
        assert!(!self.html.contains(text), "{} says {text:?}: {}", self.path, self.html);
    }
}

/// Looks at a page.
pub async fn visit(served: &Served, path: &str) -> Shown {
    shown(served.request(Method::GET, path)).await
}

/// Sends a form with the token of the page it is on.
pub async fn submit(served: &Served, path: &str, fields: &[(&str, &str)]) -> Shown {
    let csrf = visit(served, "/app/").await.hidden("csrf");
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("csrf", &csrf).extend_pairs(fields);
    let request = served
        .request(Method::POST, path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.finish());
    shown(request).await
}

async fn shown(request: reqwest::RequestBuilder) -> Shown {
    let response = request.header("accept", "text/html").send().await.unwrap();
    let url = response.url();
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    Shown { status: response.status().as_u16(), path, html: response.text().await.unwrap() }
}

/// Sends to everybody whom a notice is for. Returns the campaign when it is done.
pub async fn send_notice(served: &Served, notice: i64) -> Value {
    let body = serde_json::json!({ "notice_id": notice });
    let (status, report) =
        answer(served.request(Method::POST, "/api/send/notification").json(&body)).await;
    assert_eq!(status, 200, "{report}");
    report
}
