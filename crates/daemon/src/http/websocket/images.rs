//! Plain images: each binary message is `frame_id: u32, timestamp: f64, length: u32` in network byte order, then the image.
//!
//! The client says nothing but pings; binary messages from it are ignored.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use nyx_protocol::topic::Pattern;
use nyx_protocol::wire::{Header, Kind};
use nyx_transport::write::Queue;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::feed::{Feed, Item};
use crate::http::visitor::Visitor;
use crate::serve::App;

/// Shows frames to one client.
pub(super) struct Images {
    app: Arc<App>,
    /// Who looks.
    visitor: Visitor,
    feed: Feed,
    /// What to show; without it, the oldest topic that has frames.
    pattern: Option<Pattern>,
    /// Images that were decided on together, with their heads. Each is a message of its own.
    waiting: VecDeque<[Bytes; 2]>,
    queue: Queue,
}

/// How often a client that named no topic looks whether there is one.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Rounds of reading and writing before the task lets others run.
const ROUNDS: usize = 8;

impl Images {
    pub(super) fn new(app: Arc<App>, visitor: Visitor, feed: Feed, pattern: Option<Pattern>) -> Self {
        Self { app, visitor, feed, pattern, waiting: VecDeque::new(), queue: Queue::default() }
    }

    /// Runs until the client leaves or the hub does.
    ///
    /// # Errors
    /// When the connection fails.
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        mut self: Box<Self>,
        stream: &mut S,
    ) -> io::Result<()> {
        let ended = loop {
            match self.pattern.take().or_else(|| oldest(&self.app, &self.visitor)) {
                Some(pattern) => {
                    self.feed.subscribe(pattern, None);
                    break poll_fn(|cx| self.poll(cx, stream)).await;
                }
                // A client that leaves, or a hub that does, ends the wait.
                None => match tokio::time::timeout(LOOK_EVERY, poll_fn(|cx| self.poll(cx, stream))).await {
                    Ok(ended) => break ended,
                    Err(_) => continue,
                },
            }
        };
        ended?;
        poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await
    }

    fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS {
            let read = poll_discard(cx, stream)?;
            if read == Poll::Ready(0) || self.poll_fill(cx) == Poll::Ready(false) {
                return Poll::Ready(Ok(()));
            }
            let wrote =
                if self.queue.is_empty() { Poll::Pending } else { self.queue.poll_write(cx, stream)? };
            if read.is_pending() && wrote.is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes the next image when the last has been written. `Ready(false)`: there will be none.
    fn poll_fill(&mut self, cx: &Context<'_>) -> Poll<bool> {
        while self.queue.is_empty() {
            if let Some(image) = self.waiting.pop_front() {
                image.into_iter().for_each(|slice| self.queue.push(slice));
                break;
            }
            let Poll::Ready(items) = self.feed.poll(cx) else { return Poll::Pending };
            let Some(items) = items else { return Poll::Ready(false) };
            for item in items {
                if let Item::Data { header, unix_micros, payload } = item
                    && header.kind == Some(Kind::Frame)
                {
                    self.waiting.push_back([head(&header, unix_micros, payload.len()), payload]);
                }
            }
        }
        Poll::Ready(true)
    }
}

/// Reads what a client says and forgets it.
fn poll_discard(cx: &mut Context<'_>, stream: &mut (impl AsyncRead + Unpin)) -> Poll<io::Result<usize>> {
    let mut room = [0; 512];
    let mut buf = ReadBuf::new(&mut room);
    Pin::new(stream).poll_read(cx, &mut buf).map_ok(|()| buf.filled().len())
}

/// The oldest topic that carries frames and may be read.
fn oldest(app: &App, visitor: &Visitor) -> Option<Pattern> {
    let topics = app.hub.topics();
    let topic =
        topics.iter().find(|topic| topic.spec().kind == Kind::Frame && visitor.reads(topic.name()))?;
    Pattern::new(topic.name().as_str()).ok()
}

/// The 16 bytes before an image.
fn head(header: &Header, unix_micros: Option<u64>, len: usize) -> Bytes {
    let micros = unix_micros.unwrap_or_else(nyx_core::clock::unix_micros);
    let mut bytes = Vec::with_capacity(16);
    bytes.extend_from_slice(&header.sequence.to_be_bytes());
    bytes.extend_from_slice(&(micros as f64 / 1e6).to_be_bytes());
    bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_number_time_and_length() {
        let header = Header { sequence: 0x0102_0304, ..Header::data(Kind::Frame) };
        let bytes = head(&header, Some(1_500_000), 5);
        assert_eq!(bytes[..4], [1, 2, 3, 4]);
        assert_eq!(bytes[4..12], 1.5f64.to_be_bytes());
        assert_eq!(bytes[12..], [0, 0, 0, 5]);
    }
}
