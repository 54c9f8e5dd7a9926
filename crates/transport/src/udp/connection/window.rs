//! How much may be under way, and how fast it goes out.
//!
//! The aim is a path of known members that may lose datagrams by itself, such as a radio, and that others use as well. So a loss alone is no sign
//! of a full queue, as it is for NewReno (RFC 9002, section 7), which 5 % of it would hold to five datagrams in a round trip. A round trip is
//! congested when something was lost while datagrams waited on the way, when they waited for long, or when more than [`LOSS`] of it was lost.
//!
//! There are two ways to go on from there:
//!
//! - *Calm*: all who send leave when the queue grows, so it stays short. After each congested round the window is 0.7 of what it was, and grows by
//!   steps that are the same for all who saw that round, whatever their windows: so windows become equal (Chiu and Jain, 1989). Steps grow
//!   while nothing stands against it, so large paths are filled in a dozen rounds.
//! - *Contested*: somebody fills the queue until it overflows, as TCP does. Who leaves then gives way to it for good: a window of the calm sort has
//!   a twentieth of a line with a buffer of two round trips. So here long waits count for nothing, and the window is that of Cubic, which is what TCP has.
//!
//! What shows a contest is a loss from a queue, or a queue that stays though this side has all but left. That it is over can't be seen by who takes
//! part: after [`LOOK_AFTER`] without a round in which nothing waited, this side leaves for two rounds and looks. As all who look see
//! shorter rounds when one of them leaves, they soon look together (so do those who measure for BBR), and see the path as it is.

mod cubic;
mod mode;

use std::time::Duration;

use nyx_core::Instant;

use super::recovery::Outcome;
use mode::{Mode, Round, Sign};

/// Bytes that may be under way, and when the next may go.
#[derive(Debug)]
pub(super) struct Window {
    bytes: u64,
    mode: Mode,
    /// The first datagram of the next round.
    round_ends: u64,
    arrived: u64,
    lost: u64,
    shortest: Option<Duration>,
    /// The last round trip of the round. Where a window doubles, its end tells first that there is a queue now.
    latest: Option<Duration>,
    /// How long the path is with nothing waiting, as far as is known, and when it was last seen to be.
    base: Option<(Duration, Instant)>,
    look: Option<Look>,
    /// Whether the window was what held sending back, in this round.
    was_full: bool,
    /// When what has gone out would have gone out at the window's rate.
    paced_to: Instant,
}

/// While this side has left to see what then waits.
#[derive(Debug)]
struct Look {
    rounds: u32,
    /// The window before.
    before: u64,
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

/// From how much on there is a queue: an eighth, and what timers and held acknowledgements cost.
const NOISE: Duration = Duration::from_millis(4);

/// For how long a queue may stay before this side looks whose it is.
const LOOK_AFTER: Duration = Duration::from_secs(10);

/// The rounds of a look: in the first the own queue drains.
const LOOK_ROUNDS: u32 = 2;

/// Sent at once, however fast: what timers of 1 ms can't tell apart.
const BURST: Duration = Duration::from_millis(2);

impl Window {
    pub(super) const fn new() -> Self {
        Self {
            bytes: MIN,
            mode: Mode::Starting,
            round_ends: 0,
            arrived: 0,
            lost: 0,
            shortest: None,
            latest: None,
            base: None,
            look: None,
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
    pub(super) fn handle(&mut self, now: Instant, outcome: &Outcome, next: u64) {
        self.arrived += outcome.arrived_bytes;
        self.lost += outcome.lost_bytes;
        if let Some(round_trip) = outcome.round_trip {
            self.shortest = Some(self.shortest.map_or(round_trip, |least| least.min(round_trip)));
            self.latest = Some(round_trip);
            self.base = self.base.filter(|(base, _)| *base < round_trip).or(Some((round_trip, now)));
        }
        if outcome.newest.is_none_or(|newest| newest < self.round_ends) {
            return;
        }
        match self.look.take() {
            Some(look) => self.go_on_looking(now, look),
            None => {
                let sign = self.sign();
                if matches!(sign, Sign::Clear | Sign::Loss) {
                    self.base = self.base.map(|(base, _)| (base, now));
                }
                let round =
                    Round { sign, arrived: self.arrived, was_full: self.was_full, took: self.shortest };
                self.bytes = self.mode.end_round(now, &round, self.bytes).clamp(MIN, MAX);
                self.look_if_due(now);
            }
        }
        (self.arrived, self.lost, self.was_full) = (0, 0, false);
        (self.shortest, self.latest) = (None, None);
        self.round_ends = next;
    }

    fn sign(&self) -> Sign {
        let took = self.shortest.zip(self.base);
        let tells_first = if matches!(self.mode, Mode::Starting) { self.latest } else { self.shortest };
        let is_busy = tells_first.zip(self.base).is_some_and(|(took, (base, _))| took > base * 9 / 8 + NOISE);
        if self.lost > 0 && is_busy {
            Sign::Overflow
        } else if took.is_some_and(|(took, (base, _))| took > long(base)) {
            Sign::Queue
        } else if self.lost > LOST_BYTES && self.lost * LOSS > self.lost + self.arrived {
            Sign::Loss
        } else if is_busy {
            Sign::Busy
        } else {
            Sign::Clear
        }
    }

    fn look_if_due(&mut self, now: Instant) {
        if self.base.is_some_and(|(_, seen)| now.since(seen) >= LOOK_AFTER) {
            self.look = Some(Look { rounds: 0, before: self.bytes });
            self.bytes = MIN;
        }
    }

    fn go_on_looking(&mut self, now: Instant, mut look: Look) {
        look.rounds += 1;
        if look.rounds < LOOK_ROUNDS {
            self.look = Some(look);
            return;
        }
        self.bytes = look.before;
        let Some((seen, (base, _))) = self.shortest.zip(self.base) else { return };
        // The path may have become longer: what is seen now is believed.
        self.base = Some((seen, now));
        if seen <= long(base) {
            self.mode = Mode::calm(self.bytes);
        }
    }

    /// Nothing was heard for long: the path may be another one when it is back.
    pub(super) fn restart(&mut self) {
        self.bytes = MIN;
        (self.mode, self.base, self.look) = (Mode::Starting, None, None);
    }
}

/// From when on datagrams have waited for long.
fn long(base: Duration) -> Duration {
    base * 3 / 2 + SLACK
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
        window.handle(Instant::ZERO, &outcome, *number);
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
            window.handle(Instant::ZERO, &outcome, number + 1);
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
