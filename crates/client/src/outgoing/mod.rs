//! What waits to be written: one buffer that every publisher appends to, and one task that empties it.
//!
//! Batching is natural, unless the client was told to linger: the task writes what has gathered while it was writing before. It is
//! woken only when it had nothing to do. What has gathered goes out by lanes, the high one first. The buffer outlives connections;
//! what of it belongs to one of them only is dropped with it.

mod buffer;
mod gathered;
mod ledger;
mod segment;

use std::task::Waker;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use nyx_core::clock::Monotonic;
use nyx_core::{Clock as _, Instant, Lane};
use nyx_protocol::batch::Policy;
use nyx_protocol::control::{Body, Reply, Request};
use nyx_protocol::wire::{Flags, Header, TIMESTAMP_LEN};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use buffer::Buffer;
use ledger::Ledger;
pub(crate) use ledger::{Entry, Excess, Fate};
pub(crate) use segment::Segment;

use crate::publish::Payload;

/// The outgoing buffer of a client.
#[derive(Debug)]
pub(crate) struct Outgoing {
    buffer: Mutex<Buffer>,
    room: Notify,
    clock: Monotonic,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self::new(Policy::default())
    }
}

/// Why nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// Too much is waiting.
    Full,
    /// The client was closed.
    Closed,
}

/// Whether anything can be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Connected,
    /// There may be a connection again.
    Disconnected,
    /// The client was closed.
    Closed,
}

/// A data message that waits for its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    pub(crate) header: Header,
    pub(crate) unix_micros: Option<u64>,
    /// Its place within a batch.
    pub(crate) lane: Lane,
}

impl Envelope {
    /// Bytes of the message around a payload of `len` bytes: the caller has checked it against the message limit.
    pub(crate) fn put_head(&self, out: &mut impl BufMut, len: usize) {
        let stamp = self.unix_micros.map_or(0, |_| TIMESTAMP_LEN);
        let flags = if stamp > 0 { self.header.flags.with(Flags::TIMESTAMP) } else { self.header.flags };
        let length = u32::try_from(len + stamp).unwrap_or(u32::MAX);
        out.put_slice(&Header { length, flags, ..self.header }.to_bytes());
        if let Some(micros) = self.unix_micros {
            out.put_u64(micros);
        }
    }
}

/// Events and other bulk wait when this much does: enough for large writes, little enough to be written in milliseconds.
pub(crate) const BULK: usize = 1024 * 1024;

/// Frames, sound and state wait for less, so that a slow uplink slows their source and does not age what it sends.
pub(crate) const LIVE: usize = 64 * 1024;

/// Payloads from this size on are passed on as they are; below, a copy is cheaper than a slice of their own.
pub(crate) const LARGE: usize = 16 * 1024;

impl Outgoing {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { buffer: Mutex::new(Buffer::new(policy)), room: Notify::new(), clock: Monotonic::new() }
    }

    /// The time, if it matters.
    fn now(&self, buffer: &Buffer) -> Instant {
        if buffer.lingers() { self.clock.now() } else { Instant::ZERO }
    }

    /// Appends a message unless `bound` bytes are waiting; with an entry, its result is awaited.
    #[inline]
    pub(crate) fn try_append<P: Payload>(
        &self,
        bound: usize,
        envelope: &Envelope,
        payload: P,
        entry: Option<Entry>,
    ) -> Result<(), (P, Blocked)> {
        let mut buffer = self.buffer.lock();
        if let Err(blocked) = buffer.admit(bound, entry.is_some() && bound < usize::MAX) {
            return Err((payload, blocked));
        }
        if let Some(entry) = entry {
            buffer.ledger.push(envelope.header.topic, entry);
        }
        let now = self.now(&buffer);
        buffer.put_data(now, envelope, payload);
        unpark(buffer);
        Ok(())
    }

    /// Appends a message unless `bound` bytes are waiting, and waits while they are.
    pub(crate) async fn append<P: Payload>(
        &self,
        bound: usize,
        envelope: &Envelope,
        payload: P,
    ) -> Result<(), P> {
        self.append_if(bound, envelope, payload, || None).await
    }

    /// The same with the entry that `entry` makes: the message's result is awaited.
    pub(crate) async fn append_tracked<P: Payload>(
        &self,
        bound: usize,
        envelope: &Envelope,
        payload: P,
        entry: impl Fn() -> Entry,
    ) -> Result<(), P> {
        self.append_if(bound, envelope, payload, || Some(entry())).await
    }

    async fn append_if<P: Payload>(
        &self,
        bound: usize,
        envelope: &Envelope,
        payload: P,
        entry: impl Fn() -> Option<Entry>,
    ) -> Result<(), P> {
        let mut payload = payload;
        // Nearly always there is room; being told of it is arranged for only when there is not.
        let mut room = None;
        loop {
            match self.try_append(bound, envelope, payload, entry()) {
                Ok(()) => return Ok(()),
                Err((payload, Blocked::Closed)) => return Err(payload),
                Err((returned, Blocked::Full)) => payload = returned,
            }
            if let Some(room) = room.replace(self.room.notified()) {
                room.await;
            }
        }
    }

    /// Waits until fewer than `bound` bytes wait, and for what is `tracked` until not too many results are awaited; `false` when the
    /// client was closed.
    pub(crate) async fn has_room(&self, bound: usize, tracked: bool) -> bool {
        loop {
            let room = self.room.notified();
            let admitted = self.buffer.lock().admit(bound, tracked);
            match admitted {
                Ok(()) => return true,
                Err(Blocked::Closed) => return false,
                Err(Blocked::Full) => room.await,
            }
        }
    }

    /// Appends whole messages, `count` of them, whatever is waiting; with an entry, their results are awaited.
    pub(crate) fn append_block(
        &self,
        envelope: &Envelope,
        block: BytesMut,
        count: u64,
        entry: Option<Entry>,
    ) {
        let mut buffer = self.buffer.lock();
        if buffer.closed {
            drop(buffer);
            let settled =
                entry.and_then(|entry| entry.promise.settle(entry.first, entry.count, Fate::Closed));
            return wake(settled);
        }
        if let Some(entry) = entry {
            buffer.ledger.push(envelope.header.topic, entry);
        }
        let now = self.now(&buffer);
        buffer.put_block(now, envelope, block, count);
        unpark(buffer);
    }

    /// The hub says what became of the next messages of `alias`.
    pub(crate) fn resolve(
        &self,
        alias: u32,
        outcomes: impl IntoIterator<Item = (u64, Fate)>,
    ) -> Result<(), Excess> {
        let mut outcomes = outcomes.into_iter();
        self.settle(|ledger, wakers| {
            outcomes.try_for_each(|(count, fate)| ledger.resolve(alias, count, fate, wakers))
        })
    }

    /// What waits of `alias` will never be sent.
    pub(crate) fn give_up(&self, alias: u32, fate: &Fate) {
        self.settle(|ledger, wakers| ledger.give_up(alias, fate, wakers));
    }

    /// Wakes those whose records have met their fate, and those who waited for that to publish more.
    fn settle<R>(&self, settle: impl FnOnce(&mut Ledger, &mut Vec<Waker>) -> R) -> R {
        let mut wakers = Vec::new();
        let (settled, has_room) = {
            let mut buffer = self.buffer.lock();
            let settled = settle(&mut buffer.ledger, &mut wakers);
            (settled, buffer.answered())
        };
        wakers.into_iter().for_each(Waker::wake);
        if has_room {
            self.room.notify_waiters();
        }
        settled
    }

    /// Appends a message if the connection is still number `session`.
    pub(crate) fn append_in_session(&self, session: u64, envelope: &Envelope, payload: Bytes) -> bool {
        let mut buffer = self.buffer.lock();
        let current = session != 0 && buffer.session == session;
        if current {
            let now = self.now(&buffer);
            buffer.put_data(now, envelope, payload);
            unpark(buffer);
        }
        current
    }

    /// Appends a control message if there is a connection; without one, what it says is said when there is.
    pub(crate) fn put_control(&self, body: impl Into<Body>) {
        let mut buffer = self.buffer.lock();
        if buffer.session != 0 {
            buffer.put_control(body.into());
            unpark(buffer);
        }
    }

    /// The same, but a batch that lingers may go on lingering.
    pub(crate) fn put_patiently(&self, body: impl Into<Body>) {
        let mut buffer = self.buffer.lock();
        if buffer.session != 0 {
            buffer.put_patiently(body.into());
            unpark(buffer);
        }
    }

    /// Appends requests, if there is a connection. Whoever asks bounds how many there are.
    pub(crate) fn put_requests(&self, requests: impl IntoIterator<Item = (Lane, Request)>) -> bool {
        let mut buffer = self.buffer.lock();
        let connected = buffer.session != 0;
        if connected {
            requests.into_iter().for_each(|(lane, request)| buffer.put_unordered(lane, request.into()));
            unpark(buffer);
        }
        connected
    }

    /// Whether there is a connection.
    pub(crate) fn reach(&self) -> Reach {
        let buffer = self.buffer.lock();
        match buffer.session {
            _ if buffer.closed => Reach::Closed,
            0 => Reach::Disconnected,
            _ => Reach::Connected,
        }
    }

    /// Appends answers, if the connection is still that on which the requests came.
    pub(crate) fn put_replies(&self, session: u64, replies: Vec<Reply>) {
        if replies.is_empty() {
            return;
        }
        let mut buffer = self.buffer.lock();
        if session != 0 && buffer.session == session {
            replies.into_iter().for_each(|reply| buffer.put_unordered(Lane::High, reply.into()));
            unpark(buffer);
        }
    }

    /// The number of the connection, 0 while there is none.
    pub(crate) fn session(&self) -> u64 {
        self.buffer.lock().session
    }

    /// Data messages appended ever.
    pub(crate) fn messages(&self) -> u64 {
        self.buffer.lock().messages
    }

    /// Bytes that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.buffer.lock().waiting
    }

    /// Makes the writer look around, for something that is not in the buffer.
    pub(crate) fn poke(&self) {
        let mut buffer = self.buffer.lock();
        buffer.poked = true;
        wake(buffer.parked.take());
    }

    /// Refuses everything from now on.
    pub(crate) fn close(&self) {
        let mut wakers = Vec::new();
        {
            let mut buffer = self.buffer.lock();
            buffer.closed = true;
            buffer.poked = true;
            buffer.ledger.close(&mut wakers);
            wakers.extend(buffer.parked.take());
        }
        wakers.into_iter().for_each(Waker::wake);
        self.room.notify_waiters();
    }

    /// The writer's: moves what is to be written to `to`; with `all`, also what might linger.
    pub(crate) fn take(&self, all: bool, to: &mut Vec<Segment>) {
        let mut buffer = self.buffer.lock();
        if all {
            buffer.hurry();
        }
        let now = self.now(&buffer);
        buffer.take(now, to);
    }

    /// The writer's: `bytes` of its own wait too.
    pub(crate) fn add_waiting(&self, bytes: usize) {
        self.buffer.lock().waiting += bytes;
    }

    /// The writer's: `bytes` of what it took are written.
    pub(crate) fn written(&self, bytes: usize) {
        if self.buffer.lock().written(bytes) {
            self.room.notify_waiters();
        }
    }

    /// The writer's: leaves a waker for when there is work, unless there is some already: then it is `None`. With `busy` it has
    /// something to write still, and only a poke wakes it. Otherwise, how long it may sleep if it is not woken before.
    pub(crate) fn park(&self, waker: &Waker, busy: bool) -> Option<Option<Duration>> {
        let mut buffer = self.buffer.lock();
        let now = self.now(&buffer);
        buffer.park(now, waker, busy).map(|alarm| alarm.map(|at| at.since(now)))
    }

    /// The writer's: begins connection `session` with what must come first; what has waited follows, but for messages with over `limit` bytes.
    /// Returns the aliases and lengths of these.
    pub(crate) fn begin(&self, session: u64, first: Vec<Body>, limit: usize) -> Vec<(u32, usize)> {
        let mut wakers = Vec::new();
        let longer = {
            let mut buffer = self.buffer.lock();
            let waits = buffer.waiting > 0;
            let longer = if waits { buffer.leave_out_longer(limit, &mut wakers) } else { Vec::new() };
            buffer.begin(session, first);
            longer
        };
        wakers.into_iter().for_each(Waker::wake);
        if !longer.is_empty() {
            self.room.notify_waiters();
        }
        longer
    }

    /// The writer's: the connection is lost, and these were not (wholly) written. Keeps of all that waits the data for which
    /// `keep` says so by its header, and returns how many data messages were not written, and how many ever appended.
    pub(crate) fn end(&self, unwritten: Vec<Segment>, keep: impl Fn(&Header) -> bool) -> (u64, u64) {
        let mut wakers = Vec::new();
        let counts = {
            let mut buffer = self.buffer.lock();
            (buffer.end(unwritten, keep, &mut wakers), buffer.messages)
        };
        wakers.into_iter().for_each(Waker::wake);
        self.room.notify_waiters();
        counts
    }
}

/// Wakes the writer, if there is a reason. It begins by taking the lock.
fn unpark(mut buffer: MutexGuard<'_, Buffer>) {
    let writer = buffer.unpark();
    drop(buffer);
    wake(writer);
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
