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
    ///
    /// ```
    /// use nyx_core::limit::{Limiter, Quota};
    ///
    /// let limiter = Limiter::new(&Quota::per_second(100)?);
    /// assert!(limiter.check().is_ok());
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn new(quota: &Quota) -> Self {
        Self::with_clock(quota, Monotonic::new())
    }
}

impl<C: Clock> Limiter<C> {
    /// By this clock, with the whole burst to spend.
    ///
    /// ```
    /// use nyx_core::clock::Manual;
    /// use nyx_core::limit::{Limiter, Quota};
    ///
    /// let limiter = Limiter::with_clock(&Quota::per_second(100)?, Manual::new());
    /// assert_eq!(limiter.available(), 100);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn with_clock(quota: &Quota, clock: C) -> Self {
        let meter = AtomicMeter::new(quota, clock.now());
        Self { clock, meter: CachePadded::new(meter) }
    }

    /// Takes one token.
    ///
    /// # Errors
    ///
    /// If there is none: when there will be.
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Limiter, Quota};
    /// let limiter = Limiter::with_clock(&Quota::per_second(10)?.with_burst(1)?, Manual::new());
    /// assert!(limiter.check().is_ok());
    /// assert!(limiter.check().is_err());
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    #[inline]
    pub fn check(&self) -> Result<(), Denied> {
        self.meter.check_at(self.clock.now())
    }

    /// Takes `n` tokens, or none.
    ///
    /// # Errors
    ///
    /// If there are not enough: when there will be, or that there never will be because `n` is over the burst.
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Limiter, Quota};
    /// let limiter = Limiter::with_clock(&Quota::per_second(10)?, Manual::new());
    /// assert!(limiter.check_n(7).is_ok());
    /// assert!(limiter.check_n(7).is_err());
    /// assert!(limiter.check_n(3).is_ok()); // what was refused took nothing
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    #[inline]
    pub fn check_n(&self, n: u64) -> Result<(), CheckError> {
        self.meter.check_n_at(self.clock.now(), n)
    }

    /// Gives `n` tokens back, as [`Meter::refund`](super::Meter::refund). Not while others wait for tokens
    /// (`Limiter::wait`): these keep their moments, and whoever comes next would be admitted at the same ones. Lock-free.
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Limiter, Quota};
    /// let limiter = Limiter::with_clock(&Quota::per_second(10)?, Manual::new());
    /// limiter.check_n(10).unwrap();
    /// limiter.refund(4);
    /// assert_eq!(limiter.available(), 4);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn refund(&self, n: u64) {
        self.meter.refund(n);
    }

    /// Whole tokens that may be taken now, if nobody else does.
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Limiter, Quota};
    /// let limiter = Limiter::with_clock(&Quota::per_second(10)?, Manual::new());
    /// limiter.check_n(7).unwrap();
    /// assert_eq!(limiter.available(), 3);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn available(&self) -> u64 {
        self.meter.available_at(self.clock.now())
    }

    /// Changes over to another quota, while others check.
    ///
    /// O(1), behind a lock that checks don't take.
    ///
    /// # Errors
    ///
    /// As [`AtomicMeter::set_quota`].
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Limiter, Quota};
    /// let limiter = Limiter::with_clock(&Quota::per_second(10)?, Manual::new());
    /// limiter.check_n(4).unwrap();
    /// limiter.set_quota(&Quota::per_second(50)?)?;
    /// assert_eq!(limiter.available(), 46);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_quota(&self, quota: &Quota) -> Result<(), AdjustError> {
        self.meter.set_quota(self.clock.now(), quota)
    }

    /// The account without the clock, for those who have the time at hand: [`AtomicMeter::check_at`] and its kin take an
    /// instant of this limiter's clock.
    ///
    /// ```
    /// use nyx_core::Clock;
    /// use nyx_core::limit::{Limiter, Quota};
    ///
    /// let limiter = Limiter::new(&Quota::per_second(100)?);
    /// let now = limiter.clock().now(); // once for all three
    /// assert!((0..3).all(|_| limiter.meter().check_at(now).is_ok()));
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    #[inline]
    pub fn meter(&self) -> &AtomicMeter {
        &self.meter
    }

    /// The clock by which it decides.
    ///
    /// ```
    /// use nyx_core::clock::{Clock, Manual};
    /// use nyx_core::limit::{Limiter, Quota};
    ///
    /// let clock = Manual::new();
    /// let limiter = Limiter::with_clock(&Quota::per_second(100)?, clock.clone());
    /// assert_eq!(limiter.clock().now(), clock.now());
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn clock(&self) -> &C {
        &self.clock
    }
}
