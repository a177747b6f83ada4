//! A browser without a screen: it keeps the cookie of a login, and sends forms with the token of
//! the page that they are on. Where nobody has to log in, [`visit`] and [`submit`] do.

use super::served::{PATIENCE, Served};
use kabari::access::password;
use kabari::access::token::{csrf_token, random_token, token_hash};
use kabari_domain::Role;
use kabari_gateway::http;
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response};
use std::sync::Mutex;

/// The password of every user that a test adds.
pub const PASSWORD: &str = "kuda baterai";

/// What a browser has got.
pub struct Shown {
    pub status: u16,
    /// Path and query of where it was led to.
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Shown {
    async fn of(response: Response) -> Shown {
        let url = response.url();
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Shown { status, path, headers, body: response.text().await.unwrap() }
    }

    /// Where a redirect leads.
    pub fn location(&self) -> &str {
        self.header("location")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the value of a hidden field.
    pub fn hidden(&self, name: &str) -> String {
        let (_, after) = self
            .body
            .split_once(&format!("name=\"{name}\" value=\""))
            .unwrap_or_else(|| panic!("no field {name} on {}: {}", self.path, self.body));
        after.split('"').next().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn assert_says(&self, text: &str) {
        assert!(self.body.contains(text), "{} does not say {text:?}: {}", self.path, self.body);
    }

    #[track_caller]
    pub fn assert_says_not(&self, text: &str) {
        assert!(!self.body.contains(text), "{} says {text:?}: {}", self.path, self.body);
    }
}

pub struct Browser {
    client: Client,
    base: String,
    cookie: Mutex<Option<String>>,
    headers: HeaderMap,
}

impl Browser {
    /// One that has not been here before.
    pub fn new(served: &Served) -> Browser {
        let client = http::client("http:").timeout(PATIENCE).redirect(Policy::none());
        Browser {
            client: client.build().unwrap(),
            base: served.url(""),
            cookie: Mutex::new(None),
            headers: HeaderMap::new(),
        }
    }

    /// One in which a new user of this role is logged in, whose name is that of the role.
    pub async fn of(served: &Served, role: Role) -> Browser {
        add_user(served, role.as_str(), role).await;
        Browser::of_user(served, role.as_str()).await
    }

    /// One in which a user is logged in.
    pub async fn of_user(served: &Served, name: &str) -> Browser {
        let browser = Browser::new(served);
        let token = random_token();
        let password = served.state.password_hash(name).await.unwrap().unwrap();
        let hash = token_hash(&token);
        let begun = served.state.begin_login(name, &password, &hash, "::1");
        assert!(begun.await.unwrap());
        browser.set_token(&token);
        browser
    }

    /// Sends this header with every request.
    pub fn with_header(mut self, name: &'static str, value: &'static str) -> Browser {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// The token that its cookie has.
    pub fn token(&self) -> Option<String> {
        self.cookie.lock().unwrap().clone()
    }

    pub fn set_token(&self, token: &str) {
        *self.cookie.lock().unwrap() = Some(token.to_owned());
    }

    pub async fn get(&self, path: &str) -> Shown {
        self.send(self.request(Method::GET, path)).await
    }

    /// Sends a form as the pages do.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Shown {
        let csrf = csrf_token(&self.token().expect("no page was shown before"));
        let fields = [fields, &[("csrf", csrf.as_str())]].concat();
        self.post_forged(path, &fields).await
    }

    /// Sends a form without the token.
    pub async fn post_forged(&self, path: &str, fields: &[(&str, &str)]) -> Shown {
        self.send(with_form(self.request(Method::POST, path), fields)).await
    }

    /// Types a name and a password into the login.
    pub async fn log_in(&self, name: &str, password: &str) -> Shown {
        if self.token().is_none() {
            assert_eq!(self.get("/app/login").await.status, 200);
        }
        self.post("/app/login", &[("name", name), ("password", password)]).await
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request.headers(self.headers.clone());
        match self.token() {
            Some(token) => request.header(COOKIE, format!("kabari_session={token}")),
            None => request,
        }
    }

    pub async fn send(&self, request: RequestBuilder) -> Shown {
        let shown = Shown::of(request.send().await.unwrap()).await;
        for cookie in shown.headers.get_all(SET_COOKIE) {
            let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
            if let Some(token) = pair.strip_prefix("kabari_session=") {
                self.set_token(token);
            }
        }
        shown
    }
}

fn with_form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish())
}

/// Looks at a page where nobody has to log in, and follows where it leads.
pub async fn visit(served: &Served, path: &str) -> Shown {
    Shown::of(served.request(Method::GET, path).send().await.unwrap()).await
}

/// Sends a form there, with the token of the page it is on.
pub async fn submit(served: &Served, path: &str, fields: &[(&str, &str)]) -> Shown {
    let csrf = visit(served, "/app/").await.hidden("csrf");
    let fields = [fields, &[("csrf", csrf.as_str())]].concat();
    let request = with_form(served.request(Method::POST, path), &fields);
    Shown::of(request.send().await.unwrap()).await
}

/// Adds a user who has the password of all.
pub async fn add_user(served: &Served, name: &str, role: Role) {
    let hash = password::hash(PASSWORD.to_owned()).await.unwrap();
    assert!(served.state.add_user(name, role, &hash).await.unwrap());
}
