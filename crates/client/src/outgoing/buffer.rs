//! The outgoing buffer, behind its lock.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use nyx_core::pool::read::{self, ReadPool};
use nyx_protocol::control::{self, Body};
use nyx_protocol::wire::{HEADER_LEN, Header, TIMESTAMP_LEN};

use super::{Blocked, Envelope, LARGE, LIVE, Segment};
use crate::publish::Payload;

#[derive(Debug)]
pub(super) struct Buffer {
    /// Sealed segments, older than the tail.
    sealed: VecDeque<Segment>,
    /// Whole messages that the next ones are appended to.
    tail: BytesMut,
    pool: ReadPool,
    /// Bytes here, and taken by the writer but not yet written.
    pub(super) waiting: usize,
    /// Data messages appended ever.
    pub(super) messages: u64,
    /// The number of the connection, 0 while there is none.
    pub(super) session: u64,
    pub(super) closed: bool,
    /// The writer is to look around.
    pub(super) poked: bool,
    /// The writer's waker while it sleeps.
    pub(super) parked: Option<Waker>,
    /// The writer sleeps because the socket is full, so that more to write is no reason to wake it.
    busy: bool,
    /// Someone waits for room until no more than this is waiting.
    starved: Option<usize>,
    /// Someone waits with a frame, sound or state: until they had room, bulk keeps to their bound too, or it would fill the
    /// buffer above it for ever.
    live_waits: bool,
}

impl Default for Buffer {
    fn default() -> Self {
        let mut config = read::Config::default();
        // The outgoing bound in buffers of the pool, so that a publisher at full speed reuses its memory.
        config.retain = super::BULK / config.buffer_bytes + 2;
        Self {
            sealed: VecDeque::new(),
            tail: BytesMut::new(),
            pool: ReadPool::new(config),
            waiting: 0,
            messages: 0,
            session: 0,
            closed: false,
            poked: false,
            parked: None,
            busy: false,
            starved: None,
            live_waits: false,
        }
    }
}

impl Buffer {
    /// Whether more may be appended while `bound` bytes may wait; if not, room will be told of.
    pub(super) fn admit(&mut self, bound: usize) -> Result<(), Blocked> {
        if self.closed {
            return Err(Blocked::Closed);
        }
        let bound = if self.live_waits { bound.min(LIVE) } else { bound };
        if self.waiting >= bound {
            self.live_waits |= bound == LIVE;
            self.starved = Some(self.starved.unwrap_or(0).max(bound / 2));
            return Err(Blocked::Full);
        }
        Ok(())
    }

    pub(super) fn put_data(&mut self, envelope: Envelope, payload: impl Payload) {
        let len = payload.as_ref().len();
        let before = self.tail_with(HEADER_LEN + TIMESTAMP_LEN + if len < LARGE { len } else { 0 });
        envelope.put_head(&mut self.tail, len);
        if len < LARGE {
            self.tail.extend_from_slice(payload.as_ref());
            self.waiting += self.tail.len() - before;
        } else {
            self.waiting += self.tail.len() - before + len;
            self.seal(payload.into_bytes());
        }
        self.messages += 1;
    }

    pub(super) fn put_block(&mut self, block: BytesMut, count: u64) {
        self.messages += count;
        self.waiting += block.len();
        if block.len() < LARGE {
            self.tail_with(block.len());
            self.tail.extend_from_slice(&block);
        } else {
            self.seal(Bytes::new());
            self.sealed.push_back(Segment::plain(block.freeze()));
        }
    }

    pub(super) fn put_control(&mut self, body: Body) {
        let before = self.tail_with(HEADER_LEN);
        // Control messages are rare and small; should the tail be short, it grows.
        control::put(&mut self.tail, body);
        self.waiting += self.tail.len() - before;
    }

    /// Makes room in the tail and returns its length.
    fn tail_with(&mut self, bytes: usize) -> usize {
        if self.tail.capacity() - self.tail.len() < bytes {
            self.seal(Bytes::new());
            let full = std::mem::replace(&mut self.tail, BytesMut::new());
            if full.capacity() > 0 {
                self.pool.put(full);
            }
            self.tail = self.pool.take();
        }
        self.tail.len()
    }

    fn seal(&mut self, body: Bytes) {
        if !self.tail.is_empty() {
            self.sealed.push_back(Segment { head: self.tail.split().freeze(), body });
        }
    }

    /// The writer's waker, if what was appended is a reason to wake it.
    pub(super) fn unpark(&mut self) -> Option<Waker> {
        if self.busy { None } else { self.parked.take() }
    }

    pub(super) fn park(&mut self, waker: &Waker, busy: bool) -> bool {
        let is_empty = self.sealed.is_empty() && self.tail.is_empty();
        if std::mem::take(&mut self.poked) || !(busy || is_empty) {
            return false;
        }
        if !self.parked.as_ref().is_some_and(|parked| parked.will_wake(waker)) {
            self.parked = Some(waker.clone());
        }
        self.busy = busy;
        true
    }

    pub(super) fn take(&mut self, to: &mut Vec<Segment>) {
        self.seal(Bytes::new());
        to.extend(self.sealed.drain(..));
    }

    /// Whether there is room now for someone who waits for it.
    pub(super) fn written(&mut self, bytes: usize) -> bool {
        self.waiting = self.waiting.saturating_sub(bytes);
        // Below half their bound everyone who waited is woken, and has room.
        self.live_waits &= self.waiting > LIVE / 2;
        let enough = self.starved.is_some_and(|starved| self.waiting <= starved);
        if enough {
            self.starved = None;
        }
        enough
    }

    pub(super) fn begin(&mut self, session: u64, first: Vec<Body>) {
        self.seal(Bytes::new());
        let mut prelude = BytesMut::new();
        first.into_iter().for_each(|body| control::put(&mut prelude, body));
        if !prelude.is_empty() {
            self.waiting += prelude.len();
            self.sealed.push_front(Segment::plain(prelude.freeze()));
        }
        self.session = session;
    }

    pub(super) fn end(&mut self, unwritten: Vec<Segment>, keep: impl Fn(&Header) -> bool) -> u64 {
        self.seal(Bytes::new());
        let all: Vec<_> = unwritten.into_iter().chain(self.sealed.drain(..)).collect();
        let count = all.iter().flat_map(Segment::headers).filter(|header| header.kind.is_some()).count();
        self.sealed = all
            .into_iter()
            .filter_map(|segment| segment.filter(|header| header.kind.is_some() && keep(header)))
            .collect();
        self.waiting = self.sealed.iter().map(Segment::len).sum();
        self.starved = None;
        self.live_waits = false;
        self.session = 0;
        count as u64
    }
}

#[cfg(test)]
mod tests {
    use nyx_protocol::control::Ping;
    use nyx_protocol::wire::Kind;

    use super::*;

    fn event(alias: u32) -> Envelope {
        Envelope { header: Header { topic: alias, ..Header::data(Kind::Event) }, unix_micros: None }
    }

    fn taken(buffer: &mut Buffer) -> Vec<Segment> {
        let mut out = Vec::new();
        buffer.take(&mut out);
        out
    }

    #[test]
    fn small_messages_gather_and_large_ones_stand_apart() {
        let mut buffer = Buffer::default();
        buffer.put_data(event(1), &b"small"[..]);
        buffer.put_data(event(1), vec![7; LARGE]);
        buffer.put_data(event(1), &b"after"[..]);
        let segments = taken(&mut buffer);
        let sizes: Vec<_> = segments.iter().map(|segment| (segment.head.len(), segment.body.len())).collect();
        assert_eq!(sizes, [(21 + 16, LARGE), (21, 0)]);
        assert_eq!(buffer.waiting, 21 + 16 + LARGE + 21);
    }

    #[test]
    fn who_waits_for_room_is_told_when_half_is_written() {
        let mut buffer = Buffer::default();
        buffer.put_data(event(1), &[0; 84][..]);
        assert_eq!(buffer.admit(100), Err(Blocked::Full));
        assert!(!buffer.written(20));
        assert!(buffer.written(30));
        assert_eq!(buffer.admit(100), Ok(()));
    }

    #[test]
    fn bulk_leaves_room_for_who_waits_with_something_live() {
        let mut buffer = Buffer::default();
        buffer.put_data(event(1), vec![0; 2 * LIVE]);
        assert_eq!(buffer.admit(super::super::BULK), Ok(()));
        assert_eq!(buffer.admit(LIVE), Err(Blocked::Full));
        assert_eq!(buffer.admit(super::super::BULK), Err(Blocked::Full));
        assert!(buffer.written(2 * LIVE));
        assert_eq!((buffer.admit(LIVE), buffer.admit(super::super::BULK)), (Ok(()), Ok(())));
    }

    #[test]
    fn a_lost_connection_leaves_whole_data_messages() {
        let mut buffer = Buffer::default();
        buffer.begin(1, vec![]);
        buffer.put_data(event(1), &b"one"[..]);
        buffer.put_control(Ping { nonce: 1 }.into());
        buffer.put_data(event(2), &b"two"[..]);
        let in_flight = taken(&mut buffer);
        buffer.put_data(event(1), &b"three"[..]);
        assert_eq!(buffer.end(in_flight, |header| header.topic == 1), 3);
        let kept: Vec<_> = taken(&mut buffer).iter().flat_map(Segment::headers).map(|h| h.length).collect();
        assert_eq!((kept, buffer.waiting, buffer.session), (vec![3, 5], 19 + 21, 0));
    }

    #[test]
    fn a_writer_sleeps_only_when_there_is_nothing_to_do() {
        let mut buffer = Buffer::default();
        let waker = Waker::noop();
        buffer.put_data(event(1), &b"one"[..]);
        assert!(!buffer.park(waker, false));
        assert!(buffer.park(waker, true));
        assert!(buffer.unpark().is_none());
        buffer.poked = true;
        assert!(!buffer.park(waker, true));
        taken(&mut buffer);
        assert!(buffer.park(waker, false));
        assert!(buffer.unpark().is_some());
    }
}
