//! When the next one is due.

use std::str::FromStr;
use std::time::Duration;

use anyhow::anyhow;
use nyx_core::Instant;
use nyx_stream::pacer::Beat;

/// How many a second: `30`, `30/s` or `0.5/s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate(f64);

impl Rate {
    /// This many a second, at least one.
    pub(crate) const fn per_second(count: u32) -> Self {
        Self(if count == 0 { 1.0 } else { count as f64 })
    }

    /// From one to the next.
    pub(crate) const fn period(self) -> Duration {
        Duration::from_nanos((1e9 / self.0) as u64)
    }

    /// A beat of this rate, whose first is due at once.
    pub(crate) const fn beat(self) -> Beat {
        Beat::new(self.period())
    }
}

impl FromStr for Rate {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, anyhow::Error> {
        let number = text.strip_suffix("/s").unwrap_or(text).trim();
        let rate = number.parse::<f64>().ok().filter(|rate| SENSIBLE.contains(rate));
        rate.map(Self)
            .ok_or_else(|| anyhow!("`{text}` is no rate: write how many a second, such as 30 or 0.5/s"))
    }
}

/// From one in a day or so to one in a nanosecond.
const SENSIBLE: std::ops::RangeInclusive<f64> = 1e-5..=1e9;

/// Waits, in a thread of its own, until `due`.
#[expect(
    clippy::disallowed_methods,
    reason = "the thread is a driver: it reads a file and has no socket to wait for"
)]
pub(crate) fn block_until(due: Instant, now: Instant) {
    let wait = due - now;
    if !wait.is_zero() {
        std::thread::sleep(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_and_without_unit() {
        assert_eq!("30".parse::<Rate>().unwrap(), Rate::per_second(30));
        assert_eq!("30/s".parse::<Rate>().unwrap(), Rate::per_second(30));
        assert_eq!("0.5/s".parse::<Rate>().unwrap().period(), Duration::from_secs(2));
        for text in ["", "0", "-1", "inf", "NaN", "fast", "1e300", "5/m"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
