use crossbeam::utils::CachePadded;

use super::{AdjustError, AtomicMeter, CheckError, Denied, Quota};
use crate::Clock;
use crate::clock::Monotonic;

/// A limiter that many threads share by reference, with a clock.
///
/// The account is padded to the 128 bytes that processors fetch at once, so threads that use different limiters don't slow
/// each other down. The clock is only read and lies outside of the padding. A check costs a clock reading, a multiplication and a
/// compare-and-swap; a denial costs no write at all.
///
/// ```
/// use nyx_core::clock::Manual;
/// use nyx_core::limit::{Limiter, Quota};
/// use std::time::Duration;
///
/// let clock = Manual::new();
/// let limiter = Limiter::with_clock(&Quota::per_second(10)?, clock.clone());
/// assert!(limiter.check_n(10).is_ok());
///
/// let denied = limiter.check().unwrap_err();
/// clock.advance(denied.retry_after());
/// assert!(limiter.check().is_ok());
/// # Ok::<(), nyx_core::limit::QuotaError>(())
/// ```
#[derive(Debug)]
pub struct Limiter<C = Monotonic> {
    clock: C,
    meter: CachePadded<AtomicMeter>,
}

impl Limiter {
    /// By a [`Monotonic`] clock of its own, with the whole burst to spend.
    pub fn new(quota: &Quota) -> Self {
        Self::with_clock(quota, Monotonic::new())
    }
}

impl<C: Clock> Limiter<C> {
    /// By this clock, with the whole burst to spend.
    pub fn with_clock(quota: &Quota, clock: C) -> Self {
        let meter = AtomicMeter::new(quota, clock.now());
        Self { clock, meter: CachePadded::new(meter) }
    }

    /// Takes one token.
    ///
    /// # Errors
    ///
    /// If there is none: when there will be.
    #[inline]
    pub fn check(&self) -> Result<(), Denied> {
        self.meter.check_at(self.clock.now())
    }

    /// Takes `n` tokens, or none.
    ///
    /// # Errors
    ///
    /// If there are not enough: when there will be, or that there never will be because `n` is over the burst.
    #[inline]
    pub fn check_n(&self, n: u64) -> Result<(), CheckError> {
        self.meter.check_n_at(self.clock.now(), n)
    }

    /// Gives `n` tokens back, as [`Meter::refund`](super::Meter::refund).
    pub fn refund(&self, n: u64) {
        self.meter.refund(n);
    }

    /// Whole tokens that may be taken now, if nobody else does.
    pub fn available(&self) -> u64 {
        self.meter.available_at(self.clock.now())
    }

    /// Changes over to another quota, while others check.
    ///
    /// # Errors
    ///
    /// As [`AtomicMeter::set_quota`].
    pub fn set_quota(&self, quota: &Quota) -> Result<(), AdjustError> {
        self.meter.set_quota(self.clock.now(), quota)
    }

    /// The account without the clock, for those who have the time at hand: [`AtomicMeter::check_at`] and its kin take an
    /// instant of this limiter's clock.
    #[inline]
    pub fn meter(&self) -> &AtomicMeter {
        &self.meter
    }

    /// The clock by which it decides.
    pub fn clock(&self) -> &C {
        &self.clock
    }
}
