use parking_lot::Mutex;

use super::grain::{AdjustError, Flow, Grain};
use super::{CheckError, Denied, Quota};
use crate::Instant;
use crate::sync::atomic::{AtomicU64, Ordering, fence};

/// A limiter that many threads share, which bring the time. Takes up no more than it needs, 104 bytes: pad it, or use
/// [`Limiter`](super::Limiter), where threads would otherwise disturb what lies beside it.
///
/// A check is one compare-and-swap if it is admitted and none if it is denied. Checks don't wait for each other, nor for a
/// change of quota.
///
/// ```
/// use nyx_core::Instant;
/// use nyx_core::limit::{AtomicMeter, Quota};
///
/// let now = Instant::ZERO;
/// let meter = AtomicMeter::new(&Quota::per_second(1_000)?.with_burst(1)?, now);
/// assert!(meter.check_at(now).is_ok());
/// assert!(meter.check_at(now).is_err());
/// meter.refund(1);
/// assert!(meter.check_at(now).is_ok());
/// # Ok::<(), nyx_core::limit::QuotaError>(())
/// ```
// What a check touches is in the first 64 bytes until the quota is first adjusted.
#[derive(Debug)]
#[repr(C)]
pub struct AtomicMeter {
    spent: AtomicU64,
    /// The number of adjustments. Its parity tells which of the two flows holds.
    version: AtomicU64,
    even: AtomicFlow,
    grain: Grain,
    adjusting: Mutex<()>,
    odd: AtomicFlow,
}

impl AtomicMeter {
    /// With the whole burst to spend, from `now` on.
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use nyx_core::limit::{AtomicMeter, Quota};
    ///
    /// static UPLINK: std::sync::OnceLock<AtomicMeter> = std::sync::OnceLock::new();
    /// let quota = Quota::per_second(10)?;
    /// let meter = UPLINK.get_or_init(|| AtomicMeter::new(&quota, Instant::ZERO));
    /// assert_eq!(meter.available_at(Instant::ZERO), 10);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn new(quota: &Quota, now: Instant) -> Self {
        let grain = Grain::adjustable(quota);
        let flow = Flow::new(quota, grain, now);
        Self {
            spent: AtomicU64::new(0),
            version: AtomicU64::new(0),
            even: AtomicFlow::new(&flow),
            grain,
            adjusting: Mutex::new(()),
            odd: AtomicFlow::new(&flow),
        }
    }

    /// Takes one token.
    ///
    /// Lock-free: one compare-and-swap, and another each time that somebody else was faster.
    ///
    /// # Errors
    ///
    /// If there is none: when there will be.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_core::limit::{AtomicMeter, Quota};
    /// # let now = Instant::ZERO;
    /// let meter = AtomicMeter::new(&Quota::per_second(10)?.with_burst(3)?, now);
    /// let admitted = std::thread::scope(|scope| {
    ///     let threads = [(); 4].map(|()| scope.spawn(|| meter.check_at(now).is_ok()));
    ///     threads.map(|thread| thread.join().unwrap())
    /// });
    /// assert_eq!(admitted.iter().filter(|admitted| **admitted).count(), 3);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    #[inline]
    pub fn check_at(&self, now: Instant) -> Result<(), Denied> {
        let (flow, cost) = (self.flow(), self.grain.one());
        // Read last: the shorter the time to the exchange, the rarer it fails.
        let mut spent = self.spent.load(Ordering::Relaxed);
        loop {
            let next = flow.take(spent, cost, now)?;
            match self.replace_spent(spent, next) {
                Ok(()) => return Ok(()),
                Err(changed) => spent = changed,
            }
        }
    }

    /// Takes `n` tokens, or none.
    ///
    /// Lock-free, as [`AtomicMeter::check_at`].
    ///
    /// # Errors
    ///
    /// If there are not enough: when there will be, or that there never will be because `n` is over the burst.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_core::limit::{AtomicMeter, Quota};
    /// # let now = Instant::ZERO;
    /// let meter = AtomicMeter::new(&Quota::per_second(10)?, now);
    /// assert!(meter.check_n_at(now, 7).is_ok());
    /// assert!(meter.check_n_at(now, 7).is_err());
    /// assert!(meter.check_n_at(now, 3).is_ok()); // what was refused took nothing
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    #[inline]
    pub fn check_n_at(&self, now: Instant, n: u64) -> Result<(), CheckError> {
        let flow = self.flow();
        let cost = flow.cost(self.grain, n)?;
        let mut spent = self.spent.load(Ordering::Relaxed);
        loop {
            let next = flow.take(spent, cost, now)?;
            match self.replace_spent(spent, next) {
                Ok(()) => return Ok(()),
                Err(changed) => spent = changed,
            }
        }
    }

    /// Whole tokens that may be taken at once, if nobody else does.
    ///
    /// O(1), and writes nothing.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_core::limit::{AtomicMeter, Quota};
    /// # let now = Instant::ZERO;
    /// let meter = AtomicMeter::new(&Quota::per_second(10)?, now);
    /// meter.check_n_at(now, 7).unwrap();
    /// assert_eq!(meter.available_at(now), 3);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn available_at(&self, now: Instant) -> u64 {
        self.grain.tokens(self.flow().available(self.spent.load(Ordering::Relaxed), now))
    }

    /// Gives `n` tokens back, as [`Meter::refund`](super::Meter::refund). Not while others wait for tokens
    /// (`Limiter::wait`): these keep their moments, and whoever comes next would be admitted at the same ones. Lock-free.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_core::limit::{AtomicMeter, Quota};
    /// # let now = Instant::ZERO;
    /// let meter = AtomicMeter::new(&Quota::per_second(10)?, now);
    /// meter.check_n_at(now, 10).unwrap();
    /// meter.refund(4);
    /// assert_eq!(meter.available_at(now), 4);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn refund(&self, n: u64) {
        let refund = self.grain.of(n);
        let mut spent = self.spent.load(Ordering::Relaxed);
        while let Err(changed) = self.replace_spent(spent, spent.saturating_sub(refund)) {
            spent = changed;
        }
    }

    /// Changes over to another quota, while others check. What is owed stays owed.
    ///
    /// A check that runs at the same time is judged by either quota.
    ///
    /// O(1), behind a lock that checks don't take.
    ///
    /// # Errors
    ///
    /// If the account was not made for so large a quota; then the old one remains. A rate up to 16384 times and a burst up to
    /// 1024 times that at construction always fit.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_core::limit::{AtomicMeter, Quota};
    /// # let now = Instant::ZERO;
    /// let meter = AtomicMeter::new(&Quota::per_second(10)?, now);
    /// meter.check_n_at(now, 4).unwrap();
    /// meter.set_quota(now, &Quota::per_second(50)?)?;
    /// assert_eq!(meter.available_at(now), 46);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_quota(&self, now: Instant, quota: &Quota) -> Result<(), AdjustError> {
        self.grain.holds(quota)?;
        let _one_at_a_time = self.adjusting.lock();
        let version = self.version.load(Ordering::Relaxed);
        let next = self.flow_of(version).load().adjusted(quota, self.grain, now);
        // Pairs with the fence in `flow`: whoever reads any of the stores below also sees that the version which last
        // used this flow is over.
        fence(Ordering::Release);
        self.flow_of(version + 1).store(&next);
        self.version.store(version + 1, Ordering::Release);
        Ok(())
    }

    /// The flow that holds now. A sequence lock over two copies (Lamport's concurrent reading and writing; the fences
    /// are those of Boehm, "Can seqlocks get along with programming language memory models?", 2012): a change goes into the
    /// copy that is out of use, so that a reader starts again only if the quota was changed twice meanwhile.
    #[inline]
    pub(super) fn flow(&self) -> Flow {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let flow = self.flow_of(version).load();
            fence(Ordering::Acquire);
            if self.version.load(Ordering::Relaxed) == version {
                return flow;
            }
        }
    }

    #[inline]
    fn flow_of(&self, version: u64) -> &AtomicFlow {
        if version.is_multiple_of(2) { &self.even } else { &self.odd }
    }

    /// Relaxed, because nothing is published by it: all that matters is in the one word.
    #[inline]
    pub(super) fn replace_spent(&self, old: u64, new: u64) -> Result<(), u64> {
        self.spent.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed).map(drop)
    }

    #[cfg(feature = "async")]
    pub(super) fn spent(&self) -> u64 {
        self.spent.load(Ordering::Relaxed)
    }

    #[cfg(feature = "async")]
    pub(super) fn grain(&self) -> Grain {
        self.grain
    }
}

#[derive(Debug)]
struct AtomicFlow {
    origin: AtomicU64,
    base: AtomicU64,
    span: AtomicU64,
    mantissa: AtomicU64,
    burst: AtomicU64,
}

impl AtomicFlow {
    fn new(flow: &Flow) -> Self {
        Self {
            origin: AtomicU64::new(flow.origin),
            base: AtomicU64::new(flow.base),
            span: AtomicU64::new(flow.span),
            mantissa: AtomicU64::new(flow.mantissa),
            burst: AtomicU64::new(flow.burst),
        }
    }

    #[inline]
    fn load(&self) -> Flow {
        Flow {
            origin: self.origin.load(Ordering::Relaxed),
            base: self.base.load(Ordering::Relaxed),
            span: self.span.load(Ordering::Relaxed),
            mantissa: self.mantissa.load(Ordering::Relaxed),
            burst: self.burst.load(Ordering::Relaxed),
        }
    }

    fn store(&self, flow: &Flow) {
        self.origin.store(flow.origin, Ordering::Relaxed);
        self.base.store(flow.base, Ordering::Relaxed);
        self.span.store(flow.span, Ordering::Relaxed);
        self.mantissa.store(flow.mantissa, Ordering::Relaxed);
        self.burst.store(flow.burst, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn fits_in_104_bytes_with_the_hot_part_first() {
        assert_eq!(size_of::<AtomicMeter>(), 104);
        assert_eq!(std::mem::offset_of!(AtomicMeter, odd), 64);
    }

    #[test]
    fn an_adjusted_quota_holds_from_that_moment_on() {
        let at = |millis| Instant::ZERO + Duration::from_millis(millis);
        let meter = AtomicMeter::new(&Quota::per_second(10).unwrap(), at(0));
        meter.check_n_at(at(0), 10).unwrap();
        meter.set_quota(at(500), &Quota::per_second(1_000).unwrap().with_burst(10).unwrap()).unwrap();
        assert_eq!(meter.available_at(at(500)), 5);
        assert_eq!(meter.available_at(at(502)), 7);
        meter.set_quota(at(502), &Quota::per_second(1).unwrap().with_burst(10).unwrap()).unwrap();
        assert_eq!(meter.available_at(at(1_502)), 8);
    }

    #[test]
    fn a_quota_beyond_the_reserve_is_refused_and_the_old_one_stays() {
        let meter = AtomicMeter::new(&Quota::per_second(10).unwrap(), Instant::ZERO);
        let times = |rate: u64, burst: u64| {
            let quota = Quota::per_second(10 * rate).unwrap().with_burst(10 * burst).unwrap();
            meter.set_quota(Instant::ZERO, &quota)
        };
        assert_eq!(times(16_384, 1), Ok(()));
        assert_eq!(times(1, 1_024), Ok(()));
        assert_eq!(times(1, 1), Ok(()));
        assert_eq!(times(100_000, 1), Err(AdjustError::TooFast));
        assert_eq!(times(1, 1 << 50), Err(AdjustError::BurstTooLarge));
        assert_eq!(meter.available_at(Instant::ZERO), 10);
    }
}
