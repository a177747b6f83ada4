//! The bodies of the sends.

use super::MAX_MESSAGE_CHARS;
use crate::api::validation::{Fields, FromFields, LAST_MILLISECOND};
use crate::api::whatsapp::MAX_PHONE_CHARS;
use kabari_domain::Timestamp;
use std::time::Duration;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type,
};
use utoipa::{PartialSchema, ToSchema};

/// The most sessions that one send can name.
const MAX_SESSIONS: usize = 500;

/// A point in time.
pub struct Time;

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339 with an offset from UTC"));
        let number = ObjectBuilder::new()
            .schema_type(Type::Number)
            .minimum(Some(0))
            .maximum(Some(LAST_MILLISECOND))
            .description(Some("Seconds since 1970; from 20,000,000,000 on, milliseconds"));
        OneOfBuilder::new().item(text).item(number).into()
    }
}

impl ToSchema for Time {}

/// What may be said with every send.
#[derive(Debug, Clone, Default, ToSchema)]
pub struct SendOptions {
    /// Goes out before other sends, and also in quiet hours.
    #[schema(required = false, default = false)]
    pub urgent: bool,
    /// When it starts, if not at once. RFC 3339 with an offset, or seconds since 1970.
    #[schema(value_type = Option<Time>, example = "2026-01-10T08:05:00+07:00")]
    pub starts_at: Option<Timestamp>,
    /// What is not sent by then never is. RFC 3339 with an offset, or seconds since 1970.
    #[schema(value_type = Option<Time>, example = "2026-01-10T18:00:00+07:00")]
    pub expires_at: Option<Timestamp>,
    /// Send nothing; say who would get what, and when it would end.
    #[schema(required = false, default = false)]
    pub dry_run: bool,
    /// Send even if the same was sent a moment ago.
    #[schema(required = false, default = false)]
    pub force: bool,
    /// The sessions that may send it; absent or empty for all.
    #[schema(required = false, max_items = 500, example = json!(["default"]))]
    pub sessions: Vec<String>,
    /// Refuse to repeat a send made within this time; unset, `DUPLICATE_GUARD_SECONDS` counts.
    #[schema(value_type = Option<i64>, minimum = 0, example = 600)]
    pub duplicate_guard_seconds: Option<Duration>,
}

impl FromFields for SendOptions {
    fn read(fields: &mut Fields) -> Self {
        let seconds = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        SendOptions {
            urgent: fields.flag("urgent").unwrap_or(false),
            starts_at: fields.time("starts_at"),
            expires_at: fields.time("expires_at"),
            dry_run: fields.flag("dry_run").unwrap_or(false),
            force: fields.flag("force").unwrap_or(false),
            sessions: fields.texts("sessions", MAX_SESSIONS),
            duplicate_guard_seconds: fields
                .integer_within("duplicate_guard_seconds", 0, i64::MAX)
                .map(seconds),
        }
    }
}

/// Which notice, to whom.
#[derive(ToSchema)]
pub struct NotificationRequest {
    /// Absent, null and 0 mean the newest active one. An inactive one named here is sent.
    #[schema(example = 1)]
    pub notice_id: Option<i64>,
    /// Only these, whatever ODPs the notice names. An empty list is nobody.
    #[schema(example = json!([1, 2]))]
    pub customer_ids: Option<Vec<i64>>,
    /// A text instead of the notice's own. An empty one counts as absent.
    #[schema(max_length = 65536)]
    pub custom_message: Option<String>,
    #[serde(flatten)]
    pub options: SendOptions,
}

impl FromFields for NotificationRequest {
    fn read(fields: &mut Fields) -> Self {
        NotificationRequest {
            notice_id: notice_id(fields),
            customer_ids: fields.integers("customer_ids"),
            custom_message: custom_message(fields),
            options: SendOptions::read(fields),
        }
    }
}

/// Which text, to whom.
#[derive(ToSchema)]
pub struct CustomRequest {
    /// `{nama}`, `{name}`, `{odp}` and `{id}` are filled in.
    #[schema(min_length = 1, max_length = 65536, example = "Halo {nama}!")]
    pub message: String,
    /// Absent: every active customer. An empty list is nobody.
    #[schema(example = json!([1, 2]))]
    pub customer_ids: Option<Vec<i64>>,
    #[serde(flatten)]
    pub options: SendOptions,
}

impl FromFields for CustomRequest {
    fn read(fields: &mut Fields) -> Self {
        CustomRequest {
            message: fields.required_text("message", 1, MAX_MESSAGE_CHARS),
            customer_ids: fields.integers("customer_ids"),
            options: SendOptions::read(fields),
        }
    }
}

/// Which text, to which number.
#[derive(ToSchema)]
pub struct PhoneRequest {
    /// However it is written; without a country code it is Indonesian.
    #[schema(max_length = 255, example = "081234567801")]
    pub phone: String,
    /// Sent as it stands.
    #[schema(min_length = 1, max_length = 65536, example = "Halo")]
    pub message: String,
    #[serde(flatten)]
    pub options: SendOptions,
}

impl FromFields for PhoneRequest {
    fn read(fields: &mut Fields) -> Self {
        PhoneRequest {
            phone: fields.required_text("phone", 0, MAX_PHONE_CHARS),
            message: fields.required_text("message", 1, MAX_MESSAGE_CHARS),
            options: SendOptions::read(fields),
        }
    }
}

/// Which notice or text for the ODP in the path.
#[derive(ToSchema)]
pub struct ByOdpRequest {
    /// Absent, null and 0 mean none: then there must be a text.
    #[schema(example = 1)]
    pub notice_id: Option<i64>,
    /// A text instead of a notice's own. An empty one counts as absent.
    #[schema(max_length = 65536)]
    pub custom_message: Option<String>,
    #[serde(flatten)]
    pub options: SendOptions,
}

impl FromFields for ByOdpRequest {
    fn read(fields: &mut Fields) -> Self {
        ByOdpRequest {
            notice_id: notice_id(fields),
            custom_message: custom_message(fields),
            options: SendOptions::read(fields),
        }
    }
}

/// Which notice is over.
#[derive(ToSchema)]
pub struct RestoredRequest {
    #[schema(example = 1)]
    pub notice_id: i64,
    /// A text instead of kabari's own. An empty one counts as absent.
    #[schema(max_length = 65536)]
    pub message: Option<String>,
    #[serde(flatten)]
    pub options: SendOptions,
}

impl FromFields for RestoredRequest {
    fn read(fields: &mut Fields) -> Self {
        RestoredRequest {
            notice_id: fields.required_integer("notice_id"),
            message: fields.text("message", MAX_MESSAGE_CHARS).filter(|text| !text.is_empty()),
            options: SendOptions::read(fields),
        }
    }
}

fn notice_id(fields: &mut Fields) -> Option<i64> {
    fields.integer("notice_id").filter(|id| *id != 0)
}

fn custom_message(fields: &mut Fields) -> Option<String> {
    fields.text("custom_message", MAX_MESSAGE_CHARS).filter(|text| !text.is_empty())
}
