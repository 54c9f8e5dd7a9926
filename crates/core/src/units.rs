//! Sizes and rates with their unit in the type.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// A number of bytes, written as `512`, `64KiB`, `1.5MiB` or `2GB`.
///
/// `k`, `M`, `G` are powers of 1000 and `Ki`, `Mi`, `Gi` of 1024, in any case; the trailing `B` may be left out.
///
/// ```
/// use nyx_core::ByteSize;
///
/// assert_eq!("64KiB".parse::<ByteSize>().unwrap(), ByteSize::new(65_536));
/// assert_eq!(ByteSize::new(1_572_864).to_string(), "1.5MiB");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// This many bytes.
    ///
    /// ```
    /// # use nyx_core::ByteSize;
    /// assert_eq!(ByteSize::new(2_048).to_string(), "2KiB");
    /// ```
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The size in bytes.
    ///
    /// ```
    /// # use nyx_core::ByteSize;
    /// assert_eq!("2kB".parse::<ByteSize>().unwrap().bytes(), 2_000);
    /// ```
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size as a length in memory, saturating where that is narrower.
    ///
    /// ```
    /// # use nyx_core::ByteSize;
    /// let buffer = vec![0u8; ByteSize::new(64).len()];
    /// assert_eq!(buffer.len(), 64);
    /// ```
    pub fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Whether it is zero bytes.
    ///
    /// ```
    /// # use nyx_core::ByteSize;
    /// assert!(ByteSize::default().is_empty());
    /// assert!(!ByteSize::new(1).is_empty());
    /// ```
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, 1024, &["B", "KiB", "MiB", "GiB", "TiB"])
    }
}

impl FromStr for ByteSize {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        parse_scaled(text, &["b"]).map(Self).ok_or_else(|| ParseUnitError {
            text: text.to_owned(),
            expected: "a size such as 512, 64KiB or 2MB",
        })
    }
}

/// A rate in bits per second, written as `4Mbit/s`, `500kB/s` or `1Gbps`. A bare number is bits per second. In `B/s` and `Bps` the capital letter
/// means bytes; the small one means bits in `bps`, and `b/s` is refused.
///
/// ```
/// use nyx_core::Bitrate;
///
/// let link: Bitrate = "500kB/s".parse().unwrap();
/// assert_eq!(link, "4Mbit/s".parse().unwrap());
/// assert_eq!(link.bytes_per_second(), 500_000);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitrate(u64);

impl Bitrate {
    /// This many bits per second.
    ///
    /// ```
    /// # use nyx_core::Bitrate;
    /// assert_eq!(Bitrate::from_bits_per_second(1_500_000).to_string(), "1.5Mbit/s");
    /// ```
    pub const fn from_bits_per_second(bits: u64) -> Self {
        Self(bits)
    }

    /// This many bytes per second.
    ///
    /// ```
    /// # use nyx_core::Bitrate;
    /// assert_eq!(Bitrate::from_bytes_per_second(100).bits_per_second(), 800);
    /// ```
    pub const fn from_bytes_per_second(bytes: u64) -> Self {
        Self(bytes.saturating_mul(8))
    }

    /// Bits per second.
    ///
    /// ```
    /// # use nyx_core::Bitrate;
    /// assert_eq!("1Gbps".parse::<Bitrate>().unwrap().bits_per_second(), 1_000_000_000);
    /// ```
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }

    /// Whole bytes per second.
    ///
    /// ```
    /// # use nyx_core::Bitrate;
    /// assert_eq!(Bitrate::from_bits_per_second(23).bytes_per_second(), 2);
    /// ```
    pub const fn bytes_per_second(self) -> u64 {
        self.0 / 8
    }

    /// How long `bytes` take at this rate; `Duration::MAX` at rate zero.
    ///
    /// ```
    /// use nyx_core::Bitrate;
    /// use std::time::Duration;
    ///
    /// let link = Bitrate::from_bits_per_second(8_000);
    /// assert_eq!(link.time_for(500), Duration::from_millis(500));
    /// assert_eq!(Bitrate::default().time_for(1), Duration::MAX);
    /// ```
    pub fn time_for(self, bytes: u64) -> Duration {
        if self.0 == 0 {
            return Duration::MAX;
        }
        let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(self.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, 1000, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"])
    }
}

impl FromStr for Bitrate {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let number = text.trim();
        // Only the capital B means bytes: `kb/s` is read by people as either.
        let bytes = number.strip_suffix("B/s").or_else(|| number.strip_suffix("Bps"));
        let rate = match bytes {
            Some(number) => parse_scaled(number, &[]).map(Self::from_bytes_per_second),
            None => parse_scaled(number, &["bit/s", "bps"]).map(Self),
        };
        rate.ok_or_else(|| ParseUnitError {
            text: text.to_owned(),
            expected: "a rate such as 4Mbit/s or 500kB/s",
        })
    }
}

/// A text that is no size or rate.
///
/// ```
/// use nyx_core::ByteSize;
///
/// let error = "ten".parse::<ByteSize>().unwrap_err();
/// assert_eq!(error.to_string(), "`ten` is not a size such as 512, 64KiB or 2MB");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseUnitError {
    text: String,
    expected: &'static str,
}

/// Parses a decimal number with an SI or IEC prefix and one of `units`, which may be left out.
fn parse_scaled(text: &str, units: &[&str]) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = units.iter().find_map(|unit| text.strip_suffix(unit)).unwrap_or(&text);
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, prefix) = text.split_at(digits);
    let factor: u64 = match prefix.trim() {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "t" => 1_000_000_000_000,
        "ki" => 1 << 10,
        "mi" => 1 << 20,
        "gi" => 1 << 30,
        "ti" => 1 << 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let scaled = number.parse::<f64>().ok()? * factor as f64;
    (scaled < u64::MAX as f64).then_some(scaled.round() as u64)
}

fn write_scaled(f: &mut fmt::Formatter<'_>, value: u64, base: u64, units: &[&str]) -> fmt::Result {
    let mut scale = 1;
    let mut unit = 0;
    while value / scale >= base && unit + 1 < units.len() {
        scale *= base;
        unit += 1;
    }
    if value.is_multiple_of(scale) {
        return f.pad(&format!("{}{}", value / scale, units[unit]));
    }
    let text = format!("{:.2}", value as f64 / scale as f64);
    f.pad(&format!("{}{}", text.trim_end_matches('0').trim_end_matches('.'), units[unit]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse_with_and_without_unit() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("512B", 512), ("16k", 16_000), ("16 KiB", 16_384), ("2.5kB", 2_500)]
        {
            assert_eq!(text.parse::<ByteSize>().unwrap().bytes(), bytes, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_a_hint() {
        for text in ["", "B", "-1", "1.2.3", "10 apples", "99999999999GiB", "NaN"] {
            let error = text.parse::<ByteSize>().unwrap_err();
            assert!(error.to_string().contains("such as"), "{error}");
        }
        assert!("5 m/s".parse::<Bitrate>().is_err());
    }

    #[test]
    fn what_is_printed_parses_to_about_the_same() {
        for bytes in [0, 1, 1023, 1024, 1536, 65_536, 10_000_000, u64::MAX / 2] {
            let back: ByteSize = ByteSize::new(bytes).to_string().parse().unwrap();
            let off = back.bytes().abs_diff(bytes) as f64;
            assert!(off <= bytes as f64 * 0.005, "{bytes} came back as {back}");
        }
    }

    #[test]
    fn columns_of_sizes_and_rates_are_as_wide_as_is_said() {
        let (size, rate) = (ByteSize::new(1536), Bitrate::from_bits_per_second(1000));
        assert_eq!(format!("{size:>8}|{rate:<8}|{size}"), "  1.5KiB|1kbit/s |1.5KiB");
    }

    #[test]
    fn a_capital_b_means_bytes_and_a_small_one_bits() {
        for (text, bits) in [
            ("500kB/s", 4_000_000),
            ("500kBps", 4_000_000),
            (" 1 MiBps ", 8 << 20),
            ("500kbps", 500_000),
            ("1Gbps", 1_000_000_000),
            ("2MBIT/S", 2_000_000),
            ("96000", 96_000),
        ] {
            assert_eq!(text.parse::<Bitrate>().unwrap().bits_per_second(), bits, "{text}");
        }
        for text in ["500kb/s", "B/s", "Bps", "1kBbps"] {
            assert!(text.parse::<Bitrate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_tells_how_long_bytes_take() {
        assert_eq!(Bitrate::from_bytes_per_second(500_000).time_for(46_000), Duration::from_millis(92));
        assert_eq!(Bitrate::default().time_for(1), Duration::MAX);
    }
}
