//! Quotas as people write them in a configuration.

use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use super::{Quota, QuotaError};
use crate::ByteSize;

/// Reads `100/s`, `2.5/s`, `5/min`, `10MB/s` or `200/s burst 1000`.
///
/// The units of time are `s`, `min`, `h` and `day`; amounts have the prefixes of [`ByteSize`]. A fraction has up to five
/// decimals and is taken exactly; more are refused. With a prefix it is rounded to a whole token. Without a burst it is what the rate supplies in one unit of time, rounded up.
///
/// ```
/// use nyx_core::limit::Quota;
///
/// let quota: Quota = "200/s burst 1000".parse()?;
/// assert_eq!((quota.per_second_approx(), quota.burst()), (200.0, 1000));
/// # Ok::<(), nyx_core::limit::ParseQuotaError>(())
/// ```
impl FromStr for Quota {
    type Err = ParseQuotaError;

    fn from_str(text: &str) -> Result<Self, ParseQuotaError> {
        let unreadable = || ParseQuotaError::Unreadable(text.to_owned());
        let (rate, burst) =
            text.split_once(" burst ").map_or((text, None), |(rate, burst)| (rate, Some(burst)));
        let (amount, unit) = rate.split_once('/').ok_or_else(unreadable)?;
        let seconds = seconds(unit.trim()).ok_or_else(unreadable)?;
        let (amount, parts) = fraction(amount.trim()).ok_or_else(unreadable)?;
        let quota = Self::new(amount, Duration::from_secs(seconds * parts))?;
        let burst = match burst {
            Some(burst) => burst.trim().parse::<ByteSize>().map_err(|_| unreadable())?.bytes(),
            None => quota.burst().div_ceil(parts),
        };
        Ok(quota.with_burst(burst)?)
    }
}

fn seconds(unit: &str) -> Option<u64> {
    match unit {
        "s" => Some(1),
        "min" => Some(60),
        "h" => Some(3_600),
        "day" => Some(86_400),
        _ => None,
    }
}

/// An amount as a numerator and a power of ten.
fn fraction(text: &str) -> Option<(u64, u64)> {
    let Some((whole, decimals)) = text.split_once('.').filter(|_| !text.ends_with(char::is_alphabetic))
    else {
        return Some((text.parse::<ByteSize>().ok()?.bytes(), 1));
    };
    let is_number = |text: &str, most| text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole, WHOLE_MAX) || !is_number(decimals, DECIMALS_MAX) || decimals.is_empty() {
        return None;
    }
    let parts = 10_u64.pow(decimals.len() as u32);
    Some((format!("0{whole}{decimals}").parse().ok()?, parts))
}

/// Digits behind the point: ten to this power times a day, in nanoseconds, fits 64 bits.
const DECIMALS_MAX: usize = 5;

/// Digits in front of it: with those behind it they fit as well.
const WHOLE_MAX: usize = 13;

/// Why a text is no quota.
///
/// ```
/// use nyx_core::limit::{ParseQuotaError, Quota, QuotaError};
///
/// assert!(matches!("often".parse::<Quota>(), Err(ParseQuotaError::Unreadable(_))));
/// assert_eq!("0/s".parse::<Quota>(), Err(ParseQuotaError::Quota(QuotaError::Zero)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseQuotaError {
    /// It can't be read.
    #[error("`{0}` is not a quota such as 100/s, 2.5/s, 5/min, 10MB/s or 200/s burst 1000")]
    Unreadable(String),
    /// It says something that no limiter can hold.
    #[error(transparent)]
    Quota(#[from] QuotaError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_taken_exactly() {
        let quota = |amount, seconds, burst| {
            Quota::new(amount, Duration::from_secs(seconds))
                .and_then(|quota| quota.with_burst(burst))
                .unwrap()
        };
        for (text, expected) in [
            ("100/s", quota(100, 1, 100)),
            ("2.5/s", quota(5, 2, 3)),
            ("0.1/s", quota(1, 10, 1)),
            ("5/min", quota(5, 60, 5)),
            ("7/day", quota(7, 86_400, 7)),
            ("10MB/s", quota(10_000_000, 1, 10_000_000)),
            ("1.5KiB/s burst 64KiB", quota(1_536, 1, 65_536)),
            ("200/s burst 1000", quota(200, 1, 1_000)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "5",
            "/s",
            "x/s",
            "5/fortnight",
            "-1/s",
            "1.2.3/s",
            "1./s",
            "NaN/s",
            "5/s burst",
            "5/s burst x",
            "0.123456/s",
        ] {
            assert!(matches!(text.parse::<Quota>(), Err(ParseQuotaError::Unreadable(_))), "{text}");
        }
        assert_eq!("0/s".parse::<Quota>(), Err(QuotaError::Zero.into()));
        assert_eq!("1/s burst 0".parse::<Quota>(), Err(QuotaError::Zero.into()));
        assert_eq!("100GB/s".parse::<Quota>(), Err(QuotaError::TooFast.into()));
        assert!("9999999999999.99999/day".parse::<Quota>().is_ok());
    }
}
