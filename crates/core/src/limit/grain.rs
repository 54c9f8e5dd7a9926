//! What a quota supplies over time, in integers: the one piece of arithmetic that all limiters share.

use thiserror::Error;

use super::Quota;
use super::quota::Rate;
use super::verdict::{Denied, OverBurst};
use crate::Instant;

/// The unit of an account: this power of two of grains make a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grain {
    bits: u32,
}

impl Grain {
    /// The finest in which an account of `quota` lasts for nine years.
    pub(super) fn finest(quota: &Quota) -> Self {
        Self { bits: rate_bits(quota).min(burst_bits(quota)) }
    }

    /// One that leaves room to raise the rate 2^14 times and the burst 2^10 times. Slow quotas have more room: precision
    /// beyond [`ADJUSTABLE_BITS`] is of no use to anybody.
    pub(super) fn adjustable(quota: &Quota) -> Self {
        let bits = rate_bits(quota).saturating_sub(14).min(burst_bits(quota).saturating_sub(10));
        Self { bits: bits.min(ADJUSTABLE_BITS) }
    }

    /// `tokens` in grains, saturating.
    #[inline]
    pub(super) fn of(self, tokens: u64) -> u64 {
        if tokens > u64::MAX >> self.bits { u64::MAX } else { tokens << self.bits }
    }

    /// Whole tokens in `grains`.
    #[inline]
    pub(super) fn tokens(self, grains: u64) -> u64 {
        grains >> self.bits
    }

    /// One token in grains.
    #[inline]
    pub(super) fn one(self) -> u64 {
        1 << self.bits
    }

    /// Takes an amount from one unit to the other, rounding up and saturating at `max`.
    pub(super) fn convert(self, grains: u64, to: Self, max: u64) -> u64 {
        let wide = u128::from(grains);
        let converted = match to.bits.checked_sub(self.bits) {
            Some(finer) => wide << finer,
            None => wide.div_ceil(1 << (self.bits - to.bits)),
        };
        u64::try_from(converted).unwrap_or(max).min(max)
    }

    /// Whether an account in this unit can change over to `quota`.
    pub(super) fn holds(self, quota: &Quota) -> Result<(), AdjustError> {
        if self.bits > rate_bits(quota) {
            return Err(AdjustError::TooFast);
        }
        if self.bits > burst_bits(quota) {
            return Err(AdjustError::BurstTooLarge);
        }
        Ok(())
    }
}

/// Why a limiter that others are using can't change over to a quota. Make a new limiter for it.
///
/// ```
/// use nyx_core::limit::{AdjustError, Limiter, Quota};
///
/// let limiter = Limiter::new(&Quota::per_second(1)?);
/// assert_eq!(limiter.set_quota(&Quota::per_second(10_000)?), Ok(()));
/// assert_eq!(limiter.set_quota(&Quota::per_second(10_000_000)?), Err(AdjustError::TooFast));
/// # Ok::<(), nyx_core::limit::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AdjustError {
    /// The rate is over 16384 times that for which the limiter was made.
    #[error("the rate is too far over the one that the limiter was made for; make a new limiter")]
    TooFast,
    /// The burst is over 1024 times that for which the limiter was made.
    #[error("the burst is too far over the one that the limiter was made for; make a new limiter")]
    BurstTooLarge,
}

/// What a quota supplies from an origin on, in grains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    /// Nanoseconds on the clock at which the account begins.
    pub(super) origin: u64,
    /// The level at the origin.
    pub(super) base: u64,
    /// Nanoseconds from the origin on for which the rate supplies; the account ends there.
    pub(super) span: u64,
    /// Grains per nanosecond, in units of 2^-59.
    pub(super) mantissa: u64,
    /// The burst in grains, at least one token.
    pub(super) burst: u64,
}

impl Flow {
    pub(super) fn new(quota: &Quota, grain: Grain, now: Instant) -> Self {
        Self::starting(quota, grain, now.as_nanos(), 0)
    }

    /// The same account under another quota from `now` on: the level goes on from where it is.
    pub(super) fn adjusted(&self, quota: &Quota, grain: Grain, now: Instant) -> Self {
        Self::starting(quota, grain, now.as_nanos().max(self.origin), self.level(now))
    }

    /// An account that begins at `origin` nanoseconds, where the level is `base`.
    pub(super) fn starting(quota: &Quota, grain: Grain, origin: u64, base: u64) -> Self {
        let mantissa = quota.rate().scaled(grain.bits as i32 + MANTISSA_BITS);
        let span = nanos_to_supply(LEVEL_MAX - base, mantissa).saturating_sub(1).min(SPAN_MAX);
        Self { origin, base, span, mantissa, burst: grain.of(quota.burst()) }
    }

    /// What has been supplied up to `now`; at most [`LEVEL_MAX`].
    #[inline]
    pub(super) fn level(&self, now: Instant) -> u64 {
        let elapsed = now.as_nanos().saturating_sub(self.origin).min(self.span);
        self.base + supplied(elapsed, self.mantissa)
    }

    /// The cost of `n` tokens in grains, at most the burst.
    #[inline]
    pub(super) fn cost(&self, grain: Grain, n: u64) -> Result<u64, OverBurst> {
        let burst = grain.tokens(self.burst);
        if n > burst { Err(OverBurst { asked: n, burst }) } else { Ok(n << grain.bits) }
    }

    /// Decides over a `cost` of at most the burst, and says what is spent after it.
    #[inline]
    pub(super) fn take(&self, spent: u64, cost: u64, now: Instant) -> Result<u64, Denied> {
        let level = self.level(now);
        let room = self.burst.saturating_sub(cost);
        if spent.saturating_sub(level) > room {
            return Err(self.denied(spent, cost, now));
        }
        Ok(spent.max(level) + cost)
    }

    /// The answer to a `cost` that has to wait, if `spent` is over the level by more than the rest of the burst.
    #[inline]
    pub(super) fn denied(&self, spent: u64, cost: u64, now: Instant) -> Denied {
        let target = spent.saturating_sub(self.burst.saturating_sub(cost));
        Denied { flow: *self, target, now }
    }

    /// Grains that may be taken at once.
    #[inline]
    pub(super) fn available(&self, spent: u64, now: Instant) -> u64 {
        self.burst.saturating_sub(spent.saturating_sub(self.level(now)))
    }

    /// When the level reaches `target`; `None` if the account ends before.
    pub(super) fn reaches(&self, target: u64) -> Option<Instant> {
        let elapsed = nanos_to_supply(target.saturating_sub(self.base), self.mantissa);
        let at = self.origin.checked_add(elapsed)?;
        (elapsed <= self.span).then_some(Instant::from_nanos(at))
    }
}

/// Grains that the rate supplies in `nanos`, which are at most [`SPAN_MAX`].
#[inline]
fn supplied(nanos: u64, mantissa: u64) -> u64 {
    // The product is in units of 2^-59 grains: shifting the factor instead of the product leaves the upper half as it is.
    let product = u128::from(nanos << Rate::MAX_LOG2) * u128::from(mantissa);
    (product >> 64) as u64
}

/// The shortest time in which the rate supplies `grains`, which are at most 2^63.
fn nanos_to_supply(grains: u64, mantissa: u64) -> u64 {
    let nanos = (u128::from(grains) << MANTISSA_BITS).div_ceil(u128::from(mantissa));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

fn rate_bits(quota: &Quota) -> u32 {
    let fits = |bits: &u32| quota.rate().at_most_per_nano(Rate::MAX_LOG2 - *bits as i32);
    (0..=BURST_GRAINS_LOG2).rev().find(fits).unwrap_or(0)
}

fn burst_bits(quota: &Quota) -> u32 {
    ((1 << BURST_GRAINS_LOG2) / quota.burst()).checked_ilog2().unwrap_or(0)
}

/// The fixed point of [`Flow::mantissa`]: the fastest rate, 2^5 grains in a nanosecond, just fits.
const MANTISSA_BITS: i32 = 64 - Rate::MAX_LOG2;
/// Nine years: at the fastest rate these supply 2^63 grains.
const SPAN_MAX: u64 = (1 << 58) - 1;
/// Levels stop here, so that debts on top of it, up to [`DEBT_MAX`] and a burst, don't overflow.
const LEVEL_MAX: u64 = 1 << 63;
/// log2 of the largest burst, in grains; with whole tokens for grains it is [`Quota::BURST_MAX`].
const BURST_GRAINS_LOG2: u32 = 61;
/// The finest grain of limiters that are adjusted while others check: 2^30 of them to a token.
const ADJUSTABLE_BITS: u32 = 30;
/// How far spending may be ahead of the level.
pub(super) const DEBT_MAX: u64 = 1 << 62;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_year_of_a_fractional_rate_is_exact() {
        let year = Duration::from_secs(365 * 86_400);
        let tokens = |quota: &Quota| {
            let grain = Grain::adjustable(quota);
            let flow = Flow::new(quota, grain, Instant::ZERO);
            grain.tokens(flow.level(Instant::ZERO + year))
        };
        assert_eq!(tokens(&Quota::per_second_f64(2.5).unwrap()), 78_840_000);
        assert_eq!(tokens(&Quota::new(7, Duration::from_secs(86_400)).unwrap()), 7 * 365);
        assert_eq!(tokens(&Quota::per_second(12_345_678_901).unwrap()), 12_345_678_901 * 365 * 86_400);
    }

    #[test]
    fn an_account_ends_instead_of_wrapping() {
        let quota = Quota::per_second(32_000_000_000).unwrap().with_burst(Quota::BURST_MAX).unwrap();
        let grain = Grain::finest(&quota);
        let mut flow = Flow::new(&quota, grain, Instant::ZERO);
        let end = Instant::from_nanos(u64::MAX);
        for _ in 0..3 {
            assert!(flow.level(end) <= LEVEL_MAX);
            flow = flow.adjusted(&quota, grain, end);
        }
        assert_eq!(flow.reaches(LEVEL_MAX), None);
        let spent = flow.take(flow.level(end), flow.burst, end).unwrap();
        assert!(flow.take(spent, 1, end).is_err());
    }

    proptest! {
        #[test]
        fn the_level_is_within_a_grain_of_the_exact_one(
            amount in 1..10_000_000u64,
            per in 1_000_000..u64::MAX / 4,
            elapsed in 0..SPAN_MAX,
        ) {
            let quota = Quota::new(amount, Duration::from_nanos(per));
            prop_assume!(quota.is_ok());
            let grain = Grain::finest(&quota.unwrap());
            let flow = Flow::new(&quota.unwrap(), grain, Instant::ZERO);
            let exact = amount as f64 / per as f64 * elapsed as f64 * (grain.bits as f64).exp2();
            let level = flow.level(Instant::from_nanos(elapsed.min(flow.span))) as f64;
            prop_assume!(elapsed <= flow.span);
            prop_assert!((level - exact).abs() <= 2.0 + exact * 1e-15, "{level} for {exact}");
        }

        #[test]
        fn a_level_is_reached_at_the_first_nanosecond_that_has_it(
            amount in 1..u64::from(u32::MAX),
            per in 1..1_000_000_000_000u64,
            target in 0..1u64 << 50,
        ) {
            let quota = Quota::new(amount, Duration::from_nanos(per));
            prop_assume!(quota.is_ok());
            let flow = Flow::new(&quota.unwrap(), Grain::finest(&quota.unwrap()), Instant::from_nanos(77));
            let at = flow.reaches(target).unwrap();
            prop_assert!(flow.level(at) >= target);
            prop_assert!(at.as_nanos() == 77 || flow.level(at - Duration::from_nanos(1)) < target);
        }
    }
}
