//! When the next one is due.

use std::str::FromStr;
use std::time::Duration;

use anyhow::anyhow;
use nyx_core::Instant;

/// A regular beat that forgets what it missed: after a delay it goes on from there instead of hurrying to catch up.
#[derive(Debug)]
pub(crate) struct Beat {
    period: Duration,
    next: Option<Instant>,
}

impl Beat {
    /// A beat of this rate, whose first is due at once.
    pub(crate) const fn new(rate: Rate) -> Self {
        Self { period: rate.period(), next: None }
    }

    /// When the next one is due; it may be in the past by a little. Each call is the next.
    pub(crate) fn next(&mut self, now: Instant) -> Instant {
        let due = match self.next {
            Some(next) if now - next <= self.period.max(SLACK) => next,
            _ => now,
        };
        self.next = Some(due + self.period);
        due
    }
}

/// So much is caught up, because timers are late by up to a millisecond or two and the rate should hold all the same.
const SLACK: Duration = Duration::from_millis(20);

/// How many a second: `30`, `30/s` or `0.5/s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate(f64);

impl Rate {
    /// This many a second, at least one.
    pub(crate) const fn per_second(count: u32) -> Self {
        Self(if count == 0 { 1.0 } else { count as f64 })
    }

    const fn period(self) -> Duration {
        Duration::from_nanos((1e9 / self.0) as u64)
    }
}

impl FromStr for Rate {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, anyhow::Error> {
        let number = text.strip_suffix("/s").unwrap_or(text).trim();
        let rate = number.parse::<f64>().ok().filter(|rate| SENSIBLE.contains(rate));
        rate.map(Self)
            .ok_or_else(|| anyhow!("`{text}` is no rate: write how many a second, such as 30 or 0.5/s"))
    }
}

/// From one in a day or so to one in a nanosecond.
const SENSIBLE: std::ops::RangeInclusive<f64> = 1e-5..=1e9;

/// Waits, in a thread of its own, until `due`.
#[expect(
    clippy::disallowed_methods,
    reason = "the thread is a driver: it reads a file and has no socket to wait for"
)]
pub(crate) fn block_until(due: Instant, now: Instant) {
    let wait = due - now;
    if !wait.is_zero() {
        std::thread::sleep(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_beat_keeps_its_rate_although_each_wait_is_a_little_late() {
        let mut beat = Beat::new(Rate::per_second(10));
        assert_eq!(beat.next(at(5)), at(5));
        assert_eq!(beat.next(at(6)), at(105));
        assert_eq!(beat.next(at(107)), at(205));
        assert_eq!(beat.next(at(240)), at(305));
    }

    #[test]
    fn missed_beats_are_not_made_up_for() {
        let mut beat = Beat::new(Rate::per_second(10));
        beat.next(at(0));
        assert_eq!(beat.next(at(950)), at(950));
        assert_eq!(beat.next(at(951)), at(1050));
    }

    #[test]
    fn rates_are_read_with_and_without_unit() {
        assert_eq!("30".parse::<Rate>().unwrap(), Rate::per_second(30));
        assert_eq!("30/s".parse::<Rate>().unwrap(), Rate::per_second(30));
        assert_eq!("0.5/s".parse::<Rate>().unwrap().period(), Duration::from_secs(2));
        for text in ["", "0", "-1", "inf", "NaN", "fast", "1e300", "5/m"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
