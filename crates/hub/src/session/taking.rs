//! What a subscriber that takes blocks holds, and what its path drains.

use std::time::Duration;

use bytes::BytesMut;
use nyx_core::Instant;
use nyx_protocol::choose::Link;
use nyx_protocol::compress::dictionary::{Dictionary, Name};
use nyx_protocol::control;
use nyx_stream::Flight;
use nyx_stream::policy::Pull;

use super::slots::Slot;
use crate::compression::{Prefixes, Taker, opaque};

/// A subscriber that takes blocks.
#[derive(Debug)]
pub(super) struct Taking {
    /// Dictionaries that it holds at most, over all topics, and bytes of each.
    dictionaries_max: usize,
    dictionary_bytes: usize,
    /// Dictionaries that it holds.
    dictionaries: usize,
    /// Topics of which it keeps prefixes at most, and bytes of each.
    prefixes_max: usize,
    prefix_bytes: usize,
    /// Topics of which it keeps some.
    prefixes: usize,
    drain: Drain,
    /// Whether it knows that it may compress what it publishes.
    pub(super) told_allowed: bool,
}

impl Taking {
    pub(super) fn new(blocks: control::Blocks) -> Self {
        Self {
            dictionaries_max: blocks.dictionaries as usize,
            dictionary_bytes: (blocks.dictionary_bytes as usize).min(Dictionary::BYTES_MAX),
            dictionaries: 0,
            prefixes: 0,
            prefixes_max: blocks.prefixes as usize,
            prefix_bytes: (blocks.prefix_bytes as usize).min(PREFIX_BYTES_MAX),
            drain: Drain::default(),
            told_allowed: true,
        }
    }

    /// What is to be known to encode the next message of a slot.
    pub(super) fn taker(&self, slot: &Slot, flight: &Flight) -> Taker {
        let has_room = slot.dictionary.is_some() || self.dictionaries < self.dictionaries_max;
        Taker {
            link: Link { drain: self.drain.get(), unsent: flight.in_flight() },
            holds: slot.dictionary,
            room: if has_room { self.dictionary_bytes } else { 0 },
            missed: slot.missed,
            introduce: None,
        }
    }

    /// Keeps what was learnt, and returns the messages that go in front of the data: the dictionary that it needs, and that the one
    /// before is needed no more.
    pub(super) fn settle(&mut self, slot: &mut Slot, taker: Taker) -> Option<BytesMut> {
        slot.missed = taker.missed;
        let dictionary = taker.introduce?;
        let mut out = BytesMut::new();
        match slot.dictionary.replace(dictionary.name()) {
            Some(old) => control::put(&mut out, retire(old)),
            None => self.dictionaries += 1,
        }
        slot.missed = 0;
        control::put(&mut out, control::Dictionary { message: dictionary.to_message().into() });
        Some(out)
    }

    /// Puts in the place of opaque payloads what they are to be sent as to `slot`.
    pub(super) fn encode(&mut self, now: Instant, slot: &mut Slot, link: &Link, pull: &mut Pull, acked: u64) {
        for chunk in pull.chunks.iter_mut().filter(|chunk| opaque::is_candidate(chunk, link)) {
            if slot.prefixes.is_none() && self.prefixes < self.prefixes_max {
                slot.prefixes = Some(Box::new(Prefixes::new(self.prefix_bytes)));
                self.prefixes += 1;
            }
            let mut prefixes = slot.prefixes.as_deref_mut();
            if let Some(prefixes) = &mut prefixes {
                prefixes.handle_acked(acked);
            }
            let packed = slot.topic.encode(now, chunk.clone(), link, prefixes);
            pull.bytes = pull.bytes - chunk.len() + packed.len();
            *chunk = packed;
        }
    }

    /// So many topics have no prefixes any more.
    pub(super) const fn forget_prefixes(&mut self, topics: usize) {
        self.prefixes = self.prefixes.saturating_sub(topics);
    }

    /// A dictionary is needed no more.
    pub(super) fn retire(&mut self, name: Name, out: &mut BytesMut) {
        self.dictionaries = self.dictionaries.saturating_sub(1);
        control::put(out, retire(name));
    }

    /// So many bytes, in front of which `ahead` were under way, were acknowledged `took` after they had been sent.
    pub(super) fn observe(&mut self, now: Instant, bytes: u64, ahead: u64, took: Duration, flight: &Flight) {
        let Some(round_trip) = flight.round_trip_min() else { return };
        if self.drain.measures_from(round_trip) {
            self.drain.observe(now, bytes + ahead, took.saturating_sub(round_trip));
        }
    }
}

const fn retire(name: Name) -> control::Retire {
    control::Retire { id: name.id, version: name.version }
}

/// Of a larger payload a hub keeps no version for each subscriber.
const PREFIX_BYTES_MAX: usize = 1 << 20;

/// What a path drains, as far as is seen from when things arrive.
///
/// The rate that [`Flight`] measures is that of items and acknowledgements one after the other, which is what freshness needs; of items that are
/// small against the path it says how long the path is. Here the shortest round trip is taken off first, and of the present and the last window the
/// most counts, because whatever disturbs a measurement makes it less.
#[derive(Debug, Default)]
struct Drain {
    began: Instant,
    present: Option<u64>,
    last: Option<u64>,
    /// The shortest round trip when it was asked last.
    round_trip: Option<Duration>,
}

/// Short enough to follow a link that changes, long enough for some updates of a game.
const WINDOW: Duration = Duration::from_millis(500);

/// What clocks and schedulers leave uncertain. Without it, a loopback would have measurements of any size.
const UNCERTAIN: Duration = Duration::from_micros(1);

impl Drain {
    /// Whether what was just acknowledged can be measured against this shortest round trip. What made it shorter can't: of its own time nothing
    /// would be left, and a path of any speed would seem to be fast. What was measured against a longer one was wrong likewise.
    fn measures_from(&mut self, round_trip: Duration) -> bool {
        let is_shorter = self.round_trip.replace(round_trip).is_none_or(|before| round_trip < before);
        if is_shorter {
            (self.present, self.last) = (None, None);
        }
        !is_shorter
    }

    fn observe(&mut self, now: Instant, bytes: u64, took: Duration) {
        let nanos = took.max(UNCERTAIN).as_nanos();
        let rate = u64::try_from(u128::from(bytes) * 1_000_000_000 / nanos).unwrap_or(u64::MAX);
        if now.since(self.began) >= WINDOW {
            self.last = self.present.take();
            self.began = now;
        }
        self.present = self.present.max(Some(rate));
    }

    fn get(&self) -> Option<u64> {
        self.present.max(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_two_windows_counts() {
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        let mut drain = Drain::default();
        assert_eq!(drain.get(), None);
        drain.observe(at(0), 1_000, Duration::from_millis(2));
        drain.observe(at(100), 1_000, Duration::from_millis(1));
        assert_eq!(drain.get(), Some(1_000_000));
        drain.observe(at(600), 1_000, Duration::from_millis(10));
        assert_eq!(drain.get(), Some(1_000_000));
        drain.observe(at(1_200), 1_000, Duration::from_millis(10));
        assert_eq!(drain.get(), Some(100_000));
    }

    #[test]
    fn what_sets_the_shortest_round_trip_is_not_measured_against_it() {
        let (mut drain, millis) = (Drain::default(), Duration::from_millis);
        assert!(!drain.measures_from(millis(4)));
        assert!(drain.measures_from(millis(4)));
        drain.observe(Instant::ZERO, 1_000, millis(1));
        assert!(!drain.measures_from(millis(2)), "it is shorter");
        assert_eq!(drain.get(), None, "what was measured against 4 ms seemed too fast");
        assert!(drain.measures_from(millis(3)), "the shortest of late is a longer one again");
    }
}
