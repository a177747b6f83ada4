//! What one of our gateways tells as it happens: `GET /events`, server-sent.

use super::connection::{Connection, Failure, MAX_ANSWER_BYTES};
use crate::Event;
use crate::contract::EventBody;
use reqwest::Method;
use reqwest::header::ACCEPT;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The gateway says something at least every 15 s; a longer silence is a dead connection.
const LONGEST_SILENCE: Duration = Duration::from_secs(45);
/// How long to wait before following anew.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
const LAST_EVENT_ID: &str = "last-event-id";

/// Passes on what the gateway tells, for as long as it knows ids, from `heard` on.
pub async fn follow(
    connection: Connection,
    mut knows_ids: watch::Receiver<bool>,
    mut heard: Option<String>,
    events: mpsc::UnboundedSender<Event>,
) {
    while knows_ids.wait_for(|known| *known).await.is_ok() {
        if let Err(reason) = listen(&connection, &mut heard, &events).await {
            tracing::debug!(gateway = %connection, reason, "the gateway's events are followed anew");
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

/// Follows until the connection ends.
async fn listen(
    connection: &Connection,
    heard: &mut Option<String>,
    events: &mpsc::UnboundedSender<Event>,
) -> Result<(), String> {
    let mut request = connection.request(Method::GET, "events").header(ACCEPT, "text/event-stream");
    if let Some(heard) = heard {
        request = request.header(LAST_EVENT_ID, heard.as_str());
    }
    let bounded = |error: reqwest::Error| Failure::new(error).text;
    let answer = tokio::time::timeout(LONGEST_SILENCE, request.send()).await;
    let answer = answer.map_err(|_| "no answer")?.map_err(bounded)?;
    let mut answer = answer.error_for_status().map_err(bounded)?;
    let mut parser = Parser::default();
    loop {
        let part = tokio::time::timeout(LONGEST_SILENCE, answer.chunk()).await;
        let Some(part) = part.map_err(|_| "silence")?.map_err(bounded)? else { return Ok(()) };
        parser.feed(&part);
        while let Some(told) = parser.next() {
            match serde_json::from_str::<EventBody>(&told.data) {
                // Nobody listens any more when kabari ends.
                Ok(body) => drop(events.send(body.into())),
                Err(_) => tracing::debug!("the gateway tells what this version does not know"),
            }
            drop(events.send(Event::Mark { heard: told.id.clone() }));
            *heard = Some(told.id);
        }
        if parser.is_overfull() {
            return Err("an event is too long".into());
        }
    }
}

/// An event as it stands in the stream.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    id: String,
    data: String,
}

/// Takes a stream of server-sent events apart.
#[derive(Default)]
struct Parser {
    buffer: Vec<u8>,
    id: String,
    data: Vec<String>,
}

impl Parser {
    fn feed(&mut self, part: &[u8]) {
        self.buffer.extend_from_slice(part);
    }

    /// Returns the next event that is there as a whole.
    fn next(&mut self) -> Option<Told> {
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                let data = std::mem::take(&mut self.data);
                if !data.is_empty() {
                    return Some(Told { id: self.id.clone(), data: data.join("\n") });
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => self.id = value.to_owned(),
                "data" => self.data.push(value.to_owned()),
                // Comments keep the connection; names and times say nothing to us.
                _ => {}
            }
        }
        None
    }

    /// Returns whether what has come of an event is too long to wait for its end.
    fn is_overfull(&self) -> bool {
        let data: usize = self.data.iter().map(String::len).sum();
        self.buffer.len() + data > MAX_ANSWER_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<Told> {
        let mut parser = Parser::default();
        let mut told = vec![];
        for part in parts {
            parser.feed(part.as_ref());
            told.extend(std::iter::from_fn(|| parser.next()));
        }
        told
    }

    proptest! {
        #[test]
        fn where_a_stream_is_split_makes_no_difference(
            stream in "(id|data|:|\r|\n|\n\n|é| |x){0,40}", size in 1..9_usize,
        ) {
            prop_assert_eq!(told(stream.as_bytes().chunks(size)), told([&stream]));
        }
    }

    #[test]
    fn an_event_that_never_ends_is_too_long() {
        let mut parser = Parser::default();
        let line = format!("data: {}\n", "x".repeat(1024));
        for _ in 0..MAX_ANSWER_BYTES / 1024 {
            parser.feed(line.as_bytes());
            assert!(parser.next().is_none() && !parser.is_overfull());
        }
        parser.feed(line.as_bytes());
        assert!(parser.next().is_none() && parser.is_overfull());
    }

    #[test]
    fn events_are_read_however_the_stream_is_split() {
        let stream = ": hello\n\nid: 7.5\nevent: x\ndata: {\"a\":\ndata: 1}\n\n:\n\r\nid:8\r\ndata:b\r\n\r\nid: 9\ndata: cut";
        let expected = [
            Told { id: "7.5".into(), data: "{\"a\":\n1}".into() },
            Told { id: "8".into(), data: "b".into() },
        ];
        for size in [1, 2, 3, 7, stream.len()] {
            assert_eq!(told(stream.as_bytes().chunks(size)), expected, "in parts of {size}");
        }
    }
}
