//! A campaign's report as a table for spreadsheets.

use super::Api;
use super::campaigns::{self, campaign_id};
use super::error::{ApiResult, ErrorBody};
use super::streamed;
use super::validation::PathText;
use crate::delivery_view::reason;
use crate::store::state::Delivery;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use axum::response::Response;
use futures_util::TryStreamExt;
use kabari_domain::{Phone, Timestamp};
use std::pin::pin;
use std::sync::Arc;

/// Without it, Excel takes UTF-8 for a Western code page.
pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

const HEADINGS: [&str; 10] = [
    "customer_id",
    "customer_name",
    "phone_raw",
    "phone",
    "state",
    "error",
    "first_sent_at",
    "accepted_at",
    "delivered_at",
    "read_at",
];

/// The report as CSV
///
/// UTF-8, skipped recipients first. A value that a spreadsheet would take for a formula has an
/// apostrophe in front.
#[utoipa::path(get, path = "/api/campaigns/{campaign_id}/report.csv", tag = "campaigns", operation_id = "get_campaign_report",
    params(("campaign_id" = i64, Path, example = 12)),
    responses(
        (status = 200, description = "The table", content_type = "text/csv", body = String, example = json!(
            "customer_id,customer_name,phone_raw,phone,state,error,first_sent_at,accepted_at,delivered_at,read_at\r\n\
             1,Budi Santoso,081234567801,6281234567801,accepted,,2026-01-10T01:05:00.000Z,2026-01-10T01:05:00.210Z,,\r\n"
        )),
        (status = 404, description = "No such campaign", body = ErrorBody),
    )
)]
pub async fn report(State(api): State<Arc<Api>>, PathText(id): PathText) -> ApiResult<Response> {
    answer(api, campaign_id(&id)?).await
}

/// The table as a file.
pub async fn answer(api: Arc<Api>, id: i64) -> ApiResult<Response> {
    campaigns::load(&api, id).await?;
    let rows = api.state.report_rows(id);
    let mut response = streamed::answer("text/csv; charset=utf-8", move |mut writer| async move {
        writer.text(BYTE_ORDER_MARK).await?;
        writer.text(&line(HEADINGS.map(str::to_owned))).await?;
        let mut rows = pin!(rows);
        while let Some(delivery) = rows.try_next().await? {
            writer.text(&line(fields(delivery))).await?;
        }
        Ok(writer)
    })
    .await?;
    let disposition = format!("attachment; filename=\"kabari-{id}.csv\"");
    if let Ok(value) = HeaderValue::try_from(disposition) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

fn fields(delivery: Delivery) -> [String; 10] {
    let error = reason(&delivery).filter(|_| !delivery.progress.state.is_open());
    let time = |time: Option<Timestamp>| time.map(Timestamp::to_rfc3339).unwrap_or_default();
    [
        delivery.customer_id.map(|id| id.to_string()).unwrap_or_default(),
        delivery.customer_name,
        delivery.phone_raw.unwrap_or_default(),
        delivery.phone.as_ref().map(Phone::digits).unwrap_or_default().to_owned(),
        delivery.progress.state.as_str().to_owned(),
        error.unwrap_or_default(),
        time(delivery.first_sent_at),
        time(delivery.accepted_at),
        time(delivery.delivered_at),
        time(delivery.read_at),
    ]
}

/// Returns a line as RFC 4180 has it.
pub(crate) fn line<const N: usize>(fields: [String; N]) -> String {
    fields.map(|field| quoted(defused(field))).join(",") + "\r\n"
}

/// Spreadsheets run what begins like this; a customer could have such a name on purpose.
fn defused(field: String) -> String {
    match field.trim_start().chars().next() {
        Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') => format!("'{field}"),
        _ if field.starts_with(['\t', '\r', '\n']) => format!("'{field}"),
        _ => field,
    }
}

fn quoted(field: String) -> String {
    if field.contains(['"', ',', ';', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_escaped() {
        for formula in ["=1+1", "+62", "-1", "@SUM(A1)", " =1+1", "\t=1", "\r=1", "\n=1", "＝1+1"]
        {
            assert!(
                line([formula.to_owned()]).trim_start_matches('"').starts_with('\''),
                "{formula:?}"
            );
        }
        assert_eq!(line(["081234567801".to_owned(), "A=B".to_owned()]), "081234567801,A=B\r\n");
    }

    #[test]
    fn separators_in_a_field_are_quoted() {
        let written =
            line(["a,b".to_owned(), "a \"b\"".to_owned(), "a\nb".to_owned(), String::new()]);
        assert_eq!(written, "\"a,b\",\"a \"\"b\"\"\",\"a\nb\",\r\n");
    }
}
