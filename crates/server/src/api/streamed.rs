//! Long answers, written while they are read: a reader that is slow slows the writer, and memory
//! does not grow with the length.

use super::error::ApiError;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use std::io;
use tokio::sync::mpsc;

/// Text is handed on in pieces of about this size.
const CHUNK_BYTES: usize = 32 * 1024;

/// How many pieces may wait for the reader.
const CHUNKS_AHEAD: usize = 2;

/// What a writer hands on. Without an [`End`](Piece::End) the answer is incomplete, and the
/// connection is cut so that the reader can tell.
enum Piece {
    Text(Bytes),
    Failed(ApiError),
    End,
}

/// Why a writer stopped early.
#[derive(Debug)]
pub enum Stopped {
    /// Nobody reads any more.
    ReaderLeft,
    /// It cannot go on.
    Failed(ApiError),
}

impl<E: Into<ApiError>> From<E> for Stopped {
    fn from(error: E) -> Stopped {
        Stopped::Failed(error.into())
    }
}

/// The writing end of an answer.
pub struct Writer {
    pieces: mpsc::Sender<Piece>,
    buffer: BytesMut,
}

impl Writer {
    /// Adds text.
    pub async fn text(&mut self, text: &str) -> Result<(), Stopped> {
        self.buffer.extend_from_slice(text.as_bytes());
        self.flush_if_full().await
    }

    /// Adds a value as JSON.
    pub async fn json(&mut self, value: &impl Serialize) -> Result<(), Stopped> {
        self.append(value)?;
        self.flush_if_full().await
    }

    /// Adds the items of a JSON array, brackets included.
    pub async fn array<T: Serialize, E: Into<ApiError>>(
        &mut self,
        items: impl futures_util::Stream<Item = Result<T, E>>,
    ) -> Result<(), Stopped> {
        let mut items = std::pin::pin!(items);
        self.buffer.extend_from_slice(b"[");
        let mut first = true;
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| Stopped::Failed(error.into()))?;
            if !std::mem::take(&mut first) {
                self.buffer.extend_from_slice(b",");
            }
            self.json(&item).await?;
        }
        self.text("]").await
    }

    /// Begins a JSON object.
    pub fn object(&mut self) -> Object<'_> {
        self.buffer.extend_from_slice(b"{");
        Object { writer: self, is_empty: true }
    }

    /// Hands on what there is.
    pub async fn flush(&mut self) -> Result<(), Stopped> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let text = Piece::Text(self.buffer.split().freeze());
        self.pieces.send(text).await.map_err(|_| Stopped::ReaderLeft)
    }

    /// Returns when nobody reads any more.
    pub async fn reader_left(&self) {
        self.pieces.closed().await;
    }

    fn append(&mut self, value: &impl Serialize) -> Result<(), Stopped> {
        struct Sink<'a>(&'a mut BytesMut);
        impl io::Write for Sink<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        serde_json::to_writer(Sink(&mut self.buffer), value)
            .map_err(|error| Stopped::Failed(ApiError::Internal(format!("json: {error}"))))
    }

    async fn flush_if_full(&mut self) -> Result<(), Stopped> {
        if self.buffer.len() >= CHUNK_BYTES { self.flush().await } else { Ok(()) }
    }
}

/// A JSON object that is being written.
pub struct Object<'a> {
    writer: &'a mut Writer,
    is_empty: bool,
}

impl Object<'_> {
    /// Adds a field.
    pub fn field(&mut self, name: &str, value: &impl Serialize) -> Result<(), Stopped> {
        self.name(name)?;
        self.writer.append(value)
    }

    /// Adds a field with an array of these items.
    pub async fn array<T: Serialize, E: Into<ApiError>>(
        &mut self,
        name: &str,
        items: impl futures_util::Stream<Item = Result<T, E>>,
    ) -> Result<(), Stopped> {
        self.name(name)?;
        self.writer.array(items).await
    }

    /// Ends the object.
    pub async fn end(self) -> Result<(), Stopped> {
        self.writer.text("}").await
    }

    fn name(&mut self, name: &str) -> Result<(), Stopped> {
        if !std::mem::take(&mut self.is_empty) {
            self.writer.buffer.extend_from_slice(b",");
        }
        self.writer.append(&name)?;
        self.writer.buffer.extend_from_slice(b":");
        Ok(())
    }
}

/// Returns an answer whose beginning is waited for: what fails before the first piece is an error
/// with a status of its own.
pub async fn answer<W, F>(content_type: &'static str, write: W) -> Result<Response, ApiError>
where
    W: FnOnce(Writer) -> F,
    F: Future<Output = Result<Writer, Stopped>> + Send + 'static,
{
    let mut pieces = start(write);
    match pieces.recv().await {
        Some(Piece::Text(first)) => Ok(response(content_type, Some(first), pieces)),
        Some(Piece::End) => Ok(response(content_type, Some(Bytes::new()), pieces)),
        Some(Piece::Failed(error)) => Err(error),
        None => Err(ApiError::Internal("an answer ended before it began".to_owned())),
    }
}

/// Returns an answer that begins at once, whenever its content comes.
pub fn answer_at_once<W, F>(content_type: &'static str, write: W) -> Response
where
    W: FnOnce(Writer) -> F,
    F: Future<Output = Result<Writer, Stopped>> + Send + 'static,
{
    response(content_type, None, start(write))
}

fn start<W, F>(write: W) -> mpsc::Receiver<Piece>
where
    W: FnOnce(Writer) -> F,
    F: Future<Output = Result<Writer, Stopped>> + Send + 'static,
{
    let (pieces, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let writing = write(Writer { pieces: pieces.clone(), buffer: BytesMut::new() });
    tokio::spawn(async move {
        let written = match writing.await {
            Ok(mut writer) => writer.flush().await,
            Err(stopped) => Err(stopped),
        };
        // Where nobody reads any more, there is nobody to tell.
        let _ = match written {
            Ok(()) => pieces.send(Piece::End).await,
            Err(Stopped::Failed(error)) => pieces.send(Piece::Failed(error)).await,
            Err(Stopped::ReaderLeft) => Ok(()),
        };
    });
    receiver
}

fn response(
    content_type: &'static str,
    first: Option<Bytes>,
    pieces: mpsc::Receiver<Piece>,
) -> Response {
    let rest = stream::unfold(Some(pieces), |pieces| async {
        let mut pieces = pieces?;
        match pieces.recv().await {
            Some(Piece::Text(text)) => Some((Ok(text), Some(pieces))),
            Some(Piece::End) => None,
            Some(Piece::Failed(error)) => {
                tracing::error!(%error, "an answer was cut short");
                Some((Err(io::Error::other("the answer was cut short")), None))
            }
            None => Some((Err(io::Error::other("the answer was cut short")), None)),
        }
    });
    let body = Body::from_stream(stream::iter(first.map(Ok)).chain(rest));
    ([(CONTENT_TYPE, content_type)], body).into_response()
}

/// The content type of JSON.
pub const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn text(response: Response) -> Result<String, axum::Error> {
        let bytes = to_bytes(response.into_body(), usize::MAX).await?;
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn numbers(to: u32) -> impl futures_util::Stream<Item = Result<u32, ApiError>> {
        stream::iter((0..to).map(Ok))
    }

    #[tokio::test]
    async fn a_long_answer_arrives_whole() {
        let written = answer(JSON, |mut writer| async move {
            writer.array(numbers(100_000)).await?;
            Ok(writer)
        });
        let read: Vec<u32> =
            serde_json::from_str(&text(written.await.unwrap()).await.unwrap()).unwrap();
        assert_eq!(read, (0..100_000).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn an_object_has_its_fields_in_the_order_they_were_added() {
        let written = answer(JSON, |mut writer| async move {
            let mut object = writer.object();
            object.field("a", &"\"")?;
            object.array("list", numbers(2)).await?;
            object.field("b", &None::<u32>)?;
            object.end().await?;
            Ok(writer)
        });
        let expected = r#"{"a":"\"","list":[0,1],"b":null}"#;
        assert_eq!(text(written.await.unwrap()).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_failure_before_the_first_piece_has_its_own_status() {
        let written = answer(JSON, |mut writer| async move {
            writer.text("[").await?;
            Err(Stopped::Failed(ApiError::BodyTooLarge))
        });
        assert!(matches!(written.await, Err(ApiError::BodyTooLarge)));
    }

    #[tokio::test]
    async fn a_later_failure_cuts_the_answer() {
        let failing = answer_at_once(JSON, |mut writer| async move {
            writer.text("[").await?;
            writer.flush().await?;
            Err(Stopped::Failed(ApiError::BodyTooLarge))
        });
        assert!(text(failing).await.is_err());
        let panicking = answer_at_once(JSON, |mut writer| async move {
            writer.text("[").await?;
            writer.flush().await?;
            assert!(writer.buffer.is_empty() && std::hint::black_box(false), "a fault of ours");
            Ok(writer)
        });
        assert!(text(panicking).await.is_err());
    }
}
