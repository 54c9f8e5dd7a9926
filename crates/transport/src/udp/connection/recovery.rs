//! What is under way, how long the path is, and what was lost on it (RFC 9002).

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use nyx_core::Instant;

use super::packet::Ack;

/// What a datagram carried that matters when it is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Stream(Range<u64>),
    Item(u64, Range<u64>),
    Skip(u32, u64),
    /// What waits here, as it was told.
    Backlog(u64),
    /// Nothing: it asks whether the path carries so large a datagram.
    Size,
}

/// A datagram that is to be acknowledged.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) bytes: usize,
    pub(super) contents: Vec<Content>,
    /// Whether what it carried was sent again to see whether anybody is there.
    probed: bool,
}

impl Sent {
    fn asks_size(&self) -> bool {
        self.contents == [Content::Size]
    }
}

/// What an acknowledgement came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) arrived: Vec<Content>,
    pub(super) lost: Vec<Content>,
    /// Sizes of what arrived, and of what was lost and asked nothing about its size.
    pub(super) arrived_sizes: Vec<usize>,
    pub(super) lost_sizes: Vec<usize>,
    pub(super) arrived_bytes: u64,
    pub(super) lost_bytes: u64,
    /// The latest datagram whose arrival was news.
    pub(super) newest: Option<u64>,
    /// How long its round trip took.
    pub(super) round_trip: Option<Duration>,
    pub(super) lost_datagrams: u64,
    pub(super) spurious: u64,
}

/// Datagrams under way, and the path's measure.
#[derive(Debug)]
pub(super) struct Recovery {
    sent: BTreeMap<u64, Sent>,
    in_flight: u64,
    largest_acked: Option<u64>,
    /// Datagrams that were taken for lost lately: what of them arrives after all says how far the path reorders.
    lost: VecDeque<u64>,
    reordering: u64,
    smoothed: Option<Duration>,
    variation: Duration,
    latest: Duration,
    shortest: Option<Duration>,
    probes: u32,
    /// When the first of them went out, while something is under way that was not acknowledged.
    unanswered_since: Option<Instant>,
    last_sent: Instant,
}

/// How far behind the latest a datagram may be before it counts as lost (RFC 9002, section 6.1.1), until the path is seen to reorder more.
const REORDERING: u64 = 3;

/// How much reordering is believed: a path that reorders more is served by time alone.
const REORDERING_MAX: u64 = 128;

/// Datagrams that are remembered as lost.
const LOST: usize = 256;

/// What timers can tell apart (RFC 9002, section 6.1.2).
const GRANULARITY: Duration = Duration::from_millis(1);

/// The round trip until one was measured. The RFC says 333 ms, for any path of the Internet.
const INITIAL: Duration = Duration::from_millis(100);

/// The longest wait for a sign of life: a path that returns is used again that soon.
const PROBE_MAX: Duration = Duration::from_secs(2);

/// How long the other side may keep an acknowledgement to itself, and some for its timer.
const ACK_DELAY: Duration = Duration::from_millis(5);

impl Recovery {
    pub(super) fn new() -> Self {
        Self {
            sent: BTreeMap::new(),
            in_flight: 0,
            largest_acked: None,
            lost: VecDeque::new(),
            reordering: REORDERING,
            smoothed: None,
            variation: Duration::ZERO,
            latest: Duration::ZERO,
            shortest: None,
            probes: 0,
            unanswered_since: None,
            last_sent: Instant::ZERO,
        }
    }

    /// Bytes under way.
    pub(super) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// The round trip, smoothed.
    pub(super) fn round_trip(&self) -> Duration {
        self.smoothed.unwrap_or(INITIAL)
    }

    /// The shortest round trip, once one was measured.
    pub(super) const fn shortest(&self) -> Option<Duration> {
        self.shortest
    }

    /// How often in a row nothing was heard in time.
    pub(super) const fn probes(&self) -> u32 {
        self.probes
    }

    /// Since when it was asked for signs of life and acknowledged nothing.
    pub(super) const fn unanswered_since(&self) -> Option<Instant> {
        self.unanswered_since
    }

    pub(super) fn handle_sent(&mut self, now: Instant, number: u64, bytes: usize, contents: Vec<Content>) {
        self.in_flight += bytes as u64;
        self.last_sent = now;
        self.sent.insert(number, Sent { at: now, bytes, contents, probed: false });
    }

    /// Whether the acknowledgement is of datagrams below `next`, as all are that were sent.
    pub(super) fn is_possible(ack: &Ack, next: u64) -> bool {
        ack.ranges.first().is_some_and(|first| first.end <= next)
    }

    pub(super) fn handle_ack(&mut self, now: Instant, ack: &Ack) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(largest) = ack.ranges.first().map(|first| first.end - 1) else { return outcome };
        for range in &ack.ranges {
            self.note_spurious(range, largest, &mut outcome);
            let numbers: Vec<u64> = self.sent.range(range.clone()).map(|(number, _)| *number).collect();
            for number in numbers {
                let Some(sent) = self.sent.remove(&number) else { continue };
                self.in_flight -= sent.bytes as u64;
                outcome.arrived_bytes += sent.bytes as u64;
                outcome.arrived_sizes.push(sent.bytes);
                outcome.newest = outcome.newest.max(Some(number));
                if number == largest {
                    outcome.round_trip = Some(now.since(sent.at));
                }
                outcome.arrived.extend(sent.contents);
            }
        }
        self.largest_acked = self.largest_acked.max(Some(largest));
        if let Some(round_trip) = outcome.round_trip {
            self.measure(round_trip, Duration::from_micros(ack.delay_us));
        }
        if outcome.newest.is_some() {
            self.probes = 0;
        }
        if outcome.newest.is_some() || outcome.spurious > 0 {
            self.unanswered_since = None;
        }
        self.find_lost(now, &mut outcome);
        outcome
    }

    /// Does what is due: says what was lost because too much time has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        self.find_lost(now, &mut outcome);
        outcome
    }

    /// Nothing was heard in time. Returns what to send again, to see whether anybody is there: of the two datagrams that have waited longest.
    pub(super) fn probe(&mut self, now: Instant) -> Vec<Content> {
        self.probes += 1;
        self.unanswered_since.get_or_insert(now);
        let waiting = self.sent.values_mut().filter(|sent| !sent.probed && !sent.asks_size()).take(2);
        let contents = waiting.flat_map(|sent| {
            sent.probed = true;
            sent.contents.iter().cloned()
        });
        let contents: Vec<_> = contents.collect();
        if contents.is_empty() {
            // All were sent again once, and nobody knows which arrived: begin anew.
            self.sent.values_mut().for_each(|sent| sent.probed = false);
        }
        contents
    }

    /// When something counts as lost if nothing is heard.
    pub(super) fn loss_time(&self) -> Option<Instant> {
        let largest = self.largest_acked?;
        let (_, oldest) = self.sent.range(..largest).next()?;
        Some(oldest.at + self.loss_delay())
    }

    /// When the other side is asked for a sign of life.
    pub(super) fn probe_time(&self) -> Option<Instant> {
        // What asks for a size has a timer of its own.
        if self.sent.values().all(Sent::asks_size) {
            return None;
        }
        let spread = (4 * self.variation).max(GRANULARITY);
        let timeout = (self.round_trip() + spread + ACK_DELAY) * 2u32.pow(self.probes.min(6));
        Some(self.last_sent + timeout.min(PROBE_MAX))
    }

    fn loss_delay(&self) -> Duration {
        (self.round_trip().max(self.latest) * 9 / 8).max(GRANULARITY)
    }

    /// Section 5.3.
    fn measure(&mut self, round_trip: Duration, delay: Duration) {
        self.latest = round_trip;
        let shortest = self.shortest.map_or(round_trip, |shortest| shortest.min(round_trip));
        self.shortest = Some(shortest);
        let delay = delay.min(ACK_DELAY * 4);
        let adjusted = if round_trip >= shortest + delay { round_trip - delay } else { round_trip };
        match self.smoothed {
            None => (self.smoothed, self.variation) = (Some(adjusted), adjusted / 2),
            Some(smoothed) => {
                self.variation = (3 * self.variation + smoothed.abs_diff(adjusted)) / 4;
                self.smoothed = Some((7 * smoothed + adjusted) / 8);
            }
        }
    }

    fn find_lost(&mut self, now: Instant, outcome: &mut Outcome) {
        let Some(largest) = self.largest_acked else { return };
        let (delay, reordering) = (self.loss_delay(), self.reordering);
        let is_lost = |number: u64, sent: &Sent| number + reordering <= largest || sent.at + delay <= now;
        let numbers: Vec<u64> = self
            .sent
            .range(..largest)
            // Who was sent later was sent behind: of either reason the first that is not lost is the last to look at.
            .take_while(|(number, sent)| is_lost(**number, sent))
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            let Some(sent) = self.sent.remove(&number) else { continue };
            self.in_flight -= sent.bytes as u64;
            // That too large a datagram does not arrive says nothing of how much the path carries (RFC 8899, section 3).
            if sent.asks_size() {
                continue;
            }
            outcome.lost_bytes += sent.bytes as u64;
            outcome.lost_sizes.push(sent.bytes);
            outcome.lost_datagrams += 1;
            outcome.lost.extend(sent.contents);
            if self.lost.len() == LOST {
                self.lost.pop_front();
            }
            self.lost.push_back(number);
        }
        if self.sent.is_empty() {
            self.unanswered_since = None;
        }
    }

    /// What was taken for lost and has arrived was late only: the path reorders by more than was thought.
    fn note_spurious(&mut self, range: &Range<u64>, largest: u64, outcome: &mut Outcome) {
        let before = self.lost.len();
        let mut farthest = 0;
        self.lost.retain(|number| {
            let arrived = range.contains(number);
            if arrived {
                farthest = farthest.max(largest - number + 1);
            }
            !arrived
        });
        outcome.spurious += (before - self.lost.len()) as u64;
        self.reordering = self.reordering.max(farthest.min(REORDERING_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn ack(range: Range<u64>) -> Ack {
        Ack { delay_us: 0, backlog: 0, ranges: Vec::from([range]) }
    }

    fn send(recovery: &mut Recovery, at: Instant, numbers: Range<u64>) {
        for number in numbers {
            recovery.handle_sent(at, number, 100, vec![Content::Backlog(number)]);
        }
    }

    #[test]
    fn what_is_three_behind_is_lost_at_once_and_the_rest_when_its_time_is_up() {
        let mut recovery = Recovery::new();
        send(&mut recovery, ms(0), 0..5);
        let outcome = recovery.handle_ack(ms(40), &ack(4..5));
        assert_eq!(outcome.lost, [Content::Backlog(0), Content::Backlog(1)]);
        assert_eq!((outcome.round_trip, recovery.in_flight()), (Some(Duration::from_millis(40)), 200));
        assert_eq!(recovery.loss_time(), Some(ms(45)));
        assert_eq!(recovery.handle_timeout(ms(45)).lost, [Content::Backlog(2), Content::Backlog(3)]);
    }

    #[test]
    fn a_path_that_reorders_is_learnt() {
        let mut recovery = Recovery::new();
        send(&mut recovery, ms(0), 0..60);
        let lost = recovery.handle_ack(ms(40), &ack(50..51)).lost_datagrams;
        assert_eq!(lost, 48);
        assert_eq!(recovery.handle_ack(ms(41), &ack(0..60)).spurious, 48);
        send(&mut recovery, ms(50), 60..120);
        assert_eq!(recovery.handle_ack(ms(90), &ack(100..101)).lost_datagrams, 0);
    }

    #[test]
    fn silence_is_probed_ever_more_seldom_and_what_waits_is_sent_again() {
        let mut recovery = Recovery::new();
        send(&mut recovery, ms(0), 0..1);
        recovery.handle_ack(ms(40), &ack(0..1));
        assert_eq!(recovery.probe_time(), None);
        send(&mut recovery, ms(100), 1..2);
        let first = recovery.probe_time().unwrap();
        assert!(first > ms(140) && first < ms(300), "{first:?}");
        assert_eq!(recovery.probe(Instant::ZERO), [Content::Backlog(1)]);
        assert!(recovery.probe_time().unwrap() > first);
        (0..40).for_each(|_| drop(recovery.probe(Instant::ZERO)));
        assert_eq!(recovery.probe_time(), Some(ms(2100)));
    }

    #[test]
    fn an_acknowledgement_of_what_was_not_sent_is_seen() {
        assert!(!Recovery::is_possible(&ack(3..6), 5));
        assert!(Recovery::is_possible(&ack(3..5), 5));
    }
}
