//! How often to look, for readers that must poll.

use std::time::Duration;

/// Between which limits a [`Poller`] waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The shortest wait. Default 200 µs, range from 1 µs. Data that comes faster than this is found by every poll.
    pub interval_min: Duration,
    /// The longest wait. Default 100 ms. Data that comes more seldom than 1.25 times this is found by fewer polls than it should.
    pub interval_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval_min: Duration::from_micros(200), interval_max: Duration::from_millis(100) }
    }
}

/// Chooses the time between polls so that four of five find something.
///
/// A poll that found data shortens the next wait by [`SHORTEN`], one that did not lengthens it by the fourth power of as much. Four finds
/// and one miss cancel out. So where a run of polls begins and ends with waits *a* and *b*, and *f* of its *n* polls found data,
///
/// ```text
/// ln(b / a) = (n - f) · 4 s - f · s,    s = -ln SHORTEN,    that is    f / n = 4/5 - ln(b / a) / (5 s n)
/// ```
///
/// whatever the pattern in which data comes. Waits lie between the limits, so the last term is bounded and vanishes with *n*: the share of polls
/// that find data tends to 80%, from any start, as long as no limit is touched. From the longest wait it gets to any shorter one within
/// `interval_max / (1 - SHORTEN)`, 1.7 s by default, and faster from below.
///
/// (The rule that is often published, to shorten the wait when few polls find something, runs the other way: fewer find
/// something then, until the shortest wait is reached.)
///
/// ```
/// use nyx_audio_capture::poller::{Config, Poller};
///
/// let mut poller = Poller::new(Config::default());
/// let first = poller.interval();
/// assert!(poller.next(true) < first);
/// assert!(poller.next(false) > first);
/// ```
#[derive(Clone, Debug)]
pub struct Poller {
    config: Config,
    seconds: f64,
}

impl Poller {
    /// A poller that begins with 5 ms, or with the limit that is next to it.
    pub fn new(config: Config) -> Self {
        Self::starting_at(Duration::from_millis(5), config)
    }

    /// A poller that begins with this wait, or with the limit that is next to it.
    pub fn starting_at(interval: Duration, config: Config) -> Self {
        let mut poller = Self { config, seconds: interval.as_secs_f64() };
        poller.limit();
        poller
    }

    /// How long to wait before the next poll.
    pub const fn interval(&self) -> Duration {
        Duration::from_nanos((self.seconds * 1e9) as u64)
    }

    /// Takes the outcome of a poll, and says how long to wait before the next.
    pub fn next(&mut self, found: bool) -> Duration {
        self.seconds *= if found { SHORTEN } else { LENGTHEN };
        self.limit();
        self.interval()
    }

    fn limit(&mut self) {
        let shortest = self.config.interval_min.as_secs_f64().max(1e-6);
        let longest = self.config.interval_max.as_secs_f64().max(shortest);
        self.seconds = self.seconds.clamp(shortest, longest);
    }
}

/// What a poll that found data makes of the wait. Closer to 1 is steadier and slower; with this a period of data has no more than
/// 30% of play, and two seconds are enough for every start.
pub const SHORTEN: f64 = 0.94;

const LENGTHEN: f64 = 1.0 / (SHORTEN * SHORTEN * SHORTEN * SHORTEN);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Polls a stream in virtual time and says which share of the polls after `settle` seconds found something.
    fn share(start: f64, settle: f64, until: f64, mut next_arrival: impl FnMut(f64) -> f64) -> f64 {
        let mut poller = Poller::starting_at(Duration::from_secs_f64(start), Config::default());
        let (mut now, mut arrival) = (poller.interval().as_secs_f64(), next_arrival(0.0));
        let (mut polls, mut finds) = (0_u32, 0_u32);
        while now < until {
            let found = arrival <= now;
            while arrival <= now {
                arrival = next_arrival(arrival);
            }
            if now >= settle {
                polls += 1;
                finds += u32::from(found);
            }
            now += poller.next(found).as_secs_f64();
        }
        f64::from(finds) / f64::from(polls)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn settles_between_70_and_90_percent_from_any_start_within_two_seconds(
            start in 0.000_2_f64..=0.1,
            period in 0.001_f64..=0.1,
            jitter in 0.0_f64..0.5,
            seed in any::<u64>(),
        ) {
            let mut random = seed | 1;
            let share = share(start, 2.0, 2.0 + 100.0 * period.max(0.02), |last| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let off = (random >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
                last + period * (1.0 + jitter * off)
            });
            prop_assert!((0.7..=0.9).contains(&share), "{share}");
        }

        #[test]
        fn bursts_are_one_arrival(start in 0.000_2_f64..=0.1, period in 0.01_f64..=0.1) {
            // Eight chunks at once, then nothing for as long as they last.
            let mut number = 0_u32;
            let share = share(start, 2.0, 2.0 + 100.0 * period, |_| {
                number += 1;
                f64::from(number / 8) * period
            });
            prop_assert!((0.7..=0.9).contains(&share), "{share}");
        }
    }

    #[test]
    fn waits_stay_within_their_limits() {
        let mut poller = Poller::new(Config::default());
        (0..1_000).for_each(|_| assert!(poller.next(true) >= Duration::from_micros(199)));
        (0..1_000).for_each(|_| assert!(poller.next(false) <= Duration::from_millis(100)));
        let wrong = Config { interval_min: Duration::MAX, interval_max: Duration::ZERO };
        assert!(Poller::new(wrong).next(false) > Duration::ZERO);
    }
}
