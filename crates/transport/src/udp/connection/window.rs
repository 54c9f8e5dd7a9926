//! How much may be under way, and how fast it goes out.
//!
//! The aim is a path of known members that may lose datagrams by itself, such as a radio. So some loss is no sign of a full queue, as it is
//! for NewReno (RFC 9002, section 7), which 5 % of it would hold to five datagrams in a round trip. A round trip counts as congested when
//! more than [`LOSS`] of it was lost, or when it took much longer than the shortest one.

use std::time::Duration;

use nyx_core::Instant;

use super::recovery::Outcome;

/// Bytes that may be under way, and when the next may go.
#[derive(Debug)]
pub(super) struct Window {
    bytes: u64,
    /// Whether the path has not shown its limit yet.
    is_starting: bool,
    /// The first datagram of the next round.
    round_ends: u64,
    arrived: u64,
    lost: u64,
    shortest: Option<Duration>,
    /// Whether the window was what held sending back, in this round.
    was_full: bool,
    /// When what has gone out would have gone out at the window's rate.
    paced_to: Instant,
}

/// The share of a round's bytes above which loss is a sign of congestion, as one of so many. Half of what the worst paths that are to
/// work lose (30 %).
const LOSS: u64 = 6;

/// What may be lost in a round whatever its share: of few datagrams some are lost by chance.
const LOST_BYTES: u64 = 4 * 1200;

/// The least window: sixteen full datagrams, so that what is small is never held back. It is also the first one; RFC 9002 allows ten.
const MIN: u64 = 16 * 1200;

/// The largest window: 1 GB/s at a round trip of 8 ms.
const MAX: u64 = 8 << 20;

/// How much a round may be longer than the shortest: half of it, and what schedulers cost.
const SLACK: Duration = Duration::from_millis(10);

/// Sent at once, however fast: what timers of 1 ms can't tell apart.
const BURST: Duration = Duration::from_millis(2);

impl Window {
    pub(super) const fn new() -> Self {
        Self {
            bytes: MIN,
            is_starting: true,
            round_ends: 0,
            arrived: 0,
            lost: 0,
            shortest: None,
            was_full: false,
            paced_to: Instant::ZERO,
        }
    }

    #[cfg(test)]
    const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a datagram may go now; if not, when. `None`: when something was acknowledged.
    pub(super) fn admits(&mut self, now: Instant, in_flight: u64) -> Result<(), Option<Instant>> {
        if in_flight >= self.bytes {
            self.was_full = true;
            return Err(None);
        }
        if self.paced_to > now + BURST { Err(Some(self.paced_to - BURST)) } else { Ok(()) }
    }

    /// A datagram has gone out. The pace spreads a window over a little less than a round trip (RFC 9002, section 7.7).
    pub(super) fn handle_sent(&mut self, now: Instant, bytes: usize, round_trip: Duration) {
        let time = round_trip.as_nanos() * bytes as u128 * 4 / (u128::from(self.bytes) * 5);
        let time = Duration::from_nanos(u64::try_from(time).unwrap_or(u64::MAX));
        self.paced_to = self.paced_to.max(now) + time;
    }

    /// Something was acknowledged or lost; `next` is the next datagram's number.
    pub(super) fn handle(&mut self, outcome: &Outcome, shortest: Option<Duration>, next: u64) {
        self.arrived += outcome.arrived_bytes;
        self.lost += outcome.lost_bytes;
        if let Some(round_trip) = outcome.round_trip {
            self.shortest = Some(self.shortest.map_or(round_trip, |least| least.min(round_trip)));
        }
        if outcome.newest.is_none_or(|newest| newest < self.round_ends) {
            return;
        }
        let queues = self.shortest.zip(shortest).is_some_and(|(now, best)| now > best * 3 / 2 + SLACK);
        let loses = self.lost > LOST_BYTES && self.lost * LOSS > self.lost + self.arrived;
        if loses || queues {
            self.is_starting = false;
            self.bytes = self.bytes * 7 / 10;
        } else if self.was_full {
            self.bytes += if self.is_starting { self.arrived } else { self.bytes / 8 };
        }
        self.bytes = self.bytes.clamp(MIN, MAX);
        (self.arrived, self.lost, self.shortest, self.was_full) = (0, 0, None, false);
        self.round_ends = next;
    }

    /// Nothing was heard for long: the path may be another one when it is back.
    pub(super) const fn restart(&mut self) {
        self.bytes = MIN;
        self.is_starting = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(window: &mut Window, number: &mut u64, lost: u64, took: u64) {
        let size = window.bytes();
        assert!(window.admits(Instant::ZERO, size).is_err());
        let outcome = Outcome {
            arrived_bytes: size - size * lost / 100,
            lost_bytes: size * lost / 100,
            newest: Some(*number),
            round_trip: Some(Duration::from_millis(took)),
            ..Outcome::default()
        };
        *number += 100;
        window.handle(&outcome, Some(Duration::from_millis(50)), *number);
    }

    #[test]
    fn it_grows_where_a_radio_loses_some_and_shrinks_where_a_queue_is_full() {
        let (mut window, mut number) = (Window::new(), 0);
        (0..4).for_each(|_| round(&mut window, &mut number, 5, 51));
        let grown = window.bytes();
        assert!(grown > 10 * MIN, "{grown}");
        round(&mut window, &mut number, 30, 51);
        assert!(window.bytes() < grown);
        let before = window.bytes();
        round(&mut window, &mut number, 0, 100);
        assert!(window.bytes() < before);
        (0..100).for_each(|_| round(&mut window, &mut number, 50, 51));
        assert_eq!(window.bytes(), MIN);
        (0..1000).for_each(|_| round(&mut window, &mut number, 0, 51));
        assert_eq!(window.bytes(), MAX);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut window = Window::new();
        for number in 0..100 {
            let outcome = Outcome { arrived_bytes: 1200, newest: Some(number), ..Outcome::default() };
            window.handle(&outcome, None, number + 1);
        }
        assert_eq!(window.bytes(), MIN);
    }

    #[test]
    fn a_window_is_spread_over_its_round_trip() {
        let (mut window, round_trip) = (Window::new(), Duration::from_millis(100));
        let (mut now, mut sent) = (Instant::ZERO, 0);
        while sent < 16 {
            match window.admits(now, 0) {
                Ok(()) => {
                    window.handle_sent(now, 1200, round_trip);
                    sent += 1;
                }
                Err(later) => now = later.unwrap(),
            }
        }
        assert!((60..=80).contains(&now.since(Instant::ZERO).as_millis()), "{now:?}");
    }
}
