//! Network notices, as the billing database has them.

use super::Api;
use super::error::{ApiError, ApiResult, ErrorBody};
use super::validation::{Fields, FromFields, PathText, Query, path_integer};
use axum::Json;
use axum::extract::State;
use chrono::NaiveDateTime;
use kabari_domain::{Notice, wording};
use serde::Serialize;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A notice. Times are local and without a zone, as in the billing database.
#[derive(Serialize, ToSchema)]
pub struct NoticeBody {
    #[schema(example = 1)]
    id: i64,
    #[schema(example = "Kabel FO Putus")]
    title: String,
    #[schema(example = "Kabel fiber optik putus di Jl. Merdeka.")]
    message: String,
    /// `gangguan` (outage) or `maintenance`.
    #[serde(rename = "type")]
    #[schema(example = "gangguan")]
    kind: String,
    /// `low`, `medium`, `high` or `critical`.
    #[schema(example = "critical")]
    severity: String,
    is_mass: bool,
    #[schema(example = "Jl. Merdeka")]
    affected_area: Option<String>,
    /// Comma-separated ODP names; null or empty is everybody.
    #[schema(example = "ODP-001, ODP-002")]
    affected_odp: Option<String>,
    #[schema(value_type = Option<String>, example = "2026-01-10T08:05:00")]
    start_time: Option<NaiveDateTime>,
    #[schema(value_type = Option<String>, example = "2026-01-10T17:30:59")]
    end_time: Option<NaiveDateTime>,
    is_active: bool,
    #[schema(value_type = Option<String>, example = "2026-01-10T01:05:00")]
    created_at: Option<NaiveDateTime>,
}

impl From<Notice> for NoticeBody {
    fn from(notice: Notice) -> NoticeBody {
        NoticeBody {
            id: notice.id,
            title: notice.title,
            message: notice.message,
            kind: notice.kind,
            severity: notice.severity,
            is_mass: notice.is_mass,
            affected_area: notice.affected_area,
            affected_odp: notice.affected_odp,
            start_time: notice.start_time,
            end_time: notice.end_time,
            is_active: notice.is_active,
            created_at: notice.created_at,
        }
    }
}

/// Which notices.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NoticesQuery {
    /// Only those that still apply. Also `1`, `0`, `yes`, `no`, `on`, `off`, `t`, `f`.
    #[param(default = true, required = false)]
    active_only: bool,
}

impl FromFields for NoticesQuery {
    fn read(fields: &mut Fields) -> Self {
        NoticesQuery { active_only: fields.boolean("active_only").unwrap_or(true) }
    }
}

/// The notices, newest first
#[utoipa::path(get, path = "/api/notices", tag = "billing", operation_id = "list_notices", params(NoticesQuery), responses(
    (status = 200, description = "The notices", body = Vec<NoticeBody>),
))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Query(query): Query<NoticesQuery>,
) -> ApiResult<Json<Vec<NoticeBody>>> {
    let notices = api.billing.notices(query.active_only).await?;
    Ok(Json(notices.into_iter().map(NoticeBody::from).collect()))
}

/// One notice
#[utoipa::path(get, path = "/api/notices/{notice_id}", tag = "billing", operation_id = "get_notice",
    params(("notice_id" = i64, Path, description = "The billing database's id", example = 1)),
    responses(
        (status = 200, description = "The notice", body = NoticeBody),
        (status = 404, description = "No such notice", body = ErrorBody),
    )
)]
pub async fn one(
    State(api): State<Arc<Api>>,
    PathText(id): PathText,
) -> ApiResult<Json<NoticeBody>> {
    let id = path_integer("notice_id", &id)?;
    let notice = api.billing.notice(id).await?;
    notice.map(|notice| Json(notice.into())).ok_or(ApiError::NotFound(wording::NOTICE_NOT_FOUND))
}
