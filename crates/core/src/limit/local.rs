use std::time::Duration;

use super::{CheckError, Denied, Meter, OverBurst, Quota};
use crate::clock::Monotonic;
use crate::{Clock, Instant};

/// A limiter with one owner and a clock that it reads as seldom as it can: for callers who ask millions of times a second.
///
/// A look at the clock covers the calls that follow, 64 of them at most. The number doubles from look to look while calls are
/// less than a microsecond apart, and falls back to one as soon as they are not, so that whoever asks seldom is always
/// judged by the time of the call. Every call is O(1).
///
/// # What it may get wrong
///
/// Time that is out of date is behind, so a decision is what it would have been a little earlier. Over a window of
/// length `w`:
///
/// - **Never much over**: at most `burst + rate × w` and a slack, the tokens that one look may release for the calls after
///   it: 63, or a 64th of the burst if that is more.
/// - **Never refused for long**: at most 63 calls in a row are refused though there is a token by then. To a caller who keeps asking,
///   less than a microsecond apart, that is under 64 µs; one who suddenly asks seldom may be refused so once, and after
///   that not again. The tokens are there at the next look, as far as the burst holds them: with a burst of at least
///   `1 + rate × 64 µs` a caller who keeps asking gets the whole rate.
///
/// ```
/// use nyx_core::clock::Manual;
/// use nyx_core::limit::{Local, Quota};
/// use std::time::Duration;
///
/// let clock = Manual::new();
/// let mut limiter = Local::with_clock(&Quota::per_second(10)?, clock.clone());
/// let admitted = (0..1_000).filter(|_| limiter.check().is_ok()).count();
/// assert_eq!(admitted, 10);
///
/// assert_eq!(limiter.time_until(1), Ok(Duration::from_millis(100)));
/// clock.advance(Duration::from_millis(100));
/// assert!(limiter.check().is_ok());
/// # Ok::<(), nyx_core::limit::QuotaError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Local<C = Monotonic> {
    /// Tokens that may still go without another look.
    room: u64,
    /// Calls that the last look still covers.
    calls: u32,
    /// Calls that it covered in all.
    batch: u32,
    /// Tokens that it released.
    released: u64,
    /// Whether these were all there were.
    all: bool,
    /// The time of the last look.
    stamp: Instant,
    slack: u64,
    meter: Meter,
    clock: C,
}

impl Local {
    /// By a [`Monotonic`] clock of its own, with the whole burst to spend.
    ///
    /// ```
    /// use nyx_core::limit::{Local, Quota};
    ///
    /// let mut limiter = Local::new(&Quota::per_second(100)?);
    /// assert!(limiter.check().is_ok());
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn new(quota: &Quota) -> Self {
        Self::with_clock(quota, Monotonic::new())
    }
}

impl<C: Clock> Local<C> {
    /// By this clock, with the whole burst to spend.
    ///
    /// ```
    /// use nyx_core::clock::Manual;
    /// use nyx_core::limit::{Local, Quota};
    ///
    /// let mut limiter = Local::with_clock(&Quota::per_second(100)?, Manual::new());
    /// assert!(limiter.check_n(100).is_ok());
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn with_clock(quota: &Quota, clock: C) -> Self {
        let stamp = clock.now();
        Self {
            room: 0,
            calls: 0,
            batch: 1,
            released: 0,
            all: false,
            stamp,
            slack: slack(quota),
            meter: Meter::new(quota, stamp),
            clock,
        }
    }

    /// Takes one token.
    ///
    /// # Errors
    ///
    /// If there was none at the last look: when there will be.
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Local, Quota};
    /// let mut limiter = Local::with_clock(&Quota::per_second(10)?.with_burst(1)?, Manual::new());
    /// assert!(limiter.check().is_ok());
    /// assert!(limiter.check().is_err());
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    #[inline]
    pub fn check(&mut self) -> Result<(), Denied> {
        self.take(1)
    }

    /// Takes `n` tokens, or none.
    ///
    /// # Errors
    ///
    /// If there were not enough at the last look: when there will be, or that there never will be because `n` is over the burst.
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Local, Quota};
    /// let mut limiter = Local::with_clock(&Quota::per_second(10)?, Manual::new());
    /// assert!(limiter.check_n(7).is_ok());
    /// assert!(limiter.check_n(7).is_err());
    /// assert!(limiter.check_n(3).is_ok()); // what was refused took nothing
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    #[inline]
    pub fn check_n(&mut self, n: u64) -> Result<(), CheckError> {
        self.fits(n)?;
        Ok(self.take(n)?)
    }

    /// How long until `n` tokens may be taken, by a fresh look at the clock.
    ///
    /// # Errors
    ///
    /// If they never may because `n` is over the burst.
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Local, Quota};
    /// # use std::time::Duration;
    /// let mut limiter = Local::with_clock(&Quota::per_second(10)?, Manual::new());
    /// assert_eq!(limiter.time_until(10), Ok(Duration::ZERO));
    /// limiter.check_n(10).unwrap();
    /// assert_eq!(limiter.time_until(5), Ok(Duration::from_millis(500)));
    /// assert!(limiter.time_until(11).is_err());
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn time_until(&mut self, n: u64) -> Result<Duration, OverBurst> {
        self.fits(n)?;
        self.look(n);
        let wait = if n <= self.room { Duration::ZERO } else { self.denied(n).retry_after() };
        // The caller may well sleep for as long, so that this look must not count for the next call.
        self.settle();
        Ok(wait)
    }

    /// Gives `n` tokens back, as [`Meter::refund`]. The next call looks at the clock.
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Local, Quota};
    /// let mut limiter = Local::with_clock(&Quota::per_second(10)?, Manual::new());
    /// limiter.check_n(10).unwrap();
    /// limiter.refund(4);
    /// assert!(limiter.check_n(4).is_ok());
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn refund(&mut self, n: u64) {
        self.settle();
        self.meter.refund(n);
    }

    /// Changes over to another quota. What is owed stays owed.
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Local, Quota};
    /// let mut limiter = Local::with_clock(&Quota::per_second(10)?, Manual::new());
    /// limiter.check_n(4).unwrap();
    /// limiter.set_quota(&Quota::per_second(50)?);
    /// assert!(limiter.check_n(47).is_err());
    /// assert!(limiter.check_n(46).is_ok());
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn set_quota(&mut self, quota: &Quota) {
        self.settle();
        (self.stamp, self.batch) = (self.stamp.max(self.clock.now()), 0);
        self.meter.set_quota(self.stamp, quota);
        self.slack = slack(quota);
    }

    #[inline]
    fn take(&mut self, n: u64) -> Result<(), Denied> {
        if self.calls == 0 || (n > self.room && !self.all) {
            self.look(n);
        }
        self.calls -= 1;
        if n > self.room {
            return Err(self.denied(n));
        }
        self.room -= n;
        Ok(())
    }

    /// Reads the clock, and releases what a call for `n` and those it covers after it may take.
    #[cold]
    #[inline(never)]
    fn look(&mut self, n: u64) {
        let made = self.batch - self.calls;
        self.book();
        let now = self.clock.now().max(self.stamp);
        let hot = (now - self.stamp).as_nanos() <= u128::from(made) * HOT_NANOS;
        self.batch = if hot { (self.batch * 2).clamp(1, BATCH_MAX) } else { 1 };
        self.calls = self.batch;
        self.stamp = now;
        let available = self.meter.available_at(now);
        self.released = available.min(n.saturating_add(self.slack));
        self.all = self.released == available;
        self.room = self.released;
    }

    /// Ends the batch, so that the next call looks.
    fn settle(&mut self) {
        // Calls that weren't made must not make those that were look closer together.
        self.batch -= self.calls;
        self.book();
    }

    /// Books what has been taken since the last look.
    fn book(&mut self) {
        let taken = self.released - self.room;
        if taken > 0 {
            self.meter.spend(self.stamp, taken);
        }
        (self.released, self.room, self.calls) = (0, 0, 0);
    }

    #[inline]
    fn fits(&self, n: u64) -> Result<(), OverBurst> {
        let burst = self.meter.burst();
        if n > burst { Err(OverBurst { asked: n, burst }) } else { Ok(()) }
    }

    #[inline]
    fn denied(&self, n: u64) -> Denied {
        self.meter.denied(self.stamp, self.released - self.room, n)
    }
}

fn slack(quota: &Quota) -> u64 {
    (quota.burst() / u64::from(BATCH_MAX)).max(u64::from(BATCH_MAX) - 1)
}

/// The most calls that one look covers. With 64 a clock reading of 10 ns weighs little beside the calls.
const BATCH_MAX: u32 = 64;
/// Calls that are further apart than this read the clock each time: there it costs 1 % of what the caller does between.
const HOT_NANOS: u128 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;

    #[test]
    fn a_batch_that_was_cut_short_does_not_hide_that_calls_are_far_apart() {
        let clock = Manual::new();
        let quota = Quota::per_second(1_000_000).unwrap();
        let cuts: [fn(&mut Local<Manual>); 3] = [
            |local| local.refund(1),
            |local| local.set_quota(&Quota::per_second(5).unwrap()),
            |local| {
                local.time_until(1).unwrap();
            },
        ];
        for cut in cuts {
            let mut limiter = Local::with_clock(&quota, clock.clone());
            (0..130).for_each(|_| limiter.check().unwrap());
            assert_eq!(limiter.batch, BATCH_MAX);
            cut(&mut limiter);
            clock.advance(Duration::from_micros(20));
            let _ = limiter.check();
            assert_eq!((limiter.batch, limiter.calls), (1, 0));
        }
    }
}
