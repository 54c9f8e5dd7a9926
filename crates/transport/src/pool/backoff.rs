//! When to try an address again that could not be reached.

use std::time::Duration;

use nyx_core::Instant;

/// How long an address is left alone after it could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// After the first failure. Default 50 ms. Each further failure doubles it.
    pub first: Duration,
    /// At most. Default 5 s.
    pub max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { first: Duration::from_millis(50), max: Duration::from_secs(5) }
    }
}

/// What is known of an address's reachability: closed, open and half-open, as a circuit breaker has it.
///
/// After a failure nobody tries until a time that doubles with each failure in a row, less up to a quarter at random, so that many
/// who lost the same server don't come back at once. Then one tries; the others are told to wait until that has succeeded or failed.
///
/// ```
/// use std::time::Duration;
///
/// use nyx_core::Instant;
/// use nyx_transport::pool::backoff::{Backoff, Config};
///
/// let mut backoff = Backoff::new(Config::default(), 7);
/// assert!(backoff.begin(Instant::ZERO).is_ok());
/// backoff.failed(Instant::ZERO);
/// assert!(backoff.begin(Instant::ZERO).unwrap_err() <= Duration::from_millis(50));
/// let later = Instant::ZERO + Duration::from_millis(50);
/// assert!(backoff.begin(later).is_ok());
/// assert!(backoff.begin(later).is_err()); // one tries
/// backoff.succeeded();
/// assert!(backoff.begin(later).is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    config: Config,
    random: fastrand::Rng,
    failures: u32,
    until: Instant,
    /// Whether somebody tries, after a failure.
    probing: bool,
}

impl Backoff {
    /// An address of which nothing is known. The seed is that of the random part.
    pub fn new(config: Config, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { config, random, failures: 0, until: Instant::ZERO, probing: false }
    }

    /// Failures since it was last reached.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether to leave the address alone now; unlike [`begin`](Self::begin) it begins nothing.
    pub fn is_resting(&self, now: Instant) -> bool {
        self.failures > 0 && (self.probing || now < self.until)
    }

    /// Begins an attempt, which must end by [`succeeded`](Self::succeeded), [`failed`](Self::failed) or
    /// [`abandoned`](Self::abandoned).
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub fn begin(&mut self, now: Instant) -> Result<(), Duration> {
        if self.failures == 0 {
            return Ok(());
        }
        if self.probing {
            return Err(self.config.first);
        }
        if now < self.until {
            return Err(self.until - now);
        }
        self.probing = true;
        Ok(())
    }

    /// The attempt reached the address.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
        self.probing = false;
    }

    /// The attempt did not reach the address. Attempts that began before an earlier failure count as that one.
    pub fn failed(&mut self, now: Instant) {
        if self.failures > 0 && !self.probing {
            return;
        }
        self.probing = false;
        let doubled = self.config.first.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let pause = doubled.min(self.config.max);
        self.until = now + pause.mul_f64(1.0 - self.random.f64() / 4.0);
    }

    /// The attempt was given up before it had come to anything.
    pub const fn abandoned(&mut self) {
        self.probing = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum_and_shrink_by_a_quarter_at_most() {
        let config = Config::default();
        let (mut backoff, mut now) = (Backoff::new(config, 1), Instant::ZERO);
        for failure in 0..40 {
            assert!(backoff.begin(now).is_ok());
            backoff.failed(now);
            let pause = backoff.begin(now).unwrap_err();
            let full = config.first.saturating_mul(1 << failure.min(20)).min(config.max);
            assert!(pause <= full && pause >= full.mul_f64(0.75), "{failure}: {pause:?}");
            now = now + pause;
        }
    }

    #[test]
    fn failures_of_attempts_that_ran_side_by_side_count_once() {
        let mut backoff = Backoff::new(Config::default(), 1);
        for _ in 0..10 {
            assert!(backoff.begin(Instant::ZERO).is_ok());
        }
        for _ in 0..10 {
            backoff.failed(Instant::ZERO);
        }
        assert_eq!(backoff.failures(), 1);
    }

    #[test]
    fn an_attempt_that_was_given_up_leaves_the_way_free() {
        let mut backoff = Backoff::new(Config::default(), 1);
        backoff.failed(Instant::ZERO);
        let later = Instant::ZERO + Duration::from_secs(1);
        assert!(backoff.begin(later).is_ok() && backoff.begin(later).is_err());
        backoff.abandoned();
        assert!(backoff.begin(later).is_ok());
    }
}
