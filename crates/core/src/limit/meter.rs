use super::grain::{DEBT_MAX, Flow, Grain};
use super::{CheckError, Denied, Quota};
use crate::Instant;

/// A limiter with one owner, which brings the time: a plain value of 56 bytes.
///
/// Every check is O(1), without a division.
///
/// ```
/// use nyx_core::Instant;
/// use nyx_core::limit::{CheckError, Meter, Quota};
/// use std::time::Duration;
///
/// let start = Instant::ZERO;
/// let quota = Quota::from_bitrate("1MB/s".parse().unwrap())?.with_burst(3_000)?;
/// let mut meter = Meter::new(&quota, start);
///
/// assert!(meter.check_n_at(start, 1_500).is_ok());
/// assert!(meter.check_n_at(start, 1_500).is_ok());
/// let denied = meter.check_n_at(start, 1_500).unwrap_err();
/// assert_eq!(denied.retry_after(), Some(Duration::from_micros(1_500)));
/// assert!(matches!(meter.check_n_at(start, 3_001), Err(CheckError::OverBurst(_))));
/// # Ok::<(), nyx_core::limit::QuotaError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Meter {
    flow: Flow,
    grain: Grain,
    spent: u64,
}

impl Meter {
    /// With the whole burst to spend, from `now` on.
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use nyx_core::limit::{Meter, Quota};
    ///
    /// let meter = Meter::new(&Quota::per_second(10)?, Instant::ZERO);
    /// assert_eq!(meter.available_at(Instant::ZERO), 10);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn new(quota: &Quota, now: Instant) -> Self {
        let grain = Grain::finest(quota);
        Self { flow: Flow::new(quota, grain, now), grain, spent: 0 }
    }

    /// Takes one token.
    ///
    /// # Errors
    ///
    /// If there is none: when there will be.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_core::limit::{Meter, Quota};
    /// # let now = Instant::ZERO;
    /// let mut meter = Meter::new(&Quota::per_second(10)?.with_burst(1)?, now);
    /// assert!(meter.check_at(now).is_ok());
    /// assert!(meter.check_at(now).is_err());
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    #[inline]
    pub fn check_at(&mut self, now: Instant) -> Result<(), Denied> {
        self.spent = self.flow.take(self.spent, self.grain.one(), now)?;
        Ok(())
    }

    /// Takes `n` tokens, or none.
    ///
    /// # Errors
    ///
    /// If there are not enough: when there will be, or that there never will be because `n` is over the burst.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_core::limit::{Meter, Quota};
    /// # let now = Instant::ZERO;
    /// let mut meter = Meter::new(&Quota::per_second(10)?, now);
    /// assert!(meter.check_n_at(now, 7).is_ok());
    /// assert!(meter.check_n_at(now, 7).is_err());
    /// assert!(meter.check_n_at(now, 3).is_ok()); // what was refused took nothing
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    #[inline]
    pub fn check_n_at(&mut self, now: Instant, n: u64) -> Result<(), CheckError> {
        let cost = self.flow.cost(self.grain, n)?;
        self.spent = self.flow.take(self.spent, cost, now)?;
        Ok(())
    }

    /// Takes `n` tokens whether there are as many or not, for what has happened already. What is missing is owed, and
    /// nothing is admitted before it has been supplied. Returns when that is: `now` if nothing is owed.
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use nyx_core::limit::{Meter, Quota};
    /// use std::time::Duration;
    ///
    /// let mut meter = Meter::new(&Quota::per_second(100)?, Instant::ZERO);
    /// assert_eq!(meter.charge_at(Instant::ZERO, 100), Instant::ZERO);
    /// assert_eq!(meter.charge_at(Instant::ZERO, 50), Instant::ZERO + Duration::from_millis(500));
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn charge_at(&mut self, now: Instant, n: u64) -> Instant {
        let level = self.flow.level(now);
        self.spent =
            self.spent.max(level).saturating_add(self.grain.of(n)).min(level.saturating_add(DEBT_MAX));
        self.flow.denied(self.spent, 0, now).at().max(now)
    }

    /// Whole tokens that may be taken at once.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_core::limit::{Meter, Quota};
    /// # let now = Instant::ZERO;
    /// let mut meter = Meter::new(&Quota::per_second(10)?, now);
    /// meter.check_n_at(now, 7).unwrap();
    /// assert_eq!(meter.available_at(now), 3);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn available_at(&self, now: Instant) -> u64 {
        self.grain.tokens(self.flow.available(self.spent, now))
    }

    /// Gives `n` tokens back that were taken and not used. Never lifts the rest above the burst.
    ///
    /// Give back soon: tokens that have come in the meantime anyway would count twice.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_core::limit::{Meter, Quota};
    /// # let now = Instant::ZERO;
    /// let mut meter = Meter::new(&Quota::per_second(10)?, now);
    /// meter.check_n_at(now, 10).unwrap();
    /// meter.refund(4); // only six were sent
    /// assert_eq!(meter.available_at(now), 4);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn refund(&mut self, n: u64) {
        self.spent = self.spent.saturating_sub(self.grain.of(n));
    }

    /// Changes over to another quota. What is owed stays owed, and if nothing is, the new burst is free.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_core::limit::{Meter, Quota};
    /// # let now = Instant::ZERO;
    /// let mut meter = Meter::new(&Quota::per_second(10)?, now);
    /// meter.check_n_at(now, 4).unwrap();
    /// meter.set_quota(now, &Quota::per_second(50)?);
    /// assert_eq!(meter.available_at(now), 46);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn set_quota(&mut self, now: Instant, quota: &Quota) {
        let debt = self.spent.saturating_sub(self.flow.level(now));
        let grain = Grain::finest(quota);
        self.spent = self.grain.convert(debt, grain, DEBT_MAX);
        self.flow = Flow::new(quota, grain, now);
        self.grain = grain;
    }

    /// The burst in tokens.
    #[inline]
    pub(super) fn burst(&self) -> u64 {
        self.grain.tokens(self.flow.burst)
    }

    /// Takes `n` tokens that are known to be available at `now`.
    pub(super) fn spend(&mut self, now: Instant, n: u64) {
        self.spent = self.spent.max(self.flow.level(now)).saturating_add(self.grain.of(n));
    }

    /// The answer to `n` tokens, at most the burst, if `ahead` more were spent than has been noted.
    #[inline]
    pub(super) fn denied(&self, now: Instant, ahead: u64, n: u64) -> Denied {
        let spent = self.spent.max(self.flow.level(now)).saturating_add(self.grain.of(ahead));
        self.flow.denied(spent, self.grain.of(n), now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_next_token_comes_to_the_nanosecond() {
        let quota = Quota::per_second(1).unwrap();
        let mut meter = Meter::new(&quota, Instant::ZERO);
        meter.check_at(Instant::ZERO).unwrap();
        assert!(meter.check_at(Instant::from_nanos(999_999_999)).is_err());
        assert!(meter.check_at(Instant::from_nanos(1_000_000_000)).is_ok());
    }

    #[test]
    fn time_that_runs_backwards_neither_gives_nor_takes() {
        let quota = Quota::per_second(10).unwrap().with_burst(1).unwrap();
        let second = Instant::from_nanos(1_000_000_000);
        let mut meter = Meter::new(&quota, second);
        meter.check_at(second).unwrap();
        assert!(meter.check_at(Instant::ZERO).is_err());
        assert!(meter.check_at(second + Duration::from_millis(99)).is_err());
        assert!(meter.check_at(second + Duration::from_millis(100)).is_ok());
    }

    #[test]
    fn a_refund_never_lifts_above_the_burst() {
        let quota = Quota::per_second(10).unwrap();
        let mut meter = Meter::new(&quota, Instant::ZERO);
        meter.check_n_at(Instant::ZERO, 4).unwrap();
        meter.refund(3);
        assert_eq!(meter.available_at(Instant::ZERO), 9);
        meter.refund(u64::MAX);
        assert_eq!(meter.available_at(Instant::ZERO), 10);
    }

    #[test]
    fn debt_survives_a_change_of_quota() {
        let mut meter = Meter::new(&Quota::per_second(10).unwrap(), Instant::ZERO);
        meter.check_n_at(Instant::ZERO, 10).unwrap();
        meter.set_quota(Instant::ZERO, &Quota::per_second(1_000_000_000).unwrap().with_burst(12).unwrap());
        assert_eq!(meter.available_at(Instant::ZERO), 2);
        meter.set_quota(Instant::ZERO, &Quota::new(1, Duration::from_secs(86_400)).unwrap());
        let denied = meter.check_at(Instant::ZERO).unwrap_err();
        assert_eq!(denied.retry_after(), Duration::from_secs(10 * 86_400));
    }

    #[test]
    fn instants_far_from_the_origin_neither_panic_nor_wrap() {
        for nanos in [0, 1, 1 << 58, 1 << 63, u64::MAX] {
            let mut meter =
                Meter::new(&Quota::per_second(u64::from(u32::MAX)).unwrap(), Instant::from_nanos(nanos));
            for now in [u64::MAX, 0, nanos] {
                let now = Instant::from_nanos(now);
                while meter.check_n_at(now, 1 << 31).is_ok() {}
                assert!(meter.check_n_at(now, u64::MAX).is_err());
            }
        }
    }
}
