//! The driver of one connection: read, hand out, write, sleep.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use nyx_core::Clock;
use nyx_protocol::control::{self, Ack};
use nyx_transport::alarm::Alarm;
use nyx_transport::write::Queue;
use tokio::io::{AsyncReadExt, AsyncWrite as _, AsyncWriteExt};
use tokio::time::Interval;

use super::keepalive::Keepalive;
use super::messages::{self, Taken};
use super::packing::{Packed, Packing};
use super::pending::Pending;
use super::{End, StreamLink, poll_turns, ticks};
use crate::outgoing::Segment;
use crate::shared::Shared;
use crate::subscribe::Acks;

/// A session in progress.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    shared: &'a Shared,
    link: StreamLink,
    acks: Arc<Acks>,
    queue: Queue,
    pending: Pending,
    packing: Packing,
    /// Room for what is taken from the outgoing buffer.
    taken: Vec<Segment>,
    packed: Vec<Packed>,
    keepalive: Keepalive,
    tick: Interval,
    /// Wakes the task when a batch has lingered for long enough, or a request has waited for too long.
    alarm: Alarm,
    deaf: bool,
    /// What is left in the read buffer.
    left: Taken,
}

impl<'a> Session<'a> {
    pub(crate) fn new(shared: &'a Shared, link: StreamLink) -> Self {
        Self {
            shared,
            packing: Packing::new(shared.clock.clone(), link.takes_blocks),
            link,
            acks: Arc::new(Acks::new(shared.outgoing.clone())),
            queue: Queue::default(),
            pending: Pending::default(),
            taken: Vec::new(),
            packed: Vec::new(),
            keepalive: Keepalive::new(shared.clock.now()),
            tick: ticks(),
            alarm: Alarm::default(),
            deaf: false,
            left: Taken::Needs(0),
        }
    }

    /// Runs until the connection is over, and returns why, and what was not written.
    pub(crate) async fn run(mut self) -> (End, Vec<Segment>) {
        let end = poll_fn(|cx| poll_turns(cx, |cx| self.turn(cx))).await;
        if matches!(end, End::Closed) {
            self.linger().await;
        }
        (end, self.pending.into_unwritten())
    }

    /// One turn. `false`: there is nothing to do, and the task will be woken when there is.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let has_read = self.read(cx)?;
        self.shared.expire_calls();
        // The timer is registered only by a poll that finds it pending.
        while self.tick.poll_tick(cx).is_ready() {
            self.on_tick()?;
        }
        let (has_written, is_busy) = self.write(cx)?;
        if self.shared.is_closing() && self.queue.is_empty() && self.shared.outgoing.waiting() == 0 {
            return Err(End::Closed);
        }
        if has_read && self.left == Taken::More {
            // Those who were told of what was taken go first: what they ask next goes out while the hub answers the rest.
            cx.waker().wake_by_ref();
            return Ok(false);
        }
        if has_read || has_written {
            return Ok(true);
        }
        let Some(lingers) = self.shared.outgoing.park(cx.waker(), is_busy) else { return Ok(true) };
        let expires = self.shared.calls.next_deadline();
        if lingers.is_none() && expires.is_none() {
            return Ok(false);
        }
        let now = self.shared.clock.now();
        let lingers = lingers.map(|time| now + time);
        let deadline = lingers.into_iter().chain(expires).min();
        Ok(self.alarm.poll(cx, now, deadline).is_ready())
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        self.deaf = self.acks.pause();
        if self.deaf {
            return Ok(false);
        }
        if !matches!(self.left, Taken::Needs(_)) {
            // Perhaps nothing more comes until this was consumed.
            self.take_messages()?;
            return Ok(true);
        }
        match self.link.reader.poll_fill(cx, &mut self.link.stream) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => Err(End::ByHub),
            Poll::Ready(Ok(_)) => {
                self.keepalive.hear(self.shared.clock.now());
                self.take_messages()?;
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(error.into()),
        }
    }

    fn take_messages(&mut self) -> Result<(), End> {
        let packing = (&mut self.packing, self.link.takes_blocks);
        self.left = messages::take(self.shared, &self.acks, packing, self.link.reader.buffer_mut())?;
        if let Taken::Needs(bytes) = self.left {
            self.link.reader.expect(bytes);
        }
        Ok(())
    }

    fn on_tick(&mut self) -> Result<(), End> {
        // What little was consumed of topics that are not prompt, for who looks at the hub's figures.
        self.put_ack(true);
        self.keepalive.handle_tick(self.shared, self.deaf)
    }

    /// Whether something was written, and whether something waits for the socket.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(bool, bool), End> {
        self.put_ack(false);
        if self.queue.bytes() < REFILL {
            self.shared.outgoing.take(self.shared.is_closing(), &mut self.taken);
            self.pack();
        }
        if self.queue.is_empty() {
            // Of what TLS has encrypted the last record may still wait for the socket.
            let flushed = Pin::new(&mut self.link.stream).poll_flush(cx)?;
            return Ok((false, flushed.is_pending()));
        }
        match self.queue.poll_write(cx, &mut self.link.stream) {
            Poll::Pending => {
                self.keepalive.handle_full();
                self.packing.drain.handle_full(self.shared.clock.now());
                Ok((false, true))
            }
            Poll::Ready(Err(error)) => Err(error.into()),
            Poll::Ready(Ok(written)) => {
                self.keepalive.handle_written(|| self.shared.clock.now());
                self.packing.drain.handle_written(written, self.queue.is_empty());
                self.pending.wrote(written);
                self.shared.outgoing.written(written);
                Ok((true, false))
            }
        }
    }

    /// Hands what was taken to the write queue, packed where that pays.
    fn pack(&mut self) {
        let (shared, packing, pending) = (self.shared, &mut self.packing, &mut self.pending);
        let now = shared.clock.now();
        if packing.is_idle(now, shared.insists_on_blocks()) {
            self.taken.drain(..).for_each(|segment| pending.push(segment, &mut self.queue));
            return;
        }
        let terms = |alias| shared.registry.lock().packing_terms(alias);
        for segment in self.taken.drain(..) {
            packing.pack(now, segment, self.queue.bytes() as u64, terms, &mut self.packed);
        }
        for packed in self.packed.drain(..) {
            let saved = packed.plain.as_ref().map_or(0, |plain| plain.len() - packed.wire.len());
            shared.count_saved(saved);
            pending.push_packed(packed, &mut self.queue);
        }
    }

    /// Acknowledgements overtake what waits in the outgoing buffer: the freshness of what is received hangs on them.
    fn put_ack(&mut self, any: bool) {
        if let Some(bytes) = self.acks.take_due(any) {
            let mut out = BytesMut::new();
            control::put(&mut out, Ack { bytes });
            self.shared.outgoing.add_waiting(out.len());
            self.pending.push(Segment::plain(out.freeze()), &mut self.queue);
        }
    }

    /// Ends the stream, and waits a little for the hub to end its own: a socket that is closed with something unread
    /// resets the connection, which may take with it what was written last.
    async fn linger(&mut self) {
        let stream = &mut self.link.stream;
        let drained = async {
            if stream.shutdown().await.is_ok() {
                let mut sink = [0; 4096];
                while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {}
            }
        };
        let _ = tokio::time::timeout(LINGER, drained).await;
    }
}

/// Bytes in the write queue under which more is taken. Not only when it is empty: a full socket buffer is met with all
/// that there is.
const REFILL: usize = 256 * 1024;

/// How long the end of the hub's stream is waited for.
const LINGER: Duration = Duration::from_secs(1);
