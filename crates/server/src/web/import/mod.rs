//! Customers from a table (CSV), where the billing database is kabari's own. Nothing is kept
//! between the steps: the text goes with the form.

mod table;

use super::error::PageError;
use super::layout::{Page, Section, csrf_field, page};
use super::parts::{Tone, alert};
use super::texts::text;
use super::visitor::Visitor;
use crate::api::Api;
use crate::store::billing::{CustomerRow, EmbeddedBilling, ImportPlan, RowConflict};
use crate::store::state::Action;
use axum::Form;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use kabari_domain::{Phone, Role};
use maud::{Markup, html};
use serde_json::json;
use std::sync::Arc;
use table::{Column, DELIMITERS, Line, LineFault, customer, guess_columns, guess_delimiter};

/// Where the page is.
pub const ADDRESS: &str = "/app/customers/import";

/// Lines that the page shows of the table.
const SHOWN_LINES: usize = 8;
/// Faults that it names; who has more repairs these first.
const SHOWN_FAULTS: usize = 50;

/// The page that imports customers.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route(ADDRESS, get(ask).post(check_or_import))
}

/// A form's fields, of which `column` comes once for each column.
type Fields = Vec<(String, String)>;

async fn ask(visitor: Visitor, State(api): State<Arc<Api>>) -> Result<Markup, PageError> {
    writable(&visitor, &api)?;
    Ok(first_page(&visitor, None))
}

/// Shows what an import would do, or does it if the form says so and nothing is wrong.
async fn check_or_import(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let billing = writable(&visitor, &api)?;
    let import = Import::read(&fields);
    if import.lines.is_empty() {
        let fault = text!(visitor, "import-empty");
        return Ok(first_page(&visitor, Some(fault)).into_response());
    }
    let mut faults = import.faults(&visitor);
    let mut plan = ImportPlan::default();
    if faults.is_empty() {
        let rows: Vec<_> = import.customers.iter().map(|(_, row)| row.clone()).collect();
        plan = match import.is_confirmed {
            true => billing.import(&rows).await?,
            false => billing.plan_import(&rows).await?,
        };
        if import.is_confirmed && plan.conflicts.is_empty() {
            let counts = json!({ "added": plan.added(), "updated": plan.updated() });
            visitor.record_with(&api, Action::ImportCustomers, "", &counts).await;
            let done = format!("?added={}&updated={}", plan.added(), plan.updated());
            return Ok(
                Redirect::to(&(Section::Customers.address().to_owned() + &done)).into_response()
            );
        }
        faults = plan
            .conflicts
            .iter()
            .map(|(place, conflict)| {
                let line = import.customers.get(*place).map_or(0, |(line, _)| *line);
                at_line(&visitor, line, conflict_text(&visitor, *conflict))
            })
            .collect();
    }
    Ok(second_page(&visitor, &import, &plan, &faults).into_response())
}

/// The database to write to; elsewhere this page does not exist.
fn writable<'a>(visitor: &Visitor, api: &'a Api) -> Result<EmbeddedBilling<'a>, PageError> {
    visitor.require(Role::Admin)?;
    api.billing.embedded().ok_or(PageError::NotFound)
}

/// A table, and how it is to be read.
struct Import {
    text: String,
    delimiter: char,
    has_heading: bool,
    columns: Vec<Column>,
    /// All lines, the heading included.
    lines: Vec<Line>,
    /// Those that can be read as customers, by the number of their line.
    customers: Vec<(u64, CustomerRow)>,
    /// Those that cannot.
    line_faults: Vec<(u64, LineFault)>,
    is_confirmed: bool,
}

impl Import {
    /// Reads the form; what it does not say is guessed.
    fn read(fields: &Fields) -> Import {
        let all =
            |name| fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value);
        let one = |name| all(name).next().map(String::as_str);
        let text = one("text").unwrap_or_default().to_owned();
        let delimiter = one("delimiter").and_then(|word| word.chars().next());
        let delimiter = delimiter.filter(|delimiter| DELIMITERS.contains(delimiter));
        let delimiter = delimiter.unwrap_or_else(|| guess_delimiter(&text));
        let lines = table::read(&text, delimiter);
        let (has_heading, guessed) = guess_columns(&lines);
        let chosen: Option<Vec<_>> = all("column").map(|name| Column::from_name(name)).collect();
        let mut import = Import {
            has_heading: one("heading").map_or(has_heading, |heading| heading == "yes"),
            // Another delimiter makes other columns.
            columns: chosen.filter(|chosen| chosen.len() == guessed.len()).unwrap_or(guessed),
            is_confirmed: one("do") == Some("import"),
            customers: vec![],
            line_faults: vec![],
            text,
            delimiter,
            lines,
        };
        for line in import.lines.iter().skip(usize::from(import.has_heading)) {
            match customer(line, &import.columns) {
                Ok(row) => import.customers.push((line.number, row)),
                Err(fault) => import.line_faults.push((line.number, fault)),
            }
        }
        import
    }

    /// Everything that keeps the table from being read.
    fn faults(&self, visitor: &Visitor) -> Vec<String> {
        let count = |column| self.columns.iter().filter(|other| **other == column).count();
        let mut faults = vec![];
        if count(Column::Name) == 0 || count(Column::Phone) == 0 {
            faults.push(text!(visitor, "import-fault-columns"));
        }
        if Column::ALL.into_iter().any(|column| column != Column::Ignored && count(column) > 1) {
            faults.push(text!(visitor, "import-fault-twice"));
        }
        if !faults.is_empty() {
            return faults;
        }
        let of_lines = self.line_faults.iter().map(|(line, fault)| {
            let fault = match fault {
                LineFault::NoName => text!(visitor, "import-fault-name"),
                LineFault::NoId => text!(visitor, "import-fault-id"),
                LineFault::NeitherActiveNorNot => text!(visitor, "import-fault-active"),
            };
            at_line(visitor, *line, fault)
        });
        of_lines.collect()
    }

    /// Customers whose number cannot be used.
    fn unusable(&self) -> usize {
        let is_usable = |row: &CustomerRow| {
            row.phone.as_deref().is_some_and(|typed| Phone::parse(typed).is_ok())
        };
        self.customers.iter().filter(|(_, row)| !is_usable(row)).count()
    }
}

fn conflict_text(visitor: &Visitor, conflict: RowConflict) -> String {
    match conflict {
        RowConflict::SameId => text!(visitor, "import-conflict-id"),
        RowConflict::SameCustomer => text!(visitor, "import-conflict-customer"),
        RowConflict::SharedNumber => text!(visitor, "import-conflict-number"),
    }
}

fn at_line(visitor: &Visitor, line: u64, fault: String) -> String {
    text!(visitor, "import-at-line", line = line, fault = fault)
}

fn first_page(visitor: &Visitor, fault: Option<String>) -> Markup {
    let body = html! {
        @if let Some(fault) = fault { (alert(Tone::Bad, html! { (fault) })) }
        section.card {
            p { (text!(visitor, "import-explanation")) }
            form.fields method="post" {
                (csrf_field(visitor))
                div.field data-needs-script="" hidden {
                    label for="file" { (text!(visitor, "import-file")) }
                    input id="file" type="file" accept=".csv,.txt,text/csv,text/plain" data-reads-into="text";
                }
                div.field {
                    label for="text" { (text!(visitor, "import-paste")) }
                    textarea id="text" name="text" rows="10" required spellcheck="false"
                        placeholder="nama,telepon,odp" {}
                }
                button { (text!(visitor, "import-check")) }
            }
        }
    };
    let title = text!(visitor, "import-title");
    page(visitor, Page { title, section: Section::Customers, body })
}

fn second_page(visitor: &Visitor, import: &Import, plan: &ImportPlan, faults: &[String]) -> Markup {
    let count = import.customers.len();
    let body = html! {
        @if faults.is_empty() {
            (alert(Tone::Good, html! { (outlook(visitor, import, plan)) }))
        } @else {
            (alert(Tone::Bad, html! {
                p { strong { (text!(visitor, "import-faults", count = faults.len())) } }
                ul { @for fault in faults.iter().take(SHOWN_FAULTS) { li { (fault) } } }
            }))
        }
        form.card.fields method="post" {
            (csrf_field(visitor))
            textarea name="text" hidden { (import.text) }
            div.choices {
                div.field {
                    label for="delimiter" { (text!(visitor, "import-delimiter")) }
                    select id="delimiter" name="delimiter" {
                        @for delimiter in DELIMITERS {
                            option value=(delimiter) selected[delimiter == import.delimiter] {
                                (delimiter_name(visitor, delimiter))
                            }
                        }
                    }
                }
                div.field {
                    label for="heading" { (text!(visitor, "import-heading")) }
                    select id="heading" name="heading" {
                        option value="yes" selected[import.has_heading] { (text!(visitor, "import-heading-yes")) }
                        option value="no" selected[!import.has_heading] { (text!(visitor, "import-heading-no")) }
                    }
                }
            }
            (shown_lines(visitor, import))
            div.row {
                button.second name="do" value="check" { (text!(visitor, "import-check-again")) }
                button name="do" value="import" disabled[!faults.is_empty()] {
                    (text!(visitor, "import-do", count = count))
                }
                a.button.second href=(ADDRESS) { (text!(visitor, "import-other")) }
            }
        }
    };
    let title = text!(visitor, "import-title");
    page(visitor, Page { title, section: Section::Customers, body })
}

/// What the import would do.
fn outlook(visitor: &Visitor, import: &Import, plan: &ImportPlan) -> Markup {
    let by_id = import.columns.contains(&Column::Id);
    let unusable = import.unusable();
    html! {
        p {
            (text!(visitor, "import-outlook", added = plan.added(), updated = plan.updated(),
                unchanged = plan.unchanged))
        }
        p {
            @if by_id { (text!(visitor, "import-by-id")) } @else { (text!(visitor, "import-by-number")) }
        }
        @if unusable > 0 { p { (text!(visitor, "import-unusable", count = unusable)) } }
    }
}

/// The first lines, each column with what it is taken for.
fn shown_lines(visitor: &Visitor, import: &Import) -> Markup {
    let first = usize::from(import.has_heading);
    let heading = |place: usize| match import.lines.first() {
        Some(line) if import.has_heading => line.cells.get(place).cloned().unwrap_or_default(),
        _ => text!(visitor, "import-column", number = place + 1),
    };
    html! {
        div.table tabindex="0" role="group" aria-label=(text!(visitor, "import-preview")) {
            table {
                thead {
                    tr {
                        th.tight { (text!(visitor, "import-line")) }
                        @for (place, column) in import.columns.iter().enumerate() {
                            th {
                                div.field {
                                    label for={ "column-" (place) } { (heading(place)) }
                                    select id={ "column-" (place) } name="column" {
                                        @for choice in Column::ALL {
                                            option value=(choice.as_str()) selected[choice == *column] {
                                                (column_name(visitor, choice))
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
                tbody {
                    @for line in import.lines.iter().skip(first).take(SHOWN_LINES) {
                        tr {
                            td.number { (line.number) }
                            @for place in 0..import.columns.len() {
                                td { (line.cells.get(place).map(String::as_str).unwrap_or_default()) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn column_name(visitor: &Visitor, column: Column) -> String {
    match column {
        Column::Ignored => text!(visitor, "import-column-ignored"),
        Column::Id => text!(visitor, "import-column-id"),
        Column::Name => text!(visitor, "customers-name"),
        Column::Phone => text!(visitor, "customers-number"),
        Column::Odp => text!(visitor, "customers-odp"),
        Column::Active => text!(visitor, "import-column-active"),
    }
}

fn delimiter_name(visitor: &Visitor, delimiter: char) -> String {
    match delimiter {
        ',' => text!(visitor, "delimiter-comma"),
        ';' => text!(visitor, "delimiter-semicolon"),
        '\t' => text!(visitor, "delimiter-tab"),
        _ => text!(visitor, "delimiter-bar"),
    }
}
