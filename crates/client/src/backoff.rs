//! How long to wait before the next attempt: exponential, with full jitter.
//!
//! Full jitter (any wait from zero to the ceiling is equally likely) spreads returning clients best, see Brooker,
//! "Exponential Backoff and Jitter", 2015.

use std::time::Duration;

/// The ceiling of the next wait. The caller brings the randomness.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    ceiling: Duration,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        let (min, max) = (min.max(FLOOR), max.max(FLOOR));
        Self { min, max, ceiling: min.min(max) }
    }

    /// The next wait, for `random` from 0 to 1.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let wait = self.ceiling.mul_f64(random.clamp(0.0, 1.0));
        self.ceiling = self.ceiling.saturating_mul(2).min(self.max);
        wait
    }

    /// After a success.
    pub(crate) fn reset(&mut self) {
        self.ceiling = self.min.min(self.max);
    }
}

/// The least ceiling: no doubling leads away from none, and a client that waits for nothing keeps a processor busy while there is no hub.
const FLOOR: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_start_over() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 5 * second);
        let waits: Vec<_> = (0..5).map(|_| backoff.next(1.0)).collect();
        assert_eq!(waits, [second, 2 * second, 4 * second, 5 * second, 5 * second]);
        backoff.reset();
        assert_eq!(backoff.next(0.5), second / 2);
    }

    #[test]
    fn who_wants_to_wait_for_nothing_waits_longer_each_time_all_the_same() {
        let mut backoff = Backoff::new(Duration::ZERO, Duration::from_secs(1));
        let waits: Vec<_> = (0..12).map(|_| backoff.next(1.0)).collect();
        assert!(waits.is_sorted() && waits[11] == Duration::from_secs(1), "{waits:?}");
        assert_ne!(Backoff::new(Duration::ZERO, Duration::ZERO).next(1.0), Duration::ZERO);
    }

    #[test]
    fn a_minimum_over_the_maximum_is_cut() {
        let mut backoff = Backoff::new(Duration::from_secs(9), Duration::from_secs(1));
        assert_eq!(backoff.next(1.0), Duration::from_secs(1));
    }
}
