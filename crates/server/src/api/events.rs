//! A campaign's progress as server-sent events.

use super::campaigns::{self, CampaignBody, campaign_id};
use super::error::{ApiResult, ErrorBody};
use super::validation::PathText;
use super::{Api, Waiter};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use futures_util::stream;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// Progress is not told more often than this: counting a large campaign costs the database time.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// A comment is sent when nothing else was for this long, so that proxies keep the connection.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// The id of the event that tells the end. A browser connects again after any end of the stream,
/// with the last id in `Last-Event-ID`, and stops for good when it is answered 204.
const END_ID: &str = "end";

const LAST_EVENT_ID: &str = "last-event-id";

/// An event of a campaign.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is written piece by piece")]
pub struct CampaignEvent {
    /// `state` or `progress`.
    #[schema(example = "progress")]
    event: String,
    /// `end`, of the last event alone.
    id: Option<String>,
    /// The campaign, as `/api/campaigns/{campaign_id}` answers.
    #[schema(
        content_media_type = "application/json",
        example = "{\"id\":12,\"status\":\"running\",\"total\":3,\"counts\":{\"accepted\":1,\"queued\":2}}"
    )]
    data: String,
}

/// Follow a campaign
///
/// `state` when its status changes, `progress` when its counts do; the data of both is the
/// campaign. The first event comes at once, and the stream ends when the campaign does: its last
/// event has the id `end`, and whoever connects again with that id is answered 204.
#[utoipa::path(get, path = "/api/campaigns/{campaign_id}/events", tag = "campaigns", operation_id = "follow_campaign",
    params(
        ("campaign_id" = i64, Path, example = 12),
        ("Last-Event-ID" = Option<String>, Header, description = "Sent by browsers that connect again", example = "end"),
    ),
    responses(
        (status = 200, description = "The events, each of them like this", content_type = "text/event-stream", body = CampaignEvent),
        (status = 204, description = "The end has been told"),
        (status = 404, description = "No such campaign", body = ErrorBody),
    )
)]
pub async fn events(
    State(api): State<Arc<Api>>,
    PathText(id): PathText,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let id = campaign_id(&id)?;
    let waiter = Waiter::new(&api.state);
    let first = campaigns::load(&api, id).await?;
    if first.has_ended() && headers.get(LAST_EVENT_ID).is_some_and(|last| last == END_ID) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let watching = Watching { api, id, waiter, ready: VecDeque::new(), last: None };
    let stream = stream::unfold((watching, Some(first)), |(mut watching, seen)| async {
        if let Some(campaign) = seen {
            watching.tell(campaign);
        }
        let event = watching.next().await?;
        Some((Ok::<_, Infallible>(event), (watching, None)))
    });
    let events = Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_EVERY));
    Ok(events.into_response())
}

/// Somebody who follows a campaign.
struct Watching {
    api: Arc<Api>,
    id: i64,
    waiter: Waiter,
    /// Events that are still to be sent.
    ready: VecDeque<Event>,
    /// What was told last.
    last: Option<CampaignBody>,
}

impl Watching {
    /// Returns the next event; `None` when the campaign has ended and that was told.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.last.as_ref().is_some_and(CampaignBody::has_ended) {
                return None;
            }
            tokio::join!(tokio::time::sleep(PROGRESS_EVERY), self.waiter.moved());
            match campaigns::load(&self.api, self.id).await {
                Ok(campaign) => self.tell(campaign),
                Err(error) => {
                    tracing::warn!(campaign = self.id, %error, "events wait for the database")
                }
            }
        }
    }

    fn tell(&mut self, campaign: CampaignBody) {
        let name = match &self.last {
            Some(last) if last.is_as_far_as(&campaign) => return,
            Some(last) if last.has_same_status(&campaign) => "progress",
            _ => "state",
        };
        let event = Event::default().event(name);
        let event = if campaign.has_ended() { event.id(END_ID) } else { event };
        // A campaign's body is plain data: writing it cannot fail.
        self.ready.extend(event.json_data(&campaign));
        self.last = Some(campaign);
    }
}
