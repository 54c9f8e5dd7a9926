//! Moves bytes between a session and its connection, and nothing else.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use nyx_core::clock::{Clock, Instant, Monotonic};
use nyx_hub::{Closed, Ingest, Session};
use nyx_transport::alarm::Alarm;
use nyx_transport::read::Reader;
use nyx_transport::write::Queue;
use tokio::io::{AsyncRead, AsyncWrite};

use super::doorstep::Visit;
use super::meters::Traffic;

/// Rounds of reading and writing before the task lets others run. A round moves up to 256 KiB each way.
const ROUNDS: usize = 8;

/// How long the last bytes may take to be written once a session is over.
const LINGER: Duration = Duration::from_secs(2);

/// Runs `session` over `stream` until one of them ends. Until the peer has said who it is, it ends as well when the peer's place is
/// needed for another.
///
/// # Errors
/// When the connection fails. The peer's errors are told to the peer.
pub(crate) async fn drive<S>(
    session: Box<Session>,
    stream: S,
    clock: Monotonic,
    traffic: &Traffic,
    visit: Option<Visit>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut driver = Driver {
        session,
        stream,
        clock,
        traffic,
        visit,
        reader: Reader::new(),
        queue: Queue::default(),
        out: Vec::new(),
        is_full: false,
        alarm: Alarm::default(),
        give_up: None,
    };
    poll_fn(|cx| driver.poll(cx)).await?;
    // TLS says that it ends, which a peer that reads nothing can hold up.
    let shutdown = poll_fn(|cx| Pin::new(&mut driver.stream).poll_shutdown(cx));
    tokio::time::timeout(LINGER, shutdown).await.unwrap_or(Ok(()))
}

struct Driver<'a, S> {
    /// Boxed: a task has room for what it is handed and for where that goes, and an idle connection is little else.
    session: Box<Session>,
    stream: S,
    clock: Monotonic,
    traffic: &'a Traffic,
    visit: Option<Visit>,
    reader: Reader,
    queue: Queue,
    /// Kept for its memory.
    out: Vec<Bytes>,
    /// Whether the socket took no more when it was last asked.
    is_full: bool,
    alarm: Alarm,
    /// When the session is over: until when its last bytes may be written.
    give_up: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<'_, S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.register(cx.waker());
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            if self.session.poll_timeout().is_some_and(|at| at <= now) {
                self.session.handle_timeout(now);
            }
            let Moved { read, closed } = self.read(cx, now)?;
            let wrote = self.write(cx, now)?;
            if closed || self.is_over(now) || self.is_displaced(cx) {
                return Poll::Ready(Ok(()));
            }
            if !read && !wrote {
                let deadline = [self.session.poll_timeout(), self.give_up].into_iter().flatten().min();
                if self.alarm.poll(cx, now, deadline).is_pending() {
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<Moved> {
        match self.session.handle_input(now, self.reader.buffer_mut()) {
            Ok(Ingest::Needs(bytes)) => self.reader.expect(bytes),
            Ok(Ingest::Paused) => return Ok(Moved { read: false, closed: false }),
            Err(Closed) => {
                self.give_up.get_or_insert(now + LINGER);
                return Ok(Moved { read: false, closed: false });
            }
        }
        let filled = match self.reader.poll_fill(cx, &mut self.stream) {
            Poll::Ready(filled) => Some(filled?),
            Poll::Pending => None,
        };
        self.traffic.received.add(filled.unwrap_or(0) as u64);
        Ok(Moved { read: filled.is_some(), closed: filled == Some(0) })
    }

    fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<bool> {
        if self.queue.is_empty() {
            // What TLS has encrypted is on its way for good: what to send next is decided when that has gone.
            if Pin::new(&mut self.stream).poll_flush(cx)?.is_pending() {
                return Ok(false);
            }
            self.session.poll_transmit(now, &mut self.out);
            self.out.drain(..).for_each(|bytes| self.queue.push(bytes));
        }
        if self.queue.is_empty() {
            return Ok(false);
        }
        match self.queue.poll_write(cx, &mut self.stream) {
            Poll::Ready(written) => {
                let written = written?;
                self.traffic.sent.add(written as u64);
                if std::mem::take(&mut self.is_full) {
                    self.session.handle_written(now);
                }
                Ok(written > 0)
            }
            Poll::Pending => {
                self.is_full = true;
                Ok(false)
            }
        }
    }

    fn is_displaced(&mut self, cx: &Context<'_>) -> bool {
        let Some(visit) = &self.visit else { return false };
        if self.session.is_greeted() {
            self.visit = None;
            return false;
        }
        visit.poll_displaced(cx).is_ready()
    }

    fn is_over(&self, now: Instant) -> bool {
        let written = self.session.is_finished() && self.queue.is_empty();
        written || self.give_up.is_some_and(|at| at <= now)
    }
}

struct Moved {
    read: bool,
    closed: bool,
}
