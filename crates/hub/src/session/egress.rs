//! Bytes out: what to send is decided here, when the socket can take it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nyx_core::Instant;
use nyx_protocol::control;
use nyx_protocol::trail::Trail;
use nyx_protocol::wire::Kind;
use nyx_stream::flight::Mode;
use nyx_stream::policy::{Pull, Terms};
use nyx_stream::{Drops, Reason};

use super::departures::{Departures, is_sent_whole};
use super::{Phase, Session, UnderWay};
use crate::shared::add;
use crate::start::Start;
use crate::topic::Topic;

/// Data handed out in one turn: enough for one vectored write to be worth its system call.
const TURN_BYTES: usize = 256 * 1024;

/// The same where things age and nothing tells when they arrived: what is handed out waits in the kernel, and what is
/// urgent waits behind it. About what the kernel is let hold back.
const FRESH_TURN_BYTES: usize = 32 * 1024;

/// How often the path is measured again while things that age flow: often enough for a route that changes.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// Items under way whose age is measured on arrival. When there are more, the oldest are not.
const UNDER_WAY_MAX: usize = 256;

impl Session {
    /// Appends to `out` what should be sent now. Call it when all that it returned before is written; when it appends nothing,
    /// there is nothing to send until the waker is woken or input comes.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<Bytes>) {
        // What it says to the peer goes out below.
        let _ = self.check_standing(now);
        self.collect_mail(now);
        self.tell_whether_to_compress();
        let mut data = Vec::new();
        let mut taken = 0;
        let turn = match self.flight.mode() {
            Mode::Unacknowledged if self.slots.has_fresh() => FRESH_TURN_BYTES,
            _ => TURN_BYTES,
        };
        while taken < turn
            && let Some(allowance) = self.flight.allowance()
            && let Some(number) = self.slots.pop()
        {
            taken += self.pull(now, number, allowance.min(TURN_BYTES), &mut data);
        }
        self.results.write(&mut self.outbox);
        if self.hub.is_draining()
            && self.phase != Phase::Ended
            && self.slots.is_idle()
            && data.is_empty()
            && self.departures.as_ref().is_none_or(Departures::is_empty)
        {
            control::put(
                &mut self.outbox,
                control::Goodbye { reason: "the hub is shutting down".to_owned() },
            );
            self.end();
        }
        self.publish_counters();
        if !(self.outbox.is_empty() && data.is_empty()) {
            self.told = now;
        }
        // Announcements stand in front of the data that they are about.
        if !self.outbox.is_empty() {
            out.push(self.outbox.split().freeze());
        }
        out.append(&mut data);
    }

    fn collect_mail(&mut self, now: Instant) {
        let mut mail = std::mem::take(&mut self.mail);
        let was_full = self.shared.collect(&mut mail);
        for topic in mail.created.drain(..) {
            self.join(topic, Start::Beginning);
        }
        self.pass_on(&mut mail.letters);
        if was_full {
            self.resume_services(now);
        }
        for number in mail.ready.drain(..) {
            self.slots.enqueue(number);
        }
        self.mail = mail;
    }

    /// Tells a client that takes blocks, and so may send some, that the kill switch was turned.
    fn tell_whether_to_compress(&mut self) {
        let allowed = self.hub.is_compression_allowed();
        if let Some(taking) = self.taking.as_mut().filter(|taking| taking.told_allowed != allowed) {
            taking.told_allowed = allowed;
            control::put(&mut self.outbox, control::Compression { allowed });
        }
    }

    /// Takes what slot `number` should be sent. Returns its bytes.
    fn pull(&mut self, now: Instant, number: u32, allowance: usize, data: &mut Vec<Bytes>) -> usize {
        let Some(slot) = self.slots.get_mut(number) else { return 0 };
        if self.departures.is_some() && slot.topic.spec.kind == Kind::State {
            return self.pull_update(now, number);
        }
        let mut pull = std::mem::take(&mut self.pull);
        pull.clear();
        let rest = slot.rest.take();
        let bytes_per_second = self.flight.bytes_per_second();
        let terms = Terms { now, max_age: slot.max_age, budget: allowance, bytes_per_second };
        let (topic, prompt) = (slot.topic.clone(), slot.prompt);
        let taking = self.taking.as_mut().filter(|_| !std::mem::take(&mut slot.plainly));
        let mut taker = taking.as_ref().map(|taking| taking.taker(slot, &self.flight));
        let mut passed = slot.passed.as_ref().map(|_| Trail::default());
        let more = topic.pull(slot.key, rest, &terms, taker.as_mut(), passed.as_mut(), &mut pull);
        let is_news = pull.items > 0 && passed != slot.passed;
        let passed = passed.filter(|_| is_news).inspect(|passed| slot.passed = Some(passed.clone()));
        if let Some((taking, taker)) = taking.zip(taker) {
            if topic.spec.kind != Kind::State {
                taking.encode(now, slot, &taker.link, &mut pull, self.flight.acked());
            }
            data.extend(taking.settle(slot, taker).map(BytesMut::freeze));
        }
        let bytes = pull.bytes;
        let leaves_whole = self.departures.is_some() && is_sent_whole(topic.spec.kind);
        data.extend(self.report_gap(&topic, &pull));
        data.extend(passed.map(|passed| tell_passed(&topic, &passed)));
        if bytes > 0 {
            self.probe_path(now);
            let ahead = self.flight.in_flight();
            self.flight.handle_sent(now, bytes, prompt);
            if !leaves_whole {
                self.note_age(now, &topic, &pull, prompt, ahead);
                add(&self.shared.counters.delivered, pull.items);
            }
            let sent = self.flight.sent();
            if let Some(prefixes) = self.slots.get_mut(number).and_then(|slot| slot.prefixes.as_mut()) {
                prefixes.handle_sent(sent);
            }
            add(&self.shared.counters.bytes, bytes as u64);
        }
        if leaves_whole {
            self.post(number, &topic, &pull);
        } else {
            data.append(&mut pull.chunks);
        }
        self.pull = pull;
        self.slots.charge(number, bytes);
        if more {
            self.slots.enqueue(number);
        }
        bytes
    }

    /// Counts what was passed over, and returns the message that tells of it, which goes right in front of what was taken: the same turn may
    /// have taken items before it.
    pub(super) fn report_gap(&self, topic: &Topic, pull: &Pull) -> Option<Bytes> {
        if pull.drops.is_empty() {
            return None;
        }
        self.shared.counters.add_drops(topic.lane, &pull.drops);
        // Versions that a delta spans are no loss.
        let first_sequence = pull.first_dropped? as u32;
        let mut message = BytesMut::new();
        let drops = wire_drops(&pull.drops);
        control::put(&mut message, control::Gap { topic_id: topic.id, first_sequence, drops });
        Some(message.freeze())
    }

    /// Measures the path from time to time, when nothing is on it: a large item would measure itself.
    pub(super) fn probe_path(&mut self, now: Instant) {
        let due = self.probe.last.is_none_or(|last| now.since(last) >= PROBE_EVERY);
        if due
            && self.flight.mode() == Mode::Fresh
            && self.flight.in_flight() == 0
            && self.probe.sent.is_none()
        {
            self.ping(now);
        }
    }

    /// Ages are measured on arrival where that is told item by item, and on departure elsewhere.
    fn note_age(
        &mut self,
        now: Instant,
        topic: &std::sync::Arc<Topic>,
        pull: &Pull,
        prompt: bool,
        ahead: u64,
    ) {
        let Some(born) = pull.oldest else { return };
        if self.flight.mode() != Mode::Fresh || !prompt {
            return self.hub.record_age(topic, now, born);
        }
        if self.under_way.len() == UNDER_WAY_MAX {
            self.under_way.pop_front();
        }
        let (end, bytes) = (self.flight.sent(), pull.bytes as u64);
        self.under_way.push_back(UnderWay { end, born, topic: topic.clone(), sent: now, ahead, bytes });
    }

    fn publish_counters(&self) {
        let counters = &self.shared.counters;
        counters.in_flight.store(self.flight.in_flight(), Ordering::Relaxed);
        let round_trip = self.flight.round_trip_min();
        let nanos = round_trip.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX - 1) + 1);
        counters.round_trip.store(nanos, Ordering::Relaxed);
    }
}

fn tell_passed(topic: &Topic, passed: &Trail) -> Bytes {
    let mut message = BytesMut::new();
    control::put(&mut message, control::Passed { topic_id: topic.id, hubs: passed.hubs().to_vec() });
    message.freeze()
}

pub(super) fn wire_drops(drops: &Drops) -> Vec<control::Drop> {
    let wire = |reason| match reason {
        Reason::Expired => control::Reason::Expired,
        Reason::Conflated => control::Reason::Conflated,
        Reason::Overrun => control::Reason::Overrun,
        Reason::PredictedLate => control::Reason::PredictedLate,
        Reason::RateLimited => control::Reason::RateLimited,
        Reason::Unreadable => control::Reason::Unreadable,
    };
    drops.iter().map(|(reason, count)| control::Drop { reason: wire(reason).into(), count }).collect()
}
