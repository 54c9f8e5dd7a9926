//! The outgoing buffer, behind its lock.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;

use bytes::BytesMut;
use nyx_core::pool::read::{self, ReadPool};
use nyx_core::{Instant, Lane};
use nyx_protocol::batch::{Batcher, Due, Policy};
use nyx_protocol::control::{self, Body};
use nyx_protocol::wire::{HEADER_LEN, Header, Kind, TIMESTAMP_LEN};

use super::gathered::Gathered;
use super::ledger::{Fate, Ledger};
use super::{Blocked, Envelope, LARGE, LIVE, Segment};
use crate::publish::Payload;

#[derive(Debug)]
pub(super) struct Buffer {
    /// Sealed segments, older than the batch.
    sealed: VecDeque<Segment>,
    /// What gathers, by lane. A control message stands behind all that was appended before it, and in front of what comes after.
    batch: Batcher<Gathered>,
    pool: ReadPool,
    /// Bytes here, and taken by the writer but not yet written.
    pub(super) waiting: usize,
    /// Data messages appended ever.
    pub(super) messages: u64,
    /// Of these, the ones whose results are awaited.
    pub(super) ledger: Ledger,
    /// The number of the connection, 0 while there is none.
    pub(super) session: u64,
    pub(super) closed: bool,
    /// The writer is to look around.
    pub(super) poked: bool,
    /// The writer's waker while it sleeps.
    pub(super) parked: Option<Waker>,
    /// Until when it sleeps, if a batch lingers.
    alarm: Option<Instant>,
    /// The writer sleeps because the socket is full, so that more to write is no reason to wake it.
    busy: bool,
    /// Someone waits for room until no more than this is waiting.
    starved: Option<usize>,
    /// Someone waits for results to come.
    unanswered: bool,
    /// Someone waits with a frame, sound or state: until they had room, bulk keeps to their bound too, or it would fill the
    /// buffer above it for ever.
    live_waits: bool,
}

impl Buffer {
    pub(super) fn new(policy: Policy) -> Self {
        let mut config = read::Config::default();
        // The outgoing bound in buffers of the pool, so that a publisher at full speed reuses its memory.
        config.retain = super::BULK / config.buffer_bytes + 2;
        Self {
            sealed: VecDeque::new(),
            batch: Batcher::new(policy),
            pool: ReadPool::new(config),
            waiting: 0,
            messages: 0,
            ledger: Ledger::default(),
            session: 0,
            closed: false,
            poked: false,
            parked: None,
            alarm: None,
            busy: false,
            starved: None,
            unanswered: false,
            live_waits: false,
        }
    }

    /// Whether a batch may wait for more, so that it matters what time it is.
    pub(super) const fn lingers(&self) -> bool {
        self.batch.policy().lingers()
    }

    /// Whether more may be appended while `bound` bytes may wait, and, if it is `tracked`, while results are awaited; if not, room
    /// will be told of.
    pub(super) fn admit(&mut self, bound: usize, tracked: bool) -> Result<(), Blocked> {
        if self.closed {
            return Err(Blocked::Closed);
        }
        if tracked && self.ledger.unresolved() >= UNRESOLVED_MAX {
            self.unanswered = true;
            return Err(Blocked::Full);
        }
        let bound = if self.live_waits { bound.min(LIVE) } else { bound };
        if self.waiting >= bound {
            self.live_waits |= bound == LIVE;
            self.starved = Some(self.starved.unwrap_or(0).max(bound / 2));
            return Err(Blocked::Full);
        }
        Ok(())
    }

    pub(super) fn put_data(&mut self, now: Instant, envelope: &Envelope, payload: impl Payload) {
        let len = payload.as_ref().len();
        let gathered = self.batch.lane_mut(envelope.lane);
        let before = gathered
            .tail_with(&mut self.pool, HEADER_LEN + TIMESTAMP_LEN + if len < LARGE { len } else { 0 });
        envelope.put_head(&mut gathered.tail, len);
        let mut bytes = gathered.tail.len() - before;
        if len < LARGE {
            gathered.tail.extend_from_slice(payload.as_ref());
            bytes += len;
        } else {
            bytes += len;
            gathered.seal(payload.into_bytes());
        }
        self.count(now, envelope, 1, bytes);
    }

    pub(super) fn put_block(&mut self, now: Instant, envelope: &Envelope, block: BytesMut, count: u64) {
        let (gathered, bytes) = (self.batch.lane_mut(envelope.lane), block.len());
        if bytes < LARGE {
            gathered.tail_with(&mut self.pool, bytes);
            gathered.tail.extend_from_slice(&block);
        } else {
            gathered.push(block);
        }
        self.count(now, envelope, count, bytes);
    }

    fn count(&mut self, now: Instant, envelope: &Envelope, count: u64, bytes: usize) {
        self.messages += count;
        self.waiting += bytes;
        self.batch.add(now, count, bytes);
        // Only events linger: everything else ages.
        if envelope.header.kind != Some(Kind::Event) {
            self.batch.hurry();
        }
    }

    /// Appends a control message behind everything that was appended before.
    pub(super) fn put_control(&mut self, body: Body) {
        // What is in the high lane stays in front of it anyway.
        let others = [Lane::Medium, Lane::Low];
        if others.into_iter().any(|lane| !self.batch.lane_mut(lane).is_empty()) {
            self.seal();
        }
        self.put_in_lane(Lane::High, 1, body);
        self.batch.hurry();
    }

    /// Appends a control message that waits with the batch, behind everything that is in it now.
    pub(super) fn put_patiently(&mut self, body: Body) {
        if self.batch.count() == 0 {
            return self.put_control(body);
        }
        self.put_in_lane(Lane::Low, 0, body);
    }

    /// Appends a control message that needs no place among the others. Nobody lets it linger.
    pub(super) fn put_unordered(&mut self, lane: Lane, body: Body) {
        self.put_in_lane(lane, 1, body);
        self.batch.hurry();
    }

    fn put_in_lane(&mut self, lane: Lane, count: u64, body: Body) {
        let gathered = self.batch.lane_mut(lane);
        let before = gathered.tail_with(&mut self.pool, HEADER_LEN);
        // Control messages are small; should the tail be short, it grows.
        control::put(&mut gathered.tail, body);
        let bytes = gathered.tail.len() - before;
        self.waiting += bytes;
        self.batch.add(Instant::ZERO, count, bytes);
    }

    /// What is in the batch waits no longer.
    pub(super) fn hurry(&mut self) {
        self.batch.hurry();
    }

    /// The batch ends.
    fn seal(&mut self) {
        self.sealed.extend(self.batch.drain().flat_map(|(_, gathered)| gathered.take()));
    }

    /// The writer's waker, if what was appended is a reason to wake it.
    pub(super) fn unpark(&mut self) -> Option<Waker> {
        // It has set its alarm for a batch that lingers.
        let is_awaited = matches!(self.batch.due(), Due::At(at) if self.alarm == Some(at));
        if self.busy || is_awaited { None } else { self.parked.take() }
    }

    /// Leaves the writer's waker, unless there is work. Returns until when it may sleep, if not until it is woken.
    pub(super) fn park(&mut self, now: Instant, waker: &Waker, busy: bool) -> Option<Option<Instant>> {
        let due = self.batch.due();
        let has_work = !self.sealed.is_empty() || due.is_due(now);
        if std::mem::take(&mut self.poked) || (has_work && !busy) {
            return None;
        }
        if !self.parked.as_ref().is_some_and(|parked| parked.will_wake(waker)) {
            self.parked = Some(waker.clone());
        }
        self.busy = busy;
        self.alarm = match due {
            Due::At(at) if !busy => Some(at),
            _ => None,
        };
        Some(self.alarm)
    }

    /// Moves what is to be written by now to `to`.
    pub(super) fn take(&mut self, now: Instant, to: &mut Vec<Segment>) {
        if self.batch.due().is_due(now) {
            self.seal();
        }
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

    /// Whether so many results have come that someone who waits for them may go on.
    pub(super) fn answered(&mut self) -> bool {
        let enough = self.unanswered && self.ledger.unresolved() <= UNRESOLVED_MAX / 2;
        self.unanswered &= !enough;
        enough
    }

    /// Leaves out the data messages whose payload is longer than `limit`: the hub that comes next would end the connection at each of them.
    /// Whoever waits for their result has it. Returns aliases and lengths.
    pub(super) fn leave_out_longer(&mut self, limit: usize, wakers: &mut Vec<Waker>) -> Vec<(u32, usize)> {
        let is_longer = |header: &Header| header.kind.is_some() && header.length as usize > limit;
        self.seal();
        let (mut longer, mut places) = (Vec::new(), HashMap::<u32, u64>::new());
        for header in self.sealed.iter().flat_map(Segment::headers).filter(|header| header.kind.is_some()) {
            let place = places.entry(header.topic).or_default();
            if is_longer(&header) {
                let length = header.length as usize;
                longer.push((header.topic, length));
                // Without a connection all that is without a result waits here.
                self.ledger.strike(header.topic, *place, &Fate::TooLarge { length, limit }, wakers);
            } else {
                *place += 1;
            }
        }
        if !longer.is_empty() {
            let sealed = std::mem::take(&mut self.sealed);
            self.sealed = sealed
                .into_iter()
                .filter_map(|segment| segment.filter(|header| !is_longer(header)))
                .collect();
            self.waiting = self.sealed.iter().map(Segment::len).sum();
        }
        longer
    }

    pub(super) fn begin(&mut self, session: u64, first: Vec<Body>) {
        let mut prelude = BytesMut::new();
        first.into_iter().for_each(|body| control::put(&mut prelude, body));
        if !prelude.is_empty() {
            self.waiting += prelude.len();
            self.sealed.push_front(Segment::plain(prelude.freeze()));
        }
        self.session = session;
    }

    /// The connection is lost: keeps the data that `keep` wants. Returns how many data messages were not written.
    pub(super) fn end(
        &mut self,
        unwritten: Vec<Segment>,
        keep: impl Fn(&Header) -> bool,
        wakers: &mut Vec<Waker>,
    ) -> u64 {
        self.seal();
        let all: Vec<_> = unwritten.into_iter().chain(self.sealed.drain(..)).collect();
        let (mut count, mut tracked) = (0, HashMap::new());
        for header in all.iter().flat_map(Segment::headers).filter(|header| header.kind.is_some()) {
            count += 1;
            if self.ledger.has(header.topic) {
                *tracked.entry(header.topic).or_default() += 1;
            }
        }
        self.ledger.disconnect(&tracked, wakers);
        self.sealed = all
            .into_iter()
            .filter_map(|segment| segment.filter(|header| header.kind.is_some() && keep(header)))
            .collect();
        self.waiting = self.sealed.iter().map(Segment::len).sum();
        self.starved = None;
        self.unanswered = false;
        self.live_waits = false;
        self.session = 0;
        count
    }
}

/// Records that may be without a result: at a million a second, more than a round trip of 50 ms needs.
const UNRESOLVED_MAX: u64 = 65_536;

#[cfg(test)]
mod tests;
