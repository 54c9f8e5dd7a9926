//! What waits to be written: one buffer that every publisher appends to, and one task that empties it.
//!
//! Batching is natural: the task writes what has gathered while it was writing before. It is woken only when it had
//! nothing to do. The buffer outlives connections; what of it belongs to one of them only is dropped with it.

mod buffer;
mod segment;

use std::task::Waker;

use bytes::{BufMut, Bytes, BytesMut};
use nyx_protocol::control::Body;
use nyx_protocol::wire::{Flags, Header, TIMESTAMP_LEN};
use parking_lot::Mutex;
use tokio::sync::Notify;

use buffer::Buffer;
pub(crate) use segment::Segment;

use crate::publish::Payload;

/// The outgoing buffer of a client.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    buffer: Mutex<Buffer>,
    room: Notify,
}

/// Why nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// Too much is waiting.
    Full,
    /// The client was closed.
    Closed,
}

/// A data message that waits for its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    pub(crate) header: Header,
    pub(crate) unix_micros: Option<u64>,
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
    /// Appends a message unless `bound` bytes are waiting.
    pub(crate) fn try_append<P: Payload>(
        &self,
        bound: usize,
        envelope: Envelope,
        payload: P,
    ) -> Result<(), (P, Blocked)> {
        let mut buffer = self.buffer.lock();
        if let Err(blocked) = buffer.admit(bound) {
            return Err((payload, blocked));
        }
        buffer.put_data(envelope, payload);
        let writer = buffer.unpark();
        // The writer begins by taking the lock.
        drop(buffer);
        wake(writer);
        Ok(())
    }

    /// Appends a message unless `bound` bytes are waiting, and waits while they are.
    pub(crate) async fn append<P: Payload>(
        &self,
        bound: usize,
        envelope: Envelope,
        payload: P,
    ) -> Result<(), P> {
        let mut payload = payload;
        // Nearly always there is room; being told of it is arranged for only when there is not.
        let mut room = None;
        loop {
            match self.try_append(bound, envelope, payload) {
                Ok(()) => return Ok(()),
                Err((payload, Blocked::Closed)) => return Err(payload),
                Err((returned, Blocked::Full)) => payload = returned,
            }
            if let Some(room) = room.replace(self.room.notified()) {
                room.await;
            }
        }
    }

    /// Waits until fewer than `bound` bytes wait; `false` when the client was closed.
    pub(crate) async fn has_room(&self, bound: usize) -> bool {
        loop {
            let room = self.room.notified();
            let admitted = self.buffer.lock().admit(bound);
            match admitted {
                Ok(()) => return true,
                Err(Blocked::Closed) => return false,
                Err(Blocked::Full) => room.await,
            }
        }
    }

    /// Appends whole messages, `count` of them, whatever is waiting.
    pub(crate) fn append_block(&self, block: BytesMut, count: u64) {
        let mut buffer = self.buffer.lock();
        buffer.put_block(block, count);
        wake(buffer.unpark());
    }

    /// Appends a message if the connection is still number `session`.
    pub(crate) fn append_in_session(&self, session: u64, envelope: Envelope, payload: Bytes) -> bool {
        let mut buffer = self.buffer.lock();
        let current = session != 0 && buffer.session == session;
        if current {
            buffer.put_data(envelope, payload);
            wake(buffer.unpark());
        }
        current
    }

    /// Appends a control message if there is a connection; without one, what it says is said when there is.
    pub(crate) fn put_control(&self, body: impl Into<Body>) {
        let mut buffer = self.buffer.lock();
        if buffer.session != 0 {
            buffer.put_control(body.into());
            wake(buffer.unpark());
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
        let waker = {
            let mut buffer = self.buffer.lock();
            buffer.closed = true;
            buffer.poked = true;
            buffer.parked.take()
        };
        wake(waker);
        self.room.notify_waiters();
    }

    /// The writer's: moves what has gathered to `to`.
    pub(crate) fn take(&self, to: &mut Vec<Segment>) {
        self.buffer.lock().take(to);
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

    /// The writer's: leaves a waker for when there is work, unless there is some already. With `busy` it has
    /// something to write still, and only a poke wakes it.
    pub(crate) fn park(&self, waker: &Waker, busy: bool) -> bool {
        self.buffer.lock().park(waker, busy)
    }

    /// The writer's: begins connection `session` with what must come first; what has waited follows.
    pub(crate) fn begin(&self, session: u64, first: Vec<Body>) {
        self.buffer.lock().begin(session, first);
    }

    /// The writer's: the connection is lost, and these were not (wholly) written. Keeps of all that waits the data for which
    /// `keep` says so by its header, and returns how many data messages were not written, and how many ever appended.
    pub(crate) fn end(&self, unwritten: Vec<Segment>, keep: impl Fn(&Header) -> bool) -> (u64, u64) {
        let counts = {
            let mut buffer = self.buffer.lock();
            (buffer.end(unwritten, keep), buffer.messages)
        };
        self.room.notify_waiters();
        counts
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
