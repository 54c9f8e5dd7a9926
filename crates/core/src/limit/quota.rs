use std::time::Duration;

use thiserror::Error;

use crate::Bitrate;

/// A rate and a burst: what a limiter enforces.
///
/// A token is whatever is counted: a message, a byte, a connection. The rate is kept as a fraction and never rounded to an
/// interval, so 2.5 messages a second, 7 a day and 12.5 GB/s are each what they say. The burst is what
/// may go at once after a pause, and also the largest request that can ever be admitted.
///
/// ```
/// use nyx_core::limit::Quota;
/// use std::time::Duration;
///
/// let logins = Quota::new(5, Duration::from_secs(60))?;
/// assert_eq!(logins.burst(), 5);
///
/// let uplink = Quota::from_bitrate("100Gbit/s".parse().unwrap())?.with_burst(1 << 20)?;
/// assert_eq!(uplink.per_second_approx(), 12.5e9);
/// # Ok::<(), nyx_core::limit::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    rate: Rate,
    burst: u64,
}

impl Quota {
    /// The largest burst, in tokens.
    ///
    /// ```
    /// use nyx_core::limit::{Quota, QuotaError};
    ///
    /// let quota = Quota::per_second(1)?;
    /// assert!(quota.with_burst(Quota::BURST_MAX).is_ok());
    /// assert_eq!(quota.with_burst(Quota::BURST_MAX + 1), Err(QuotaError::BurstTooLarge));
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub const BURST_MAX: u64 = 1 << 61;

    /// `amount` tokens in every `per`, with a burst of `amount`.
    ///
    /// # Errors
    ///
    /// If either is zero, or the rate is over 32 tokens in a nanosecond or under one in nine years.
    ///
    /// ```
    /// use nyx_core::limit::{Quota, QuotaError};
    /// use std::time::Duration;
    ///
    /// let day = Duration::from_secs(86_400);
    /// assert_eq!(Quota::new(7, day)?.burst(), 7);
    /// assert_eq!(Quota::new(0, day), Err(QuotaError::Zero));
    /// # Ok::<(), QuotaError>(())
    /// ```
    pub fn new(amount: u64, per: Duration) -> Result<Self, QuotaError> {
        let per = u64::try_from(per.as_nanos()).map_err(|_| QuotaError::TooSlow)?;
        Self::from_rate(Rate::reduced(amount, per, 0), amount)
    }

    /// `amount` tokens a second, with a burst of `amount`.
    ///
    /// # Errors
    ///
    /// If it is zero or over 32 G.
    ///
    /// ```
    /// use nyx_core::limit::{Quota, QuotaError};
    ///
    /// assert_eq!(Quota::per_second(100)?, Quota::per_second_f64(100.0)?);
    /// assert_eq!(Quota::per_second(u64::MAX), Err(QuotaError::TooFast));
    /// # Ok::<(), QuotaError>(())
    /// ```
    pub fn per_second(amount: u64) -> Result<Self, QuotaError> {
        Self::new(amount, Duration::from_secs(1))
    }

    /// `amount` tokens a second, with a burst of as many, rounded up.
    ///
    /// # Errors
    ///
    /// If it is not a finite number over zero, or beyond the limits of [`Quota::new`].
    ///
    /// ```
    /// use nyx_core::limit::{Quota, QuotaError};
    ///
    /// assert_eq!(Quota::per_second_f64(2.5)?.burst(), 3);
    /// assert_eq!(Quota::per_second_f64(f64::NAN), Err(QuotaError::NotFinite));
    /// assert_eq!(Quota::per_second_f64(-1.0), Err(QuotaError::Zero));
    /// # Ok::<(), QuotaError>(())
    /// ```
    pub fn per_second_f64(amount: f64) -> Result<Self, QuotaError> {
        if !amount.is_finite() {
            return Err(QuotaError::NotFinite);
        }
        if amount <= 0.0 {
            return Err(QuotaError::Zero);
        }
        let (mantissa, exponent) = decompose(amount);
        // The cast saturates, and a burst so large belongs to a rate that is refused.
        Self::from_rate(Rate::reduced(mantissa, NANOS_PER_SECOND, exponent), amount.ceil() as u64)
    }

    /// As many bytes as `rate` carries, with a burst of one second.
    ///
    /// # Errors
    ///
    /// If it is zero or over 32 GB/s.
    ///
    /// ```
    /// use nyx_core::Bitrate;
    /// use nyx_core::limit::Quota;
    ///
    /// let quota = Quota::from_bitrate(Bitrate::from_bits_per_second(8_000))?;
    /// assert_eq!((quota.per_second_approx(), quota.burst()), (1_000.0, 1_000));
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn from_bitrate(rate: Bitrate) -> Result<Self, QuotaError> {
        let bits = rate.bits_per_second();
        Self::from_rate(Rate::reduced(bits, 8 * NANOS_PER_SECOND, 0), bits.div_ceil(8))
    }

    /// The same rate with another burst, in tokens.
    ///
    /// # Errors
    ///
    /// If it is zero or over [`Quota::BURST_MAX`].
    ///
    /// ```
    /// use nyx_core::limit::Quota;
    ///
    /// let quota = Quota::per_second(100)?.with_burst(5)?;
    /// assert_eq!((quota.per_second_approx(), quota.burst()), (100.0, 5));
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn with_burst(self, burst: u64) -> Result<Self, QuotaError> {
        match burst {
            0 => Err(QuotaError::Zero),
            burst if burst > Self::BURST_MAX => Err(QuotaError::BurstTooLarge),
            burst => Ok(Self { burst, ..self }),
        }
    }

    /// The most that may go at once, in tokens.
    ///
    /// ```
    /// # use nyx_core::limit::Quota;
    /// assert_eq!(Quota::per_second(100)?.burst(), 100);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn burst(&self) -> u64 {
        self.burst
    }

    /// The rate in tokens a second, to the precision of `f64`.
    ///
    /// ```
    /// use nyx_core::limit::Quota;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Quota::new(1, Duration::from_millis(8))?.per_second_approx(), 125.0);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn per_second_approx(&self) -> f64 {
        let per_nano = self.rate.amount as f64 / self.rate.per as f64 * f64::from(self.rate.exponent).exp2();
        per_nano * NANOS_PER_SECOND as f64
    }

    fn from_rate(rate: Rate, burst: u64) -> Result<Self, QuotaError> {
        if rate.amount == 0 || rate.per == 0 {
            return Err(QuotaError::Zero);
        }
        if !rate.at_most_per_nano(Rate::MAX_LOG2) {
            return Err(QuotaError::TooFast);
        }
        if rate.under_per_nano(Rate::MIN_LOG2) {
            return Err(QuotaError::TooSlow);
        }
        Ok(Self { rate, burst: burst.clamp(1, Self::BURST_MAX) })
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }
}

/// Why there is no such quota.
///
/// ```
/// use nyx_core::limit::{Quota, QuotaError};
///
/// let rate = 64_000_000_000; // bytes a second
/// assert_eq!(Quota::per_second(rate), Err(QuotaError::TooFast));
/// assert!(Quota::per_second(rate / 1024).is_ok()); // KiB a second
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// The amount, the period or the burst is zero or less. To let nothing through, leave the limiter out and refuse.
    #[error("a quota needs an amount, a period and a burst over zero")]
    Zero,
    /// The rate is NaN or infinite. To let everything through, leave the limiter out.
    #[error("a rate must be a finite number")]
    NotFinite,
    /// The rate is over 32 tokens in a nanosecond. Count in larger units.
    #[error("a rate is at most 32 tokens in a nanosecond; count in larger units, such as KiB for bytes")]
    TooFast,
    /// The rate is under one token in nine years. Count in smaller units, or don't limit by rate.
    #[error("a rate is at least one token in nine years; count in smaller units")]
    TooSlow,
    /// The burst is over [`Quota::BURST_MAX`]. Count in larger units.
    #[error("a burst is at most 2^61 tokens; count in larger units")]
    BurstTooLarge,
}

/// `amount × 2^exponent` tokens in `per` nanoseconds, in lowest terms, so that equal rates are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    amount: u64,
    per: u64,
    exponent: i32,
}

impl Rate {
    /// log2 of the fastest rate, in tokens per nanosecond.
    pub(super) const MAX_LOG2: i32 = 5;
    /// log2 of the slowest rate: one token while an account lasts.
    const MIN_LOG2: i32 = -58;

    fn reduced(amount: u64, per: u64, exponent: i32) -> Self {
        if amount == 0 || per == 0 {
            return Self { amount, per, exponent };
        }
        let (twos, per_twos) = (amount.trailing_zeros(), per.trailing_zeros());
        let (amount, per) = (amount >> twos, per >> per_twos);
        let common = greatest_common_divisor(amount, per);
        Self {
            amount: amount / common,
            per: per / common,
            exponent: exponent + twos as i32 - per_twos as i32,
        }
    }

    /// Whether this is at most `2^log2` tokens in a nanosecond.
    pub(super) fn at_most_per_nano(self, log2: i32) -> bool {
        let (amount, per, shift) = (u128::from(self.amount), u128::from(self.per), self.exponent - log2);
        match u32::try_from(shift) {
            Ok(up) => amount.leading_zeros() > up && amount << up <= per,
            Err(_) => per.leading_zeros() <= shift.unsigned_abs() || amount <= per << shift.unsigned_abs(),
        }
    }

    fn under_per_nano(self, log2: i32) -> bool {
        let exact = self.amount == self.per && self.exponent == log2;
        self.at_most_per_nano(log2) && !exact
    }

    /// The rate times `2^shift`, rounded up, so that what is due at a moment is there at that moment; at
    /// most `u64::MAX`.
    pub(super) fn scaled(self, shift: i32) -> u64 {
        let (amount, per, shift) = (u128::from(self.amount), u128::from(self.per), self.exponent + shift);
        let scaled = match u32::try_from(shift) {
            Ok(up) if amount.leading_zeros() > up => (amount << up).div_ceil(per),
            Ok(_) => u128::MAX,
            Err(_) if per.leading_zeros() > shift.unsigned_abs() => {
                amount.div_ceil(per << shift.unsigned_abs())
            }
            Err(_) => 1,
        };
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }
}

/// The integers of which a positive finite number consists: `mantissa × 2^exponent` (IEEE 754 binary64).
fn decompose(number: f64) -> (u64, i32) {
    let bits = number.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match (bits >> 52) as i32 & 0x7ff {
        0 => (fraction, -1074),
        exponent => (fraction | 1 << 52, exponent - 1075),
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rates_are_equal_however_they_are_written() {
        let rate = |quota: Result<Quota, QuotaError>| quota.unwrap().rate;
        let five_in_two = rate(Quota::new(5, Duration::from_secs(2)));
        assert_eq!(rate(Quota::per_second_f64(2.5)), five_in_two);
        assert_eq!(rate(Quota::from_bitrate(Bitrate::from_bits_per_second(20))), five_in_two);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        assert_eq!(Quota::per_second(0), Err(QuotaError::Zero));
        assert_eq!(Quota::new(1, Duration::ZERO), Err(QuotaError::Zero));
        assert_eq!(Quota::from_bitrate(Bitrate::default()), Err(QuotaError::Zero));
        assert_eq!(Quota::new(u64::MAX, Duration::from_nanos(1)), Err(QuotaError::TooFast));
        assert_eq!(Quota::per_second(32_000_000_001), Err(QuotaError::TooFast));
        assert_eq!(Quota::per_second_f64(f64::MAX), Err(QuotaError::TooFast));
        assert_eq!(Quota::per_second_f64(f64::INFINITY), Err(QuotaError::NotFinite));
        assert_eq!(Quota::per_second_f64(0.0), Err(QuotaError::Zero));
        assert_eq!(Quota::per_second_f64(f64::from_bits(1)), Err(QuotaError::TooSlow));
        assert_eq!(Quota::new(1, Duration::MAX), Err(QuotaError::TooSlow));
        let quota = Quota::per_second(1).unwrap();
        assert_eq!(quota.with_burst(0), Err(QuotaError::Zero));
        assert_eq!(quota.with_burst(u64::MAX), Err(QuotaError::BurstTooLarge));
    }

    #[test]
    fn the_fastest_and_the_slowest_are_accepted() {
        assert!(Quota::per_second(32_000_000_000).is_ok());
        assert!(Quota::new(1, Duration::from_nanos(1 << 58)).is_ok());
        assert_eq!(Quota::new(1, Duration::from_nanos((1 << 58) + 1)), Err(QuotaError::TooSlow));
        assert_eq!(Quota::new(u64::MAX, Duration::from_nanos(u64::MAX)).unwrap().burst(), Quota::BURST_MAX);
    }
}
