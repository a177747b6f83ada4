//! What is around the content of every page: head, navigation and foot.

use super::csrf;
use super::language::Language;
use super::texts::text;
use super::visitor::{Identity, Visitor};
use super::{PAGES, assets};
use kabari_domain::Role;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// htmx runs no code from attributes, adds no style to the page, and asks nobody but us.
const HTMX: &str = r#"{"allowEval":false,"includeIndicatorStyles":false,"selfRequestsOnly":true,"historyCacheSize":0}"#;

/// A page: what [`page`] puts the layout around.
pub struct Page {
    /// Stands in the browser's title and above the content.
    pub title: String,
    /// Where it belongs in the navigation.
    pub section: Section,
    /// Its content.
    pub body: Markup,
}

/// An entry of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// How things are.
    Home,
    /// Sending, in three steps.
    Send,
    /// What was sent, and what became of it.
    Campaigns,
    /// The provider's notices.
    Notices,
    /// The provider's customers and ODPs.
    Customers,
    /// The numbers that messages go out from.
    Numbers,
    /// Who did what.
    Log,
    /// Users and keys.
    Access,
    /// Pages that are in no section.
    None,
}

/// The entries, in their order.
const SECTIONS: [Section; 8] = [
    Section::Home,
    Section::Send,
    Section::Campaigns,
    Section::Notices,
    Section::Customers,
    Section::Numbers,
    Section::Log,
    Section::Access,
];

impl Section {
    /// The address of the section's first page.
    pub fn address(self) -> &'static str {
        match self {
            Section::Home | Section::None => PAGES,
            Section::Send => "/app/send",
            Section::Campaigns => "/app/campaigns",
            Section::Notices => "/app/notices",
            Section::Customers => "/app/customers",
            Section::Numbers => "/app/whatsapp",
            Section::Log => "/app/log",
            Section::Access => "/app/access",
        }
    }

    fn label(self, visitor: &Visitor) -> String {
        match self {
            Section::Home | Section::None => text!(visitor, "nav-home"),
            Section::Send => text!(visitor, "nav-send"),
            Section::Campaigns => text!(visitor, "nav-campaigns"),
            Section::Notices => text!(visitor, "nav-notices"),
            Section::Customers => text!(visitor, "nav-customers"),
            Section::Numbers => text!(visitor, "nav-numbers"),
            Section::Log => text!(visitor, "nav-log"),
            Section::Access => text!(visitor, "nav-access"),
        }
    }

    /// What is drawn inside a box of 24 by 24.
    fn icon(self) -> &'static str {
        match self {
            Section::Home | Section::None => "M3 11 12 4l9 7M6 9v11h12V9",
            Section::Send => "M4 12 20 4l-6 16-3-7zM11 13l9-9",
            Section::Campaigns => "M5 20v-6M12 20V4M19 20v-9",
            Section::Notices => "M12 3 2 20h20zM12 10v4M12 17v.5",
            Section::Customers => {
                "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8M2 21c0-4 3-6 7-6s7 2 7 6M17 4a4 4 0 0 1 0 7M19 15c2 1 3 3 3 6"
            }
            Section::Numbers => "M7 2h10v20H7zM11 18h2",
            Section::Log => "M6 3h12v18H6zM9 8h6M9 12h6M9 16h4",
            Section::Access => "M8 15a4 4 0 1 0 0-8 4 4 0 0 0 0 8M12 11h9M17 11v4M21 11v3",
        }
    }

    /// The role that the whole section is for.
    fn role(self) -> Role {
        match self {
            Section::Send => Role::Sender,
            Section::Access => Role::Admin,
            _ => Role::Viewer,
        }
    }
}

/// Writes a whole page.
pub fn page(visitor: &Visitor, page: Page) -> Markup {
    let headers = format!(r#"{{"{}":"{}"}}"#, csrf::HEADER, visitor.csrf);
    html! {
        (DOCTYPE)
        html lang=(visitor.language.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="htmx-config" content=(HTMX);
                title { (page.title) " · kabari" }
                link rel="icon" href=(assets::address("icon.svg"));
                link rel="stylesheet" href=(assets::address("page.css"));
                script src=(assets::address("page.js")) defer {}
            }
            body hx-headers=(headers) {
                a.skip href="#content" { (text!(visitor, "skip-to-content")) }
                header.top {
                    a.brand href=(PAGES) { "kabari" }
                    @if visitor.identity != Identity::Guest {
                        (navigation(visitor, page.section))
                        (who(visitor))
                    }
                }
                main id="content" tabindex="-1" {
                    h1 { (page.title) }
                    p.alert.bad id="stale" role="alert" hidden { (text!(visitor, "page-stale")) }
                    (page.body)
                }
                (foot(visitor))
            }
        }
    }
}

/// Who is logged in, and the way out.
fn who(visitor: &Visitor) -> Markup {
    html! {
        @if let Some(login) = visitor.login() {
            form.who method="post" action="/app/logout" {
                (csrf_field(visitor))
                a href="/app/account" { (login.user_name) }
                button.plain { (text!(visitor, "log-out")) }
            }
        } @else {
            p.who.soft {
                (text!(visitor, "no-users"))
                " "
                a href=(Section::Access.address()) { (text!(visitor, "no-users-add")) }
            }
        }
    }
}

fn navigation(visitor: &Visitor, here: Section) -> Markup {
    html! {
        nav.sections aria-label=(text!(visitor, "nav-label")) {
            @for section in SECTIONS.into_iter().filter(|section| visitor.may(section.role())) {
                a href=(section.address()) aria-current=[(section == here).then_some("page")] {
                    (icon(section.icon()))
                    span { (section.label(visitor)) }
                }
            }
        }
    }
}

/// Draws lines inside a box of 24 by 24.
pub fn icon(path: &str) -> Markup {
    html! {
        svg.icon viewBox="0 0 24 24" aria-hidden="true" { path d=(PreEscaped(path)) {} }
    }
}

fn foot(visitor: &Visitor) -> Markup {
    html! {
        footer {
            form method="post" action="/app/language" {
                (csrf_field(visitor))
                input type="hidden" name="back" value=(visitor.path);
                @for language in Language::ALL {
                    button.plain name="language" value=(language.code()) lang=(language.code())
                        aria-pressed=(language == visitor.language) { (language.name()) }
                }
            }
            p.soft { "kabari " (env!("CARGO_PKG_VERSION")) " · " a href="/docs" { "API" } }
        }
    }
}

/// The field that every form has to bring back.
pub fn csrf_field(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name=(csrf::FIELD) value=(visitor.csrf); }
}
